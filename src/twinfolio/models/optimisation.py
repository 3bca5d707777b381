"""The optimiser and learning-rate schedule that all training stages share."""

from __future__ import annotations

import math
from dataclasses import dataclass

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

    def optimiser(self, module: nn.Module, trunk: nn.Module) -> torch.optim.AdamW:
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
