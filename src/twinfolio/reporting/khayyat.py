"""Tables 3 to 8 of Khayyat et al. 2022 beside a run of ``studies/khayyat``, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twinfolio.reporting import khayyat_paper as paper
from twinfolio.reporting.khayyat_run import MODELS, StudyRun

NAMES = {"l1": "L1", "l2": "L2", "cosine": "cosine"}
_MEASURES = (("accuracy", "accuracy"), ("precision", "precision"), ("recall", "recall"), ("f1", "F as printed"))


def tables_markdown(run: StudyRun) -> str:
    """All tables, each with the size of the run and what in the paper's cannot be."""
    parts = [
        "# Khayyat et al. 2022, Tables 3 to 8, beside ours",
        f"Paper: {paper.SETTING}.",
        f"Ours: {_data(run)}. Intervals are 95 %, by a bootstrap over the queries.",
        _trained(run),
        *_classifier(run),
        *_per_class(run),
        *_scratch_and_vgg(run),
        *_distances(run),
        "## Table 7: times\n\nTimes are no results of a seed: see times.md beside this file.",
        *_others(run),
    ]
    return "\n\n".join(parts) + "\n"


def times_markdown(run: StudyRun, wall: Mapping[str, float], device: str, query: Mapping[str, float]) -> str:
    """Table 7, the times; written apart, since no two runs have the same.

    Args:
        run: The run.
        wall: Report folder -> seconds of the stage.
        device: What it ran on.
        query: Part of a query (``embed``, ``head``, ``sort``) -> seconds.
    """
    rows = [("paper", what, value) for what, value in paper.TIMES.items()]
    rows += [("ours", f"stage {folder}", f"{seconds:.0f} s") for folder, seconds in wall.items()]
    rows += [("ours", f"one query: {part}", f"{1000 * seconds:.1f} ms") for part, seconds in query.items()]
    rows.append(("ours", "one query, all of it", f"{1000 * sum(query.values()):.1f} ms"))
    note = (
        "The paper's query runs the whole net on every pair; ours embeds the query once and runs the head on the "
        "gallery's kept embeddings. The paper's GPU is 2.0 (training) and 2.7 (query) times as fast as its CPU. "
        "Our stage times include imports and validation."
    )
    return "\n\n".join(
        ["# Table 7: times", _label(run, f"on {device}"), _table(["", "what", "time"], rows), note]
    ) + "\n"  # fmt: skip


def _classifier(run: StudyRun) -> list[str]:
    ours = _row(run, "evaluate/classification", system="classifier", by="class layer")
    rows = [
        ["paper", *(_number(value) for value in paper.CLASSIFIER.values())],
        ["ours", *(_cell(ours, key) for key in paper.CLASSIFIER)],
    ]
    head = ["", "accuracy", "macro precision", "macro recall", "macro F"]
    return _section(3, "the classifier", _label(run, "test", "classify"), _table(head, rows))


def _per_class(run: StudyRun) -> list[str]:
    head = ["class", "precision", "recall", "F"]
    printed = [[str(name), *map(_number, values)] for name, values in paper.IMPERFECT.items()]
    columns = ("precision", "recall", "f1", "mAP")
    own = run.tables["evaluate/per_class"]
    ours = [
        [str(row["class"]), str(int(row["images"])), *(_number(row[c]) for c in columns)] for _, row in own.iterrows()
    ]
    text = [
        f"Paper: {paper.N_PERFECT} of 64 rows are 1 throughout; the others:",
        _table(head, printed),
        "Ours (other manuscripts, so no row stands beside another):",
        _table(["class", "test images", *head[1:], "mAP of the champion's retrieval"], ours),
    ]
    return _section(4, "the classifier, class by class", _label(run, "test", "classify"), *text)


def _scratch_and_vgg(run: StudyRun) -> list[str]:
    scratch = f"scratch {NAMES[run.setting.scratch_distance]}"
    columns = [
        ("paper: scratch L2", _printed(paper.SCRATCH)),
        ("paper: VGG19 L2", _printed(paper.DISTANCES["l2"])),
        (f"ours: {scratch}", _tested(run, "scratch")),
        ("ours: VGG19 L2", _tested(run, "l2")),
    ]
    label = _label(run, "test", "train_scratch", "train_siamese/l2")
    return _section(5, "from scratch and from VGG19", label, _by_column(columns), _THRESHOLDS)


def _distances(run: StudyRun) -> list[str]:
    printed = [(f"paper: {NAMES[key]}", _printed(column)) for key, column in paper.DISTANCES.items()]
    tested = [(f"ours: {NAMES[key]}", _tested(run, key)) for key in NAMES]
    validated = [(f"ours: {NAMES[key]}", _validated(run, key)) for key in NAMES]
    label = _label(run, "test", *(f"train_siamese/{key}" for key in NAMES))
    text = [
        _by_column([*printed, *tested]),
        _THRESHOLDS,
        "On validation, where the distance is chosen (thresholds cross-fitted over queries):",
        _by_column(validated),
        _tests(run),
    ]
    return _section(6, "L1, L2 and cosine", label, *text)


def _others(run: StudyRun) -> list[str]:
    rows: list[Sequence[str]] = [*paper.OTHERS]
    for key in NAMES:
        values = _row(run, "evaluate/retrieval", system=key, gallery="train and validation")
        rows.append([f"ours, {NAMES[key]}", f"{100 * values['mAP']:.1f}", "retrieval mAP, queries against the archive"])
    label = _label(run, "test", *(f"train_siamese/{key}" for key in NAMES))
    return _section(8, "others' results, for context only", label, _table(["who", "per cent", "measure"], rows))


