"""What a training reports, known before it starts: objectives of a search are checked against it."""

from __future__ import annotations

import numpy as np

from twinfolio.evaluation.reports import classification_summary

FACTS = ("best_epoch", "epochs_run", "steps", "capped", "n_parameters", "pretrained")
"""Of every training; see ``training_facts``."""
WATCHED = {
    "classify": ("val/classification/accuracy", "val/classification/macro_f1"),
    "train_siamese": ("val/retrieval/mAP",),
    "train_scratch": ("val/retrieval/mAP",),
}
"""Stage -> metrics of every validation, which a pruner can watch."""


def reported_metrics(stage: str) -> tuple[str, ...]:
    """Names in a training stage's ``metrics.json``, the ends of intervals left out.

    Args:
        stage: ``classify``, ``train_siamese`` or ``train_scratch``.
    """
    if stage != "classify":
        return (*WATCHED[stage], *FACTS)
    two = classification_summary(np.eye(2), [0, 1], ["a", "b"], n=1)
    return (*(f"val/classification/{name}" for name in two if not name.endswith(("_low", "_high"))), *FACTS)
