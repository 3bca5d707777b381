import numpy as np
import pytest
import torch

from twinfolio.assessment.digits import _pairs, measure_digits
from twinfolio.data.array_store import write_array_store
from twinfolio.data.store import Store
from twinfolio.models.bundle import load_model, save_model
from twinfolio.models.embedder import build_classifier, build_siamese

TRUNK = {
    "weights": "none",
    "options": {"depth": 1, "kernels": 8},
    "pooling": "flatten",
    "channels": 1,
    "size": (28, 28),
}
SIAMESE = [f"{split}/digits/{name}_accuracy" for split in ("val", "test") for name in ("nearest", "centroid", "pair")]


def planted(labels, rng):
    """A digit is a bright bar of its own, with noise."""
    images = rng.integers(0, 60, (len(labels), 28, 28))
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6] += 190
    return images.astype(np.uint8)


def write_digits(root, test_labels=None):
    rng = np.random.default_rng(0)
    labels = {split: np.arange(n) % 10 for split, n in (("train", 200), ("val", 100), ("test", 70))}
    parts = {split: (planted(of, rng), of) for split, of in labels.items()}
    if test_labels is not None:
        parts["test"] = (parts["test"][0], test_labels)
    write_array_store(root, parts, [str(digit) for digit in range(10)])
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"))


def save_siamese(folder, embedding):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, head = build_siamese(
            "lu_conv", head="distance", distance="l2", embedding=embedding, normalise=False, **TRUNK
        )
    save_model(folder, embedder=embedder.eval(), head=head, class_layer=None, config={"kind": "siamese"})
    return folder


def save_classifier(folder):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, layer = build_classifier("lu_conv", classes=10, **TRUNK)
    save_model(folder, embedder=embedder.eval(), head=None, class_layer=layer, config={"kind": "classifier"})
    return folder


def test_every_other_pair_is_of_one_digit_and_none_of_one_image():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 100))
    first, second = _pairs(labels, 3)
    assert len(first) == len(second) > 19_000
    assert (first != second).all()
    same = labels[first] == labels[second]
    assert same.mean() == pytest.approx(0.5, abs=0.005)
    for digit in range(10):
        assert same[labels[first] == digit].mean() == pytest.approx(0.5, abs=0.05)


def test_pairs_come_from_the_seed():
    labels = np.arange(50) % 10
    one, again, other = (_pairs(labels, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one[0][:1000], other[0][:1000])


def test_a_classifier_is_measured_by_its_class_layer(store, tmp_path):
    folder = save_classifier(tmp_path)
    found = measure_digits(folder, store)
    assert list(found.metrics) == ["val/digits/accuracy", "test/digits/accuracy"]
    test = Store.open(store / "test")
    said = load_model(folder).class_logits(np.asarray(test.images)).argmax(1)
    np.testing.assert_array_equal(found.correct, said == test.labels)
    assert found.metrics["test/digits/accuracy"] == found.correct.mean()
    assert found.embeddings is None


def test_an_embedding_in_the_plane_is_measured_three_ways_and_kept(store, tmp_path):
    folder = save_siamese(tmp_path, 2)
    found = measure_digits(folder, store)
    assert sorted(found.metrics) == sorted(SIAMESE)
    assert (found.correct.dtype, found.correct.shape) == (np.bool_, (70,))
    assert found.metrics["test/digits/nearest_accuracy"] == found.correct.mean()
    expected = load_model(folder).embed_uint8(np.asarray(Store.open(store / "test").images))
    np.testing.assert_allclose(found.embeddings, expected, atol=1e-6)


def test_a_wider_embedding_tells_planted_digits_apart_and_is_not_kept(store, tmp_path):
    found = measure_digits(save_siamese(tmp_path, 16), store)
    assert found.embeddings is None
    for name in SIAMESE:
        assert found.metrics[name] > (0.6 if "pair" in name else 0.9)


def test_test_labels_change_nothing_on_validation(store, tmp_path):
    folder = save_siamese(tmp_path / "model", 16)
    wrong = write_digits(tmp_path / "wrong", np.arange(70) // 7)
    right, other = (measure_digits(folder, root).metrics for root in (store, wrong))
    assert {k: v for k, v in right.items() if k.startswith("val/")} == {
        k: v for k, v in other.items() if k.startswith("val/")
    }
    assert all(other[name] < right[name] - 0.1 for name in right if name.startswith("test/"))
