import imagehash
import numpy as np
import pytest
from PIL import Image

from twinfolio.descriptors.hashing import HASHES, hash_bits

DIRECT = {
    "ahash": imagehash.average_hash, "dhash": imagehash.dhash, "phash": imagehash.phash, "whash": imagehash.whash,
}  # fmt: skip


@pytest.mark.parametrize("kind", HASHES)
def test_bits_are_imagehashs_and_so_are_their_distances(kind, scenes):
    direct = [DIRECT[kind](Image.fromarray(image)) for image in scenes[:3]]
    bits = np.stack([hash_bits(image, kind) for image in scenes[:3]])
    assert bits.shape == (3, 64)
    np.testing.assert_array_equal(bits[0], direct[0].hash.ravel())
    expected = [[a - b for b in direct] for a in direct]
    np.testing.assert_array_equal((bits[:, None] != bits).sum(2), expected)


def test_grey_images_hash_too(scenes):
    assert hash_bits(scenes[0][..., :1], "phash").shape == (64,)
