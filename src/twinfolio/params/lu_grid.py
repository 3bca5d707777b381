"""Section ``lu_grid``: the study of depth and kernel count on small digits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinfolio.params.section import Count, Section

Siamese = Literal["fc2-grey", "fc2-otsu", "full-grey", "full-otsu", "mlp-grey", "mlp-otsu"]
Grid = Literal["cls10-grey", "cls10-otsu", Siamese]
Counts = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]


class LuGridParams(Section):
    """What the grid of ``studies/lu_grid`` holds; only that study reads this."""

    grids: Annotated[tuple[Grid, ...], Field(strict=False, min_length=1)] = ("cls10-grey",)
    """``HEAD-INK``: ``cls10`` (ten classes), ``fc2`` (2-D right after the blocks), ``full`` (behind 1024 and 1024) or
    ``mlp`` (the same without convolutions); ``grey`` or ``otsu`` (binarised)."""
    depths: Counts = (1, 2, 3)
    """Convolution blocks."""
    kernels: Counts = (8, 16, 32)
    """Kernels of each block."""
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (0, 1, 2)
    """Each cell is trained once with each."""
    curves: Annotated[tuple[Siamese, ...], Field(strict=False, min_length=1)] = ("mlp-otsu", "fc2-otsu")
    """Grids whose loss curves are drawn, with the depth and kernels of ``siamese.trunk_options``."""
    iterations: Counts = (250, 401, 3000)
    """Lengths of the runs whose curves are drawn."""
