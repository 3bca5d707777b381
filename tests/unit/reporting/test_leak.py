from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.assessment.scored import pages, scores_of
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.leak import MEASURES, leak_gap
from twinfolio.reporting.leak import leak_chapter, leak_metrics, leak_table

QUERIES = pages("q", classes=3, groups=4, first_group=10)
ARCHIVE = pages("a", classes=3, groups=4).join(QUERIES)


@pytest.fixture(scope="module")
def leaks():
    noise = np.random.default_rng(0).normal(0, 0.01, (len(QUERIES), len(ARCHIVE)))
    known = {"pages": (QUERIES.groups, ARCHIVE.groups), "classes": (QUERIES.labels, ARCHIVE.labels)}
    scores = {name: scores_of((a[:, None] == b[None]) + noise) for name, (a, b) in known.items()}
    return {name: leak_gap(of, QUERIES, ARCHIVE, Resampling(n=100)) for name, of in scores.items()}


def test_the_table_has_both_sides_and_the_gap_of_every_system(leaks):
    table = leak_table(leaks).set_index("system")
    assert list(table.index) == ["pages", "classes"]
    assert table["exposed"].tolist() == table["queries"].tolist() == [24, 24]
    for measure in MEASURES:
        difference = table[f"{measure}_included"] - table[f"{measure}_excluded"]
        np.testing.assert_allclose(table[f"{measure}_gap"], difference)
        for column in (f"{measure}_included", f"{measure}_excluded", f"{measure}_gap"):
            assert (table[f"{column}_low"] <= table[column]).all()
            assert (table[column] <= table[f"{column}_high"]).all()


def test_metrics_are_the_row_of_the_table(leaks):
    metrics, row = leak_metrics(leaks["pages"]), leak_table(leaks).iloc[0]
    ends = ("", "_low", "_high")
    sides = ("included", "excluded", "gap")
    keys = {f"leak_gap/{measure}_{side}{end}" for measure in MEASURES for side in sides for end in ends}
    assert set(metrics) == keys | {"leak_gap/exposed"}
    assert all(metrics[key] == row[key.removeprefix("leak_gap/")] for key in metrics)


def test_the_chapter_names_the_champions_gap_and_what_was_searched(leaks):
    chapter = leak_chapter(leaks, "pages", has_groups=True, archive="train and validation")
    gap = leaks["pages"].gap["mAP"]
    (text,) = chapter.paragraphs
    assert f"gap {gap.difference:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})" in text
    assert "For 24 of 24 queries" in text
    assert "Archive: train and validation." in text
    assert not chapter.notes
    assert "pages: retrieval" in text
    assert "classes: retrieval" in leak_chapter(leaks, "classes", has_groups=True, archive="x").paragraphs[0]


def test_the_chapter_says_when_pages_are_not_known(leaks):
    (note,) = leak_chapter(leaks, "pages", has_groups=False, archive="x").notes
    assert "No groups were given" in note
    assert "may be larger" in note


def test_a_gap_without_an_interval_stays_in_the_table(leaks):
    lone = leaks["pages"].gap["mAP"]._replace(low=np.nan, high=np.nan)
    leak = SimpleNamespace(**vars(leaks["pages"]) | {"gap": dict.fromkeys(MEASURES, lone)})
    chapter = leak_chapter({"pages": leak}, "pages", has_groups=True, archive="x")
    (_, shown) = chapter.tables[0]
    assert shown["mAP_gap"].tolist() == [f"{lone.difference:.3f}"]
