"""Papers, inks and reds that all manuscripts share: colour alone does not tell them apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.float32]

PAPERS: RGB = np.array(
    [
        (236, 224, 198),  # cream
        (226, 206, 168),  # yellowed cream
        (208, 182, 146),  # tan
        (188, 158, 124),  # brown
        (206, 198, 184),  # grey
        (200, 187, 158),  # drab
        (240, 235, 224),  # whitish
        (228, 208, 190),  # pinkish
        (234, 214, 172),  # straw
        (194, 164, 142),  # reddish brown
        (216, 214, 208),  # pale grey
        (170, 142, 110),  # dark brown
    ],
    dtype=np.float32,
)
INKS: RGB = np.array(
    [
        (26, 24, 24),  # carbon black
        (44, 34, 28),  # brown black
        (72, 46, 30),  # sepia
        (52, 52, 54),  # greyed black
        (84, 60, 42),  # faded brown
    ],
    dtype=np.float32,
)
REDS: RGB = np.array([(164, 40, 34), (184, 66, 52), (148, 52, 44)], dtype=np.float32)
