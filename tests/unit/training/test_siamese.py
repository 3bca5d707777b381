"""One-shot training: classes of families, validated on classes that training never sees."""

import dataclasses

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

from tests.unit.training.test_training import recipe
from tests.unit.training.tiny_store import stripes
from twinfolio.data.array_store import write_array_store
from twinfolio.data.batch_warp import Warp
from twinfolio.data.datamodule import Augmentation
from twinfolio.errors import DataError
from twinfolio.models.optimisation import KochSchedule
from twinfolio.models.siamese import PairObjective
from twinfolio.training.siamese import SiameseSpec, train_siamese

CLASSES = [f"{family}/{letter}" for family in ("greek", "norse", "ogham", "runic") for letter in "abcd"]
SPEC = SiameseSpec(
    distance="cosine", trunk="lu_conv", trunk_options={"depth": 2, "kernels": 8}, weights="none", embedding=8,
    classes_per_batch=6, images_per_class=2, steps_per_epoch=4, within=0.5, validation="oneshot", trials=12, ways=4,
    objective=PairObjective(class_weight=0.5),
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two alphabets to learn, one to validate on, one for test; each letter six times."""
    rng = np.random.default_rng(0)
    parts = {}
    for split, labels in {"train": range(8), "val": range(8, 12), "test": range(12, 16)}.items():
        images = [stripes(label, 16, 24, rng)[..., :1] for label in labels for _ in range(6)]
        parts[split] = (np.stack(images), np.repeat(np.array(labels), 6))
    folder = tmp_path_factory.mktemp("oneshot") / "store"
    write_array_store(folder, parts, CLASSES)
    return folder


def test_a_model_is_validated_on_letters_it_has_not_learned(store, tmp_path):
    warp = Augmentation(warp=Warp(rotation=10, scale=(0.9, 1.1), bend=0.02))
    trained = train_siamese(store, SPEC, dataclasses.replace(recipe(tmp_path), augmentation=warp))
    assert trained.class_layer.out_features == 8  # no layer for what is not learned
    assert trained.config["classes"] == CLASSES[:8]
    low, mean, high = (trained.metrics[f"val/oneshot/accuracy{end}"] for end in ("_low", "", "_high"))
    assert 0 <= low <= mean <= high <= 1
    assert "val/oneshot/accuracy" in trained.history
    again = train_siamese(store, SPEC, dataclasses.replace(recipe(tmp_path / "again"), augmentation=warp))
    assert again.metrics == trained.metrics


def test_it_learns_to_tell_new_letters_apart(store, tmp_path):
    spec = dataclasses.replace(SPEC, steps_per_epoch=20, trials=100)
    plain = dataclasses.replace(recipe(tmp_path, epochs=6), augmentation=Augmentation())
    assert train_siamese(store, spec, plain).metrics["val/oneshot/accuracy"] > 0.6  # chance is .25


def test_a_moving_average_of_the_weights_is_validated_and_kept(store, tmp_path):
    spec, changes = dataclasses.replace(SPEC, steps_per_epoch=10, trials=100), {"augmentation": Augmentation()}
    plain = train_siamese(store, spec, dataclasses.replace(recipe(tmp_path / "plain", epochs=3), **changes))
    averaged = dataclasses.replace(
        recipe(tmp_path / "ema", epochs=3, callbacks=[EMAWeightAveraging(decay=0.8)]), **changes
    )
    found = train_siamese(store, spec, averaged)
    assert any(
        not torch.equal(value, found.embedder.state_dict()[name]) for name, value in plain.embedder.state_dict().items()
    )
    best = torch.load(tmp_path / "ema" / "best.ckpt", weights_only=True)
    for name, value in found.embedder.state_dict().items():
        torch.testing.assert_close(best["state_dict"][f"embedder.{name}"], value)
    # what was validated is what was kept
    epoch = int(found.metrics["best_epoch"])
    row = found.history.set_index("epoch").loc[epoch]
    assert row["val/oneshot/accuracy"] == pytest.approx(found.metrics["val/oneshot/accuracy"])


def test_the_papers_recipe_trains_on_pairs_of_one_alphabet(store, tmp_path):
    spec = dataclasses.replace(
        SPEC, within=1.0, head="weighted", distance="l1", normalise=False,
        objective=PairObjective(loss="bce", pairs="episodes", class_weight=0.0),
    )  # fmt: skip
    koch = dataclasses.replace(recipe(tmp_path), augmentation=Augmentation(), schedule=KochSchedule())
    trained = train_siamese(store, spec, koch)
    assert trained.class_layer is None
    assert trained.history["lr"].tolist() == [0.01, 0.01]


def test_a_refit_takes_the_validation_alphabets_too_and_validates_nothing(store, tmp_path):
    spec = dataclasses.replace(SPEC, refit=True)
    trained = train_siamese(store, spec, dataclasses.replace(recipe(tmp_path), augmentation=Augmentation()))
    assert trained.class_layer.out_features == 12
    assert not [name for name in trained.metrics if name.startswith("val/")]


def test_letters_that_are_learned_cannot_validate(tmp_path):
    rng = np.random.default_rng(0)
    images = np.stack([stripes(label, 16, 24, rng)[..., :1] for label in range(4) for _ in range(6)])
    part = (images, np.repeat(np.arange(4), 6))
    write_array_store(tmp_path / "store", dict.fromkeys(("train", "val", "test"), part), CLASSES[:4])
    with pytest.raises(DataError, match="greek/a is trained and validated on \\(4 such\\)"):
        train_siamese(tmp_path / "store", SPEC, recipe(tmp_path))


def test_too_few_letters_for_a_trial_is_one_line(store, tmp_path):
    spec = dataclasses.replace(SPEC, ways=5)
    with pytest.raises(DataError, match="ogham: 4 classes with 1 or more images, 5-way trials need 5"):
        train_siamese(store, spec, recipe(tmp_path))
