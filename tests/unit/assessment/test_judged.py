import dataclasses

import numpy as np
import pytest
import torch

from tests.unit.data.judged_streets import BITS, write_streets
from twinfolio.assessment import judged as assessed
from twinfolio.assessment.judged import (
    Contender,
    JudgedBench,
    embed_maps,
    judged_test,
    mean_ap,
    scores_of,
    tuned_contender,
    twin_contender,
)
from twinfolio.assessment.systems import colour_system
from twinfolio.assessment.tuning import Grid, tune
from twinfolio.data.judged_set import open_judged_set
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.twin_folder import save_twin
from twinfolio.sample.scenes import draw_views, overlap


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return open_judged_set(write_streets(tmp_path_factory.mktemp("judged") / "set"))


@pytest.fixture(scope="module")
def textured(tmp_path_factory, judged):
    """The same judgments, of images that have key points."""
    queries, maps = draw_views(20, 2, 64, 0, drift=1), draw_views(20, 3, 64, 0)
    sim = overlap(queries, maps) >= 0.25
    sim[~sim.any(axis=1), 0] = True
    images = dataclasses.replace(judged.images, images=np.concatenate([queries.images, maps.images]))
    return dataclasses.replace(judged, images=images, sim=sim, fov=None)


def test_streets_are_told_apart_by_their_colours(judged):
    contender = Contender(colour_system(root=True), judged.images.images)
    maps = embed_maps(contender, judged)
    for split in ("val", "test"):
        scores, sim = scores_of(contender, judged, split, maps), judged.sim[judged.queries(split)]
        assert scores.shape == sim.shape
        assert mean_ap(scores, sim) > 0.5  # chance is about .05


def test_nothing_is_fitted_on_what_is_held_out(textured, monkeypatch):
    seen = {}

    def spy(spec, images, features, words):
        seen.update({part: np.asarray(of[:]) for part, of in images.items()})
        return fit(spec, images, features, words)

    fit = assessed.fit_encoder
    monkeypatch.setattr(assessed, "fit_encoder", spy)
    tune("bow_orb", Grid(bow_words=(20,), enlarge=(2.0,)), JudgedBench(textured))
    np.testing.assert_array_equal(seen["train"], textured.images.images[textured.learned])
    np.testing.assert_array_equal(seen["val"], textured.images.images[textured.queries("val")])


@pytest.mark.parametrize("name", ["vlad_rootsift", "vlad_orb_matched", "phash"])
def test_a_tuned_system_ranks_validation_as_it_was_chosen_by(name, textured, tmp_path):
    grid = Grid(vlad_words=(4, 8), enlarge=(2.0,), weights=(0.1, 0.2), candidates=10, matched=50)
    bench = JudgedBench(textured, cache=tmp_path / "points.sqlite")
    tuned = tune(name, grid, bench)
    contender = tuned_contender(tuned, bench)
    own = mean_ap(
        scores_of(contender, textured, "val", embed_maps(contender, textured)), textured.sim[textured.queries("val")]
    )
    assert own == pytest.approx(tuned.best.val_map, abs=1e-6)
    assert tuned.best.val_map == max(value for _, value in tuned.tried)
    assert ("matches x" in contender.setting) == name.endswith("_matched")


def test_a_twin_scores_as_it_says(judged, tmp_path):
    torch.manual_seed(0)
    twin = OrbSiamese(2).eval()
    save_twin(tmp_path, twin)
    contender = twin_contender("orb2-sim-0", tmp_path, judged.bits, "sim")
    scores = scores_of(contender, judged, "test", embed_maps(contender, judged))
    bits = torch.from_numpy(judged.bits.images[:].astype(np.float32)).reshape(-1, 1, BITS, 256) / 255
    with torch.inference_mode():
        expected = twin(bits[judged.queries("test")[:1]], bits[judged.maps[7:8]])
    assert scores[0, 7] == pytest.approx(float(expected), abs=1e-6)
    assert (contender.target, contender.system.pretrained) == ("sim", False)
    assert ((scores > 0) & (scores < 1)).all()


def test_test_is_the_test_queries_and_their_pairs_alone(judged):
    test = judged_test(judged, 10)
    rows = judged.queries("test")
    np.testing.assert_array_equal(test.sim, judged.sim[rows])
    np.testing.assert_array_equal(test.targets["fov"], judged.fov[rows])
    pairs = judged.pairs.query("split == 'test'")
    np.testing.assert_array_equal(rows[test.pairs[:, 0]], pairs["query"])
    np.testing.assert_array_equal(test.pairs[:, 1], pairs["map"])
    assert test.constants["sim"] == 0.5
    assert 0.3 < test.constants["fov"] < 0.5  # half of .5 to 1


def test_rankings_gain_what_was_judged_and_sim_where_nothing_else_was(judged):
    graded, plain = judged_test(judged, 10), judged_test(dataclasses.replace(judged, fov=None), 10)
    reversed_grade = -np.where(graded.sim, graded.targets["fov"], 2.0)  # the right ones first, the best of them last
    assert plain.ranking(reversed_grade).metrics.means()["nDCG@10"] == pytest.approx(1)
    assert graded.ranking(reversed_grade).metrics.means()["nDCG@10"] < 0.99
