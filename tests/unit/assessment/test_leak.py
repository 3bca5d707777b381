from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.scored import pages, scores_of
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.leak import MEASURES, leak_gap

HOW = Resampling(n=200)
QUERIES = pages("q", classes=3, groups=4, first_group=10)
ARCHIVE = pages("a", classes=3, groups=4).join(QUERIES)
NOISE = np.random.default_rng(0).normal(0, 0.01, (len(QUERIES), len(ARCHIVE)))


def equal(names, others):
    return (names[:, None] == others[None, :]).astype(float)


def measured(matrix, queries=QUERIES, archive=ARCHIVE):
    return leak_gap(scores_of(matrix + NOISE[: len(queries), : len(archive)]), queries, archive, HOW)


def test_a_system_that_knows_pages_alone_lives_from_the_leak():
    found = measured(equal(QUERIES.groups, ARCHIVE.groups))
    assert found.included["P@1"] == 1
    assert found.excluded["P@1"] < 0.6
    gap = found.gap["P@1"]
    assert gap.difference == pytest.approx(1 - found.excluded["P@1"])
    assert gap.low > 0.2
    assert gap.p < 0.02
    assert found.gap["mAP"].difference > 0.05


def test_a_system_that_sees_the_class_alone_has_no_gap():
    found = measured(equal(QUERIES.labels, ARCHIVE.labels))
    for measure in MEASURES:
        assert found.included[measure] == found.excluded[measure] == 1
        assert found.gap[measure][:3] == (0, 0, 0)
        assert (found.gap[measure].p, found.gap[measure].wins) == (1, 0)


def test_every_query_of_a_page_with_another_image_in_the_archive_is_exposed():
    found = measured(np.zeros(NOISE.shape))
    assert (found.exposed, found.queries) == (24, 24)
    others = QUERIES.take(QUERIES.groups != "0/p10")  # the page itself is no longer in the archive, but two images
    archive = ARCHIVE.take(np.isin(ARCHIVE.groups, np.append(others.groups, "1/p2")))
    assert measured(np.zeros((24, len(archive))), archive=archive).exposed == 22


def test_a_duplicate_outside_the_page_exposes_its_query_too():
    clusters = ARCHIVE.clusters.copy()
    clusters[0] = QUERIES.clusters[5]
    single = QUERIES.take(np.arange(1, 24, 2))
    archive = replace(ARCHIVE, clusters=clusters).take(np.arange(len(ARCHIVE) // 2))
    assert measured(np.zeros((12, len(archive))), single, archive).exposed == 1


def test_where_no_own_page_lies_in_the_archive_the_gap_is_exactly_nothing():
    archive = ARCHIVE.take(np.arange(len(ARCHIVE) // 2))
    matrix = np.random.default_rng(1).normal(size=(len(QUERIES), len(archive)))
    found = measured(matrix, archive=archive)
    assert found.exposed == 0
    assert found.included == found.excluded
    assert 0 < found.included["mAP"] < 1
    for measure in MEASURES:
        assert found.gap[measure][:4] == (0, 0, 0, 1)


def test_queries_without_an_answer_elsewhere_leave_the_gap_but_not_the_included_side():
    lone = ARCHIVE.take((ARCHIVE.labels > 0) | (ARCHIVE.groups == "0/p10"))
    found = measured(np.zeros((24, len(lone))), archive=lone)
    # the two images of the page 0/p10 find each other alone, the class's other pages find those two
    assert found.included["n_queries"] == 24
    assert found.excluded["n_queries"] == 22
    gap = found.gap["mAP"]
    assert found.gap["P@1"].wins + found.gap["P@1"].losses <= 22
    assert np.isfinite(gap.difference)
