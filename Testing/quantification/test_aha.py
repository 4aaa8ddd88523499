"""The 17 segments: numbering, levels, angles, and what is not imaged."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.aha import SEGMENTS, InsertionPoints, levels_of
from MyoScarSegLib.quantification.measurements import EXCHANGED, NOT_CLOSED, measure
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.segment_values import grade
from Testing.support.analytic_ventricle import Rings, rings

BASE, MID, APEX, TIP = (0, 1, 2), (3, 4, 5), (6, 7, 8), (9,)
FROM_SEPTUM = {3: 0, 4: 60, 5: 120, 6: 180, 1: 240, 2: 300}
APICAL = {14: -45, 15: 45, 16: 135, 13: 225}


def measured(made: Rings, **arguments):
    arguments = {"insertions": made.insertions, "ventricle": made.ventricle} | arguments
    return measure(made.scar, made.geometry, **arguments)


def place_of(number: int) -> tuple[tuple[float, float], tuple[int, ...]]:
    """Angles and slices of a segment in nine rings and a tip."""
    if number == 17:
        return (0.0, 360.0), TIP
    if number in APICAL:
        return (APICAL[number] % 360, APICAL[number] % 360 + 90), APEX
    start = FROM_SEPTUM[(number - 1) % 6 + 1]
    return (start, start + 60), BASE if number < 7 else MID


@pytest.mark.parametrize("number", range(1, 18))
def test_scar_that_fills_a_segment_is_in_that_segment_alone(number):
    angles, slices = place_of(number)
    made = rings(angles=angles, scarred=slices, depth=(0.0, 1.0), solid=1)
    values = measured(made).segments
    assert [value.number for value in values] == list(range(1, 18)) and all(value.imaged for value in values)
    for value in values:
        # The centers of pixels on a border lie to one or the other side of it.
        assert value.burden_percent == pytest.approx(100 if value.number == number else 0, abs=2)
        assert (value.grade > 1) == (value.number == number)
    if number != 17:
        assert values[number - 1].transmurality_percent == pytest.approx(100, abs=3)
    assert values[16].transmurality_percent is None
    assert measured(made).lesions[0].segments == (number,)


@pytest.mark.parametrize("depth", [(0.0, 0.25), (0.0, 0.5), (0.5, 1.0)])
def test_segments_have_burden_by_mass_and_transmurality_by_chords(depth):
    made = rings(depth=depth, wall_mm=10.0, pixel_mm=(1.25, 1.25))
    inner, outer = (20 + 10 * part for part in depth)
    area = 100 * (outer**2 - inner**2) / (30**2 - 20**2)
    for value in measured(made).segments[:16]:
        assert value.transmurality_percent == pytest.approx(100 * (depth[1] - depth[0]), abs=3)
        assert value.burden_percent == pytest.approx(area, abs=3)
        assert value.scar.mass_g / value.myocardium.mass_g == pytest.approx(value.burden_percent / 100)


def test_every_pixel_of_the_walls_with_a_level_lies_in_a_segment_of_that_level():
    made = rings(solid=1)
    numbers = measured(made)
    assert np.array_equal(numbers.segment_map > 0, made.ventricle.myocardium)
    for k, level in numbers.levels.items():
        found = {SEGMENTS[n - 1].level for n in np.unique(numbers.segment_map[k]) if n}
        assert found == {level}


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "m"), (3, "bma"), (4, "bmma"), (5, "bbmaa"), (6, "bbmmaa"), (7, "bbmmmaa"), (8, "bbbmmaaa"), (10, "bbbmmmmaaa"),
     (11, "bbbbmmmaaaa"), (12, "bbbbmmmmaaaa")],
)  # fmt: skip
def test_slices_go_to_base_mid_and_apex_by_thirds_of_the_length(count, expected):
    made = rings(slices=count)
    levels = levels_of(made.ventricle, Planes.of(made.geometry, count))
    assert "".join(level[0] for level in levels.values()) == expected


def test_uneven_stack_is_cut_into_thirds_of_its_length_and_not_of_its_number():
    made = rings(slices=6, positions_mm=(0.0, 5.0, 10.0, 15.0, 20.0, 60.0))
    levels = levels_of(made.ventricle, Planes.of(made.geometry, 6))
    assert list(levels.values()) == ["base"] * 5 + ["apex"]


def test_partial_slices_at_the_base_are_left_out_of_the_segments_and_counted_in_mass():
    made = rings(slices=8, depth=(0.0, 1.0), gap=(200.0, 290.0), opened=(0, 1))
    numbers = measured(made)
    assert set(numbers.levels) == {2, 3, 4, 5, 6, 7}
    assert not numbers.segment_map[:2].any()
    assert [entry.wall for entry in numbers.slices] == ["open"] * 2 + ["closed"] * 6
    assert numbers.myocardium.pixels == np.count_nonzero(made.ventricle.myocardium)
    assert any("Slices 0, 1 count in mass" in note for note in numbers.notes)


def test_segment_17_is_not_imaged_without_a_slice_of_wall_alone():
    last = measured(rings()).segments[16]
    assert not last.imaged
    assert (last.burden_percent, last.grade, last.scar) == (None, None, None)


def test_levels_that_a_reader_set_are_used():
    made = rings(slices=4, depth=(0.0, 1.0), scarred=(3,))
    numbers = measured(made, levels={1: "mid", 2: "apex", 3: "tip"})
    assert numbers.segments[16].burden_percent == pytest.approx(100)
    assert not any(value.imaged for value in numbers.segments[:6])
    assert dict(numbers.levels) == {1: "mid", 2: "apex", 3: "tip"}


@pytest.mark.parametrize("levels", [{9: "mid"}, {0: "middle"}])
def test_levels_that_make_no_sense_are_refused(levels):
    with pytest.raises(StudyError, match="cannot be"):
        measured(rings(slices=4), levels=levels)


def test_insertion_points_turn_the_segments():
    made = rings(angles=(0.0, 60.0), depth=(0.0, 1.0), scarred=BASE)
    other = rings(angles=(0.0, 60.0), depth=(0.0, 1.0), scarred=BASE, septum_deg=17.0 + 30)
    values = measured(made, insertions=other.insertions).segments
    assert values[2].burden_percent == pytest.approx(50, abs=3) and values[1].burden_percent == pytest.approx(50, abs=3)


def test_exchanged_points_are_noticed():
    made = rings()
    swapped = InsertionPoints(made.insertions.inferior_mm, made.insertions.anterior_mm)
    assert EXCHANGED in measured(made, insertions=swapped).notes
    assert EXCHANGED not in measured(made).notes


def test_stack_whose_wall_is_open_everywhere_has_no_segments_and_says_so():
    made = rings(slices=4, gap=(0.0, 80.0), opened=(0, 1, 2, 3))
    numbers = measured(made)
    assert numbers.segments is None and numbers.transmurality is None
    assert numbers.missing["segments"] == numbers.missing["transmurality"] == NOT_CLOSED
    assert numbers.percent_of_myocardium is not None


def test_grades_are_the_published_classes():
    assert [grade(value) for value in (0, 0.4, 1, 25, 26, 50, 51, 75, 76, 100)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_page_angles_are_those_of_the_bullseye():
    at = {segment.number: segment.page_deg for segment in SEGMENTS}
    assert [at[n] for n in range(1, 7)] == [90, 150, 210, 270, 330, 30]
    assert [at[n] for n in (13, 14, 15, 16)] == [90, 180, 270, 0]
