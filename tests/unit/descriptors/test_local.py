import threading

import numpy as np
import pytest

from tests.unit.descriptors.conftest import features_of
from twinfolio.descriptors import local
from twinfolio.descriptors.local import LOCAL, Extractor, LocalFeatures, cache_key, concatenated, extract
from twinfolio.retrieval.cache import EmbeddingCache


def same(a, b):
    np.testing.assert_array_equal(a.ends, b.ends)
    np.testing.assert_array_equal(a.descriptors, b.descriptors)
    np.testing.assert_array_equal(a.points, b.points)


def test_images_keep_their_own_key_points_and_those_without_are_counted(scenes):
    found = extract(scenes, Extractor("orb", 50))
    assert (len(found), found.without) == (6, 1)
    assert found.counts[-1] == 0
    for i, image in enumerate(scenes):
        rows = Extractor("orb", 50)(image)
        np.testing.assert_array_equal(found.image(i)[0], rows[:, :2])
        np.testing.assert_array_equal(found.image(i)[1], rows[:, 2:])
    np.testing.assert_array_equal(np.bincount(found.owners, minlength=6), found.counts)


def test_no_image_with_a_key_point_is_no_error():
    found = extract(np.zeros((3, 40, 40, 1), np.uint8), Extractor("rootsift"))
    assert (len(found), found.without, found.descriptors.shape) == (3, 3, (0, 128))


@pytest.mark.parametrize("kind", LOCAL)
def test_two_threads_find_what_one_finds(scenes, kind):
    many = np.concatenate([np.roll(scenes, shift, axis=2) for shift in range(4)])
    same(extract(many, Extractor(kind, 40, 1.5), workers=2), extract(many, Extractor(kind, 40, 1.5)))


def test_two_images_are_looked_at_at_once(scenes, monkeypatch):
    both, look = threading.Barrier(2, timeout=20), Extractor.__call__
    monkeypatch.setattr(Extractor, "__call__", lambda self, image: both.wait() < 2 and look(self, image))
    assert len(extract(scenes, Extractor("orb", 40), workers=2)) == len(scenes) == 6


def test_an_image_is_looked_at_once_and_never_again(scenes, tmp_path, monkeypatch):
    looked, extractor = [], Extractor("surf", 40)
    look = Extractor.__call__
    monkeypatch.setattr(Extractor, "__call__", lambda self, image: looked.append(1) or look(self, image))
    twice = np.concatenate([scenes[:3], scenes[:3]])
    cache = EmbeddingCache(tmp_path / "cache.sqlite", cache_key(extractor))
    first = extract(twice, extractor, cache=cache)
    assert len(looked) == 3
    same(extract(twice, extractor, cache=EmbeddingCache(tmp_path / "cache.sqlite", cache_key(extractor))), first)
    assert len(looked) == 3
    assert cache_key(extractor) != cache_key(Extractor("surf", 41))


def test_what_was_found_before_a_kill_is_kept(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_KEPT_AT_ONCE", 2)
    extractor, seen = Extractor("orb", 30), []
    look = Extractor.__call__

    def until_killed(self, image):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(1)
        return look(self, image)

    monkeypatch.setattr(Extractor, "__call__", until_killed)
    cache = EmbeddingCache(tmp_path / "cache.sqlite", cache_key(extractor))
    with pytest.raises(KeyboardInterrupt):
        extract(scenes[:5], extractor, cache=cache)
    monkeypatch.setattr(Extractor, "__call__", lambda self, image: seen.append(1) or look(self, image))
    found = extract(scenes[:5], extractor, cache=cache)
    assert len(seen) == 3 + 3  # two of the first three were kept
    same(found, LocalFeatures.of([extractor(image) for image in scenes[:5]], 256))


def test_the_first_key_points_stand_side_by_side_and_zeros_fill_up():
    features = features_of(5, 0, 2, width=4)
    found = concatenated(features, 3)
    assert found.shape == (3, 12)
    np.testing.assert_array_equal(found[0], features.descriptors[:3].ravel())
    assert not found[1].any()
    np.testing.assert_array_equal(found[2], [*features.descriptors[5:].ravel(), 0, 0, 0, 0])
