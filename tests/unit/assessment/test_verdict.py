import numpy as np
import pytest

from tests.unit.training.tiny_store import write_store
from twinfolio.assessment.verdict import Answers, answers, compare
from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.models.bundle import save_model
from twinfolio.models.embedder import build_classifier, build_siamese
from twinfolio.models.heads import build_head

GROUPS = np.array([f"g{i // 2}" for i in range(40)])


def said(values, groups=GROUPS):
    return Answers(np.asarray(values, np.float64), groups)


def test_a_planted_gain_is_found_and_none_where_there_is_none():
    rng = np.random.default_rng(0)
    own = [said(rng.uniform(0.3, 0.6, 40)) for _ in range(2)]
    better = [said(one.values + 0.2) for one in own]
    found = compare(own, better)
    assert found["difference"] == pytest.approx(0.2)
    assert (found["difference_low"], found["difference_high"]) == pytest.approx((0.2, 0.2))
    assert found["p"] < 0.001
    assert found["best"] - found["own"] == pytest.approx(0.2)
    same = compare(own, own[::-1])
    assert same["difference"] == pytest.approx(0)
    assert same["p"] == 1


def test_seeds_are_averaged_image_by_image_and_images_with_nothing_to_find_are_left_out():
    nan = np.where(np.arange(40) == 3, np.nan, 0.5)
    found = compare([said(nan), said(nan + 0.1)], [said(nan + 0.2), said(nan + 0.3)])
    assert found["own"] == pytest.approx(0.55)
    assert found["best"] == pytest.approx(0.75)


def test_two_sides_with_other_images_are_one_line():
    with pytest.raises(DataError, match="changed the split"):
        compare([said(np.zeros(40))], [said(np.zeros(40), GROUPS[::-1])])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("verdict") / "store", train=4, val=3, classes=3)


def saved(folder, embedder, head=None, class_layer=None):
    kind = "siamese" if class_layer is None else "classifier"
    save_model(folder, embedder=embedder, head=head, class_layer=class_layer, config={"kind": kind})
    return folder


def test_a_siamese_model_answers_with_an_average_precision_an_image(tmp_path, store):
    embedder, head = build_siamese("test_efficientnet", weights="none", head="distance", distance="l2", embedding=8)
    found = answers(saved(tmp_path / "model", embedder, head), store, "val")
    assert len(found.values) == len(found.groups) == len(set(Store.open(store / "val").index["image_id"]))
    finite = found.values[np.isfinite(found.values)]
    assert len(finite)
    assert ((finite > 0) & (finite <= 1)).all()


def test_a_classifier_answers_with_right_or_wrong(tmp_path, store):
    embedder, layer = build_classifier("test_efficientnet", weights="none", classes=3)
    head = build_head("distance", "cosine", embedder.dim)
    found = answers(saved(tmp_path / "model", embedder, head, layer), store, "val")
    assert set(found.values) <= {0.0, 1.0}
