"""Which sections of params a stage reads, and what of them everyone may see."""

from __future__ import annotations

from functools import reduce
from operator import getitem
from typing import Any

from twinfolio.params import Params
from twinfolio.urls import without_password

SECTIONS = {
    "sample_data": ("sample",),
    "split": ("split",),
    "augment": ("augment",),
    "classify": ("classify", "train.minutes", "trainer"),
    "train_siamese": ("siamese", "train.minutes", "trainer"),
    "train_scratch": ("scratch", "trainer"),
    "classical": ("classical",),
    "compare_distances": ("compare", "trainer"),
    "calibrate": ("calibrate", "trainer"),
    "refit": ("train", "siamese", "trainer"),
    "evaluate": ("evaluate", "train", "siamese", "trainer"),
    "retrain": tuple(name for name in Params.model_fields if name not in ("sample", "search", "tracking")),
    "leak_gap": ("evaluate",),
    "digits": ("digits",),
    "lu_grid": ("lu_grid", "classify", "siamese", "trainer"),
    "lu_curves": ("lu_grid", "siamese", "trainer"),
    "lu_tables": ("lu_grid", "digits"),
    "omniglot": ("omniglot",),
    "oneshot": ("ma_oneshot", "omniglot", "siamese", "trainer"),
    "oneshot_test": ("ma_oneshot", "siamese"),
    "judged": ("judged",),
    "judged_pairs": ("jimenez_szabo", "siamese", "trainer"),
    "judged_tables": ("jimenez_szabo", "judged", "classical", "classify", "trainer"),
    "mtasher": ("mtasher_msad", "compare", "classical", "classify", "trainer"),
    "mtasher_test": ("mtasher_msad", "evaluate", "classical", "classify", "trainer"),
    "search": tuple(name for name in Params.model_fields if name not in ("sample", "tracking")),
    "search_verdict": tuple(name for name in Params.model_fields if name not in ("sample", "tracking")),
}
"""The params sections, or single keys, a stage reads; those dvc.yaml lists for it."""


def sections_of(name: str, params: Params) -> dict[str, Any]:
    """The params sections and keys a stage reads, as plain values."""
    everything = params.model_dump(mode="json")
    return {name: reduce(getitem, name.split("."), everything) for name in SECTIONS.get(name, ())}


def public_params(params: Params) -> Params:
    """Params as everyone may see them: the password of ``search.storage`` stays here."""
    storage = params.search.storage
    if storage is None:
        return params
    search = params.search.model_copy(update={"storage": without_password(storage)})
    return params.model_copy(update={"search": search})
