from dataclasses import replace

import pytest

from tests.unit.assessment.test_ablation import METHODS, bench_of, clouds, drowned, grid
from twinfolio.assessment.ablation import ablate
from twinfolio.assessment.judgement import Contrast
from twinfolio.reporting.ablation import ablation_chapter, ablation_metrics, ablation_table, verdict, write_ablation
from twinfolio.reporting.report import write_report
from twinfolio.retrieval.recipe import load_recipe


@pytest.fixture(scope="module")
def ablation():
    return ablate(bench_of(clouds), grid(*METHODS), 50.0)


def test_two_runs_with_other_times_write_the_same_bytes(tmp_path, ablation):
    import time

    again = ablate(bench_of(clouds, time.perf_counter), grid(*METHODS), 50.0)
    for name, one in (("a", ablation), ("b", again)):
        write_ablation(one, tmp_path / name / "out", tmp_path / name / "report")
    first, second = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("a", "b")
    )
    assert {p.name for p in first} >= {"neighbours.json", "neighbours.csv", "neighbours.png"}
    assert first == second
    assert ablation_metrics(ablation) == ablation_metrics(again)


def test_the_kept_recipe_is_read_back(tmp_path, ablation):
    write_ablation(ablation, tmp_path, tmp_path)
    assert load_recipe(tmp_path).facts() == ablation.kept.recipe.facts()


def test_the_table_has_a_row_a_method_and_marks_one_as_kept(ablation):
    table = ablation_table(ablation)
    assert table["method"].tolist() == [row.method for row in ablation.rows]
    assert table["kept"].sum() == 1
    assert not [column for column in table if "ms" in column.split("_")]


def test_metrics_hold_gains_with_their_intervals(ablation):
    metrics = ablation_metrics(ablation)
    assert metrics["val/neighbours_query_expansion/gain_low"] == ablation.rows[3].gain.low
    assert metrics["val/neighbours_plain/mAP"] == ablation.rows[0].values["mAP"]
    assert "val/neighbours_plain/gain" not in metrics


def test_the_chapter_shows_costs_in_steps_and_names_what_is_kept(tmp_path, ablation):
    write_ablation(ablation, tmp_path, tmp_path)
    chapter = ablation_chapter(ablation, tmp_path)
    shown = chapter.tables[0][1]
    assert shown["adds about ms"].tolist()[0] == ""
    assert set(shown["adds about ms"][1:]) <= {"below 1", "1", "2", "5", "10"}
    assert ablation.kept.recipe.name in chapter.paragraphs[1]
    write_report(tmp_path / "report.html", "t", "s", [], [chapter])
    assert "Better neighbours without training" in (tmp_path / "report.html").read_text()


def test_a_report_says_where_nothing_is_kept_and_why_more_is_not(ablation):
    assert "plain ranking is kept" in verdict(ablate(bench_of(drowned), grid(), 50.0))
    chance = replace(ablation, over_best=Contrast(0.01, -0.02, 0.04, 0.5, 0.5, 3, 2))
    assert chance.kept.method != "together"
    assert "together are not kept: over the best alone they change mAP by +0.0100 (-0.0200 to 0.0400)" in verdict(
        chance
    )
    sure = replace(ablation, over_best=Contrast(0.03, 0.02, 0.04, 0.01, 0.02, 7, 3))
    assert sure.kept.method == "together"
    assert "not kept" not in verdict(sure)
