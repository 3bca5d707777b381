"""Section ``search``: which keys of params are searched, for what, and how."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from twinfolio.params.section import Count, Section

Target = Literal["classify", "train_siamese@l1", "train_siamese@l2", "train_siamese@cosine", "train_scratch"]


class SearchParams(Section):
    """A search over params; a plain ``dvc repro`` at the root reads none of it."""

    study: str = Field(default="search", min_length=1)
    """Name of the study in its storage."""
    target: Target = "train_siamese@l2"
    """The stage whose validation metrics are the objectives; stages before it run where the space touches them."""
    objectives: dict[str, Literal["maximize", "minimize"]] = Field(default={"val/retrieval/mAP": "maximize"})
    """Metrics of the target's ``metrics.json``, or ``timing/embed_ms``; the first one is what pruners watch."""
    space: dict[str, dict[str, Any]] = Field(default={})
    """Dotted key of params: ``{int|float|log: [low, high]}`` (with ``step`` if wanted) or ``{categorical: [...]}``."""
    sampler: Literal["grid", "random", "tpe", "cmaes", "nsga2"] = "tpe"
    """Optuna's sampler."""
    pruner: Literal["none", "median", "asha", "hyperband"] = "none"
    """Optuna's pruner; asked after every validation."""
    trials: Count | None = 30
    """Trials of the whole study, whoever runs them; null: every point of the grid."""
    startup: Count = 10
    """Random trials before TPE and CMA-ES learn, finished ones before the median counts, NSGA-II's population."""
    least_epochs: Count | None = None
    """Epochs that no trial is stopped before; null: its epochs / factor^2, which leaves ASHA three rungs."""
    factor: int = Field(default=3, ge=2)
    """One trial in so many goes on to the next rung of ``asha`` and ``hyperband``."""
    seed: int = 0
    """Of the sampler."""
    jobs: Count = 1
    """Processes on this machine; each keeps running from trial to trial and has its share of the cores or GPUs."""
    storage: str | None = None
    """SQLAlchemy URL of a database that several machines share; null: a SQLite file of this workspace."""
    heartbeat_s: Count = 20
    """Seconds between a worker's signs of life; a trial that misses three is begun again by another worker."""
    retries: Count = 3
    """Times that a trial of a dead worker is begun again."""

    verdict_seeds: Count = 3
    """Models trained of either side when the best params are compared with those of the workspace, on test at last."""

    @model_validator(mode="after")
    def _pruner_has_one_objective(self) -> Self:
        if not self.objectives:
            raise ValueError("objectives is empty: name at least one metric")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(
                f"pruner = {self.pruner} needs a single objective, not {len(self.objectives)}: set it to none"
            )
        return self
