"""A tiny system of every kind in a folder of its own, and pictures that all of them see."""

from dataclasses import replace

import pandas as pd
import torch

from twinfolio.assessment.calibration import Calibration
from twinfolio.assessment.classical import classical_system
from twinfolio.assessment.joined import join_parts, part_of
from twinfolio.assessment.model_folder import write_model_folder
from twinfolio.assessment.searched import SearchSetting
from twinfolio.assessment.systems import frozen_trunk, trained_system
from twinfolio.data.store import StoreInfo
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.evaluation.calibration import Calibrator
from twinfolio.evaluation.conformal import Conformal
from twinfolio.models.bundle import save_model
from twinfolio.models.embedder import build_class_layer, build_siamese
from twinfolio.models.heads import build_head
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.whitening import fit_whitening
from twinfolio.sample.scenes import draw_views

TRUNK, SIDE, CLASSES = "test_efficientnet", 96, ["street0", "street1", "street2"]
KINDS = ("l1", "classifier", "frozen_trunk", "vlad_rootsift_matched", "l1+classifier+vlad_rootsift_matched")
CALIBRATION = Calibration(
    Calibrator("logistic", (2.0, -1.0)), 0.25, {"logistic": 0.1}, 1.5, 0.75, 0.05, 2, Conformal(0.4, 0.9, 12)
)


def pictures():
    """uint8 (12, 96, 96, 3): four views of each of three streets."""
    return draw_views(scenes=3, views=4, side=SIDE, seed=1).images


def save_net(folder, kind, distance, embedding):
    with torch.random.fork_rng():
        torch.manual_seed(len(kind))
        embedder, _ = build_siamese(TRUNK, weights="none", head="distance", distance=distance, embedding=embedding)
        layer = build_class_layer(embedder, len(CLASSES))
    head = build_head("distance", distance, embedder.dim)
    save_model(folder, embedder=embedder.eval(), head=head, class_layer=layer, config={"kind": kind})


def classical(images):
    """VLAD, whitened and re-ranked by matched key points."""
    encoder = Encoder.fit(EncoderSpec("rootsift", words=4, most=60, matched=30), images)
    recipe = Recipe(matched=Matched(points=30, candidates=4))
    whitening = fit_whitening(recipe.vectors_of(encoder(images)), 6)
    return classical_system(encoder, replace(recipe, whitening=whitening))


def systems_in(root):
    """Name -> system, each made of files below ``root`` or of nothing but images."""
    images = pictures()
    save_net(root / "l1", "siamese", "l1", 6)
    save_net(root / "classifier", "classifier", "cosine", 5)
    made = [trained_system(name, root / name) for name in ("l1", "classifier")]
    made += [frozen_trunk(TRUNK, "none", 3), classical(images)]
    found = {system.name: system for system in made}
    parts = {name: part_of(one, dict.fromkeys(("train", "val"), one.embed(images))) for name, one in found.items()}
    joined, _ = join_parts([parts[name] for name in ("l1", "classifier", "vlad_rootsift_matched")])
    return found | {joined.name: joined}


def write_kind(system, source, folder, notes=()):
    """A model folder of a system, over the twelve pictures."""
    images = pictures()
    system.save(source)
    names = [f"{label}/{view}" for label in CLASSES for view in range(4)]
    gallery = pd.DataFrame({"image_id": names, "tile": 0, "split": "train"})
    gallery["label"] = [name.partition("/")[0] for name in names]
    gallery["group"] = gallery["cluster"] = names
    gallery["path"] = [f"{name}.png" for name in names]
    gallery["content"] = [f"sha {name}" for name in names]
    recipe = Recipe() if system.search is None else system.search[0]
    write_model_folder(
        folder,
        bundle=source,
        info=StoreInfo(3, CLASSES, {}, "hash", "pad", False, "pages", SIDE, 3.0, 6),
        setting=SearchSetting(recipe, 1.5, CALIBRATION),
        embeddings=system.embed(images),
        gallery=gallery,
        notes=notes,
    )
