"""Is the sample hard enough for what is not learnt? Leave-one-out retrieval by colour and by a frozen trunk.

Every image is a query against all others; mAP over queries. Run in the repository root:
``python benchmarks/sample_difficulty.py [FOLDER]`` (default ``data``). Writes nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

COLOUR_BAR, FROZEN_BAR = 0.60, 0.75
BINS, SIDE, BATCH = 16, 224, 32


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
    paths = sorted(folder.rglob("*.jpg"))
    if len(paths) < 2:
        sys.exit(f"{folder}: no sample here; run python pipelines/sample_data.py")
    labels = np.array([path.relative_to(folder).parts[0] for path in paths])
    images = [cv2.imread(str(path))[:, :, ::-1] for path in paths]
    sides = {
        "colour_histogram": leave_one_out(colour_histograms(images), labels),
        "frozen_trunk": leave_one_out(frozen_features(images), labels),
    }
    bars = {"colour_histogram": COLOUR_BAR, "frozen_trunk": FROZEN_BAR}
    print(f"{folder}: {len(paths)} pages of {len(set(labels))} manuscripts, mAP over queries")
    for side, value in sides.items():
        print(f"  {side:17s} {value:.3f}  (at most {bars[side]})")
    row = {
        "name": "sample_difficulty",
        "value": round(max(sides[side] / bars[side] for side in sides), 4),
        "unit": "largest mAP over its limit",
        "bar": "<= 1",
        "ok": all(sides[side] <= bars[side] for side in sides),
        "sides": {side: round(value, 4) for side, value in sides.items()},
    }
    print(json.dumps(row))


def colour_histograms(images: list[np.ndarray]) -> np.ndarray:
    """(N, 48): 16 bins a channel, share of pixels."""
    counts = [
        np.concatenate([np.bincount((image[..., c] // (256 // BINS)).ravel(), minlength=BINS) for c in range(3)])
        for image in images
    ]
    return np.array([count / count.sum() for count in counts], dtype=np.float32)


def frozen_features(images: list[np.ndarray]) -> np.ndarray:
    """(N, 2560): ImageNet ``tf_efficientnet_lite0``, average and max pooled, pages padded to a square."""
    import torch

    from twinfolio.models.trunks import create_trunk

    trunk, info = create_trunk("tf_efficientnet_lite0", "imagenet")
    trunk.eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (info.mean, info.std))
    rows = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = np.stack([pad_square(image) for image in images[start : start + BATCH]])
            x = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - mean) / std
            maps = trunk.forward_features(x)
            rows.append(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1).numpy())
    return np.concatenate(rows)


def pad_square(image: np.ndarray) -> np.ndarray:
    """Centre on a square of the border's median colour, ``SIDE`` pixels a side."""
    high, wide = image.shape[:2]
    scale = SIDE / max(high, wide)
    small = cv2.resize(image, (round(wide * scale), round(high * scale)), interpolation=cv2.INTER_AREA)
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    square = np.broadcast_to(np.median(border, axis=0).astype(np.uint8), (SIDE, SIDE, 3)).copy()
    y, x = (SIDE - small.shape[0]) // 2, (SIDE - small.shape[1]) // 2
    square[y : y + small.shape[0], x : x + small.shape[1]] = small
    return square


def leave_one_out(features: np.ndarray, labels: np.ndarray) -> float:
    """Mean over queries of the average precision by cosine, the query itself left out."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    precisions = []
    for row, label in zip(scores, labels, strict=True):
        hits = (labels == label)[np.argsort(-row, kind="stable")[:-1]]
        if hits.any():
            precisions.append(((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits]).mean())
    return float(np.mean(precisions))


if __name__ == "__main__":
    main()
