import numpy as np
import pytest
import torch

from twinfolio.assessment import oneshot
from twinfolio.assessment.cost import model_cost
from twinfolio.assessment.oneshot import Views, embed_images, evaluation_trials, read_runs, scores_of, write_answers
from twinfolio.data.array_store import write_array_store
from twinfolio.data.batch_warp import Warp
from twinfolio.errors import DataError
from twinfolio.evaluation.oneshot import trial_credit
from twinfolio.evaluation.trials import draw_trials, write_trials
from twinfolio.models.bundle import load_model, save_model
from twinfolio.models.embedder import build_classifier, build_siamese
from twinfolio.models.tasks import head_scores

LABELS = np.repeat(np.arange(8), 4)
NAMES = [f"greek/letter{label}/{row:02d}" for row, label in enumerate(LABELS)]
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 20, 20, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    embedder, head = build_siamese(
        "lu_conv", weights="none", head="distance", distance="cosine", embedding=6, channels=1, normalise=True
    )
    folder = tmp_path_factory.mktemp("oneshot") / "model"
    save_model(folder, embedder=embedder, head=head, class_layer=None, config={"classes": []})
    return load_model(folder)


def trials(**changes):
    return draw_trials(LABELS, ["greek"] * 32, np.arange(32), **{"ways": 5, "per_family": 30, "seed": 0} | changes)


def test_the_scores_are_the_heads(model, monkeypatch):
    sets = {"one": trials(), "two": trials(shots=2, seed=1)}
    found = scores_of(model, IMAGES, sets)
    embeddings = torch.from_numpy(model.embed_uint8(IMAGES))
    for name, of in sets.items():
        np.testing.assert_allclose(found[name], head_scores(model.head, embeddings, of), atol=1e-5)
    monkeypatch.setattr(oneshot, "_PIXELS", 1000)  # two images at a time
    np.testing.assert_allclose(embed_images(model, IMAGES), embeddings, atol=1e-6)


def test_views_are_averaged_and_put_back_on_the_sphere(model):
    plain, views = embed_images(model, IMAGES), Views(4, Warp(rotation=10, shift=0.05))
    several = embed_images(model, IMAGES, views)
    torch.testing.assert_close(several.norm(dim=1), torch.ones(32))
    assert not torch.allclose(several, plain)
    assert (several * plain).sum(1).min() > 0.8
    torch.testing.assert_close(several, embed_images(model, IMAGES, views))
    torch.testing.assert_close(embed_images(model, IMAGES, Views(3)), plain)  # looks that are not moved


def frozen(folder):
    """A store of the images as its test part, one set of trials over it, and runs of the same images in their size."""
    parts = dict.fromkeys(("train", "val", "test"), (IMAGES[..., 0], LABELS))
    classes = [f"greek/letter{label}" for label in range(8)]
    write_array_store(folder / "store", parts, classes, dict.fromkeys(parts, NAMES))
    (folder / "trials").mkdir()
    write_trials(trials(), NAMES, folder / "trials" / "paper.csv")
    runs = trials(seed=1, per_family=40)
    arrays = {name: getattr(runs, name) for name in ("families", "queries", "answers", "support")}
    np.savez(folder / "runs.npz", images=IMAGES[..., 0], **arrays)
    return folder


def test_a_models_answers_are_the_credit_of_every_set_of_trials(model, tmp_path):
    folder = frozen(tmp_path)
    save_model(folder / "model", embedder=model.embedder, head=model.head, class_layer=None, config={"classes": []})
    write_answers(folder / "a.npz", folder / "model", folder / "store", folder / "trials", folder / "runs.npz",
                  None, None)  # fmt: skip
    images, runs = read_runs(folder / "runs.npz")
    np.testing.assert_array_equal(images, IMAGES[..., 0])
    expected = scores_of(model, IMAGES, {"paper": trials(), "runs": runs})
    with np.load(folder / "a.npz", allow_pickle=False) as found:
        np.testing.assert_allclose(found["runs_scores"], expected["runs"], atol=1e-6)
        for name, of in (("paper", trials()), ("runs", runs)):
            np.testing.assert_array_equal(found[name], trial_credit(expected[name], of.answers))
            np.testing.assert_array_equal(found[f"{name}_families"], of.families)
    assert not list(folder.glob("*.part*"))


def test_frozen_trials_are_found_again_in_a_store_by_name(tmp_path):
    frozen(tmp_path)
    found = evaluation_trials(tmp_path / "store", tmp_path / "trials")
    np.testing.assert_array_equal(found["paper"].support, trials().support)


def test_a_classifier_is_refused(tmp_path):
    embedder, layer = build_classifier("lu_conv", weights="none", classes=3, channels=1)
    save_model(tmp_path / "model", embedder=embedder, head=None, class_layer=layer, config={"classes": ["a", "b", "c"]})
    with pytest.raises(DataError, match="no head"):
        scores_of(load_model(tmp_path / "model"), IMAGES, {"one": trials()})


def test_the_cost_counts_parameters_and_multiplications(model):
    cost = model_cost(model, (1, 20, 20), batch=2)
    # three blocks of 3 x 3 convolution with 16 kernels on 20, 10 and 5 pixels, and a projection of 16 to 6
    assert cost["macs"] == 9 * 16 * (20 * 20 + 16 * 10 * 10 + 16 * 5 * 5) + 16 * 6
    own = sum(parameter.numel() for part in (model.embedder, model.head) for parameter in part.parameters())
    assert cost["parameters"] == own
    assert cost["ms_per_image"] > 0
