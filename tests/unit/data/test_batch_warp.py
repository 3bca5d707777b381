import math

import pytest
import torch

from twinfolio.data.batch_warp import Warp, affine_maps, bends, warp_batch


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def square(side=41, ink=9, at=20):
    images = torch.zeros(1, 1, side, side)
    half = ink // 2
    images[..., at - half : at + half + 1, at - half : at + half + 1] = 1
    return images


def test_nothing_asked_for_moves_nothing():
    images = torch.rand(3, 1, 12, 12, generator=draws())
    torch.testing.assert_close(warp_batch(images, Warp(), draws()), images)
    assert not Warp().moves
    assert not Warp(rotation=5, share=0).moves
    assert all(Warp(**one).moves for one in ({"rotation": 1}, {"shear": 0.1}, {"bend": 0.1}, {"scale": (0.9, 1.1)}))


def test_draws_stay_within_what_is_asked_for():
    maps = affine_maps(2000, Warp(rotation=30), draws())
    angles = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert 29 < angles.abs().max() <= 30.001
    assert abs(angles.mean()) < 1.5
    shifts = affine_maps(2000, Warp(shift=0.1), draws())[:, :, 2]
    assert 0.19 < shifts.abs().max() <= 0.2  # in coordinates that go from -1 to 1
    zooms = 1 / affine_maps(2000, Warp(scale=(0.8, 1.5)), draws())[:, [0, 1], [0, 1]]
    assert 0.8 <= zooms.min() < 0.81
    assert 1.49 < zooms.max() <= 1.5001
    slants = torch.atan(affine_maps(2000, Warp(shear=0.3), draws())[:, [0, 1], [1, 0]])
    assert 0.29 < slants.abs().max() <= 0.3001


def test_each_move_is_made_for_a_share_of_the_images():
    still = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for one in ({"rotation": 20}, {"shear": 0.3}, {"shift": 0.1}, {"scale": (0.5, 0.9)}):
        maps = affine_maps(2000, Warp(**one, share=0.3), draws())
        assert float((maps != still).any(dim=(1, 2)).float().mean()) == pytest.approx(0.3, abs=0.04)
    moved = bends(2000, (4, 4), Warp(bend=0.1, share=0.3), draws()).abs().amax((1, 2, 3)) > 0
    assert float(moved.float().mean()) == pytest.approx(0.3, abs=0.04)


def test_a_zoom_enlarges_the_ink():
    images = square()
    larger = warp_batch(images, Warp(scale=(1.5, 1.5)), draws())
    assert float(larger.sum()) == pytest.approx(1.5**2 * float(images.sum()), rel=0.05)


def test_a_quarter_turn_is_a_quarter_turn():
    images = square(at=10)
    for seed in range(20):  # until one draws nearly the whole angle
        maps = affine_maps(1, Warp(rotation=90), draws(seed))
        angle = math.degrees(math.atan2(maps[0, 1, 0], maps[0, 0, 0]))
        if abs(angle) > 80:
            turned = warp_batch(images, Warp(rotation=90), draws(seed))
            assert float(turned.sum()) == pytest.approx(float(images.sum()), rel=0.05)
            centre = (turned[0, 0].nonzero().float().mean(0) - 20).tolist()
            assert math.hypot(*centre) == pytest.approx(math.hypot(10, 10), abs=0.5)
            return
    raise AssertionError("no draw near 90 degrees in 20")


def test_a_bend_has_the_spread_asked_for_and_is_smooth():
    field = bends(500, (32, 32), Warp(bend=0.05), draws())
    assert float(field[:, 0, 0].std()) == pytest.approx(0.1, rel=0.1)  # at a knot, in coordinates that go from -1 to 1
    assert (field[:, 1:] - field[:, :-1]).abs().mean() < 0.2 * field.abs().mean()


def test_the_same_seed_gives_the_same_images():
    images, warp = torch.rand(4, 1, 20, 20, generator=draws()), Warp(20, 0.2, 0.1, (0.8, 1.2), 0.03)
    torch.testing.assert_close(warp_batch(images, warp, draws(3)), warp_batch(images, warp, draws(3)))
    assert not torch.equal(warp_batch(images, warp, draws(3)), warp_batch(images, warp, draws(4)))


def test_paper_coloured_borders_stay_paper():
    paper = torch.full((2, 3, 16, 16), 0.8)
    torch.testing.assert_close(warp_batch(paper, Warp(45, 0.3, 0.3, (0.5, 1.0), 0.1), draws()), paper)
