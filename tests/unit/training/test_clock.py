from types import SimpleNamespace

from twinfolio.training import clock
from twinfolio.training.clock import Clock


def run(one, ends, monkeypatch, start=100.0, step=0):
    """A fit that starts at a time and whose epochs of 10 steps end at others."""
    now = iter([start, *ends])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(now))
    one.on_fit_start(None, None)
    for number, _ in enumerate(ends, start=1):
        one.on_train_epoch_end(SimpleNamespace(global_step=step + 10 * number), None)


def test_seconds_and_steps_are_told_of_the_best_epoch_and_of_all(monkeypatch):
    one = Clock()
    run(one, [101.0, 103.0, 106.0], monkeypatch)
    assert one.facts(2) == {"steps_to_best": 20, "seconds_to_best": 3.0, "train_steps": 30, "train_seconds": 6.0}


def test_a_resumed_run_counts_what_was_used_before(monkeypatch):
    one, again = Clock(), Clock()
    run(one, [101.0, 103.0], monkeypatch)
    again.load_state_dict(one.state_dict())
    run(again, [502.0], monkeypatch, start=500.0, step=20)
    assert again.facts(3) == {"steps_to_best": 30, "seconds_to_best": 5.0, "train_steps": 30, "train_seconds": 5.0}