_THRESHOLDS = (
    "Ours: one frozen list of as many positive as negative pairs for all columns, thresholds from validation, all "
    "shares derived from the counts. The paper's mAP is average precision over pairs; retrieval mAP is another number."
)


def _section(number: int, title: str, label: str, *text: str) -> list[str]:
    notes = "\n".join(f"- {note}" for note in paper.NOTES[number])
    return [
        f"## Table {number}: {title}",
        label,
        *text,
        f"What holds and what cannot be in the paper's table:\n\n{notes}",
    ]


def _printed(column: paper.Printed) -> dict[str, str]:
    cells = {name: _number(getattr(column, key)) for key, name in _MEASURES}
    cells |= {
        "F from precision and recall": _number(column.f1_recomputed),
        "AP over pairs": _number(column.average_precision),
    }
    counts = column.counts
    shown = "none fits" if counts is None else "fits " + ", ".join(f"{count:,}" for count in counts)
    return cells | {"retrieval mAP": "not given", "TP, FP, FN, TN": shown}


def _tested(run: StudyRun, system: str) -> dict[str, str]:
    values = _row(run, "evaluate/verification", system=system)
    retrieved = _row(run, "evaluate/retrieval", system=system, gallery="train and validation")
    return _ours(values, retrieved, [values[key] for key in ("tp", "fp", "fn", "tn")])


def _validated(run: StudyRun, distance: str) -> dict[str, str]:
    values = _row(run, "compare_distances/table", distance=distance)
    return _ours(values, values, [values[key] for key in ("TP", "FP", "FN", "TN")])


def _ours(values: Any, retrieved: Any, counts: Sequence[float]) -> dict[str, str]:
    """Cells of a column of ours; F is that of its precision and recall by construction."""
    cells = {name: _cell(values, key) for key, name in _MEASURES}
    cells |= {"F from precision and recall": _number(values["f1"]), "AP over pairs": _cell(values, "pair_ap")}
    return cells | {
        "retrieval mAP": _cell(retrieved, "mAP"),
        "TP, FP, FN, TN": ", ".join(f"{int(n):,}" for n in counts),
    }


def _tests(run: StudyRun) -> str:
    """The paired tests on validation, and whether they tell the distances apart."""
    tests = run.tables["compare_distances/tests"]
    rows = [
        [f"{NAMES[row['a']]} minus {NAMES[row['b']]}", str(row["measure"]), _cell(row, "difference", ("low", "high")),
         _number(row["p"])]
        for _, row in tests.iterrows()
    ]  # fmt: skip
    apart = int(((tests["low"] > 0) | (tests["high"] < 0)).sum())
    verdict = f"Of these {len(tests)} paired differences, the interval of {apart or 'none'} leaves 0 out."
    return _table(["paired by query", "measure", "difference", "p"], rows) + f"\n\n{verdict}"


def _data(run: StudyRun) -> str:
    counts, setting = run.counts, run.setting
    images = (
        f"{counts['classes']} classes, {counts['images']:,} images ({counts['train']}/{counts['val']}/{counts['test']})"
    )
    return f"{images}, {setting.protocol} split, {setting.size} px, {setting.trunk} {_weights(run)}"


def _weights(run: StudyRun) -> str:
    pretrained = bool(run.training["classify"]["pretrained"])
    return f"from {'ImageNet or given' if pretrained else 'RANDOM'} weights (pretrained: {str(pretrained).lower()})"


def _label(run: StudyRun, where: str, *folders: str) -> str:
    """The line below a heading: what our numbers are of."""
    epochs = [f"{MODELS[folder]}: {int(run.training[folder]['epochs_run'])} epochs" for folder in folders]
    return f"*Ours: {'; '.join([_data(run), *epochs, where])}.*"


def _trained(run: StudyRun) -> str:
    setting = run.setting
    sizes = {"train_scratch": "{} x {}".format(*setting.scratch_size)}
    rows = []
    for folder, name in MODELS.items():
        facts = run.training[folder]
        numbers = [f"{int(facts[key]):,}" for key in ("n_parameters", "epochs_run", "best_epoch")]
        pretrained = "true" if facts["pretrained"] else "false"
        rows.append([name, sizes.get(folder, f"{setting.size} x {setting.size}"), *numbers, pretrained])
    told = f"Pairs: {setting.pairs}. Augmented copies of a train image: at most {setting.copies}."
    return _table(["net", "input", "parameters", "epochs", "best epoch", "pretrained"], rows) + f"\n\n{told}"


def _by_column(columns: Sequence[tuple[str, dict[str, str]]]) -> str:
    measures = list(columns[0][1])
    rows = [[measure, *(cells[measure] for _, cells in columns)] for measure in measures]
    return _table(["", *(name for name, _ in columns)], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(values: Any, key: str, ends: Sequence[str] | None = None) -> str:
    """A value with its interval."""
    low, high = ends or (f"{key}_low", f"{key}_high")
    return f"{_number(values[key])} ({_number(values[low])} to {_number(values[high])})"


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4f}"


def _row(run: StudyRun, table: str, **where: str) -> Any:
    """The one row of a table with these values."""
    found = run.tables[table]
    for column, value in where.items():
        found = found[found[column] == value]
    return found.iloc[0]
