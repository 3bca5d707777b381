import numpy as np
import pytest
import torch

from twinfolio.models.embedder import build_class_layer, build_siamese
from twinfolio.models.losses import calibration_loss, pair_loss, paired_loss
from twinfolio.models.optimisation import Schedule
from twinfolio.models.siamese import PairObjective, SiameseModule
from twinfolio.models.tasks import RetrievalTask


class OneDevice:
    world_size = 1


def make(objective=None, distance="l2"):
    objective = objective or PairObjective()
    torch.manual_seed(0)
    embedder, head = build_siamese("test_efficientnet", weights="none", head="distance", distance=distance, embedding=8)
    layer = build_class_layer(embedder, 3) if objective.class_weight else None
    none = np.zeros((1, 1), dtype=bool)
    module = SiameseModule(
        embedder,
        head,
        layer,
        objective=objective,
        class_weights=torch.tensor([1.0, 3.0, 0.5]),
        task=RetrievalTask(np.zeros(1, int), np.zeros(1, int), none, none, np.array(["page"])),
        schedule=Schedule(),
        seed=0,
    ).eval()
    module._trainer = OneDevice()
    module.log_step = lambda losses, size: None
    return module


def batch(labels):
    generator = torch.Generator().manual_seed(0)
    return {"images": torch.rand(len(labels), 3, 32, 32, generator=generator), "labels": torch.tensor(labels)}


@pytest.mark.parametrize("loss", ["supcon", "bce", "contrastive", "multi_similarity"])
@pytest.mark.parametrize("distance", ["l1", "cosine"])
def test_the_loss_is_that_of_all_pairs_plus_the_weighted_class_loss(loss, distance):
    module = make(PairObjective(loss=loss, class_weight=0.5, temperature=0.2, margin=0.7), distance)
    data = batch([0, 0, 1, 1, 2, 2])
    embeddings = module(data["images"])
    pairs = pair_loss(loss, module.head, embeddings, data["labels"], temperature=0.2, margin=0.7)
    classes = torch.nn.functional.cross_entropy(
        module.class_layer(embeddings), data["labels"], torch.tensor([1.0, 3.0, 0.5])
    )
    calibration = 0.0 if loss == "bce" else calibration_loss(module.head, embeddings, data["labels"])
    step = module.training_step(data, 0)
    assert torch.allclose(step["loss"], pairs + calibration + 0.5 * classes)
    assert torch.allclose(step["pair_loss"], pairs)
    assert not step["pair_loss"].requires_grad


def test_a_class_weight_of_zero_has_no_class_layer():
    module = make(PairObjective(class_weight=0.0))
    data = batch([0, 0, 1, 1])
    expected = pair_loss("supcon", module.head, module(data["images"]), data["labels"])
    assert torch.allclose(module.training_step(data, 0)["pair_loss"], expected)


def test_episodes_pair_each_anchor_with_its_twin_and_its_stranger():
    module = make(PairObjective(loss="bce", pairs="episodes", class_weight=0.0))
    data = batch([0, 1, 0, 1, 2, 2])
    a, p, n = module(data["images"]).chunk(3)
    weights = torch.tensor([1.0, 3.0, 1.0, 3.0])
    same = torch.tensor([1.0, 1.0, 0.0, 0.0])
    expected = paired_loss("bce", module.head, torch.cat([a, a]), torch.cat([p, n]), same, weights)
    assert torch.allclose(module.training_step(data, 0)["loss"], expected)


def test_every_parameter_learns_from_a_step():
    module = make()
    module.train().training_step(batch([0, 0, 1, 1, 2, 2]), 0)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
