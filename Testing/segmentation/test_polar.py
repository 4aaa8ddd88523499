"""The window unrolled around the ventricle, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from MyoScarSegLib.segmentation.polar import PolarNetwork, ventricle_centers

SIDE = 96
SMOOTH = torch.from_numpy(np.add.outer(np.cos(np.arange(SIDE) / 9), np.sin(np.arange(SIDE) / 7))).float()


class _Seen(nn.Module):
    """In the place of a context network: answers with what it sees."""

    def layers(self, slices, maps, factors=None):
        self.slices, self.maps = slices, maps
        return slices, functional.avg_pool2d(slices, 2)


@pytest.fixture
def polar() -> PolarNetwork:
    network = PolarNetwork((4, 4))
    network.unrolled = _Seen()
    return network


def test_what_is_unrolled_comes_back_where_it_was(polar):
    centers = torch.tensor([[48.0, 48.0], [52.5, 45.0]])
    slices = SMOOTH.expand(2, 3, -1, -1)
    fine, coarse = polar.layers(slices, torch.zeros(2, 7, SIDE, SIDE), centers)
    assert all(size % 16 == 0 for size in polar.unrolled.slices.shape[2:])
    y, x = np.ogrid[:SIDE, :SIDE]
    for n, (cx, cy) in enumerate(centers.tolist()):
        near = np.hypot(x + 0.5 - cx, y + 0.5 - cy)
        near = (near > 1.5) & (near < 46)
        assert np.abs((fine[n] - slices[n]).numpy()[:, near]).max() < 0.03
        half = near[::2, ::2]
        assert np.abs((coarse[n] - slices[n, :, ::2, ::2]).numpy()[:, half]).max() < 0.1, "at half the resolution"


def test_distances_are_columns_and_the_circle_goes_on_at_both_ends(polar):
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    distance = torch.hypot(x - 50, y - 46)
    polar(distance.expand(1, 3, -1, -1), torch.zeros(1, 7, SIDE, SIDE), torch.tensor([[50.0, 46.0]]))
    rings = polar.unrolled.slices[0, 0, :, :56]
    assert float((rings[:, 2:] - rings[:, 2:].mean(0)).abs().max()) < 0.1
    assert bool((rings.mean(0).diff()[2:] > 0.7).all()), "three quarters of a pixel each"
    polar(SMOOTH.expand(1, 3, -1, -1), torch.zeros(1, 7, SIDE, SIDE), torch.tensor([[50.0, 46.0]]))
    circle = polar.unrolled.slices[0, 0]
    torch.testing.assert_close(circle[:32], circle[-32:], atol=1e-4, rtol=0)


def test_gradients_come_through(polar):
    network = PolarNetwork((4, 4))
    network.layers(torch.rand(1, 3, 32, 32), torch.zeros(1, 7, 32, 32), torch.tensor([[16.0, 15.0]]))[0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for n, p in network.named_parameters() if "coarse_tissue" not in n)


def test_the_center_is_the_middle_of_the_ventricle_or_of_the_window():
    tissue = torch.zeros(3, 4, 40, 48)
    tissue[:, 0] = 9
    tissue[0, 1, 10:20, 12:30] = 20
    tissue[1, 3, 5:8, 5:8] = 20
    torch.testing.assert_close(ventricle_centers(tissue), torch.tensor([[21.0, 15.0], [24.0, 20.0], [24.0, 20.0]]))
