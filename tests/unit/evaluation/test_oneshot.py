import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.evaluation.bootstrap import bootstrap_interval, wilson_interval
from twinfolio.evaluation.oneshot import crossed_interval, oneshot_report, trial_credit, trial_scores
from twinfolio.evaluation.trials import draw_trials

# two alphabets of 6 and 9 letters, each written once by 5 writers
ALPHABETS = np.repeat(["Greek", "Norse"], [30, 45])
LETTERS = np.repeat(np.arange(15), 5)
WRITERS = np.tile(np.arange(5), 15)


def draw(**changes):
    return draw_trials(LETTERS, ALPHABETS, WRITERS, **{"ways": 5, "per_family": 40, "seed": 0} | changes)


def dot(a, b):
    return a @ b.T


def one_hot(labels):
    return np.eye(labels.max() + 1, dtype=np.float32)[labels]


def test_a_constant_scorer_gets_one_nth_of_every_trial():
    trials = draw()
    constant = trial_scores(trials, np.ones((75, 3), np.float32), dot)
    assert set(trial_credit(constant, trials.answers)) == {1 / 5}


def test_an_oracle_gets_all():
    trials = draw(shots=3)
    for support in ("score", "embedding"):
        scores = trial_scores(trials, one_hot(LETTERS), dot, support=support)
        assert (trial_credit(scores, trials.answers) == 1).all()


def test_support_is_averaged_as_scores_or_as_embeddings():
    trials = draw(shots=3, per_family=3)
    embeddings = np.random.default_rng(0).normal(size=(75, 4)).astype(np.float32)

    def near(a, b):
        return -np.linalg.norm(a[:, None] - b[None, :], axis=2)

    by_score = trial_scores(trials, embeddings, near)
    by_embedding = trial_scores(trials, embeddings, near, support="embedding")
    query, shown = embeddings[trials.queries[1]], embeddings[trials.support[1, 2]]
    assert by_score[1, 2] == pytest.approx(np.mean([-np.linalg.norm(query - one) for one in shown]), rel=1e-6)
    assert by_embedding[1, 2] == pytest.approx(-np.linalg.norm(query - shown.mean(axis=0)), rel=1e-6)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    on_sphere = trial_scores(trials, unit, dot, support="embedding", unit=True)
    mean = unit[trials.support[1, 2]].mean(axis=0)
    assert on_sphere[1, 2] == pytest.approx(unit[trials.queries[1]] @ mean / np.linalg.norm(mean), rel=1e-5)


def test_scores_are_averaged_over_tiles():
    trials, generator = draw(shots=2, per_family=2), np.random.default_rng(0)
    tiles = [generator.normal(size=(1 + number % 3, 4)).astype(np.float32) for number in range(75)]
    scores = trial_scores(trials, tiles, dot)
    query, shown = tiles[trials.queries[3]], trials.support[3, 4]
    assert scores[3, 4] == pytest.approx(np.mean([(query @ tiles[image].T).mean() for image in shown]), rel=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(1, 4))
@settings(max_examples=60)
def test_credit_is_what_random_tie_breaks_give_on_average(seed, ways, levels):
    generator = np.random.default_rng(seed)
    scores, answers = generator.integers(levels, size=(30, ways)), generator.integers(ways, size=30)
    highest = scores == scores.max(axis=1, keepdims=True)
    expected = [(row / row.sum())[answer] for row, answer in zip(highest, answers, strict=True)]
    np.testing.assert_allclose(trial_credit(scores, answers), expected)


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        trial_credit([[0.1, np.nan]], [0])


def test_the_report_counts_by_family_with_wilsons_interval():
    credit, families = [1, 1, 0.5, 0, 1, 1], ["b", "b", "b", "a", "a", "a"]
    report = oneshot_report(credit, families)
    assert list(report.families) == ["a", "b"]
    assert report.families["b"].accuracy == pytest.approx(2.5 / 3)
    assert report.families["b"].interval == wilson_interval(2.5, 3)
    assert (report.whole.trials, report.whole.accuracy) == (6, 0.75)
    assert report.over_families.low <= 0.75 <= report.over_families.high


def test_the_crossed_interval_knows_of_families_and_of_trainings():
    families, generator = np.repeat(np.arange(20), 50), np.random.default_rng(0)
    easy = generator.normal(0.8, 0.1, 20)[families]
    same = np.stack([easy, easy, easy])
    low, high = crossed_interval(same, families)
    alone = bootstrap_interval(easy, families, n=5000)
    assert (low, high) == pytest.approx(tuple(alone), abs=0.004)  # equal trainings add nothing
    apart = crossed_interval(same + np.array([[-0.1], [0.0], [0.1]]), families)
    assert apart.high - apart.low > 1.5 * (high - low)
    assert np.isnan(crossed_interval(same, np.zeros(1000))).all()
