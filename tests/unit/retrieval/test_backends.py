import numpy as np
import pytest

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.backends import build_backend, measured_recall, open_backend, recall_at, require_backend
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.reciprocal import Reciprocal
from twinfolio.retrieval.scorers import DistanceScorer, WeightedScorer
from twinfolio.retrieval.search import search
from twinfolio.retrieval.whitening import fit_whitening

DISTANCES = ("l1", "l2", "cosine")


@pytest.fixture(scope="module")
def clustered():
    draws = np.random.default_rng(0)
    centres = draws.normal(size=(20, 18))
    return (centres[draws.integers(20, size=1500)] + 0.4 * draws.normal(size=(1500, 18))).astype(np.float32)


@pytest.fixture(scope="module", params=[(name, distance) for name in ("hnsw", "ivfpq") for distance in DISTANCES])
def built(request, clustered):
    name, distance = request.param
    return distance, build_backend(name, clustered, distance, seed=0)


def test_exact_scores_of_the_candidates_bring_nearly_every_neighbour(built, clustered):
    distance, data = built
    scorer, backend = DistanceScorer(clustered, distance, 5.0, 2.0), open_backend(data, distance)
    assert len(backend) == len(clustered)
    assert measured_recall(scorer, backend, clustered, sample=50) >= 0.95
    exact, found = (search(scorer, clustered[:5], 3, backend=which) for which in (None, backend))
    same = exact.ids == found.ids
    assert same.mean() > 0.9
    assert (exact.scores[same] == found.scores[same]).all()


def test_a_file_answers_as_its_bytes_do(built, clustered, tmp_path):
    distance, data = built
    (tmp_path / "ann.faiss").write_bytes(data)
    from_file, from_bytes = open_backend(tmp_path / "ann.faiss", distance), open_backend(data, distance)
    assert (from_file.candidates(clustered[:9], 12) == from_bytes.candidates(clustered[:9], 12)).all()


def test_half_a_file_is_one_line(built, tmp_path):
    distance, data = built
    path = tmp_path / "ann.faiss"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"ann\.faiss: damaged; build the index again"):
        open_backend(path, distance)
    with pytest.raises(DataError, match="damaged"):
        open_backend(b"no index", distance)


def test_a_seed_gives_the_same_index(clustered):
    same, other = (build_backend("ivfpq", clustered, "l2", seed=seed) for seed in (3, 4))
    assert build_backend("ivfpq", clustered, "l2", seed=3) == same != other


def test_exact_has_no_file_and_ivfpq_wants_rows_to_learn_from(clustered):
    assert build_backend("exact", clustered, "l2") is None
    with pytest.raises(DataError, match="100 vectors, fewer than 624; choose exact"):
        build_backend("ivfpq", clustered[:100], "l2")


def test_a_gallery_smaller_than_what_is_asked_for_leaves_places_empty(clustered):
    backend = open_backend(build_backend("hnsw", clustered[:5], "l2"), "l2")
    found = search(DistanceScorer(clustered[:5], "l2", 0.0, 1.0), clustered[:1], 9, [np.array([0])], backend)
    assert sorted(found.ids[0]) == [-1, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["weighted", "fusion"])
def test_heads_that_are_no_distance_are_refused_with_a_line(kind, clustered):
    require_backend("exact", kind)
    with pytest.raises(ModelError, match=f"no approximate index follows a {kind} head; choose exact"):
        require_backend("hnsw", kind)
    backend = open_backend(build_backend("hnsw", clustered[:50], "l2"), "l2")
    with pytest.raises(ModelError, match="choose exact"):
        search(WeightedScorer(clustered[:50], "l2", -np.ones(18, np.float32), 0.0), clustered[:1], 3, backend=backend)


def test_an_unknown_backend_is_refused():
    with pytest.raises(DataError, match="choose one of exact, hnsw, ivfpq"):
        require_backend("annoy", "distance")


def test_recall_counts_what_of_the_exact_places_was_found():
    exact, found = np.array([[1, 2, 3], [4, 5, -1]]), np.array([[3, 1, 9], [5, -1, -1]])
    assert recall_at(3, found, exact) == pytest.approx(3 / 5)
    assert recall_at(1, found, exact) == 0
    with pytest.raises(ValueError, match="k = 4"):
        recall_at(4, found, exact)


@pytest.mark.parametrize("name", ["hnsw", "ivfpq"])
def test_it_names_the_candidates_of_a_gallery_that_was_whitened_and_blended(name, clustered):
    recipe = Recipe(None, fit_whitening(clustered, 12, 0.1), Expansion(3), Expansion(2), Reciprocal(5, 3, 0.3, 20))

    def build(gallery):
        return DistanceScorer(gallery, "l1", 5.0, 2.0)

    gallery = PreparedGallery(recipe, clustered, np.arange(len(clustered)) // 3, build)
    barred = [np.array([n]) for n in range(20)]
    exact = [gallery.search(clustered[3 * n : 3 * n + 3], 10, out)[0] for n, out in enumerate(barred)]
    gallery.near = open_backend(build_backend(name, gallery.vectors, recipe.distance("l1")), recipe.distance("l1")).near
    found = [gallery.search(clustered[3 * n : 3 * n + 3], 10, out)[0] for n, out in enumerate(barred)]
    assert np.mean([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)]) > 0.9
