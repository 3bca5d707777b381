"""Is the sample hard enough for what is not learnt? Leave-one-out retrieval by colour and by a frozen trunk.

Every image is a query against all others; mAP over queries. Run in the repository root:
``python benchmarks/sample_difficulty.py [FOLDER]`` (default ``data``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from _bench import finish

from twinfolio.assessment.systems import System, colour_system, frozen_trunk
from twinfolio.data.images import decode
from twinfolio.data.sources.folder import list_images
from twinfolio.data.store import fit_image
from twinfolio.evaluation.ranking_metrics import retrieval_metrics
from twinfolio.retrieval.embed import embed

BARS = {"colour_histogram": 0.60, "frozen_trunk": 0.75}
SIDE = 224


def leave_one_out(system: System, images: np.ndarray, labels: np.ndarray) -> float:
    """Mean average precision of every image as a query against all others."""
    vectors = embed(system.embed, images, progress=system.name)
    same = labels[:, None] == labels
    itself = np.eye(len(labels), dtype=bool)
    return retrieval_metrics(system.scores(vectors, vectors), same, itself).means()["mAP"]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
    paths = list_images(folder).paths
    labels = np.array([Path(path).parts[0] for path in paths])
    images = np.stack([fit_image(decode(folder / path), SIDE, "pad") for path in paths])
    systems = [colour_system(), frozen_trunk("tf_efficientnet_lite0", "imagenet", channels=3)]
    sides = {system.name: leave_one_out(system, images, labels) for system in systems}
    print(f"{folder}: {len(paths)} pages of {len(set(labels))} manuscripts, mAP over queries")
    for side, value in sides.items():
        print(f"  {side:17s} {value:.3f}  (at most {BARS[side]})")
    worst = max(sides[side] / BARS[side] for side in sides)
    finish("sample_difficulty", worst, "largest mAP over its limit", 1.0, worst <= 1, sides)


if __name__ == "__main__":
    main()
