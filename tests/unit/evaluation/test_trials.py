import numpy as np
import pytest

from twinfolio.errors import DataError
from twinfolio.evaluation.trials import draw_trials, read_trials, write_trials

# two alphabets of 6 and 9 letters, each written once by 5 writers
ALPHABETS = np.repeat(["Greek", "Norse"], [30, 45])
LETTERS = np.repeat(np.arange(15), 5)
WRITERS = np.tile(np.arange(5), 15)
NAMED = zip(ALPHABETS, LETTERS, WRITERS, strict=True)
NAMES = [f"{alphabet}/{letter:02d}/{writer}.png" for alphabet, letter, writer in NAMED]


def draw(**changes):
    return draw_trials(LETTERS, ALPHABETS, WRITERS, **{"ways": 5, "per_family": 40, "seed": 0} | changes)


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


def test_no_images_give_no_trials():
    with pytest.raises(DataError, match="no images"):
        draw_trials([], [], [], ways=2, per_family=1, seed=0)


def test_a_family_with_too_few_classes_is_named():
    with pytest.raises(DataError, match="Greek: 6 classes with 1 or more images, 7-way trials need 7"):
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
