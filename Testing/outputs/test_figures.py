"""The pictures of scar burden show what was measured, where readers look for it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.outputs.burden_pictures import PICTURES
from MyoScarSegLib.outputs.burden_pictures import picture as png_of
from MyoScarSegLib.outputs.figure_data import SliceBars, WallProfile, wall_histogram
from MyoScarSegLib.outputs.figures import canvas, draw_bullseye, draw_histogram, draw_profile, draw_slice_bars, percent_color, png
from MyoScarSegLib.outputs.montage import montage_height, shown_slices
from MyoScarSegLib.outputs.report_content import Report
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.ventricle_factory import round_ventricle

SIZE = 300


def bullseye(values, **more) -> np.ndarray:
    figure = canvas(SIZE / 100, SIZE / 100)
    draw_bullseye(figure.add_axes((0, 0, 1, 0.9)), values, "title", **more)
    return picture(png(figure, 100))


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def place(segment: int) -> tuple[int, int]:
    """Row and column of a segment, beside its number: as matplotlib's own example of a bullseye lays it out, where segment i of a
    ring of n is centered at 90 degrees + i * 360 / n, anticlockwise, and the base is the outermost ring."""
    start, count, ring = next(
        (start, count, ring) for start, count, ring in ((0, 6, 2), (6, 6, 1), (12, 4, 0), (16, 1, -1)) if segment <= start + count
    )
    # A little off the middle of the segment, where its figures stand.
    angle = np.pi / 2 + (segment - 1 - start) * 2 * np.pi / count + 0.3
    radius = 0.12 if ring < 0 else 0.35 + 0.26 * ring
    half = 0.9 * SIZE / 2.28  # pixels per unit: the axes are 2.28 high
    return round(SIZE * 0.55 - half * radius * np.sin(angle)), round(SIZE / 2 + half * radius * np.cos(angle))


def test_each_segment_lies_where_the_standard_has_it():
    percents = [5.0 * n for n in range(1, 18)]
    shown, colors = bullseye(percents), np.array([tuple(bytes.fromhex(percent_color(value)[1:])) for value in percents])
    for segment in range(1, 18):
        off = np.abs(colors - shown[place(segment)]).sum(axis=1)
        assert off.argmin() + 1 == segment and off.min() < 10, segment


def test_anterior_is_up_septum_left_and_the_names_agree():
    from MyoScarSegLib.quantification.aha import SEGMENTS

    middle = SIZE / 2
    for about in SEGMENTS[:16]:
        row, column = place(about.number)
        name = about.name.split()[-1]
        assert (row < SIZE * 0.55) == name.startswith(("anter",)) or name in ("septal", "lateral")
        if "sept" in name or "lateral" in name:
            assert (column < middle) == ("sept" in name), about.name


def test_segment_that_was_not_imaged_is_hatched_and_not_zero():
    empty, zero = bullseye([None] * 17), bullseye([0.0] * 17)
    assert not np.array_equal(empty, zero)
    row, column = place(10)
    patch = empty[row - 8 : row + 8, column - 8 : column + 8]
    assert patch.min() < 200 < patch.max(), "no hatch"
    assert np.ptp(zero[row - 3 : row + 3, column - 3 : column + 3]) < 30


def test_transmurality_is_colored_by_grades():
    assert percent_color(26, True) == percent_color(50, True) != percent_color(51, True)
    assert percent_color(0.4, True) == percent_color(0, True), "what rounds to 0 has no scar"
    assert percent_color(30) != percent_color(50)


def test_a_bullseye_of_another_number_of_segments_is_refused():
    with pytest.raises(ValueError, match="17"):
        bullseye([1.0] * 16)


def test_bars_stand_for_amounts_and_shares_and_a_slice_without_wall_has_none():
    figure = canvas(3, 2)
    upper, lower = figure.add_subplot(211), figure.add_subplot(212)
    draw_slice_bars(upper, lower, SliceBars((0.0, 2.0, 4.0), (None, 10.0, 20.0), levels=("", "B", "A")))
    assert [patch.get_height() for patch in upper.patches] == [0.0, 2.0, 4.0]
    assert [(round(p.get_x() + p.get_width() / 2), p.get_height()) for p in lower.patches] == [(1, 10.0), (2, 20.0)]
    assert [label.get_text() for label in lower.get_xticklabels()] == ["0", "1\nB", "2\nA"]


def test_profile_has_a_row_per_slice_and_leaves_out_what_has_no_wall():
    depths = np.zeros((3, 120))
    depths[0] = np.nan
    depths[1, :60] = 0.9
    figure = canvas(3, 2)
    axis = figure.add_subplot()
    draw_profile(axis, WallProfile(depths, ((0.0, "sept."),)))
    shown = axis.images[0].get_array()
    assert shown.shape == (3, 120, 3)
    assert (shown[0] == 1).all()
    assert not np.allclose(shown[1, 10], shown[1, 100])
    assert np.allclose(shown[1, 100], shown[2, 0])


def test_thresholds_are_drawn_where_they_lie():
    figure = canvas(3, 2)
    axis = figure.add_subplot()
    draw_histogram(axis, wall_histogram(np.arange(100), np.arange(150, 200), {"5 SD": 120.0, "Otsu": 140.0}))
    found = {tuple(np.unique(line.get_segments()[0][:, 0])) for line in axis.collections}
    assert found == {(120.0,), (140.0,)}
    assert {text.get_text().strip() for text in axis.texts} >= {"5 SD", "Otsu"}


def test_histogram_of_one_value_and_of_none_is_drawn():
    figure = canvas(3, 2)
    draw_histogram(figure.add_subplot(121), wall_histogram(np.full(9, 7.0), np.zeros(0)))
    draw_histogram(figure.add_subplot(122), wall_histogram(np.zeros(0), np.zeros(0)))
    assert png(figure)


def reported(*, wall: bool = True, no_reflow: np.ndarray | None = None) -> Report:
    study, ventricle, scar, insertions = round_ventricle()
    wall_of = ventricle if wall else None
    measurements = measure(scar, study.geometry, ventricle=wall_of, insertions=insertions, voxels=study.voxels)
    return Report("round", Result(study, scar.astype(np.float32), 0.5), measurements, Anatomy(wall_of, no_reflow))


def pictures(report: Report, *names: str) -> dict[str, bytes]:
    return {name: png_of(draw, report, *size, 96) for name, (draw, *size) in PICTURES.items() if not names or name in names}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "bullseye" else pytest.mark.slow) for name in PICTURES])
def test_a_picture_is_the_same_one_for_the_same_numbers(name):
    assert pictures(reported(), name) == pictures(reported(), name)


def test_all_pictures_are_drawn():
    assert all(pictures(reported()).values())


def test_pictures_without_a_ventricle_say_why_and_show_the_scar():
    made = pictures(reported(wall=False))
    outlines = picture(made["slices"])
    assert ((outlines[..., 0] > 200) & (outlines[..., 1] < 130) & (outlines[..., 2] < 120)).sum() > 100


def test_pictures_do_not_touch_the_state_of_others():
    import sys

    import matplotlib as mpl

    before = dict(mpl.rcParams)
    loaded = "matplotlib.pyplot" in sys.modules
    pictures(reported(), "bullseye")
    assert dict(mpl.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_outlines_are_drawn_for_what_is_there():
    with_no_reflow = reported(no_reflow=round_ventricle()[2])
    assert pictures(with_no_reflow, "slices") != pictures(reported(), "slices") != pictures(reported(wall=False), "slices")


def test_a_large_stack_shows_the_slices_with_something_on_them():
    voxels = np.zeros((90, 20, 20), dtype=np.float32)
    study = Study("large", voxels, Geometry((1.4, 1.4, 2.0)), Reconstruction.PSIR)
    mask = np.zeros(voxels.shape, dtype=bool)
    mask[40:50, 5:9, 5:9] = True
    assert shown_slices(study, [mask]) == list(range(40, 50))
    assert len(shown_slices(study, [np.ones(voxels.shape, dtype=bool)])) == 24
    assert 0 < montage_height(study, {"scar": mask}, 7.0, 2.0) <= 2.0
