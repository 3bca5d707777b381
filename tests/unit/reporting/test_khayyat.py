import json

import pandas as pd
import pytest

from twinfolio.reporting import khayyat_paper as paper
from twinfolio.reporting.khayyat import tables_markdown, times_markdown
from twinfolio.reporting.khayyat_run import MODELS, Setting, read_run

SETTING = Setting("random", 64, "vgg19", (150, 100), "l2", "all", 0)
FACTS = (
    "12 classes, 192 images (134/29/29), random split",
    "64 px, vgg19 from RANDOM weights (pretrained: false)",
    "4 epochs",
)
SHARES = ("accuracy", "precision", "recall", "f1", "pair_ap", "mAP")


def interval(keys, value):
    return {f"{key}{end}": value + shift for key in keys for end, shift in (("", 0.0), ("_low", -0.1), ("_high", 0.05))}


def write_reports(folder, pretrained=0):
    def write(name, rows):
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(path, index=False)

    systems = ("l1", "l2", "cosine", "scratch")
    counts = {"tp": 7, "fp": 1, "fn": 2, "tn": 6}
    write(
        "compare_distances/table",
        [{"distance": d, **interval(SHARES, 0.7), **{k.upper(): v for k, v in counts.items()}} for d in systems[:3]],
    )
    write(
        "compare_distances/tests",
        [
            {"a": "l1", "b": "l2", "measure": "retrieval mAP", "difference": 0.2, "low": 0.1, "high": 0.3, "p": 0.01},
            {
                "a": "l1",
                "b": "cosine",
                "measure": "retrieval mAP",
                "difference": 0.0,
                "low": -0.1,
                "high": 0.1,
                "p": 0.9,
            },
        ],
    )
    macro = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
    write(
        "evaluate/classification",
        [
            {"system": "l1", "by": "1 nearest", **interval(macro, 0.11)},
            {"system": "classifier", "by": "class layer", **interval(macro, 0.44)},
        ],
    )
    write(
        "evaluate/per_class",
        [{"class": "ms, 1", "precision": 1.0, "recall": 0.5, "f1": 0.6667, "images": 3, "mAP": 0.25}],
    )
    write(
        "evaluate/verification",
        [{"system": s, **counts, **interval(SHARES[:-1], 0.61 + i / 100)} for i, s in enumerate(systems)],
    )
    write(
        "evaluate/retrieval",
        [
            {"system": s, "gallery": p, **interval(("mAP",), v)}
            for s in systems
            for p, v in (("train and validation", 0.33), ("all images, own group included", 0.99))
        ],
    )
    facts = {"n_parameters": 20229485, "epochs_run": 4, "best_epoch": 3, "pretrained": pretrained}
    for name in MODELS:
        (folder / name).mkdir(parents=True)
        (folder / name / "metrics.json").write_text(json.dumps(facts))
    (folder / "split").mkdir()
    split = {"classes": 12, "images": 192, "train": 134, "val": 29, "test": 29}
    (folder / "split" / "metrics.json").write_text(json.dumps(split))
    return read_run(folder, SETTING)


@pytest.fixture
def run(tmp_path):
    return write_reports(tmp_path / "reports")


def section(text, number):
    return text.split(f"## Table {number}:")[1].split("\n## ")[0]


def test_tables_three_to_eight_are_there_and_say_what_they_are_of(run):
    text = tables_markdown(run)
    for number in (3, 4, 5, 6, 8):
        part = section(text, number)
        for fact in FACTS:
            assert fact in part, f"Table {number} lacks {fact}"
    assert "times.md" in section(text, 7)


def test_given_weights_are_not_called_random(tmp_path):
    text = tables_markdown(write_reports(tmp_path / "reports", pretrained=1))
    assert "RANDOM" not in text
    assert "pretrained: true" in text


def test_a_number_comes_from_the_row_it_belongs_to(run):
    text = tables_markdown(run)
    assert "| ours | .4400 (.3400 to .4900) |" in section(text, 3)
    assert "| ms, 1 | 3 | 1.0000 | .5000 | .6667 | .2500 |" in section(text, 4)
    accuracy = next(line for line in section(text, 5).splitlines() if line.startswith("| accuracy"))
    assert accuracy == "| accuracy | .6172 | .9772 | .6400 (.5400 to .6900) | .6200 (.5200 to .6700) |"
    retrieval = next(line for line in section(text, 6).splitlines() if line.startswith("| retrieval mAP"))
    assert retrieval.count(".3300") == 3
    assert ".9900" not in retrieval


def test_the_paired_tests_are_summed_up_rightly(run):
    assert "Of these 2 paired differences, the interval of 1 leaves 0 out." in tables_markdown(run)


def test_every_row_of_every_table_has_as_many_cells_as_its_head(run):
    width = None
    for line in tables_markdown(run).splitlines():
        if not line.startswith("|"):
            width = None
            continue
        width = width or line.count("|")
        assert line.count("|") == width, line


def test_times_are_written_apart(run):
    text = times_markdown(run, {"classify": 12.3}, "cpu", {"embed": 0.002, "head": 0.001, "sort": 0.0005})
    assert "| ours | stage classify | 12 s |" in text
    assert "| ours | one query, all of it | 3.5 ms |" in text
    assert " 12 s " not in tables_markdown(run)


def test_only_the_l2_column_has_no_confusion_matrix():
    for name, column in (("scratch", paper.SCRATCH), *paper.DISTANCES.items()):
        if column.counts is None:
            assert name == "l2"
            continue
        tp, fp, fn, tn = column.counts
        derived = ((tp + tn) / sum(column.counts), tp / (tp + fp), tp / (tp + fn))
        assert derived == pytest.approx((column.accuracy, column.precision, column.recall), abs=1e-6)


def test_what_the_notes_say_of_the_papers_numbers_is_so():
    l2, scratch, cosine = paper.DISTANCES["l2"], paper.SCRATCH, paper.DISTANCES["cosine"]
    keys = ("accuracy", "precision", "recall", "f1", "average_precision")
    assert [round(getattr(l2, key) - getattr(scratch, key), 7) for key in keys] == [0.36, 0.36, 0.30, 0.30, 0.40]
    assert round(l2.f1_recomputed, 4) == 0.9429
    assert round(cosine.f1_recomputed, 4) == 0.9460
    assert scratch.f1_recomputed == pytest.approx(scratch.f1, abs=1e-6)
    assert 410 / cosine.precision - 410 == pytest.approx(10.51, abs=0.01)
    assert 410 / cosine.recall - 410 == pytest.approx(36.26, abs=0.01)


def test_table_four_agrees_with_table_three():
    assert len(paper.IMPERFECT) + paper.N_PERFECT == 64
    means = [(paper.N_PERFECT + sum(row[i] for row in paper.IMPERFECT.values())) / 64 for i in range(3)]
    assert means == pytest.approx([0.98355, 0.98108, 0.98165], abs=1e-5)
    assert min(row[2] for row in paper.IMPERFECT.values()) == paper.IMPERFECT[2][2] == 0.8511
    for precision, recall, f1 in paper.IMPERFECT.values():
        assert 2 * precision * recall / (precision + recall) == pytest.approx(f1, abs=1e-4)
