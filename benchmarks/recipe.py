"""The default recipe on folders that nobody tuned it for: ``make repro DATA=FOLDER``, a row a folder and seed.

``--split val`` (the default, for development) runs the stages up to ``compare_distances`` and reads validation;
``--split test`` runs all of them and reads test, once a folder. Each row says what the champion gives, how far it is
ahead of every other system, with intervals paired over groups, and how long each training took and why it ended. A
folder with a row of this code, these params and this split is passed over, unless ``--again`` is said; rows are kept
in ``benchmarks/recipe.jsonl``, and ``docs/recipe.md`` is written from them (``--table`` does that alone).
``python benchmarks/recipe.py [FOLDER ...] [--seeds 0 1 2] [--split val|test] [--shared PATH]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from _bench import ROOT, commit, finish, machine
from _folders import FOLDERS, Folder, make_folder, shared_data
from _rows import MEASURES, Row, append_row, find_row, newest_rows, paired_over_groups, read_rows, with_interval

from twinfolio.logging import set_up_logging
from twinfolio.reporting.tables import markdown_table, read_json
from twinfolio.reporting.test_uses import count_test_uses
from twinfolio.tracking.identity import source_hash
from twinfolio.workspace import choose_workspace, stage_times

ROWS, PAGE = ROOT / "benchmarks" / "recipe.jsonl", ROOT / "docs" / "recipe.md"
STAGE = {"val": "compare_distances", "test": "evaluate"}
"""Split -> the stage whose report is read, the last to run."""
AFTER_VAL = ("calibrate", "refit", "evaluate")
"""Stages that validation is read before; an earlier run may have left their times."""
TRAININGS = ("classify", "train_siamese/l1", "train_siamese/l2", "train_siamese/cosine", "train_scratch")
SEEDED = ("split", "classify", "siamese", "scratch")
RIVALS = ("classifier", "l1", "l2", "cosine", "frozen_trunk", "colour_histogram", "bow_rootsift", "vlad_rootsift")
"""The single systems that the champion has to hold against; a row has every system of its run."""
BARS = {"mAP": -0.01, "P@1": -0.02}
"""Least lead of the champion over any other system, with an interval that reaches 0."""
WANTED_LEADS, ENOUGH_GROUPS, MINUTES = 6, 100, 30
HEAD = """# The default recipe on folders it was not tuned for

