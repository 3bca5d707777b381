"""``docs/results.md``: the numbers of several workspaces, copied from their reports and never typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from twinfolio.errors import DataError
from twinfolio.reporting.classical import read_tuning
from twinfolio.reporting.test_uses import count_test_uses

HEADLINES = (
    ("retrieval mAP", "test/retrieval/mAP"),
    ("top-1", "test/retrieval/P@1"),
    ("macro F1", "test/classification/macro_f1"),
    ("accuracy", "test/classification/accuracy"),
    ("pair accuracy", "test/verification/accuracy"),
    ("pair AP", "test/verification/pair_ap"),
)
LEAK = (
    ("mAP, own page in the archive", "test/leak_gap/mAP_included"),
    ("own page left out", "test/leak_gap/mAP_excluded"),
    ("gap", "test/leak_gap/mAP_gap"),
    ("top-1, own page in the archive", "test/leak_gap/P@1_included"),
    ("own page left out", "test/leak_gap/P@1_excluded"),
    ("gap", "test/leak_gap/P@1_gap"),
)
CALIBRATION = (
    ("ECE, all pairs", "test/calibration/ece"),
    ("before calibration", "test/calibration/ece_before"),
    ("first ten answers", "test/calibration/ece_answers"),
    ("verification pairs", "test/calibration/ece_balanced"),
    ("class layer", "test/calibration/ece_classes"),
    ("coverage of class sets", "test/calibration/coverage"),
    ("classes a set", "test/calibration/set_size"),
)
UNKNOWN = (
    ("AUROC, known against unknown", "test/unknown/auroc"),
    ("unknown that pass", "test/unknown/false_match_rate"),
    ("known that are accepted", "test/unknown/known_accepted"),
    ("accepted and rightly named", "test/unknown/known_identified"),
)
_LEAK_TEXT = (
    "Without training anew: the champion's test queries against an archive of all images (train, validation and test), "
    "with other images of the query's own page in it, and without them. What a random split adds when the whole "
    "pipeline is trained anew is the study `studies/leak_gap`."
)
_CALIBRATION_TEXT = (
    "Expected calibration error of the champion's probabilities on test, the own page excluded, after a fit on "
    "validation pairs; *verification pairs* are half of one class. Class sets promise 90 %."
)
_UNKNOWN_TEXT = (
    "Classes held out of training altogether (`split.unknown_classes`) against the known ones, by the best score a "
    "query reaches in the archive. Half of these classes set the threshold, letting at most 5 % of their images pass; "
    "the numbers are those of the other half."
)


def results_page(workspaces: Mapping[str, Path], introduction: str, studies: Mapping[str, Path] | None = None) -> str:
    """The page in Markdown: headlines, leak gap, calibration and unknown classes, then every system of each workspace.

    Args:
        workspaces: Title -> folder of a workspace whose pipeline has run.
        introduction: What stands above the first table.
        studies: Title -> folder of a workspace whose leak study has run.

    Raises:
        DataError: A workspace has no evaluation.
    """
    parts = ["# Results", introduction.strip(), _metric_table(workspaces, HEADLINES)]
    parts += ["## Leak gap", _LEAK_TEXT, _metric_table(workspaces, LEAK)]
    for title, folder in (studies or {}).items():
        parts += [f"### {title}: trained anew under each split", _leak_study(folder)]
    parts += ["## Calibration", _CALIBRATION_TEXT, _metric_table(workspaces, CALIBRATION)]
    parts += ["## Unknown manuscripts", _UNKNOWN_TEXT, _metric_table(workspaces, UNKNOWN)]
    for title, folder in workspaces.items():
        parts += [f"## {title}", _facts(folder), _systems_table(folder), _classical(folder), _ablation(folder)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.exists():
        raise DataError(f"{path}: missing", "run the pipeline of this workspace first")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _cell(values: Mapping[Any, Any], key: str) -> str:
    """``.912 (.880-.941)``, or a dash where the number does not exist."""
    if pd.isna(values.get(key)):
        return "-"
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    # a dash before a minus sign would not be read
    ends = "" if pd.isna(low) or pd.isna(high) else f" ({_short(low)}{' to ' if low < 0 else '-'}{_short(high)})"
    return _short(values[key]) + ends


def _short(value: Any) -> str:
    text = f"{round(float(value), 3) + 0.0:.3f}"  # no minus sign before a zero
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def _metric_table(workspaces: Mapping[str, Path], shown: Sequence[tuple[str, str]]) -> str:
    header = ["data", *(name for name, _ in shown)]
    rows = [header, ["---"] * len(header)]
    for title, folder in workspaces.items():
        metrics = _read(folder, "reports/evaluate/metrics.json")
        rows.append([title, *(_cell(metrics, key) for _, key in shown)])
    return _markdown(rows)


def _facts(folder: Path) -> str:
    """Counts, protocol, champion and the number of times this test split was scored."""
    split = _read(folder, "reports/split/metrics.json")
    champion = _read(folder, "outputs/compare_distances/champion.json")
    store = _read(folder, "outputs/store/store.json")
    uses = count_test_uses(folder / "reports/test_uses.csv", store["data_hash"])
    unknown = split.get("classes_unknown", 0)
    held_out = f"{split['unknown']} of {unknown} classes held out of training, " if unknown else ""
    rivals = champion["preferred_over"]
    tie = f", preferred over {', '.join(rivals)}, which are as good" if rivals else ""
    return (
        f"{split['images']} images of {split['classes']} classes in {split['groups']} groups: {split['train']} train, "
        f"{split['val']} validation ({split['within_group']} of them lent by training groups), "
        f"{held_out}{split['test']} test; "
        f"{split['classes_with_test']} classes have test images. Champion by validation mAP: "
        f"{champion['system']}{tie}. This test split was scored {uses} time{'s' if uses != 1 else ''}."
    )


def _systems_table(folder: Path) -> str:
    systems = pd.read_csv(folder / "reports/evaluate/systems.csv")
    names = ["mAP", "P@1", "accuracy", "pair_ap", "eer", "nearest_accuracy"]
    rows = [["system", "pretrained", *names, "champion's lead in mAP", "p"]]
    rows.append(["---"] * len(rows[0]))
    for row in systems.to_dict("records"):
        pretrained = "-" if pd.isna(row["pretrained"]) else str(row["pretrained"]).lower()
        p = "-" if pd.isna(row["p"]) else f"{row['p']:.4f}"
        lead = _cell(row, "champion_lead")
        rows.append([str(row["system"]), pretrained, *(_cell(row, name) for name in names), lead, p])
    return _markdown(rows)


def _leak_study(folder: Path) -> str:
    """Every headline number under both splits."""
    table = pd.read_csv(folder / "reports/leak_gap/table.csv")
    rows = [["number", "by page", "at random", "gap"], ["---"] * 4]
    for row in table.to_dict("records"):
        shown = [_cell(row, name) for name in ("by group", "at random", "gap")]
        rows.append([str(row["number"]), *shown])
    return _markdown(rows)


def _classical(folder: Path) -> str:
    """What validation set the classical systems to; nothing where none was asked for."""
    tuning = read_tuning(folder / "reports/classical/tuning.csv")
    kept = tuning[tuning["kept"] == 1].dropna(axis="columns", how="all")
    settings = list(kept.columns[1:-2])
    rows = [["classical, on validation", *settings, "mAP", "settings tried"]]
    rows.append(["---"] * len(rows[0]))
    for row in kept.to_dict("records"):
        shown = ["-" if pd.isna(row[name]) else str(row[name]) for name in settings]
        tried = (tuning["system"] == row["system"]).sum()
        rows.append([str(row["system"]), *shown, _short(row["val_mAP"]), str(tried)])
    return _markdown(rows) if len(kept) else ""


def _ablation(folder: Path) -> str:
    """The methods for better neighbours on validation."""
    table = pd.read_csv(folder / "reports/calibrate/neighbours.csv")
    timing = _read(folder, "reports/calibrate/timing.json")
    rows = [["neighbours, on validation", "setting", "mAP", "gain", "top-1", "adds ms a query", "kept"]]
    rows.append(["---"] * len(rows[0]))
    for row in table.to_dict("records"):
        added = f"{timing['neighbours_' + row['method'] + '_added_ms']:.1f}"
        kept = "yes" if str(row["kept"]) == "True" else ""
        shown = [_cell(row, "mAP"), _cell(row, "gain"), _cell(row, "P@1"), added, kept]
        rows.append([str(row["method"]), "-" if pd.isna(row["setting"]) else str(row["setting"]), *shown])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
