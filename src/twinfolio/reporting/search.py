"""What a search found: its trials, the best params as a patch, and figures of what each key does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from twinfolio.reporting.report import Chapter, Headline, write_report
from twinfolio.reporting.search_figures import write_figures
from twinfolio.reporting.tables import write_metrics, write_table
from twinfolio.search.study import METRICS, objectives, planned_trials

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from twinfolio.search.space import Space

_DIGITS = 12
"""Of trials.csv: learning rates are small."""


def write_search(study: Study, space: Space, output_dir: Path, report_dir: Path) -> dict[str, Any] | None:
    """Write ``trials.csv``, ``best_params.yaml``, its flags for ``dvc exp run``, metrics, figures and a report.

    Args:
        study: Finished, or as far as it came.
        space: What was searched.
        output_dir: For ``best_params.yaml`` and ``best_params.flags``.
        report_dir: For what people read.

    Returns:
        The best params by dotted key; None where no trial was finished.
    """
    import yaml

    from twinfolio.params.file import patched

    table = trials_table(study, space)
    write_table(report_dir / "trials.csv", table, digits=_DIGITS)
    best, values = best_trials(study), None
    metrics: dict[str, float] = {f"search/{state}": float(n) for state, n in table["state"].value_counts().items()}
    if best:
        values = space.values_of(best[0].params)
        patch = yaml.safe_dump(patched({}, values), sort_keys=False)
        (output_dir / "best_params.yaml").write_text(patch, encoding="utf-8")
        (output_dir / "best_params.flags").write_text(flags(values) + "\n", encoding="utf-8")
        named = zip(objectives(study), best[0].values or [], strict=True)
        metrics |= {f"search/best/{name.replace('/', '_')}": value for name, value in named}
    write_metrics(report_dir / "metrics.json", metrics)
    figures = write_figures(study, space, table, report_dir / "figures")
    _write_report(study, table, best, figures, report_dir)
    return values


def trials_table(study: Study, space: Space) -> pd.DataFrame:
    """A row a trial: ``trial, cell, state``, the objectives, the searched keys, ``epochs`` trained and ``error``.

    A trial that was stopped shows its best epoch, as a finished one does.
    """
    highest, rows = study.directions[0].name == "MAXIMIZE", []
    for trial in planned_trials(study):
        values = dict(zip(objectives(study), trial.values or [np.nan] * len(study.directions), strict=True))
        if trial.state.name != "COMPLETE" and trial.intermediate_values:  # Optuna takes a pruned one's last
            values = {objectives(study)[0]: (max if highest else min)(trial.intermediate_values.values())}
        chosen = space.values_of(trial.params)
        # with several objectives no epoch is reported, and a pruned trial was not measured
        measured = int(trial.user_attrs.get(METRICS, {}).get("epochs_run", 0))
        epochs = max(trial.intermediate_values, default=measured)
        rows.append(
            {"trial": trial.number, "cell": trial.user_attrs["cell"], "state": trial.state.name, **values}
            | {key: chosen.get(key) for key in space.keys}
            | {"epochs": epochs, "error": trial.user_attrs.get("error", "")}
        )
    return pd.DataFrame(rows)


def best_trials(study: Study) -> list[FrozenTrial]:
    """The best one, or all that no other beats in every objective (the Pareto front), best first objective first."""
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    finished = [trial for trial in planned_trials(study) if trial.state == TrialState.COMPLETE]
    if not finished:
        return []
    front = study.best_trials if len(study.directions) > 1 else [study.best_trial]
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    return sorted(front, key=lambda trial: (sign * (trial.values or [0])[0], trial.number))


def flags(values: dict[str, Any]) -> str:
    """Options of ``dvc exp run`` that set these params; ``++`` also where params.yaml leaves a key at its default."""
    import shlex

    return " ".join(f"-S {shlex.quote(f'++{key}={_hydra(value)}')}" for key, value in values.items())


def _hydra(value: Any) -> str:
    """A value in the grammar of DVC's overrides: as JSON, but for the keys of mappings, which stand without quotes."""
    import json

    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_hydra(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_hydra, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _write_report(
    study: Study,
    table: pd.DataFrame,
    best: Sequence[FrozenTrial],
    figures: Sequence[tuple[str, Path]],
    report_dir: Path,
) -> None:
    names = objectives(study)
    states = ", ".join(f"{count} {str(state).lower()}" for state, count in table["state"].value_counts().items())
    heads = [Headline("trials", str(len(table)), states)]
    notes = []
    if not best:
        notes.append("No trial was finished.")
    elif len(names) == 1:
        heads.append(Headline(f"best {names[0]}", f"{(best[0].values or [0.0])[0]:.4f}"))
    errors = table["error"][table["error"] != ""]
    notes += [f"Failed trials: {len(errors)}; the first: {errors.iloc[0]}"] if len(errors) else []
    text = [
        "The best of many validation numbers is too good by the luck of the draw: what it is worth, test says, once, "
        "after its params were committed.",
    ]
    order = table.sort_values(names[0], ascending=study.directions[0].name == "MINIMIZE", kind="stable").map(_shown)
    order = order.drop(columns=["cell"] if len(errors) else ["cell", "error"])
    tables = [("All trials, the best first", order)]
    if len(names) > 1 and best:
        front = order[order["trial"].isin([trial.number for trial in best])]
        tables.insert(0, ("The Pareto front: trials that no other beats in every objective", front))
    write_report(
        report_dir / "report.html",
        f"Search: {study.study_name}",
        "Validation only; test was not opened.",
        heads,
        [Chapter("Trials", text, notes, tables, figures)],
    )


def _shown(value: Any) -> Any:
    """A searched number with the digits it has: learning rates are small."""
    return f"{value:.4g}" if isinstance(value, float) and value == value else value
