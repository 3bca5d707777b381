"""Handwritten digits, 28 x 28: scikit-learn's (upscaled), or MNIST from torchvision, a folder or an ``.npz`` file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.array_store import Part, write_array_store
from twinfolio.data.store import StoreInfo
from twinfolio.errors import DataError

SIZE = 28
"""Side of an image, in pixels."""
NAMED = ("sklearn", "mnist")
"""Sources that are no paths."""
_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Digits:
    """Images with labels 0 to 9.

    Attributes:
        train: uint8 (N, 28, 28), ink bright on dark, and labels int64 (N,).
        test: The data set's own test part; None where it has none.
    """

    train: Part
    test: Part | None


def load_digits(source: str, cache: Path = Path(".twinfolio/datasets")) -> Digits:
    """Read a set of digits.

    Args:
        source: ``sklearn`` (1,797 images, bundled), ``mnist`` (70,000, downloaded by torchvision), the path of an
            ``.npz`` file with ``x_train, y_train, x_test, y_test``, or a folder where torchvision finds MNIST.
        cache: Where a download goes.

    Raises:
        DataError: No such source, or it does not hold 28 x 28 digits.
    """
    if source == "sklearn":
        return _bundled()
    path = Path(source)
    if path.suffix == ".npz":
        return _from_npz(path)
    if source != "mnist" and not path.is_dir():
        raise DataError(f"digits.source = {source}: no such folder", "use sklearn, mnist, an .npz file or a folder")
    return _from_torchvision(cache if source == "mnist" else path, download=source == "mnist")


def binarise(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ink 255 and paper 0, each image (N, H, W) at its own threshold of Otsu (1979), as Lu's study does it."""
    import cv2

    out = np.empty_like(images)
    for image, binary in zip(images, out, strict=True):
        cv2.threshold(image, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU, dst=binary)
    return out


def _bundled() -> Digits:
    import cv2
    from sklearn.datasets import load_digits as load

    raw = load()
    images = [cv2.resize(image / 16, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for image in raw.images]
    bright = np.clip(np.stack(images) * 255, 0, 255).round().astype(np.uint8)
    return Digits((bright, raw.target.astype(np.int64)), None)


def _from_npz(path: Path) -> Digits:
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = [np.asarray(file[key]) for key in _NPZ_KEYS]
    except FileNotFoundError:
        raise DataError(f"digits.source = {path}: no such file", "give the path of MNIST as .npz") from None
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).strip("'\"")
        raise DataError(f"{path}: not digits ({reason})", f"give an .npz with {', '.join(_NPZ_KEYS)}") from None
    return Digits(_checked(path, parts[0], parts[1]), _checked(path, parts[2], parts[3]))


def _from_torchvision(root: Path, download: bool) -> Digits:
    from torchvision.datasets import MNIST

    try:
        parts = [MNIST(str(root), train=train, download=download) for train in (True, False)]
    except (RuntimeError, OSError, ValueError, TypeError, EOFError) as error:  # missing, no network, cut or no MNIST
        reason = str(error).strip().partition("\n")[0][:120]
        raise DataError(f"digits: MNIST is not in {root} ({reason})", "give digits.source an .npz file") from None
    train, test = (_checked(root, part.data.numpy(), part.targets.numpy()) for part in parts)
    return Digits(train, test)


def _checked(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Part:
    if images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8 or len(images) != len(labels):
        raise DataError(f"{path}: images of shape {images.shape} and {len(labels)} labels", "give 28 x 28 uint8 images")
    return images, labels.astype(np.int64)


def digits_store(target: Path, source: str, otsu: bool, val: float, test: float, seed: int) -> StoreInfo:
    """Write digits as a store, split class by class.

    Args:
        target: The store's folder.
        source: See ``load_digits``.
        otsu: Binarise.
        val: Share of the training part that is validation.
        test: Share that is test, where the source has no test part of its own.
        seed: Of both draws.
    """
    digits = load_digits(source)
    kept, held = digits.train, digits.test
    if held is None:
        kept, held = _part(kept, test, seed)
    train, validation = _part(kept, val, seed + 1)
    parts = {"train": train, "val": validation, "test": held}
    if otsu:
        parts = {split: (binarise(images), labels) for split, (images, labels) in parts.items()}
    return write_array_store(target, parts, [str(digit) for digit in range(10)])


def _part(of: Part, share: float, seed: int) -> tuple[Part, Part]:
    """The rest, and a share of each class."""
    from sklearn.model_selection import train_test_split

    images, labels = of
    rest, taken = train_test_split(np.arange(len(labels)), test_size=share, stratify=labels, random_state=seed)
    return (images[np.sort(rest)], labels[np.sort(rest)]), (images[np.sort(taken)], labels[np.sort(taken)])
