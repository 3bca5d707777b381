import pytest

from twinfolio.assessment.advice import DataFacts, untrained_note

PLENTY = DataFacts(images_a_class=50, has_groups=True, val_groups=200)


def test_nothing_is_said_where_training_helps():
    assert untrained_note([], DataFacts(3, False, 4)) == []


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        (DataFacts(4, True, 200), "4 training images a class"),
        (DataFacts(50, False, 200), "split.group_pattern"),
        (DataFacts(50, True, 7), "only 7 groups"),
        (DataFacts(50, False, 7), "only 7 images"),
        (PLENTY, "another trunk"),
    ],
)
def test_the_advice_is_what_the_data_suggest(facts, wanted):
    (note,) = untrained_note(["frozen_trunk"], facts)
    assert wanted in note
    assert "training shows no gain over the untrained trunk (frozen_trunk) beyond chance" in note
    assert note.count(". ") == 0


def test_plenty_of_data_gets_no_other_advice():
    (note,) = untrained_note(["frozen_trunk", "colour_histogram"], PLENTY)
    assert "the untrained trunk (frozen_trunk) or the colour histogram (colour_histogram)" in note
    assert "groups" not in note
