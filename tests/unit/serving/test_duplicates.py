import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from twinfolio.data.building import read_folder
from twinfolio.data.duplicates import find_duplicates
from twinfolio.errors import DataError
from twinfolio.retrieval.cache import EmbeddingCache
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.whitening import fit_whitening
from twinfolio.sample.planted import KINDS, plant
from twinfolio.serving.duplicates import DIMS, SHRINKAGE, ByEmbedding, LinkedPair, clusters_of, find_clusters
from twinfolio.serving.reading import read_rows

GALLERY = np.random.default_rng(0).uniform(60, 190, (200, 3)).astype(np.float32)


@pytest.fixture
def scans(tmp_path, texture):
    """Two classes with an exact, a re-saved and a near copy, one of them in the other class; and lone images."""
    root = tmp_path / "scans"
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
    page = texture(0, 256, 192)
    page.save(root / "a" / "1.png")
    (root / "a" / "2.png").write_bytes((root / "a" / "1.png").read_bytes())
    page.save(root / "a" / "3.bmp")
    page.save(root / "b" / "4.jpg", quality=30)
    texture(1, 256, 192).save(root / "b" / "5.png")
    texture(2, 256, 192).save(root / "loose.png")
    return root


@pytest.fixture
def by_colour(program, tmp_path):
    """``by_colour(0.99)``: compares images by their mean colour, among colours of equal spread about grey."""
    cache = EmbeddingCache(tmp_path / "cache.sqlite", "weights")
    return lambda least: ByEmbedding(program, GALLERY, cache, least)


def links(cluster):
    return [(link.kind, link.a, link.b) for link in cluster.links]


def test_a_cluster_names_its_images_its_links_and_that_labels_differ(scans):
    found = find_clusters(scans, 4)
    (cluster,) = found.clusters
    assert (found.images, found.left_out) == (6, [])
    assert cluster.members == ["a/1.png", "a/2.png", "a/3.bmp", "b/4.jpg"]
    assert links(cluster) == [
        ("bytes", "a/1.png", "a/2.png"), ("pixels", "a/1.png", "a/3.bmp"), ("near", "a/1.png", "b/4.jpg"),
    ]  # fmt: skip
    assert (cluster.kind, cluster.labels) == ("near by hash", ["a", "b"])
    (scans / "b" / "4.jpg").unlink()
    (cluster,) = find_clusters(scans, 4).clusters
    assert (cluster.kind, cluster.labels) == ("exact", ["a"])


def test_it_calls_duplicates_what_the_split_keeps_together(tmp_path, texture):
    """In a folder of one class the clusters are those of ``find_duplicates``, whatever was done to the copies."""
    folder = tmp_path / "scans" / "one"
    folder.mkdir(parents=True)
    for page in range(4):
        image = texture(page, 224, 224)
        image.save(folder / f"{page}.png")
        for kind in KINDS:
            Image.fromarray(plant(np.asarray(image), kind)).save(folder / f"{page}{kind}.png")
    (tmp_path / "scans" / "two").mkdir()
    texture(9, 224, 224).save(tmp_path / "scans" / "two" / "9.png")
    facts, _, _ = read_folder(tmp_path / "scans")
    split = find_duplicates(list(facts), [path.split("/")[0] for path in facts], list(facts.values()), 6)
    found = find_clusters(tmp_path / "scans", 6)
    listed = [(link.kind, link.a, link.b, "one") for cluster in found.clusters for link in cluster.links]
    assert len(listed) >= 8
    assert sorted(listed) == [tuple(row) for row in split.table.to_numpy()]


def test_a_model_joins_what_hashes_do_not(scans, by_colour):
    before = [cluster.members for cluster in find_clusters(scans, 4).clusters]
    found = find_clusters(scans, 4, by_colour(0.0))
    (cluster,) = found.clusters
    assert before == [cluster.members[:4]]
    assert cluster.members[4:] == ["b/5.png", "loose.png"]
    assert cluster.kind == "near by embedding"
    assert [link.kind for link in cluster.links] == ["bytes", "pixels", "near", "embedding", "embedding"]
    assert all(0 <= link.cosine <= 1 for link in cluster.links[3:])
    assert {link.cosine for link in cluster.links[:3]} == {None}
    assert len(find_clusters(scans, 4, by_colour(1.0)).clusters[0].members) == 4


def test_cosines_are_those_of_the_whitened_embeddings(scans, by_colour):
    model = by_colour(0.0)
    link = find_clusters(scans, 0, model).clusters[0].links[-1]
    whitening = fit_whitening(GALLERY, DIMS, SHRINKAGE)
    tiles = [read_rows(scans / path, model.program.rendering) for path in (link.a, link.b)]
    x, y = (whitening.apply(model.program.embed(rows)).mean(0) for rows in tiles)
    assert max(map(len, tiles)) > 1
    assert link.cosine == pytest.approx(float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)), abs=1e-5)


def test_key_points_after_a_vector_are_not_compared(scans, by_colour, monkeypatch, program):
    plain = find_clusters(scans, 4, by_colour(0.3))
    kept, noise = program.embed, np.random.default_rng(0)
    monkeypatch.setattr(program, "recipe", Recipe(matched=Matched(points=2, width=3)), raising=False)

    def longer(rows):
        return np.hstack([kept(rows), noise.normal(0, 1e4, (len(rows), 10)).astype(np.float32)])

    monkeypatch.setattr(program, "embed", longer, raising=False)
    longer_gallery = np.hstack([GALLERY, noise.normal(0, 1e4, (200, 10)).astype(np.float32)])
    other = ByEmbedding(program, longer_gallery, EmbeddingCache(scans.parent / "other.sqlite", "others"), 0.3)
    assert find_clusters(scans, 4, other) == plain


def test_images_that_cannot_be_read_or_embedded_are_told(scans, by_colour, save):
    (scans / "a" / "broken.png").write_text("no image")
    save(scans / "black.png", None)
    assert find_clusters(scans, 4).left_out == [("a/broken.png", "not an image")]
    found = find_clusters(scans, 4, by_colour(0.99))
    assert found.left_out == [("a/broken.png", "not an image"), ("black.png", "its embedding is NaN or infinite")]
    assert found.images == 7


def test_an_empty_folder_has_no_clusters_and_another_is_no_folder(tmp_path, by_colour):
    (tmp_path / "empty").mkdir()
    assert find_clusters(tmp_path / "empty", 4, by_colour(0.9)).images == 0
    with pytest.raises(DataError, match="no such folder"):
        find_clusters(tmp_path / "nowhere", 4)


@given(pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20), cut=st.integers(0, 20))
def test_clusters_are_the_components_and_links_their_trees(pairs, cut):
    paths = [f"{place:02}.png" for place in range(12)]
    pairs = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    kinds = ["bytes" if place < cut else "near" for place in range(len(pairs))]
    found = clusters_of(paths, iter(LinkedPair(k, paths[a], paths[b]) for k, (a, b) in zip(kinds, pairs, strict=True)))
    reach = {path: {path} for path in paths}
    for _, (a, b) in itertools.product(range(12), pairs):
        reach[paths[a]] = reach[paths[b]] = reach[paths[a]] | reach[paths[b]]
    components = {tuple(sorted(one)) for one in reach.values() if len(one) > 1}
    assert [tuple(cluster.members) for cluster in found] == sorted(components)
    for cluster in found:
        assert len(cluster.links) == len(cluster.members) - 1
        assert {end for link in cluster.links for end in (link.a, link.b)} == set(cluster.members)
        assert cluster.kind == ("near by hash" if any(link.kind == "near" for link in cluster.links) else "exact")
