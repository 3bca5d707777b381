import numpy as np

from twinfolio.evaluation.trials import Trials
from twinfolio.reporting import trial_sheet
from twinfolio.reporting.trial_sheet import write_trial_sheet

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 9, 9)).astype(np.uint8)


def trials(count):
    support = np.tile(np.arange(10, 30)[:, None], (count, 1, 1))
    return Trials(np.array([f"run{row}" for row in range(count)]), np.arange(count) % 10, np.arange(count), support)


def rows_of(monkeypatch, wrong):
    """What the sheet shows of twelve trials, of which some are answered wrongly."""
    shown = []
    monkeypatch.setattr(trial_sheet, "write_sheet", lambda path, rows, cell: shown.extend(rows))
    of = trials(12)
    scores = np.random.default_rng(1).random((12, 20))
    scores[np.arange(12), of.answers] = [-1 if row in wrong else 2 for row in range(12)]
    write_trial_sheet("unused.png", IMAGES, of, scores)
    return shown


def test_wrong_trials_come_first_then_right_ones_evenly_spread(monkeypatch):
    rows = rows_of(monkeypatch, wrong=(1, 4, 5, 6, 9))
    assert [row[0].caption for row in rows] == ["run1", "run5", "run9", "run0", "run7", "run11"]
    assert [row[1].right for row in rows] == [False] * 3 + [True] * 3
    assert all(row[0].right is None and len(row) == 7 for row in rows)
    np.testing.assert_array_equal(rows[3][1].image[..., 0], IMAGES[10])  # the class at position 0


def test_answers_stand_by_falling_score_and_only_the_right_one_is_green(monkeypatch):
    for row in rows_of(monkeypatch, wrong=(2,)):
        scores = [float(cell.caption) for cell in row[1:]]
        assert scores == sorted(scores, reverse=True)
        assert sum(cell.right for cell in row[1:]) <= 1


def test_a_model_without_a_mistake_shows_right_trials_alone(monkeypatch, tmp_path):
    assert [row[1].right for row in rows_of(monkeypatch, wrong=())] == [True] * 3
    monkeypatch.undo()
    write_trial_sheet(tmp_path / "s.png", IMAGES, trials(5), np.eye(5, 20))
    assert (tmp_path / "s.png").stat().st_size > 1000
