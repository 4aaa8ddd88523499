"""Scar burden of a study as a whole: amounts, percentages, what is missing and why."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.phantom import Infarct, PhantomSettings, make_phantom
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.quantification.mass_interval import MassInterval
from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.quantification.ventricle import Ventricle, ventricle_of_labels
from MyoScarSegLib.study.study import Geometry

GEOMETRY = Geometry((1.5, 1.5, 8.0))


@pytest.fixture(scope="module")
def phantom():
    infarct = Infarct("LAD", transmurality=0.9, half_width_deg=50.0, no_reflow=True)
    return make_phantom(5, settings=PhantomSettings(rows=128, columns=128, infarcts=(infarct,)))


def test_percent_of_the_wall_is_the_count_of_voxels(phantom):
    labels = phantom.labels
    numbers = measure(labels >= 3, phantom.study.geometry, ventricle=ventricle_of_labels(labels), no_reflow=labels == 4)
    assert numbers.percent_of_myocardium == pytest.approx(100 * np.mean(labels[labels >= 2] >= 3))
    assert numbers.scar.mass_g == pytest.approx(scar_burden(labels >= 3, phantom.study.geometry).mass_g)
    assert numbers.no_reflow.pixels == np.count_nonzero(labels == 4) > 0
    assert numbers.myocardium.pixels == np.count_nonzero(labels >= 2)
    assert numbers.cavity.pixels == np.count_nonzero(labels == 1)
    for entry in numbers.slices:
        wall = labels[entry.slice] >= 2
        expected = 100 * np.mean(labels[entry.slice][wall] >= 3) if wall.any() else None
        assert entry.percent_of_myocardium == (None if expected is None else pytest.approx(expected))
    assert sum(entry.scar_in_wall.mass_g for entry in numbers.slices) == pytest.approx(numbers.scar_in_wall.mass_g)


def test_no_reflow_counts_as_scar_whether_or_not_the_scar_mask_has_it(phantom):
    labels, geometry = phantom.labels, phantom.study.geometry
    apart = measure(labels == 3, geometry, ventricle=ventricle_of_labels(labels), no_reflow=labels == 4)
    within = measure(labels >= 3, geometry, ventricle=ventricle_of_labels(labels), no_reflow=labels == 4)
    assert apart.percent_of_myocardium == within.percent_of_myocardium
    assert apart.scar == within.scar


def test_scar_outside_the_wall_is_counted_apart_and_in_no_percentage(phantom):
    labels, geometry = phantom.labels, phantom.study.geometry
    scar = labels >= 3
    before = measure(scar, geometry, ventricle=ventricle_of_labels(labels))
    stray = scar.copy()
    stray[:, :3, :3] = True
    after = measure(stray, geometry, ventricle=ventricle_of_labels(labels))
    assert after.scar_outside_wall.pixels == 9 * len(scar)
    assert after.percent_of_myocardium == before.percent_of_myocardium
    assert after.scar.pixels == before.scar.pixels + 9 * len(scar)


def test_scar_at_the_border_of_a_proposed_wall_counts_as_wall(phantom):
    labels, geometry = phantom.labels, phantom.study.geometry
    drawn = ventricle_of_labels(labels)
    scar, heart = labels >= 3, labels >= 1
    beside = ndimage.binary_dilation(scar, np.ones((1, 3, 3))) & ~heart
    far = np.zeros_like(scar)
    far[:, :3, :3] = True
    proposed = Ventricle(drawn.myocardium, drawn.cavity, "model")
    numbers = measure(scar | beside | far, geometry, ventricle=proposed)
    assert numbers.scar_outside_wall.pixels == np.count_nonzero(far)
    assert numbers.myocardium.pixels == np.count_nonzero(drawn.myocardium | beside)
    assert any(str(np.count_nonzero(beside)) in note and "wall" in note for note in numbers.notes)
    assert measure(scar | beside, geometry, ventricle=drawn).scar_outside_wall.pixels == np.count_nonzero(beside)
    assert measure(scar, geometry, ventricle=proposed).myocardium.pixels == np.count_nonzero(drawn.myocardium)


def test_interval_of_the_percentage_is_that_of_the_mass_over_the_wall(phantom):
    labels, geometry = phantom.labels, phantom.study.geometry
    mass = scar_burden(labels >= 3, geometry).mass_g
    numbers = measure(
        labels >= 3, geometry, ventricle=ventricle_of_labels(labels), interval=MassInterval(mass - 4, mass + 4, False)
    )
    assert numbers.percent_high - numbers.percent_of_myocardium == pytest.approx(400 / numbers.myocardium.mass_g)
    assert numbers.percent_of_myocardium - numbers.percent_low == pytest.approx(400 / numbers.myocardium.mass_g)


@pytest.mark.parametrize(
    ("scar", "arguments", "words"),
    [
        (np.zeros((4, 4), dtype=bool), {}, "boolean"),
        (np.zeros((2, 4, 4), dtype=np.uint8), {}, "boolean"),
        (np.zeros((2, 4, 4), dtype=bool), {"no_reflow": np.zeros((2, 4, 5), dtype=bool)}, "no-reflow mask has the shape"),
        (np.zeros((2, 4, 4), dtype=bool), {"voxels": np.zeros((3, 4, 4))}, "image has the shape"),
        (np.zeros((2, 4, 4), dtype=bool), {"ventricle": ventricle_of_labels(np.zeros((2, 4, 5)))}, "ventricle has the shape"),
    ],
)
def test_what_does_not_belong_together_is_refused(scar, arguments, words):
    with pytest.raises(StudyError, match=words):
        measure(scar, GEOMETRY, **arguments)
