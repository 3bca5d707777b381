import numpy as np
import pytest

from tests.unit.training.test_training import SIAMESE, KillAt, KilledError, recipe
from tests.unit.training.tiny_store import write_store
from twinfolio.training.loss_curve import LossCurve
from twinfolio.training.siamese import train_siamese


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("curve") / "store")


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    """The curve of two epochs of three steps, and the training's history."""
    curve = LossCurve()
    trained = train_siamese(store, SIAMESE, recipe(tmp_path_factory.mktemp("whole"), epochs=2, callbacks=[curve]))
    return curve.values, trained.history


def test_the_curve_has_a_value_a_step_whose_mean_is_the_epochs(whole):
    values, history = whole
    assert len(values) == 6
    assert all(isinstance(value, float) for value in values)
    np.testing.assert_allclose(np.reshape(values, (2, 3)).mean(1), history["train/pair_loss"], rtol=1e-5)


def test_a_resumed_run_goes_on_with_the_curve_of_the_killed_one(whole, store, tmp_path):
    with pytest.raises(KilledError):
        train_siamese(store, SIAMESE, recipe(tmp_path, epochs=2, callbacks=[LossCurve(), KillAt(epoch=1, batch=1)]))
    curve = LossCurve()
    train_siamese(store, SIAMESE, recipe(tmp_path, epochs=2, callbacks=[curve]))
    assert curve.values == whole[0]


def test_the_state_is_taken_over_and_not_shared():
    first, second = LossCurve(), LossCurve()
    first.on_train_batch_end(None, None, {"pair_loss": 0.5}, None, 0)
    second.load_state_dict(first.state_dict())
    second.on_train_batch_end(None, None, {"pair_loss": 0.25}, None, 1)
    assert (first.values, second.values) == ([0.5], [0.5, 0.25])
