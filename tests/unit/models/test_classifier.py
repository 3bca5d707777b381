import numpy as np
import pytest
import torch
import torch.nn.functional as F

from twinfolio.models.classifier import ClassifierModule, per_image
from twinfolio.models.embedder import build_classifier
from twinfolio.models.optimisation import Schedule, parameter_groups, warmup_cosine


def make(schedule=None):
    torch.manual_seed(0)
    embedder, layer = build_classifier("test_efficientnet", weights="none", classes=3)
    return ClassifierModule(
        embedder,
        layer,
        class_weights=torch.tensor([1.0, 2.0, 0.5]),
        label_smoothing=0.1,
        schedule=schedule or Schedule(),
        seed=0,
    )


def test_the_loss_is_the_weighted_smoothed_cross_entropy():
    module = make().eval()
    module.log_step = lambda losses, size: None
    images, labels = torch.rand(5, 3, 32, 32), torch.tensor([0, 1, 2, 1, 0])
    loss = module.training_step({"images": images, "labels": labels}, 0)
    logits = module(images)
    weights = torch.tensor([1.0, 2.0, 0.5])
    hard = weights[labels] * -logits.log_softmax(1)[torch.arange(5), labels]
    soft = (weights * -logits.log_softmax(1)).sum(1) / 3
    expected = (0.9 * hard + 0.1 * soft).sum() / weights[labels].sum()
    assert torch.allclose(loss, expected, rtol=1e-5)
    assert not torch.allclose(loss, F.cross_entropy(logits, labels), rtol=1e-3)


def test_parameters_fall_into_trunk_and_new_with_decay_on_matrices_only():
    module = make()
    groups = parameter_groups(module, module.trunk, 0.01)
    assert set(groups) == {("trunk", 0.01), ("trunk", 0.0), ("new", 0.01), ("new", 0.0)}
    grouped = [parameter for group in groups.values() for parameter in group]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(module.parameters()))
    assert all(p.ndim > 1 for p in groups["trunk", 0.01])
    assert [p.shape for p in groups["new", 0.0]] == [module.class_layer.bias.shape]


def test_the_optimiser_gives_each_part_its_rate():
    module = make(schedule=Schedule(lr=0.5, trunk_lr=0.25))
    optimiser = module.schedule.optimiser(module, module.trunk)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in module.trunk.parameters()} == {0.25}
    assert rates[id(module.class_layer.weight)] == 0.5


def test_a_trunk_rate_of_zero_freezes_the_trunk_and_its_statistics():
    module = make(schedule=Schedule(trunk_lr=0)).train()
    before = {name: value.clone() for name, value in module.trunk.state_dict().items()}
    optimiser = module.schedule.optimiser(module, module.trunk)
    module.class_layer.weight.data.normal_()
    module(torch.rand(4, 3, 32, 32)).square().sum().backward()
    optimiser.step()
    assert module.class_layer.training
    assert all(torch.equal(value, before[name]) for name, value in module.trunk.state_dict().items())


def test_the_rate_rises_then_falls_to_zero():
    rates = [warmup_cosine(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[100] == pytest.approx(0.0)
    assert rates[55] == pytest.approx(0.5)
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)


def test_no_warm_up_starts_at_the_peak():
    assert warmup_cosine(0, 10, 0.0) == 1.0


def test_tiles_of_an_image_vote_together():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.45, 0.55]], dtype=np.float32)
    averaged, labels = per_image(probabilities, np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]))
    assert np.allclose(averaged, [[0.425, 0.575], [0.55, 0.45]])
    assert labels.tolist() == [1, 0]
