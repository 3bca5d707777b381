import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.errors import DataError
from twinfolio.evaluation.bootstrap import bootstrap_interval, wilson_interval
from twinfolio.evaluation.oneshot import (
    crossed_interval,
    draw_trials,
    oneshot_report,
    read_trials,
    trial_credit,
    trial_scores,
    write_trials,
)

# two alphabets of 6 and 9 letters, each written once by 5 writers
ALPHABETS = np.repeat(["Greek", "Norse"], [30, 45])
LETTERS = np.repeat(np.arange(15), 5)
WRITERS = np.tile(np.arange(5), 15)
NAMED = zip(ALPHABETS, LETTERS, WRITERS, strict=True)
NAMES = [f"{alphabet}/{letter:02d}/{writer}.png" for alphabet, letter, writer in NAMED]


def draw(**changes):
    return draw_trials(LETTERS, ALPHABETS, WRITERS, **{"ways": 5, "per_family": 40, "seed": 0} | changes)


def dot(a, b):
    return a @ b.T


def one_hot(labels):
    return np.eye(labels.max() + 1, dtype=np.float32)[labels]


def test_a_trial_shows_its_query_n_letters_of_its_alphabet_and_one_is_right():
    trials = draw(ways=6, shots=2)
    assert (len(trials), trials.ways, trials.shots) == (80, 6, 2)
    assert trials.families.tolist() == ["Greek"] * 40 + ["Norse"] * 40
    columns = (trials.families, trials.queries, trials.answers, trials.support)
    for family, query, answer, support in zip(*columns, strict=True):
        shown = LETTERS[support]
        assert (shown == shown[:, :1]).all()
        assert len(set(shown[:, 0])) == 6
        assert shown[answer, 0] == LETTERS[query]
        assert set(ALPHABETS[support].ravel()) == {family} == {ALPHABETS[query]}
        assert all(len(set(images)) == 2 for images in support)
        assert WRITERS[query] not in WRITERS[support[answer]]


def test_letters_are_asked_about_alike_and_positions_are_shuffled():
    trials = draw(per_family=900)
    asked = np.bincount(LETTERS[trials.queries], minlength=15)
    assert asked.tolist() == [150] * 6 + [100] * 9
    assert np.abs(np.bincount(trials.answers, minlength=5) - 360).max() < 5 * np.sqrt(360)


def test_trials_depend_on_the_seed_and_on_the_familys_name_alone():
    greek = ALPHABETS == "Greek"
    alone = draw_trials(LETTERS[greek], ALPHABETS[greek], WRITERS[greek], ways=5, per_family=40, seed=0)
    together, other = draw(), draw(seed=1)
    np.testing.assert_array_equal(alone.support, together.support[:40])
    np.testing.assert_array_equal(alone.queries, together.queries[:40])
    assert (together.support != other.support).any()


def test_a_file_of_trials_is_the_same_to_the_byte_and_comes_back_whole(tmp_path):
    trials = draw(shots=2)
    for name in ("a.csv", "b.csv"):
        write_trials(draw(shots=2), NAMES, tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    order = np.random.default_rng(0).permutation(len(NAMES))
    found = read_trials(tmp_path / "a.csv", [NAMES[number] for number in order])
    assert [order[query] for query in found.queries] == trials.queries.tolist()
    np.testing.assert_array_equal(order[found.support], trials.support)
    np.testing.assert_array_equal(found.answers, trials.answers)
    assert found.families.tolist() == trials.families.tolist()


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


def test_no_images_give_no_trials():
    with pytest.raises(DataError, match="no images"):
        draw_trials([], [], [], ways=2, per_family=1, seed=0)


def test_a_family_with_too_few_classes_is_named():
    with pytest.raises(DataError, match="Greek: 6 classes with 1 images or more, 7-way trials need 7"):
        draw(ways=7)


def test_a_query_needs_images_of_other_groups():
    with pytest.raises(DataError, match="Greek: no class shows 5 images besides a query"):
        draw(shots=5)
    with pytest.raises(DataError, match="of another page"):
        draw_trials(LETTERS, ALPHABETS, LETTERS, ways=5, per_family=1, seed=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "not a file of trials"),
        ("query,family\na,b\n", "not a file of trials"),
        ("family,query,answer,class01_1\nGreek,Greek/00/0.png,x,Greek/00/1.png\n", "not a file of trials"),
        ("family,query,answer,class01_1\nGreek,Greek/00/0.png,1,Greek/00/1.png\n", "none of the 1 classes"),
        ("family,query,answer,class01_1\nGreek,Greek/00/9.png,0,Greek/00/1.png\n", "Greek/00/9.png is not among these"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_line(tmp_path, text, said):
    path = tmp_path / "trials.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_trials(path, NAMES)


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
