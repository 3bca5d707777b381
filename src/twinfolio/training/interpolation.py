"""Weights between the start of a training and its end: the best of them on validation is kept.

Interpolated weights are often better than either end, and the start is among them, so that training never leaves a
model that validates worse than what it began with (WiSE-FT, Wortsman et al. 2022).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from twinfolio.training.rounds import PERFECT

SHARES = (0.0, 0.5, 1.0)
"""Shares of the end's weights that are validated; 0 is the start."""

State = Mapping[str, Tensor]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """Weights kept between the start and the end of a training.

    Attributes:
        share: Share of the end's weights.
        values: Validation value of each share that was tried.
    """

    share: float
    values: dict[float, float]

    def facts(self) -> dict[str, float]:
        """For the metrics file: the share kept, and what the start and the end validate at."""
        return {"kept_share": self.share, "val_start": self.values[0.0], "val_end": self.values[1.0]}


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's weights and buffers, on the processor."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def interpolate(module: nn.Module, start: State, end: State, share: float) -> None:
    """Put (1 - share) start + share end into a module; counters (integers) are the end's.

    Args:
        module: What is filled.
        start: Its weights before training.
        end: Its weights after training.
        share: 0 to 1.
    """
    mixed = {
        name: torch.lerp(start[name], value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }
    module.load_state_dict(mixed)


def renew_statistics(module: nn.Module, forward: Callable[[Tensor], Tensor], batches: Iterable[Tensor]) -> None:
    """Compute the batch statistics of a module's batch normalisation anew, as means over batches.

    Args:
        module: Whose layers they are; left in evaluation mode.
        forward: Passes images (B, C, H, W) through them.
        batches: Images as training sees them.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    module.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over batches
        layer.train()
    with torch.no_grad():
        for images in batches:
            forward(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    module.eval()


def keep_share(module: nn.Module, start: State, share: float, renew: Callable[[], None]) -> None:
    """Put a known share of the way from start to end into a trained module; arguments as in ``keep_best``."""
    if share < 1:
        interpolate(module, start, state_of(module), share)
        if share > 0:
            renew()


def keep_best(
    module: nn.Module,
    start: State,
    validate: Callable[[], float],
    renew: Callable[[], None],
    shares: Sequence[float] = SHARES,
) -> Kept:
    """Validate weights between start and end, and leave the best in the module: of equal ones the nearest to the end.

    Args:
        module: Trained, in evaluation mode, on the device it is validated on.
        start: Its weights before training.
        validate: Its validation value as it is, higher = better.
        renew: Computes its batch statistics anew (``renew_statistics``).
        shares: Shares of the end's weights; 0 and 1 among them. Where the end is without a fault none between is tried.
    """
    end = state_of(module)
    values: dict[float, float] = {1.0: validate()}
    states: dict[float, dict[str, Tensor]] = {}
    for share in (0.0,) if values[1.0] > PERFECT else sorted({*shares} - {1.0}):
        interpolate(module, start, end, share)
        if share > 0:
            renew()
            states[share] = state_of(module)
        values[share] = validate()
    best = max(values, key=lambda share: (values[share], share))
    module.load_state_dict(states.get(best, start if best == 0 else end))
    module.eval()
    logger.info("%.2f of the way from start to end is kept: %s", best,
                ", ".join(f"{share:.2f}: {values[share]:.4f}" for share in sorted(values)))  # fmt: skip
    return Kept(best, values)
