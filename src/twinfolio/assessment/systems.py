"""What is compared: anything that turns images into vectors and scores queries' vectors against a gallery's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twinfolio.assessment.images import ImageSet, barred_images, image_scores
from twinfolio.evaluation.baselines import colour_histogram, cosine_scores
from twinfolio.evaluation.retrieval_protocol import OwnGroup
from twinfolio.evaluation.streaming import Scores
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.scorers import BuildScorer

if TYPE_CHECKING:
    from twinfolio.models.bundle import Model

CLASSIFIER, FROZEN_TRUNK, COLOUR_HISTOGRAM = "classifier", "frozen_trunk", "colour_histogram"
"""Names of systems that stand beside the distances."""
REFIT = "refit"
"""The champion trained once more on train and validation: a system of its own beside the champion as validated."""

Embedding = Callable[[np.ndarray], np.ndarray]
Scoring = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class System:
    """A way to say how alike two images are.

    Attributes:
        name: Its name in files and metric keys, for example ``l1`` or ``colour_histogram``.
        embed: uint8 (B, H, W, C) -> float32 (B, D).
        scores: (Q, D), (M, D) -> (Q, M); higher = more similar.
        classify: (N, D) -> (N, n_classes) probabilities, where the system has a class layer.
        pretrained: Whether its trunk started from ImageNet weights; None where there is no trunk.
        search: A recipe under which it ranks, and what scores the vectors; None: by ``scores`` alone.
        unit: Whether its vectors have length 1.
        save: Write the files that ``load_system`` reads into a folder; None where there are none.
    """

    name: str
    embed: Embedding
    scores: Scoring
    classify: Callable[[np.ndarray], np.ndarray] | None = None
    pretrained: bool | None = None
    search: tuple[Recipe, BuildScorer] | None = None
    unit: bool = False
    save: Callable[[Path], None] | None = None


def system_scores(
    system: System,
    query_vectors: np.ndarray,
    queries: ImageSet,
    gallery_vectors: np.ndarray,
    gallery: ImageSet,
    own_group: OwnGroup = "excluded",
) -> Scores:
    """Scores of any images with any others by a system (arguments as ``image_scores``).

    Args:
        system: The system.
        query_vectors: float32 (R, D).
        queries: N images.
        gallery_vectors: float32 (S, D).
        gallery: M images.
        own_group: Whether images of a query's own group take places among the candidates of a re-ranking.
    """
    if system.search is None:
        return image_scores(system.scores, query_vectors, queries, gallery_vectors, gallery)
    recipe, build = system.search
    prepared = PreparedGallery(recipe, gallery_vectors, gallery.row_image, build)
    barred = barred_images(queries.items, gallery.items, own_group)
    return RecipeScores(prepared, query_vectors, queries.row_image, barred)


def pairwise_scores(system: System) -> Scoring:
    """Scores of rows with others, under the system's own recipe where it has one."""
    if system.search is None:
        return system.scores
    recipe, build = system.search
    return lambda queries, gallery: recipe.pairwise(build, queries, gallery)


def comparable_systems(
    *,
    siamese: dict[str, Path],
    scratch: Path,
    classifier: Path,
    trunk: str,
    options: Mapping[str, Any],
    weights: str,
    channels: int,
    device: str = "cpu",
) -> list[System]:
    """Everything the two stages compare, in the order of the tables.

    Args:
        siamese: Distance -> model folder.
        scratch: Model folder of the paper's small net.
        classifier: Model folder of the classifier.
        trunk: timm name of the frozen baseline's trunk.
        options: Its further arguments.
        weights: Its weights (``imagenet``, ``none`` or a file).
        channels: Channels of the store's images.
        device: Where the nets compute.

    Returns:
        The distances, then ``scratch``, ``classifier``, ``frozen_trunk`` and ``colour_histogram``.
    """
    folders = {**siamese, "scratch": scratch, CLASSIFIER: classifier}
    trained = [trained_system(name, folder, device) for name, folder in folders.items()]
    return [*trained, frozen_trunk(trunk, weights, channels, device, options), colour_system()]


def trained_system(name: str, folder: Path, device: str = "cpu") -> System:
    """A model of this project: its head scores pairs; without a head the cosine does.

    Args:
        name: The system's name.
        folder: A folder that ``save_model`` wrote.
        device: Where it computes.

    Raises:
        ModelError: The folder holds no model.
    """
    from twinfolio.models.bundle import CONFIG_FILE, WEIGHTS_FILE, load_model

    model = load_model(folder, device)

    def save(target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for file in (WEIGHTS_FILE, CONFIG_FILE):
            shutil.copyfile(folder / file, target / file)

    return System(
        name=name,
        embed=model.embed_uint8,
        scores=model.scores if model.head is not None else cosine_scores,
        classify=_class_layer(model),
        pretrained=bool(model.config["pretrained"]),
        unit=bool(model.config["normalise"]),
        save=save,
    )


def frozen_trunk(
    trunk: str, weights: str, channels: int, device: str = "cpu", options: Mapping[str, Any] | None = None
) -> System:
    """The baseline without training: average and max pooled features of a trunk, scored by cosine.

    Args:
        trunk: timm name.
        weights: ``imagenet``, ``none`` or a file.
        channels: Channels of the images.
        device: Where it computes.
        options: Further arguments of the trunk.
    """
    import torch

    from twinfolio.models.bundle import Model, save_model
    from twinfolio.models.embedder import Embedder
    from twinfolio.models.heads import build_head
    from twinfolio.models.trunks import create_trunk

    # with weights = none both stages must see the same random trunk
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, info = create_trunk(trunk, weights, channels, options)
    embedder = Embedder(network, info, pooling="avgmax", normalise=True).to(device).eval()
    head = build_head("distance", "cosine", embedder.dim).to(device).eval()
    model = Model(embedder, head, None, {}, torch.device(device))

    def save(target: Path) -> None:
        save_model(target, embedder=embedder, head=head, class_layer=None, config={"kind": FROZEN_TRUNK})

    return System(FROZEN_TRUNK, model.embed_uint8, model.scores, pretrained=info.pretrained, unit=True, save=save)


def colour_system(*, root: bool = False) -> System:
    """The baseline of paper and ink alone: 16 bins a channel, compared by cosine.

    Args:
        root: Take the roots of the shares first (Bhattacharyya's coefficient), which is a stronger baseline.
    """
    return System(COLOUR_HISTOGRAM, lambda images: colour_histogram(images, hellinger=root), cosine_scores)


def pick_device(accelerator: str) -> str:
    """The one device that final numbers are computed on.

    Args:
        accelerator: ``auto``, ``cpu``, ``gpu`` or ``mps``.
    """
    import torch

    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return "cuda"
    return "mps" if accelerator == "mps" else "cpu"


def _class_layer(model: Model) -> Callable[[np.ndarray], np.ndarray] | None:
    """The class layer as a function on embeddings, or None."""
    layer = model.class_layer
    if layer is None:
        return None

    def probabilities(x: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            logits = layer(torch.from_numpy(np.array(x, np.float32)).to(model.device))
            return np.asarray(logits.softmax(dim=1).cpu().numpy())

    return probabilities
