import pytest

from twinfolio.reporting.training import ending, training_chapter, training_table

ROUNDS = {"best_epoch": 4, "epochs_run": 7, "steps": 175, "capped": 0, "kept_share": 0.5, "val_start": 0.4,
          "val_end": 0.6, "val/retrieval/mAP": 0.7}  # fmt: skip
EPOCHS = {"best_epoch": 2, "epochs_run": 3, "steps": 9, "capped": 0, "val/classification/macro_f1": 0.9}


def test_a_row_says_what_a_training_came_to():
    row = training_table({"train_siamese l2": ROUNDS}).iloc[0]
    assert row["steps"] == 175
    assert (row["at the start"], row["kept model"], row["kept"]) == (0.4, 0.7, 0.5)
    assert row["measure"] == "retrieval/mAP"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (ROUNDS, "validation stopped improving"),
        (ROUNDS | {"val_end": 1.0}, "validation without a fault"),
        (ROUNDS | {"capped": 1}, "train.minutes"),
        (EPOCHS, "its number of epochs, or no gain on validation"),
    ],
)
def test_what_ended_it_is_said(facts, said):
    assert ending(facts) == said


def test_a_training_that_brought_nothing_is_named():
    chapter = training_chapter({"classify": EPOCHS, "train_siamese l1": ROUNDS | {"kept_share": 0.0}})
    assert len(chapter.notes) == 1
    assert chapter.notes[0].startswith("train_siamese l1")
