import numpy as np
import pytest
import torch

from twinfolio.models.optimisation import ConstantAdam
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.pair_regression import PairRegression
from twinfolio.models.tasks import JudgedTask

TARGETS = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.25, 1.0]])


@pytest.fixture
def module():
    torch.manual_seed(0)
    task = JudgedTask(np.array([[0, 1]]), np.ones(1, np.float32), np.array(["0"]))
    made = PairRegression(OrbSiamese(2, dropout=0.0), TARGETS, task=task, schedule=ConstantAdam(), seed=0)
    made.log_step = lambda losses, size: None
    return made


@pytest.fixture
def batch():
    # rows 0 and 1 are the queries, 2 to 4 the maps
    return {"images": torch.rand(6, 1, 2, 256).round(), "rows": torch.tensor([0, 1, 1, 4, 2, 3])}


def test_the_loss_is_the_squared_error_of_each_query_with_its_map_and_the_penalty(module, batch):
    a, b = module(batch["images"]).chunk(2)
    said = module.head.paired(a, b)
    error = (said - torch.tensor([0.5, 0.0, 0.25])).square().mean()
    step = module.training_step(batch, 0)
    torch.testing.assert_close(step["pair_loss"], error.detach())
    torch.testing.assert_close(step["loss"], error + module.head.penalty())


def test_every_parameter_learns_from_a_step_at_the_papers_rate(module, batch):
    optimiser = module.schedule.optimiser(module, module.trunk)
    assert {group["lr"] for group in optimiser.param_groups} == {module.schedule.lr, module.schedule.trunk_lr}
    module.training_step(batch, 0)["loss"].backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


def test_judgments_are_no_weights_to_keep(module):
    assert "targets" not in module.state_dict()
