import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.assessment import conftest as tiny
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.rivals import Planting, contrasts, score_test, validate
from twinfolio.assessment.scene import open_scene
from twinfolio.assessment.search_cost import SearchCost
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.evaluation.verification import Confusion
from twinfolio.reporting.mtasher import Circumstances, Study, _verdict, write_study
from twinfolio.reporting.mtasher_paper import ROWS
from twinfolio.reporting.mtasher_tables import write_validation
from twinfolio.sample.planted import KINDS

HOW, PLANTING = Resampling(n=100), Planting(4, 0)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("mtasher")
    for split, pages in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 7))):
        tiny.write_split(root / "store" / split, pages, tiled=("tha",), seed=len(split))
    tiny.write_info(root / "store")
    l1, cosine, histogram = tiny.make_systems()
    systems = [
        replace(l1, name="cnn_frozen"), replace(cosine, name="cnn_finetuned"), replace(histogram, name="bow_surf"),
        replace(l1, name="phash", pretrained=None),
    ]  # fmt: skip
    how = (PairSettings(), PLANTING, HOW)
    validated = validate(systems, ["bow_surf", "phash"], root / "store", root / "e", *how)
    choices = replace(validated.choices, best_retrieval="bow_surf", best_planted="phash")
    scene = open_scene(root / "store", {one.name: root / "e" / f"{one.name}.npz" for one in systems}, 5, 5, HOW)
    outcomes, planted = score_test(systems, choices, scene, PLANTING)
    tests = contrasts(outcomes, "cnn_finetuned", choices, ["cnn_frozen"], scene)
    costs = {one.name: SearchCost(1.5, 0.25, 64.0, 36) for one in systems}
    circumstances = Circumstances("small_net", 8, "blocks", 1, "cnn_finetuned")
    study = Study(outcomes, planted, scene, choices, tests, costs, circumstances)
    for place in ("a", "b"):
        write_study(study, root / place)
    write_validation(replace(validated, choices=choices), root / "v")
    return root


def table(report, name):
    return pd.read_csv(report / "a" / f"{name}.csv")


@pytest.mark.parametrize(
    ("name", "f1", "prevalence"),
    [("SURF", 0.555, 0.261), ("SIFT", 0.585, 0.231), ("CNN (table)", 0.69, 0.016), ("CNN (text)", 0.945, 0.452)],
)
def test_the_papers_rows_imply_what_was_recomputed(name, f1, prevalence):
    row = next(row for row in ROWS if row.name == name)
    assert row.f1 == pytest.approx(f1, abs=1e-3)
    assert row.prevalence == pytest.approx(prevalence, abs=1e-3)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_pairs_of_the_implied_share_give_the_printed_row(row):
    n = 1e9
    positives = row.prevalence * n
    tp = row.recall * positives
    fp = tp / row.precision - tp
    counts = Confusion(*(round(count) for count in (tp, fp, positives - tp, n - positives - fp)))
    found = (counts.accuracy, counts.precision, counts.recall)
    assert found == pytest.approx((row.accuracy, row.precision, row.recall), abs=1e-6)
    assert row.always_no == pytest.approx(1 - counts.prevalence, abs=1e-6)


def test_two_writings_agree_byte_by_byte(report):
    first, second = (
        {str(p.relative_to(report / place)): p.read_bytes() for p in (report / place).rglob("*") if p.is_file()}
        for place in ("a", "b")
    )
    assert first == second
    assert {"systems.csv", "planted.csv", "paper.csv", "tests.csv", "times.csv", "metrics.json"} <= set(first)


def test_every_accuracy_stands_beside_that_of_always_saying_no(report):
    systems = table(report, "systems")
    assert (systems["always_no"] == 0.5).all()
    assert (systems["prevalence"] + systems["always_no"] == 1).all()
    assert systems["planted_always_no"].to_numpy() == pytest.approx(1 - systems["planted_prevalence"], abs=2e-6)
    assert (systems["planted_prevalence"] < 0.05).all()


def test_the_papers_rows_stand_before_ours_that_ran(report):
    rows = table(report, "paper").iloc[:, 0].tolist()
    assert rows[:4] == [f"paper: {name}" for name in ("SURF", "SIFT", "CNN (table)", "CNN (text)")]
    ours = ("bow_surf", "cnn_frozen", "cnn_finetuned")
    assert rows[4:] == [f"{name}, {what}" for name in ours for what in ("pairs", "copies")]


def test_metrics_follow_from_each_other_and_name_their_system(report):
    metrics = json.loads((report / "a" / "metrics.json").read_text())
    by_kind = [metrics[f"test/planted_phash/recall_{kind}"] for kind in KINDS]
    assert metrics["test/planted_phash/recall"] == pytest.approx(np.mean(by_kind), abs=1e-5)
    assert metrics["test/cnn_finetuned/pretrained"] == 1
    assert metrics["test/cnn_frozen/pretrained"] == 0
    assert "test/phash/pretrained" not in metrics
    assert metrics["test/phash/bytes_per_image"] == 64
    assert not [key for key in metrics if "ms" in key]
    copies = {key: metrics[f"test/planted_phash/{key}"] for key in ("precision", "recall", "f1")}
    harmonic = 2 * copies["precision"] * copies["recall"] / (copies["precision"] + copies["recall"])
    assert copies["f1"] == pytest.approx(harmonic, abs=1e-5)


def test_validation_marks_the_best_classical_systems(report):
    rows = pd.read_csv(report / "v" / "validation.csv").set_index("system")
    assert rows.index[rows["best_retrieval"] == 1].tolist() == ["bow_surf"]
    assert rows.index[rows["best_planted"] == 1].tolist() == ["phash"]
    metrics = json.loads((report / "v" / "metrics.json").read_text())
    assert metrics["val/planted_phash/f1"] == pytest.approx(rows.loc["phash", "planted_f1"], abs=1e-6)


def test_the_page_says_what_started_from_random_weights_and_shows_both_figures(report):
    page = (report / "a" / "report.html").read_text()
    assert "cnn_frozen: pretrained: false" in page
    assert "cnn_finetuned: pretrained: false" not in page
    assert page.count("<img") == 2
    with Image.open(report / "a" / "figures" / "copies.png") as sheet:
        assert sheet.width > 6 * 128


def test_the_verdict_names_only_what_stands_after_correction(report):
    tests = table(report, "tests")
    assert (tests["p_holm"] >= tests["p"]).all()
    assert _verdict(tests.assign(p_holm=1.0)) == "No difference is beyond chance (Holm at 5 %)."
    one = tests.assign(p_holm=[0.001, *[1.0] * (len(tests) - 1)], difference=-0.25)
    assert _verdict(one).endswith("cnn_finetuned below bow_surf in retrieval mAP by 0.250 (p = 0.001).")
