import pytest
import torch
from torch import nn

from twinfolio.models.optimisation import ConstantAdam, KochSchedule


def net():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 1))


def after(steps, schedule=None):
    module, schedule = net(), schedule or KochSchedule()
    optimiser = schedule.optimiser(module, module[0])
    scheduler = schedule.scheduler(optimiser, steps)
    for _ in range(steps):
        optimiser.step()
        scheduler.step()
    return optimiser, scheduler


# Ma et al., Table 5: the rate printed at the best iteration of six models
PRINTED = {23000: 0.006298, 25000: 0.006050, 59000: 0.003055, 66000: 0.002654, 47000: 0.003888, 38000: 0.004659}


def test_the_rate_is_the_one_the_paper_prints():
    for steps, printed in PRINTED.items():
        rate = 0.01 * KochSchedule().scheduler(KochSchedule().optimiser(net(), net()), 1).lr_lambdas[0](steps)
        assert rate == pytest.approx(printed, abs=1e-6)


def test_momentum_rises_by_a_hundredth_a_step_up_to_nine_tenths():
    assert after(0)[0].param_groups[0]["momentum"] == 0.5
    assert after(25)[0].param_groups[0]["momentum"] == pytest.approx(0.75)
    assert all(group["momentum"] == 0.9 for group in after(60)[0].param_groups)


def test_kernels_alone_are_penalised():
    module = net()
    optimiser = KochSchedule(penalty=0.03).optimiser(module, module[0])
    kernels, others = optimiser.param_groups
    assert [p.shape for p in kernels["params"]] == [module[0].weight.shape]
    assert (kernels["weight_decay"], others["weight_decay"]) == (0.06, 0)
    assert len(others["params"]) == 3


def test_the_decay_is_the_gradient_of_the_penalty():
    torch.manual_seed(0)
    module = net()
    before = module[0].weight.detach().clone()
    optimiser = KochSchedule(lr=0.1, momentum=0.0, penalty=0.5).optimiser(module, module[0])
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    torch.testing.assert_close(module[0].weight.detach(), before - 0.1 * 2 * 0.5 * before)


def test_a_resumed_run_goes_on_where_it_was():
    optimiser, scheduler = after(30)
    fresh = net()
    again = KochSchedule().optimiser(fresh, fresh[0])
    resumed = KochSchedule().scheduler(again, 1)
    again.load_state_dict(optimiser.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert again.param_groups[0]["momentum"] == pytest.approx(0.8)
    again.step()
    resumed.step()
    assert again.param_groups[0]["momentum"] == pytest.approx(0.81)
    assert resumed.last_epoch == 31


def test_constant_adam_never_changes_its_rates_and_lets_nothing_decay():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    schedule = ConstantAdam(lr=0.01, trunk_lr=0.002)
    optimiser = schedule.optimiser(module, module[0])
    scheduler = schedule.scheduler(optimiser, 5)
    for _ in range(5):
        optimiser.step()
        scheduler.step()
    assert type(optimiser) is torch.optim.Adam
    assert sorted(group["lr"] for group in optimiser.param_groups) == [0.002, 0.01]
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0}
