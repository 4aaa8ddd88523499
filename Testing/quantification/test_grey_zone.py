"""Core and grey zone of scar."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.quantification.measurements import measure
from Testing.support.analytic_ventricle import Rings, rings


def image_of(made: Rings, values: tuple[float, float]) -> np.ndarray:
    """Scar of two brightnesses: the first in the left half of the image."""
    image = np.zeros(made.scar.shape)
    half = made.scar.shape[2] // 2
    image[:, :, :half][made.scar[:, :, :half]] = values[0]
    image[:, :, half:][made.scar[:, :, half:]] = values[1]
    return image


def test_pixels_from_half_of_the_maximum_on_are_core_and_the_rest_of_the_scar_is_grey():
    made = rings()
    image = image_of(made, (40.0, 100.0))
    found = measure(made.scar, made.geometry, ventricle=made.ventricle, voxels=image).grey_zone
    assert found.core.pixels == np.count_nonzero(image == 100) and found.grey.pixels == np.count_nonzero(image == 40)
    assert found.upper == 50 and found.lower is None
    wall = np.count_nonzero(made.ventricle.myocardium)
    assert found.core_percent == pytest.approx(100 * found.core.pixels / wall)
    assert found.grey_percent == pytest.approx(100 * found.grey.pixels / wall)


def test_one_noisy_pixel_does_not_set_the_maximum():
    made = rings()
    image = image_of(made, (40.0, 100.0))
    image[tuple(np.argwhere(made.scar)[0])] = 10_000
    assert measure(made.scar, made.geometry, ventricle=made.ventricle, voxels=image).grey_zone.upper == 50


def test_dark_no_reflow_is_core():
    made = rings()
    image = image_of(made, (100.0, 100.0))
    dark = made.scar & (np.arange(image.shape[1])[:, None] < image.shape[1] // 2)
    image[dark] = 5.0
    found = measure(made.scar, made.geometry, ventricle=made.ventricle, no_reflow=dark, voxels=image).grey_zone
    assert found.core.pixels == np.count_nonzero(made.scar) and found.grey.pixels == 0


def test_scar_outside_the_wall_is_in_neither():
    made = rings()
    scar, image = made.scar.copy(), image_of(made, (100.0, 100.0))
    scar[:, :4, :4], image[:, :4, :4] = True, 900.0
    found = measure(scar, made.geometry, ventricle=made.ventricle, voxels=image).grey_zone
    assert found.core.pixels == np.count_nonzero(made.scar)


@pytest.mark.parametrize(
    ("value", "depth", "words"),
    [(100.0, (0.0, 0.0), "no scar"), (-5.0, (0.0, 0.5), "not above zero"), (None, (0.0, 0.5), "image")],
)
def test_where_there_is_no_grey_zone_a_sentence_says_why(value, depth, words):
    made = rings(depth=depth)
    image = None if value is None else np.full(made.scar.shape, value)
    numbers = measure(made.scar, made.geometry, ventricle=made.ventricle, voxels=image)
    assert numbers.grey_zone is None and words in numbers.missing["grey_zone"]


def test_a_picture_whose_zero_is_not_no_signal_has_no_grey_zone():
    """Shifted up, half of the maximum lies below normal wall: all scar would be core, and none of it grey."""
    made = rings()
    image = image_of(made, (40.0, 100.0))
    shifted = measure(made.scar, made.geometry, ventricle=made.ventricle, voxels=image + 200)
    assert shifted.grey_zone is None and "zero is not where there is no signal" in shifted.missing["grey_zone"]
    without_wall = measure(made.scar, made.geometry, voxels=image)
    assert without_wall.grey_zone is None and "not segmented" in without_wall.missing["grey_zone"]
