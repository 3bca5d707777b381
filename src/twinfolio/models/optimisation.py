"""The optimiser and learning-rate schedule that all training stages share, and those of the one-shot papers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Schedule:
    """AdamW with one peak learning rate for the trunk and one for the new layers, warm-up, then a cosine fall.

    Args:
        lr: Peak learning rate of the new layers.
        trunk_lr: Peak learning rate of the trunk; 0 freezes it, its batch statistics too.
        weight_decay: Decoupled weight decay; never on biases and normalisation layers.
        warmup: Share of all steps over which the rate rises.
    """

    lr: float = 1e-3
    trunk_lr: float = 3e-4
    weight_decay: float = 1e-4
    warmup: float = 0.1

    def optimiser(self, module: nn.Module, trunk: nn.Module) -> torch.optim.Optimizer:
        """AdamW (Loshchilov & Hutter 2019) over the parameters of ``module`` that learn.

        Args:
            module: Everything that is trained.
            trunk: The part of it that learns at ``trunk_lr``.
        """
        groups = parameter_groups(module, trunk, self.weight_decay)
        rates = {"trunk": self.trunk_lr, "new": self.lr}
        # fused: one pass over each parameter instead of six, 2 to 7 times as fast on a processor
        return torch.optim.AdamW(
            [{"params": g, "lr": rates[part], "weight_decay": decay} for (part, decay), g in groups.items()], fused=True
        )

    def scheduler(self, optimiser: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """The schedule over ``steps`` optimiser steps, to be advanced after each."""
        return LambdaLR(optimiser, lambda step: warmup_cosine(step, steps, self.warmup))


@dataclass(frozen=True)
class SteadySchedule(Schedule):
    """AdamW at rates that stay at their peak after the warm-up: training may end after any step.

    What is validated is a moving average of the weights (``training.averaging``), which does what a fall of the rates
    does for weights that are taken as they are.

    Args:
        warmup_steps: Steps over which the rates rise; ``warmup`` is not read.
    """

    warmup_steps: int = 25

    def scheduler(self, optimiser: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """The rise, whatever the number of steps."""
        return LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / self.warmup_steps))


@dataclass(frozen=True)
class ConstantAdam(Schedule):
    """Adam (Kingma & Ba 2015) at rates that never change, as Jimenez & Szabo train (systems.md 3.2); nothing decays."""

    weight_decay: float = 0.0
    warmup: float = 0.0

    def optimiser(self, module: nn.Module, trunk: nn.Module) -> torch.optim.Optimizer:
        """Adam; see ``Schedule.optimiser``."""
        groups = parameter_groups(module, trunk, 0.0)
        rates = {"trunk": self.trunk_lr, "new": self.lr}
        return torch.optim.Adam([{"params": own, "lr": rates[part]} for (part, _), own in groups.items()])

    def scheduler(self, optimiser: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """Rates that stay as they are."""
        return LambdaLR(optimiser, lambda step: 1.0)


@dataclass(frozen=True)
class KochSchedule(Schedule):
    """SGD as in Koch et al. 2015, section 3.2, with the values of Ma et al. (systems.md 5.3); there is no warm-up.

    The rate falls by the same factor every 500 steps and momentum rises by the same amount every step, to a limit. The
    penalty lambda sum w^2, on kernels of convolutions alone, is a coupled decay of 2 lambda.

    Args:
        lr: Rate of the first steps.
        trunk_lr: Not used but for 0, which freezes the trunk.
        decay: Factor on the rate.
        every: Steps from one fall of the rate to the next.
        momentum: Momentum of the first step.
        ramp: What momentum gains with each step.
        limit: Where it stops.
        penalty: lambda.
    """

    lr: float = 0.01
    trunk_lr: float = 0.01
    decay: float = 0.99
    every: int = 500
    momentum: float = 0.5
    ramp: float = 0.01
    limit: float = 0.9
    penalty: float = 0.01

    def optimiser(self, module: nn.Module, trunk: nn.Module) -> torch.optim.Optimizer:
        """SGD with momentum; see ``Schedule.optimiser``."""
        learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
        kernels = {"params": [one for one in learning if one.ndim == 4], "weight_decay": 2 * self.penalty}
        others = {"params": [one for one in learning if one.ndim != 4], "weight_decay": 0.0}
        return torch.optim.SGD([kernels, others], lr=self.lr, momentum=self.momentum)

    def scheduler(self, optimiser: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """The falling rate and the rising momentum, to be advanced after each step."""
        return MomentumRamp(optimiser, self)


class MomentumRamp(LambdaLR):
    """``KochSchedule``'s rate, and its momentum with it.

    Args:
        optimiser: SGD.
        schedule: Whose values it follows.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, schedule: KochSchedule) -> None:
        self.schedule = schedule
        super().__init__(optimiser, lambda step: schedule.decay ** (step // schedule.every))

    def step(self, epoch: int | None = None) -> None:
        """Advance both by one step."""
        super().step(epoch)
        momentum = min(self.schedule.limit, self.schedule.momentum + self.schedule.ramp * self.last_epoch)
        for group in self.optimizer.param_groups:
            group["momentum"] = momentum

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; the schedule is not among it, the run has its own."""
        return {name: value for name, value in super().state_dict().items() if name != "schedule"}


def parameter_groups(
    module: nn.Module, trunk: nn.Module, weight_decay: float
) -> dict[tuple[str, float], list[nn.Parameter]]:
    """Learning parameters by part (``trunk`` or ``new``) and weight decay; empty groups are left out.

    Args:
        module: Everything that is trained.
        trunk: The part of it that is the trunk.
        weight_decay: Decay of weight matrices and kernels; vectors (biases, normalisation, scales) get none.
    """
    in_trunk = {id(parameter) for parameter in trunk.parameters()}
    groups: dict[tuple[str, float], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            part = "trunk" if id(parameter) in in_trunk else "new"
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((part, decay), []).append(parameter)
    return groups


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: linear from 1 / W to 1 over W warm-up steps, then half a cosine to 0.

    Args:
        step: Number of the step, from 0.
        steps: Number of all steps.
        warmup: Share of them that warms up.
    """
    warm = round(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))