Written by `python benchmarks/recipe.py` from `benchmarks/recipe.jsonl`. Each row is `make repro DATA=<folder>` with the
defaults and nothing else but the seed and, where file names hold the page, `split.group_pattern`. In brackets: 95 %
intervals, paired over groups in the differences.
"""


def settings(folder: Folder, seed: int) -> list[str]:
    """The only keys that differ from the defaults."""
    pattern = [f"split.group_pattern={folder.group_pattern}"] if folder.group_pattern else []
    return [*pattern, *(f"{section}.seed={seed}" for section in SEEDED if seed)]


def row_key(folder: Folder, seed: int, split: str) -> Row:
    """Key of a row: not the commit, which changes when a row is committed."""
    params = hashlib.sha256((ROOT / "params.yaml").read_bytes() + repr(settings(folder, seed)).encode()).hexdigest()
    return {"folder": folder.name, "seed": seed, "split": split, "code": source_hash(ROOT)[:12], "params": params[:12]}


def measure(folder: Folder, seed: int, split: str, data: Path) -> Row:
    """Run the pipeline on a folder and read its row."""
    key, found_at = row_key(folder, seed, split), commit()  # of the code that starts, not of what is edited meanwhile
    name = f"recipe-{folder.name}-{seed}"
    (ROOT / "workspaces" / name / "params.yaml").unlink(missing_ok=True)  # today's defaults, not those of an older run
    workspace = choose_workspace(ROOT, make_folder(folder, data), name=name, changes=settings(folder, seed))
    started = time.monotonic()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "dvc", "repro", *([STAGE[split]] if split == "val" else [])]
    subprocess.run(command, cwd=workspace, env=os.environ | {"PATH": path}, check=True)
    wall = time.monotonic() - started
    # stages of an attempt that was killed, or restored from DVC's cache, count with the time they took then
    stages = sum(seconds for stage, seconds, _ in stage_times(workspace) if split == "test" or stage not in AFTER_VAL)
    return (
        key
        | read_result(workspace, split)
        | {"minutes": max(wall, stages) / 60, "commit": found_at, "machine": machine()}
    )


def read_result(workspace: Path, split: str) -> Row:
    """Row of a run, from its reports."""
    report = workspace / "reports" / STAGE[split]
    queries, metrics = pd.read_csv(report / "per_query.csv"), read_json(report / "metrics.json")
    champion = read_json(workspace / "outputs" / "compare_distances" / "champion.json")
    name = champion.get("system") or champion["distance"]
    info = read_json(workspace / "outputs" / "store" / "store.json")
    return {
        **count_images(pd.read_csv(workspace / "outputs" / "split" / "manifest.csv")),
        "queries": len(queries),
        "groups": int(queries["group"].nunique()),
        "champion": name,
        "champion_values": {
            measure: [metrics.get(f"{split}/retrieval/{measure}{end}") for end in ("", "_low", "_high")]
            for measure in MEASURES
        },
        "lead": leads(queries, name),
        "trainings": {stage: training(workspace, stage) for stage in TRAININGS},
        "test_uses": count_test_uses(workspace / "reports" / "test_uses.csv", info["data_hash"]),
    }


def count_images(manifest: pd.DataFrame) -> Row:
    """Images, classes, and train images of the median class."""
    train = manifest.loc[manifest["split"] == "train", "label"].value_counts()
    return {
        "images": len(manifest),
        "classes": int(manifest["label"].nunique()),
        "train_a_class": float(train.median()),
    }


def leads(queries: pd.DataFrame, champion: str) -> dict[str, dict[str, list[float]]]:
    """The champion minus every other system of a table of queries; columns ``AP_<system>`` and ``P@1_<system>``."""
    names = [column.removeprefix("AP_") for column in queries if column.startswith("AP_")]
    head = queries[["query", "group"]]
    others = {
        name: head.assign(**{column: queries[f"{column}_{name}"] for column in MEASURES.values()})
        for name in names
        if name != champion
    }
    return paired_over_groups(queries, others)


def training(workspace: Path, stage: str) -> Row:
    """Minutes and steps of a training, its best and its last epoch, and what ended it."""
    report = workspace / "reports" / stage
    facts = read_json(report / "metrics.json") | read_json(report / "timing.json")
    params = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))
    section = params[{"classify": "classify", "train_scratch": "scratch"}.get(stage, "siamese")]
    epochs = int(facts["epochs_run"])
    rows = read_json(workspace / "outputs" / "store" / "store.json")["counts"]["train"]["rows"]
    batch = section.get("batch_size") or section["classes_per_batch"] * section["images_per_class"]
    steps = epochs * (section.get("steps_per_epoch") or -(-rows // batch))
    ended = "all epochs" if epochs == section.get("epochs") else "no gain"
    return {
        "minutes": facts["wall_s"] / 60,
        "steps": int(facts.get("steps", facts.get("train_steps", steps))),
        "epochs": epochs,
        "best_epoch": int(facts["best_epoch"]),
        "ended": str(facts.get("stopped", ended)),
    }


def rivals(row: Row) -> dict[str, dict[str, list[float]]]:
    """The champion's differences to the single systems."""
    return {name: found for name, found in row["lead"].items() if name in RIVALS}


def worst(row: Row, measure: str) -> tuple[str, list[float]]:
    """The single system that the champion is least ahead of, and the difference."""
    return min(((name, found[measure]) for name, found in rivals(row).items()), key=lambda item: item[1][0])


def holds(row: Row) -> bool:
    """Whether the champion is behind no system by more than the bar, nor behind any beyond chance, within the time."""
    found = [(BARS[measure], values) for lead in rivals(row).values() for measure, values in lead.items()]
    return row["minutes"] <= MINUTES and all(
        difference >= bar and (high is None or high >= 0) for bar, (difference, _, high) in found
    )


def leads_all(row: Row) -> bool:
    """Whether its mAP is above every other system's beyond chance."""
    return all(found["mAP"][1] is not None and found["mAP"][1] > 0 for found in rivals(row).values())


def page(rows: Sequence[Row]) -> str:
    """The rows as tables."""
    parts = [HEAD]
    for split, title in (("test", "Test"), ("val", "Validation")):
        own = [row for row in rows if row["split"] == split]
        if own:
            parts += [f"## {title}\n", verdict(own), table(map(overview, own))]
            parts += [f"\n### Champion minus each, {title.lower()}\n"]
            for measure in MEASURES:
                parts += [f"{measure}:\n", table(differences(row, measure) for row in own), ""]
            parts += ["### Trainings\n", table(map(courses, own)), ""]
    return "\n".join(parts)


def table(rows: Iterable[Row]) -> str:
    """Rows in Markdown; empty where a row has no such column."""
    return markdown_table(pd.DataFrame(list(rows)).fillna(""))


