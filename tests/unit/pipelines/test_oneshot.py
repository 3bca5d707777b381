"""Ma et al.'s study, its stages one after another in this process, on a few made-up alphabets."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import torch

from tests.unit.pipelines.stages import run_study_here, study_params, workspace
from twinfolio.data.sources.omniglot import class_hash
from twinfolio.data.store import Store
from twinfolio.errors import ParamsError
from twinfolio.evaluation.trials import read_trials
from twinfolio.models.bundle import load_model
from twinfolio.models.embedder import build_siamese

TINY = {
    "omniglot.drawn": {"background": 3, "evaluation": 2, "characters": 20},
    "omniglot.validation_alphabets": 1,
    "omniglot.poses": 1,
    "omniglot.size": 20,
    "omniglot.trials": 50,
    "ma_oneshot.trainings": ["small-ours-0", "small-ours-1", "sircnn-paper-0"],
    "ma_oneshot.paper_iterations": 2,
    "siamese.trunk_options": {"depth": 2, "kernels": 8},
    "siamese.embedding": 8,
    "siamese.steps_per_epoch": 3,
    "siamese.epochs": 2,
    "trainer.accelerator": "cpu",
}


def read_params(**changes):
    return study_params("ma_oneshot", **TINY | changes)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The workspace after all of its stages."""
    with workspace(tmp_path_factory.mktemp("ma")) as root:
        run_study_here(
            read_params(), TINY["ma_oneshot.trainings"], first="omniglot", each="oneshot", last="oneshot_test"
        )
        yield root


def test_no_evaluation_alphabet_is_learned_or_validated_on(here):
    about = json.loads((here / "outputs/omniglot/about.json").read_text())
    for store in ("store", "store_105"):
        parts = {split: Store.open(here / "outputs/omniglot" / store / split) for split in ("train", "val", "test")}
        alphabets = {split: {name.split("/")[0] for name in part.index["label"]} for split, part in parts.items()}
        assert alphabets["val"] == set(about["validation"])
        assert alphabets["test"] == set(about["evaluation"]["alphabets"])
        assert not alphabets["test"] & (alphabets["train"] | alphabets["val"])
        learned = [name for split in ("train", "val") for name in parts[split].index["label"]]
        assert class_hash(learned) == about["background"]["hash"]
        assert class_hash(parts["test"].index["label"]) == about["evaluation"]["hash"]
    assert not about["complete"]


def test_trials_are_frozen_by_name_for_both_sizes(here):
    for name, each in (("paper", 40), ("many", 50)):
        found = [
            read_trials(
                here / f"outputs/omniglot/trials/{name}.csv",
                list(Store.open(here / "outputs/omniglot" / store / "test").index["image_id"]),
            )
            for store in ("store", "store_105")
        ]
        assert len(found[0]) == 2 * each
        np.testing.assert_array_equal(found[0].support, found[1].support)


def test_both_recipes_train_a_siamese_model(here):
    own, paper = (load_model(here / f"outputs/oneshot/{name}/model") for name in ("small-ours-1", "sircnn-paper-0"))
    assert own.head.distance == "cosine"
    assert (paper.head.distance, type(paper.head).__name__) == ("l1", "WeightedHead")
    assert paper.embedder.info.name == "sircnn"
    timing = json.loads((here / "reports/oneshot/small-ours-1/timing.json").read_text())
    assert timing["train_steps"] == 6
    assert 0 < timing["seconds_to_best"] <= timing["train_seconds"]
    first = load_model(here / "outputs/oneshot/small-ours-0/model").embedder.state_dict()
    assert any(not torch.equal(first[name], value) for name, value in own.embedder.state_dict().items())


def test_the_tables_have_every_model_and_evaluation_is_counted_once(here):
    table = pd.read_csv(here / "reports/oneshot_test/models.csv").set_index("model")
    assert table.loc["small-ours", "seeds"] == 2
    assert table.loc["sircnn-paper", "printed"] == 0.75125
    assert table.loc["sircnn-paper", "parameters"] == 1_562_496 + 513
    assert 0 <= table.loc["small-ours", "runs"] <= 1
    metrics = json.loads((here / "reports/oneshot_test/metrics.json").read_text())
    assert {"test/runs/small-ours/accuracy", "test/many/sircnn-paper/accuracy_low"} <= set(metrics)
    assert len((here / "reports/test_uses.csv").read_text().splitlines()) == 2


def test_kochs_twin_is_the_papers(stage_module):
    ma = importlib.import_module("_ma")
    params = ma.Training.named("koch-paper-0").params(read_params())
    assert (params.siamese.trunk, params.siamese.embedding, params.siamese.activation) == ("koch_conv", 4096, "sigmoid")
    assert ma.Training.named("koch-ours-3").params(read_params()).siamese.seed == 3
    assert ma.Training.named("koch-ours-3").size == (105, 105)


@pytest.mark.parametrize(("cap", "steps", "epochs"), [(150, 150, 1), (1000, 1000, 1), (2500, 1000, 3)])
def test_the_papers_recipe_validates_every_thousand_iterations_or_once(cap, steps, epochs, stage_module):
    ma = importlib.import_module("_ma")
    made = ma.Training.named("koch-paper-0").params(read_params(**{"ma_oneshot.paper_iterations": cap})).siamese
    assert (made.steps_per_epoch, made.epochs) == (steps, epochs)


def test_every_trunk_of_the_papers_table_5_makes_valid_params(stage_module):
    ma = importlib.import_module("_ma")
    for trunk in ma.TRUNKS:
        for recipe in ma.STORES:
            params = ma.Training.named(f"{trunk}-{recipe}-0").params(read_params())
            assert params.siamese.validation == "oneshot"
            assert params.siamese.schedule == ("koch" if recipe == "paper" else "adamw")


@pytest.mark.slow  # timm draws VGG's weights for ten seconds
@pytest.mark.parametrize("trunk", ["vgg16", "vgg19", "resnet18", "resnet50", "efficientnet_b2", "resnext101"])
def test_timms_trunks_of_table_5_embed_one_channel_of_105_pixels(trunk, stage_module):
    ma = importlib.import_module("_ma")
    own = ma.Training.named(f"{trunk}-paper-0").params(read_params()).siamese
    embedder, _ = build_siamese(
        own.trunk, weights="none", head=own.head, distance="l1", options=own.trunk_options, pooling=own.pooling,
        embedding=own.embedding, normalise=own.normalise, channels=1,
    )  # fmt: skip
    with torch.inference_mode():
        embeddings = embedder.eval()(torch.rand(2, 1, 105, 105))
    assert embeddings.shape == (2, embedder.trunk.num_features)
    assert torch.isfinite(embeddings).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ma_oneshot.trainings": ["small-theirs-0"]}, "TRUNK-RECIPE-SEED"),
        ({"omniglot.size": 200}, "omniglot.size = 200"),
    ],
)
def test_bad_params_are_one_line(changes, said):
    with pytest.raises(ParamsError, match=said):
        read_params(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "omniglot.zip"}, "omniglot.runs = null"),
        ({"background": "small1"}, "made-up alphabets have no such set"),
    ],
)
def test_a_source_that_does_not_go_together_is_one_line(changes, said, stage_module):
    read = importlib.import_module("_omniglot").read
    with pytest.raises(ParamsError, match=said):
        read(read_params(**{f"omniglot.{key}": value for key, value in changes.items()}).omniglot)
