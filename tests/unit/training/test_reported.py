import pytest

from tests.unit.training.test_training import CLASSIFIER, SIAMESE, recipe
from tests.unit.training.tiny_store import write_store
from twinfolio.training.classify import train_classifier
from twinfolio.training.reported import WATCHED, reported_metrics
from twinfolio.training.siamese import train_siamese


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("reported")
    store = write_store(root / "store")
    return {
        "classify": train_classifier(store, CLASSIFIER, recipe(root / "classify", epochs=1)),
        "train_siamese": train_siamese(store, SIAMESE, recipe(root / "siamese", epochs=1)),
    }


STAGES = {"classify": "classify", "train_siamese": "train_siamese", "train_scratch": "train_siamese"}


@pytest.mark.parametrize(("stage", "job"), STAGES.items())
def test_what_a_training_reports_is_known_before_it_starts(stage, job, trained):
    names = reported_metrics(stage)
    assert len(names) == len(set(names))
    assert set(names) == {name for name in trained[job].metrics if not name.endswith(("_low", "_high"))}


@pytest.mark.parametrize(("stage", "job"), STAGES.items())
def test_what_a_pruner_watches_is_there_after_every_validation(stage, job, trained):
    validated = {name for name in trained[job].history if name.startswith("val/")}
    assert set(WATCHED[stage]) == validated
    assert set(WATCHED[stage]) <= set(reported_metrics(stage))
