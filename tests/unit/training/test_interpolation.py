import pytest
import torch
from torch import nn

from twinfolio.training.interpolation import interpolate, keep_best, keep_share, renew_statistics, state_of


def two_states():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    start = state_of(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module[1].num_batches_tracked += 7
    return module, start, state_of(module)


@pytest.mark.parametrize(("share", "expected"), [(0.0, "start"), (1.0, "end")])
def test_the_ends_are_exact(share, expected):
    module, start, end = two_states()
    interpolate(module, start, end, share)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, {"start": start, "end": end}[expected][name])


def test_halfway_is_the_mean():
    module, start, end = two_states()
    interpolate(module, start, end, 0.5)
    torch.testing.assert_close(module[0].weight, (start["0.weight"] + end["0.weight"]) / 2)


@pytest.mark.parametrize(("target", "kept"), [(0.0, 0.0), (0.4, 0.5), (2.0, 1.0)])
def test_the_best_on_validation_is_kept(target, kept):
    module, start, end = two_states()
    way = end["0.bias"] - start["0.bias"]

    def validate():
        share = float(((module[0].bias.detach() - start["0.bias"]) * way).sum() / way.square().sum())
        return -abs(share - target)

    found = keep_best(module, start, validate, lambda: None)
    assert found.share == kept
    torch.testing.assert_close(module[0].weight, torch.lerp(start["0.weight"], end["0.weight"], kept))
    assert found.facts()["val_start"] <= max(found.values.values())


def test_nothing_between_is_tried_where_the_end_is_without_a_fault():
    module, start, _ = two_states()
    found = keep_best(module, start, lambda: 1.0, lambda: pytest.fail("renewed for nothing"))
    assert found.values == {0.0: 1.0, 1.0: 1.0}
    assert found.share == 1.0


def test_of_equal_values_the_end_is_kept():
    module, start, end = two_states()
    keep_best(module, start, lambda: 0.5, lambda: None)
    assert torch.equal(module[0].weight, end["0.weight"])


def test_a_refit_keeps_the_share_it_is_told():
    module, start, end = two_states()
    keep_share(module, start, 0.5, lambda: None)
    torch.testing.assert_close(module[0].weight, (start["0.weight"] + end["0.weight"]) / 2)


def test_statistics_are_the_means_over_batches():
    torch.manual_seed(0)
    layer = nn.BatchNorm1d(4)
    layer.running_mean.fill_(99)
    batches = [torch.randn(8, 4) + 3 for _ in range(5)]
    renew_statistics(layer, layer, batches)
    torch.testing.assert_close(layer.running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0))
    assert layer.momentum == 0.1
    assert not layer.training
