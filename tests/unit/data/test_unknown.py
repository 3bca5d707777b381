import re

import pandas as pd
import pytest

from twinfolio.data.unknown import choose_unknown, copies_of_known
from twinfolio.errors import DataError


def frame(groups):
    """``{"a": 2}``: class a has two groups of two images."""
    rows = [(label, f"{label}/{group}") for label, count in groups.items() for group in range(count) for _ in range(2)]
    return pd.DataFrame(rows, columns=["label", "group"])


MANY = {f"c{number:02}": 1 + number % 3 for number in range(30)}


def test_a_number_draws_that_many_classes_of_two_groups_or_more_by_the_seed():
    drawn = choose_unknown(frame(MANY), 6, seed=0)
    assert len(set(drawn)) == 6
    assert drawn == sorted(drawn)
    assert all(MANY[label] >= 2 for label in drawn)
    assert choose_unknown(frame(MANY).sample(frac=1, random_state=0), 6, seed=0) == drawn
    assert choose_unknown(frame(MANY), 6, seed=1) != drawn
    assert choose_unknown(frame(MANY), 0, seed=0) == []


def test_all_classes_have_the_same_chance():
    drawn = [name for seed in range(600) for name in choose_unknown(frame(dict.fromkeys("abcdef", 2)), 2, seed)]
    counts = pd.Series(drawn).value_counts()
    assert len(counts) == 6
    assert counts.between(150, 250).all()  # 200 expected, standard deviation 11.5


def test_a_larger_draw_holds_the_smaller_and_another_class_changes_at_most_one():
    five = set(choose_unknown(frame(MANY), 5, seed=3))
    assert five < set(choose_unknown(frame(MANY), 6, seed=3))
    for name in ("x", "y", "z"):
        assert len(five - set(choose_unknown(frame(MANY | {name: 3}), 5, seed=3))) <= 1


def test_names_are_taken_as_they_are_even_with_one_group():
    assert choose_unknown(frame(MANY), ["c05", "c00", "c00"], seed=0) == ["c00", "c05"]
    assert choose_unknown(frame(MANY), [], seed=0) == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["b", "zz"], "split.unknown_classes: zz is no class; the classes are a, b, c, d"),
        (["a", "b", "c"], "split.unknown_classes: 1 of 4 classes are left; leave at least two"),
        (3, "split.unknown_classes: 1 of 4 classes are left; leave at least two"),
        (4, "split.unknown_classes = 4: only 3 classes have two groups or more; lower it, or name classes"),
    ],
)
def test_what_cannot_be_held_out_is_one_line(wanted, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        choose_unknown(frame({"a": 2, "b": 2, "c": 3, "d": 1}), wanted, seed=0)


def test_an_unknown_image_is_a_copy_where_links_lead_to_a_known_one():
    images = pd.DataFrame({"image_id": ["k/1", "k/2", "u/1", "u/2", "u/3", "v/1"], "label": list("kkuuuv")})
    links = pd.DataFrame([("near", "k/2", "v/1"), ("bytes", "u/1", "v/1"), ("near", "u/2", "u/3")], columns=list("xab"))
    assert copies_of_known(images, links, ["u", "v"]) == {"u/1": "k/2", "v/1": "k/2"}
    assert copies_of_known(images, links, ["u"]) == {"u/1": "v/1"}
    assert copies_of_known(images, links[:0], ["u"]) == {}
