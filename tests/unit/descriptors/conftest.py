import numpy as np
import pytest

from twinfolio.descriptors.local import LocalFeatures


@pytest.fixture(scope="session")
def scenes():
    """Six images (160, 200, 3) with blobs and edges; the last is blank."""
    import cv2

    rng = np.random.default_rng(0)
    images = []
    for _ in range(5):
        image = np.full((160, 200, 3), 200, np.uint8)
        for _ in range(60):
            centre = tuple(int(value) for value in rng.integers(0, [200, 160]))
            colour = tuple(int(value) for value in rng.integers(0, 256, 3))
            cv2.ellipse(
                image, centre, tuple(int(v) for v in rng.integers(3, 16, 2)), int(rng.integers(180)), 0, 360, colour, -1
            )
        images.append(cv2.GaussianBlur(image, (0, 0), 0.8))
    return np.stack([*images, np.full((160, 200, 3), 255, np.uint8)])


def features_of(*counts, width=8, seed=0):
    """Images with some numbers of random key points."""
    rng = np.random.default_rng(seed)
    return LocalFeatures.of([rng.random((count, 2 + width), np.float32) for count in counts], width)
