"""What a model costs: parameters, multiplications and milliseconds an image."""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from twinfolio.models.bundle import Model

_WARM, _TIMED = 2, 5


def model_cost(model: Model, shape: tuple[int, int, int], batch: int = 16) -> dict[str, float]:
    """``parameters`` of embedder and head, ``macs`` (multiply-adds of an embedding) and ``ms_per_image``.

    The last is the fastest of a few batches, on the model's device.

    Args:
        model: In evaluation mode.
        shape: (C, H, W) of an image.
        batch: Images timed together.
    """
    parts = [part for part in (model.embedder, model.head) if isinstance(part, nn.Module)]
    images = torch.rand(batch, *shape, device=model.device)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model.embedder(images[:1])
        seconds = [_seconds(model, images) for _ in range(_WARM + _TIMED)][_WARM:]
    return {
        "parameters": sum(parameter.numel() for part in parts for parameter in part.parameters()),
        "macs": counter.get_total_flops() // 2,
        "ms_per_image": 1000 * min(seconds) / batch,
    }


def _seconds(model: Model, images: torch.Tensor) -> float:
    started = time.perf_counter()
    model.embedder(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
