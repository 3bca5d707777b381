from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from twinfolio.data.duplicates import close_pairs, find_duplicates, similar_pairs, thumbnail_detail
from twinfolio.data.images import probe


def _find(folder, labels=None, bits=4):
    paths = sorted(folder.iterdir())
    ids = [path.name for path in paths]
    labels = labels or ["a"] * len(ids)
    found = find_duplicates(ids, labels, [probe(path) for path in paths], bits)
    return [ids[first] for first in found.cluster], found.table.values.tolist()


def test_identical_bytes_and_pixels_are_one_cluster_whatever_the_label(tmp_path, texture):
    texture(0).save(tmp_path / "1.png")
    texture(1).save(tmp_path / "2.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "1.png").read_bytes())
    texture(0).save(tmp_path / "4.bmp")
    cluster, table = _find(tmp_path, ["a", "a", "b", "a"])
    assert cluster == ["1.png", "2.png", "1.png", "1.png"]
    assert table == [["bytes", "1.png", "3.png", "a | b"], ["pixels", "1.png", "4.bmp", "a"]]


def test_a_recompressed_halved_or_brightened_picture_is_a_near_duplicate(tmp_path, texture):
    image = texture(0, 256, 192)
    image.save(tmp_path / "1.png")
    image.save(tmp_path / "2.jpg", quality=30)
    image.resize((128, 96)).save(tmp_path / "3.png")
    ImageEnhance.Brightness(image).enhance(0.9).save(tmp_path / "4.png")
    texture(1, 256, 192).save(tmp_path / "5.png")
    cluster, table = _find(tmp_path)
    assert cluster == ["1.png"] * 4 + ["5.png"]
    assert [row[:3] for row in table] == [["near", "1.png", name] for name in ("2.jpg", "3.png", "4.png")]


def test_near_duplicates_of_two_classes_are_listed_but_not_joined(tmp_path, texture):
    texture(0, 128, 96).save(tmp_path / "1.png")
    texture(0, 128, 96).save(tmp_path / "2.jpg", quality=50)
    cluster, table = _find(tmp_path, ["a", "b"])
    assert cluster == ["1.png", "2.jpg"]
    assert table == [["near", "1.png", "2.jpg", "a | b"]]


def test_blank_pages_are_not_duplicates_even_when_every_hash_is_close(tmp_path):
    rng = np.random.default_rng(0)
    shade = np.linspace(230, 170, 200)[None, :, None] - np.linspace(0, 20, 150)[:, None, None]
    for page in range(5):
        noise = rng.normal(0, 5, (150, 200, 3))
        Image.fromarray(np.clip(shade + noise, 0, 255).astype(np.uint8)).save(tmp_path / f"{page}.jpg")
    cluster, table = _find(tmp_path, bits=64)
    assert cluster == sorted(path.name for path in tmp_path.iterdir())
    assert table == []


def test_different_patches_with_equal_hashes_are_not_glued(tmp_path, texture):
    for seed in range(4):
        texture(seed, 96, 96).save(tmp_path / f"{seed}.png")
    assert _find(tmp_path, bits=64)[1] == []


def test_images_smaller_than_the_thumbnail_have_no_near_duplicates(tmp_path, texture):
    texture(0, 31, 31).save(tmp_path / "1.png")
    texture(0, 31, 31).save(tmp_path / "2.jpg", quality=95)
    assert _find(tmp_path)[1] == []


def test_of_many_copies_one_row_each_is_listed(tmp_path, texture):
    for copy in range(6):
        texture(0).save(tmp_path / f"{copy}.png", compress_level=copy)
    cluster, table = _find(tmp_path)
    assert set(cluster) == {"0.png"}
    assert len(table) == 5


@pytest.mark.parametrize("bits", [0, 4, 20])
def test_close_pairs_by_blocks_are_those_of_the_plain_loop(monkeypatch, bits):
    monkeypatch.setattr("twinfolio.data.duplicates._BLOCK", 7)
    monkeypatch.setattr("twinfolio.data.duplicates._PORTION", 5)
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 12, dtype=np.uint64).repeat(3)
    hashes ^= np.uint64(1) << rng.integers(0, 64, 36, dtype=np.uint64)
    plain = [(i, j) for i, j in combinations(range(36), 2) if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= bits]
    portions = [portion.tolist() for portion in close_pairs(hashes, bits)]
    assert [tuple(pair) for portion in portions for pair in portion] == plain


@pytest.mark.parametrize("least", [0.3, 0.9, 1.0])
def test_similar_pairs_by_blocks_are_those_of_the_plain_loop(monkeypatch, least):
    monkeypatch.setattr("twinfolio.data.duplicates._BLOCK", 7)
    monkeypatch.setattr("twinfolio.data.duplicates._PORTION", 5)
    vectors = np.random.default_rng(0).normal(size=(18, 4)).astype(np.float32).repeat(2, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    plain = [(i, j) for i, j in combinations(range(36), 2) if cosines[i, j] >= least - 1e-6]
    portions = [portion.tolist() for portion in similar_pairs(vectors, least)]
    assert [tuple(pair) for portion in portions for pair in portion] == plain
    assert len(plain) >= 18
    assert max(map(len, portions)) <= 5


@pytest.mark.parametrize("name", ["arabic", "medieval"])
def test_patches_of_real_pages_are_not_taken_for_duplicates(real_data, name):
    paths = sorted(real_data(name).rglob("*.jpg"))[:400]
    found = find_duplicates(
        [str(path) for path in paths], [path.parent.name for path in paths], list(map(probe, paths))
    )
    assert len(found.table) == 0


def test_lighting_alone_is_no_detail():
    ramp = np.linspace(60, 220, 32)
    pages = np.stack([np.add.outer(ramp, ramp) / 2, np.tile(ramp, (32, 1)), np.indices((32, 32)).sum(0) % 2 * 90.0])
    detail, usable = thumbnail_detail(pages.reshape(3, -1).astype(np.uint8))
    assert usable.tolist() == [False, False, True]
    assert np.linalg.norm(detail[2]) == pytest.approx(1, abs=1e-5)


def test_of_no_images_none_are_duplicates():
    found = find_duplicates([], [], [])
    assert (len(found.cluster), len(found.table)) == (0, 0)
