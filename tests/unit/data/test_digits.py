import numpy as np
import pytest

from twinfolio.data.sources.digits import binarise, digits_store, load_digits
from twinfolio.data.store import Store, read_info
from twinfolio.errors import DataError


def test_the_bundled_digits_are_28_pixels_wide_with_bright_ink():
    digits = load_digits("sklearn")
    images, labels = digits.train
    assert (images.shape, images.dtype, digits.test) == ((1797, 28, 28), np.uint8, None)
    assert images.max() == 255
    assert images[:, 0, 0].mean() < 20
    assert sorted(set(labels.tolist())) == list(range(10))


def test_otsu_makes_ink_255_and_paper_0_at_the_threshold_of_greatest_variance_between():
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28)).astype(np.uint8)
    found = binarise(image)
    assert set(np.unique(found)) == {0, 255}
    pixels = image.ravel().astype(float)

    def between(t):
        low, high = pixels[pixels <= t], pixels[pixels > t]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0

    best = max(range(256), key=between)
    np.testing.assert_array_equal(found[0] == 255, image[0] > best)


def mnist_like(path, n=200):
    rng = np.random.default_rng(0)
    parts = {f"x_{name}": rng.integers(0, 256, (n, 28, 28)).astype(np.uint8) for name in ("train", "test")}
    np.savez(path, **parts, y_train=np.arange(n) % 10, y_test=np.arange(n) % 10)
    return parts


def test_an_npz_keeps_its_own_test_part_and_validation_is_drawn_class_by_class(tmp_path):
    parts = mnist_like(tmp_path / "mnist.npz")
    info = digits_store(tmp_path / "store", str(tmp_path / "mnist.npz"), False, 0.2, 0.15, 0)
    assert info == read_info(tmp_path / "store")
    train, val, test = (Store.open(tmp_path / "store" / split) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (160, 40, 200)
    assert np.bincount(val.labels).tolist() == [4] * 10
    np.testing.assert_array_equal(test.images[..., 0], parts["x_test"])
    both = {image.tobytes() for image in train.images} | {image.tobytes() for image in val.images}
    assert both == {image[..., None].tobytes() for image in parts["x_train"]}


def test_a_source_without_test_gives_a_share_and_the_seed_draws_it(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        digits_store(tmp_path / name, "sklearn", True, 1 / 6, 0.15, seed)
    stores = [Store.open(tmp_path / name / "test") for name in "abc"]
    assert len(stores[0]) == pytest.approx(0.15 * 1797, abs=2)
    np.testing.assert_array_equal(stores[0].images, stores[1].images)
    assert not np.array_equal(stores[0].labels, stores[2].labels)
    assert set(np.unique(stores[0].images)) == {0, 255}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"zip"), "not digits"),
        (lambda path: np.savez(path, x_train=np.zeros(3)), "not digits"),
        (lambda path: np.savez(path, **{k: np.zeros((3, 8, 8), np.uint8) for k in ("x_train", "x_test")},
                               **{k: np.zeros(3, int) for k in ("y_train", "y_test")}), r"images of shape \(3, 8, 8\)"),
    ],
)  # fmt: skip
def test_what_is_no_mnist_gets_one_line(tmp_path, make, words):
    make(tmp_path / "d.npz")
    with pytest.raises(DataError, match=words) as raised:
        load_digits(str(tmp_path / "d.npz"))
    assert "\n" not in str(raised.value)


def test_a_folder_without_mnist_and_a_source_nobody_knows_are_named(tmp_path):
    with pytest.raises(DataError, match="MNIST is not in"):
        load_digits(str(tmp_path))
    with pytest.raises(DataError, match=r"digits.source = emnist: no such folder"):
        load_digits("emnist")
