import numpy as np
import pytest

from tests.unit.assessment.conftest import make_systems
from twinfolio.assessment.embeddings import embed_gallery
from twinfolio.assessment.images import image_scores
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.neighbour_bench import open_bench
from twinfolio.evaluation.retrieval_protocol import retrieval_protocol
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import DistanceScorer
from twinfolio.retrieval.views import Views


def cosine(gallery):
    return DistanceScorer(gallery, "cosine", 1.0, 1.0)


@pytest.fixture
def bench(store_root, tmp_path):
    system = make_systems()[1]
    embed_gallery(system, store_root, tmp_path / "cosine.npz")
    return open_bench(system, cosine, store_root, tmp_path / "cosine.npz", Resampling(100), repeats=3)


def test_the_plain_recipe_ranks_as_the_system_does(bench):
    val, train = bench.parts["val"], bench.parts["train"]
    vectors = bench.embedded(None)
    scores = image_scores(bench.system.scores, vectors["val"], val, vectors["train"], train)
    expected = retrieval_protocol(scores, val.items, train.items)
    found = bench.retrieval(bench.prepared(Recipe()))
    assert found.metrics.means()["mAP"] == pytest.approx(expected.metrics.means()["mAP"], abs=1e-6)
    assert found.metrics.n_relevant.tolist() == expected.metrics.n_relevant.tolist()


def test_views_are_embedded_once_for_both_splits(bench):
    views = Views(1, 0.5)
    first = bench.embedded(views)
    assert bench.embedded(views) is first
    rows = bench.parts["val"].rows
    expected = views.forward(bench.system.embed)(np.asarray(bench.stores["val"].images[rows]))
    assert first["val"] == pytest.approx(expected)


def test_a_time_is_the_median_of_single_queries_after_a_warm_up(bench):
    ticks = iter([0, 9, 9, 18, 20, 21, 30, 35, 40, 42])  # warm-up 9 and 9 s, then 1, 5 and 2
    slow = type(bench)(**{**vars(bench), "clock": lambda: next(ticks)})
    assert slow.embed_ms(None) == 2000
