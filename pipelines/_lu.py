"""What the stages of Lu's study share: its grids as params, and the workspace below a stage that trains them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _stage import ROOT
from twinfolio.data.sources.digits import NAMED
from twinfolio.params import Params
from twinfolio.params.file import parse_params, patched, write_params

INKS = ("grey", "otsu")
SIAMESE = {"search.target": "train_siamese@l2", "search.objectives": {"val/retrieval/mAP": "maximize"}}
HEADS: dict[str, dict[str, Any]] = {
    "cls10": {"search.target": "classify", "search.objectives": {"val/classification/accuracy": "maximize"}},
    "fc2": SIAMESE | {"siamese.hidden": []},
    "full": SIAMESE | {"siamese.hidden": [1024, 1024]},
    "mlp": SIAMESE | {"siamese.hidden": [1024, 1024], "siamese.trunk": "lu_pixels", "siamese.trunk_options": {}},
}
"""Ten classes; a 2-D embedding right after the blocks; behind 1024 and 1024; the same without any convolution."""
GRIDS = tuple(f"{head}-{ink}" for head in HEADS for ink in INKS)


def digits_source(named: str) -> str:
    """Where the digits are: a path counts from the repository, wherever the stage runs."""
    return named if named in NAMED else str(ROOT / named)


def grid_params(params: Params, head: str, ink: str) -> Params:
    """The params of one grid: its head, and its space with as many seeds a cell as asked for."""
    grid, section = params.lu_grid, "classify" if head == "cls10" else "siamese"
    space: dict[str, Any] = {f"{section}.seed": {"categorical": list(grid.seeds)}}
    if head != "mlp":
        axes = {"depth": grid.depths, "kernels": grid.kernels}
        space = {f"{section}.trunk_options.{axis}": {"categorical": list(of)} for axis, of in axes.items()} | space
    search = {
        "search.study": f"{head}-{ink}",
        "search.space": space,
        "search.sampler": "grid",
        "search.trials": None,
        "search.pruner": "none",
    }
    return parse_params(patched(params.model_dump(mode="json"), HEADS[head] | search), source="studies/lu_grid")


def make_home(folder: Path, params: Params, ink: str) -> Path:
    """A workspace below a stage's own folder, whose store is that of the digits."""
    home, store = folder.resolve(), Path("outputs", "digits", ink).resolve()
    (home / "outputs").mkdir(exist_ok=True)
    (home / "outputs" / "store").unlink(missing_ok=True)
    (home / "outputs" / "store").symlink_to(store)
    write_params(params, home / "params.yaml")
    return home
