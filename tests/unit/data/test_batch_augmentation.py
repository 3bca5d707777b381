from __future__ import annotations

import pytest
import torch

from twinfolio.data.batch_augmentation import LUMA, augment_batch, crop_batch, recolour, to_float


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int = 6, channels: int = 3, side: int = 20) -> torch.Tensor:
    """As the store gives them: uint8, channels last in memory, seen as (N, C, H, W)."""
    images = torch.randint(0, 256, (n, side, side, channels), generator=seeded(9), dtype=torch.uint8)
    return images.permute(0, 3, 1, 2)


def slow_recolour(image, draws, strength, grey):
    """One image, one step after the other, as the docstring tells it."""
    factor = 1 + strength * (2 * draws - 1)
    gains = 1 + strength * (draws[4:7] - 0.5)
    luma = torch.tensor(LUMA).view(3, 1, 1)
    image = image.float() / 255 * gains.view(3, 1, 1) * factor[0]
    shade = (image * luma).sum(0, keepdim=True)
    saturation = 0.0 if draws[3] < grey else factor[2]
    image = saturation * image + (1 - saturation) * shade
    mean = (image * luma).sum(0).mean()
    return ((image - mean) * factor[1] + mean).clamp(0, 1)


def test_colour_as_one_matrix_equals_the_steps_one_after_the_other():
    images, draws = rows(), torch.rand(6, 7, generator=seeded(1))
    expected = torch.stack([slow_recolour(i, d, 0.4, 0.5) for i, d in zip(images, draws, strict=True)])
    torch.testing.assert_close(recolour(images, draws, 0.4, 0.5), expected, atol=1e-5, rtol=0)


def test_each_image_is_cropped_at_its_own_place():
    images, draws = rows(50), torch.rand(50, 2, generator=seeded(2))
    crops = crop_batch(images, 8, draws)
    places = (draws * 13).long()
    for image, crop, (top, left) in zip(images, crops, places, strict=True):
        assert torch.equal(crop, image[:, top : top + 8, left : left + 8])
    assert len(set(map(tuple, places.tolist()))) > 25


def test_crops_reach_both_edges_and_never_beyond():
    crops = crop_batch(rows(2), 20, torch.tensor([[0.0, 0.999999], [0.5, 0.2]]))
    assert torch.equal(crops, rows(2))
    edge = crop_batch(rows(1), 19, torch.tensor([[0.999999, 0.0]]))
    assert torch.equal(edge, rows(1)[:, :, 1:, :19])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("crop", [None, 12])
def test_the_result_is_float_in_the_unit_range_and_has_the_crops_size(channels, scale, crop):
    out = augment_batch(
        rows(channels=channels), crop=crop, scale=scale, colour_jitter=0.9, grey=0.5, generator=seeded()
    )
    assert out.dtype == torch.float32
    assert out.shape == (6, channels, crop or 20, crop or 20)
    assert 0 <= out.min() < out.max() <= 1


def test_a_zoom_of_one_is_the_plain_crop():
    images = to_float(rows(4))
    zoomed = augment_batch(images, crop=20, scale=(1.0, 1.0 + 1e-9), generator=seeded())
    torch.testing.assert_close(zoomed, images, atol=1e-4, rtol=0)


def test_a_zoom_of_two_shows_half_the_side():
    ramp = torch.arange(20.0).div(20).expand(4, 1, 20, 20)
    zoomed = augment_batch(ramp, crop=None, scale=(2.0, 2.0), generator=seeded())
    spans = (zoomed.amax((1, 2, 3)) - zoomed.amin((1, 2, 3))) * 20
    assert ((spans > 8.5) & (spans < 10.5)).all()


def test_the_share_of_grey_images_is_the_one_asked_for():
    images = rows(400, side=4)
    out = augment_batch(images, crop=None, grey=0.3, generator=seeded())
    is_grey = (out[:, :1] - out).abs().amax((1, 2, 3)) < 1e-5
    assert 0.24 < is_grey.float().mean() < 0.36
    torch.testing.assert_close(out[~is_grey], to_float(images)[~is_grey], atol=1e-5, rtol=0)


def test_float_and_uint8_inputs_give_the_same():
    settings = {"crop": 9, "colour_jitter": 0.4, "grey": 0.3}
    bytes_in = augment_batch(rows(), **settings, generator=seeded())
    floats_in = augment_batch(to_float(rows()), **settings, generator=seeded())
    torch.testing.assert_close(bytes_in, floats_in, atol=1e-5, rtol=0)


def test_the_generator_alone_decides():
    settings = {"crop": 9, "colour_jitter": 0.4, "grey": 0.3}
    first, second, other = (augment_batch(rows(), **settings, generator=seeded(s)) for s in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_without_settings_nothing_changes():
    assert torch.equal(augment_batch(rows(), crop=None, generator=seeded()), to_float(rows()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_cpu_gives():
    settings = {"crop": 9, "scale": (0.8, 1.2), "colour_jitter": 0.4, "grey": 0.3}
    cpu = augment_batch(rows(), **settings, generator=seeded())
    gpu = augment_batch(rows().cuda(), **settings, generator=seeded())
    torch.testing.assert_close(gpu.cpu(), cpu, atol=1e-4, rtol=0)