def verdict(rows: Sequence[Row]) -> str:
    large = [row for row in rows if row["groups"] >= ENOUGH_GROUPS]
    behind = f"behind by at most {-BARS['mAP']} of mAP and {-BARS['P@1']} of P@1, and that by chance"
    return (
        f"The champion holds against every single system on {sum(map(holds, rows))} of {len(rows)} ({behind}; within "
        f"{MINUTES} minutes), and is ahead of all in mAP beyond chance on {sum(map(leads_all, large))} of the "
        f"{len(large)} with {ENOUGH_GROUPS} or more groups.\n"
    )


def overview(row: Row) -> Row:
    name, found = worst(row, "mAP")
    shown = {measure: with_interval(values) for measure, values in row["champion_values"].items()}
    return {
        **{key: row[key] for key in ("folder", "seed", "images", "classes")},
        "train images a class": f"{row['train_a_class']:g}",
        "groups": row["groups"],
        "champion": row["champion"],
        **shown,
        "least lead in mAP": f"{with_interval(found, signed=True)}, {name}",
        "holds": "yes" if holds(row) else "no",
        "minutes": f"{row['minutes']:.1f}",
        "commit": row["commit"],
    }


def differences(row: Row, measure: str) -> Row:
    lead = row["lead"]
    shown = [name for name in RIVALS if name in lead] + sorted(set(lead) - set(RIVALS))
    cells = {name: with_interval(lead[name][measure], signed=True) for name in shown}
    return {"folder": row["folder"], "seed": row["seed"], **dict.fromkeys(RIVALS, ""), **cells}


def courses(row: Row) -> Row:
    cells = {
        stage: f"{one['steps']} steps, best epoch {one['best_epoch']} of {one['epochs']} ({one['ended']}), "
        f"{one['minutes']:.1f} min"
        for stage, one in row["trainings"].items()
    }
    return {"folder": row["folder"], "seed": row["seed"], **cells}


def write_page() -> None:
    """Write ``docs/recipe.md`` from the newest row of each folder, seed and split."""
    rows = newest_rows(read_rows(ROWS), ("folder", "seed", "split"))
    order = list(FOLDERS)
    rows.sort(key=lambda row: (order.index(row["folder"]), row["seed"]))
    PAGE.write_text(page(rows), encoding="utf-8")


def conclude(rows: Sequence[Row], split: str) -> None:
    """Print the table and record the headline."""
    print(table(map(overview, rows)))
    least = {measure: min(worst(row, measure)[1][0] for row in rows) for measure in MEASURES}
    large = [row for row in rows if row["groups"] >= ENOUGH_GROUPS]
    ahead = sum(map(leads_all, large))
    sides: dict[str, Any] = {"split": split, "rows": len(rows), "folders": len({row["folder"] for row in rows})}
    sides |= {"rows_that_hold": sum(map(holds, rows)), "least_P@1_difference": least["P@1"]}
    sides |= {"rows_of_100_groups": len(large), "of_them_ahead_of_all": ahead, "leads_wanted": WANTED_LEADS}
    sides |= {"longest_minutes": max(row["minutes"] for row in rows)}
    met = all(map(holds, rows)) and ahead >= WANTED_LEADS and sides["folders"] >= 10
    finish("recipe", least["mAP"], "least mAP of the champion minus any other system", BARS["mAP"], met, sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help=f"of {', '.join(FOLDERS)}; all of them by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", choices=STAGE, default="val", help="what is scored; test once a folder")
    parser.add_argument("--again", action="store_true", help="measure anew what has a row")
    parser.add_argument("--shared", type=Path, help="folder that holds data/unpack; default: ../shared")
    parser.add_argument("--table", action="store_true", help="write docs/recipe.md and end")
    options = parser.parse_args()
    if options.table:
        write_page()
        return
    unknown = sorted(set(options.folders) - set(FOLDERS))
    if unknown:
        parser.error(f"{unknown[0]}: no such folder; known: {', '.join(FOLDERS)}")
    set_up_logging("recipe")
    data, measured, failed = shared_data(options.shared), [], []
    for seed in options.seeds:
        for name in options.folders or FOLDERS:
            folder = FOLDERS[name]
            row = None if options.again else find_row(read_rows(ROWS), row_key(folder, seed, options.split))
            if row is None:
                try:
                    row = measure(folder, seed, options.split, data)
                except subprocess.CalledProcessError as error:
                    failed.append(f"{name}, seed {seed}: exit status {error.returncode}")
                    continue
                append_row(ROWS, row)
                write_page()
            print(json.dumps({key: row[key] for key in ("folder", "seed", "champion", "minutes")}), flush=True)
            measured.append(row)
    if measured:
        conclude(measured, options.split)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
