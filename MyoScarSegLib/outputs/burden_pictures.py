"""From what a report says to its pictures, one by one for a panel, or each in its place on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.outputs.figure_data import drawn_thresholds, slice_bars, study_histogram, wall_profile
from MyoScarSegLib.outputs.figures import (
    FAINT,
    canvas,
    draw_bullseye,
    draw_bullseye_key,
    draw_histogram,
    draw_profile,
    draw_slice_bars,
    png,
)
from MyoScarSegLib.outputs.montage import draw_montage, montage_height, outline_key
from MyoScarSegLib.outputs.report_content import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]
"""A place on a figure in inches: left, bottom, width, height."""

_TITLE_INCHES, _KEY_INCHES, _OUTLINE_KEY_INCHES = 0.2, 0.26, 0.17


def draw_bullseyes(figure: Figure, report: Report, box: Box) -> None:
    """Burden and transmurality of the 17 segments side by side, in a place that is higher than wide above each other; or why they
    are not there."""
    segments = report.measurements.segments
    if segments is None:
        _say(figure, box, "AHA segments", report.measurements.missing.get("segments", ""))
        return
    left, bottom, width, height = box
    titles = ("Scar, % of the segment", "Transmurality, % (all chords)")
    burden = [segment.burden_percent for segment in segments]
    # The tip has no chords; its depth is its burden, as its grade has it.
    depth = [segment.burden_percent if segment.number == 17 else segment.transmurality_percent for segment in segments]
    for n, (title, values) in enumerate(zip(titles, (burden, depth), strict=True)):
        graded = n == 1
        if height > width:
            x, y, wide, high = left, bottom + (1 - n) * height / 2, width, height / 2
        else:
            x, y, wide, high = left + n * width / 2, bottom, width / 2, height
        draw_bullseye(_axes(figure, (x, y + _KEY_INCHES, wide, high - _KEY_INCHES - _TITLE_INCHES)), values, title, graded=graded)
        key = _axes(figure, (x + 0.08 * wide, y, 0.86 * wide, _KEY_INCHES))
        draw_bullseye_key(key, graded=graded, not_imaged=None in values)


def draw_bars(figure: Figure, report: Report, box: Box) -> None:
    """Scar of each slice, as amount and as share of its wall."""
    left, bottom, width, height = box
    bars = slice_bars(report.measurements)
    below = 0.42 if any(bars.levels) else 0.32
    half = (height - below) / 2
    upper, lower = (_axes(figure, (left + 0.26, bottom + at, width - 0.26, half - 0.26)) for at in (below + 0.06 + half, below))
    draw_slice_bars(upper, lower, bars)


def draw_wall(figure: Figure, report: Report, box: Box) -> None:
    """Transmurality along the wall, or why it is not known."""
    profile = wall_profile(report.measurements)
    if profile is None:
        _say(figure, box, "Transmurality along the wall", report.measurements.missing.get("transmurality", ""))
        return
    left, bottom, width, height = box
    axis = _axes(figure, (left + 0.34, bottom + 0.32, width - 0.42, height - 0.32 - _TITLE_INCHES))
    draw_profile(axis, profile)


def draw_intensities(figure: Figure, report: Report, box: Box) -> None:
    """Intensities of the wall with the methods' thresholds, or why there is no wall."""
    lines = drawn_thresholds(report.references)
    histogram = study_histogram(report.result.study.voxels, report.ventricle, report.scar, lines)
    if histogram is None:
        _say(figure, box, "Intensity in the wall", report.measurements.missing.get("percent_of_myocardium", ""))
        return
    left, bottom, width, height = box
    axis = _axes(figure, (left + 0.08, bottom + 0.32, width - 0.1, height - 0.32 - _TITLE_INCHES))
    draw_histogram(axis, histogram)


def slices_height(report: Report, width: float, most: float) -> float:
    """How high :func:`draw_slices` is at that width in inches, if it may be ``most`` high."""
    return montage_height(report.result.study, _outlined(report), width, most - _OUTLINE_KEY_INCHES) + _OUTLINE_KEY_INCHES


def draw_slices(figure: Figure, report: Report, box: Box) -> None:
    """Draw the slices side by side with the outlines of scar and wall."""
    left, bottom, width, height = box
    in_grams = report.measurements.scar.mass_g is not None
    captions = []
    for one in report.measurements.slices:
        amount = f"{one.scar.mass_g:.1f} g" if in_grams else f"{one.scar.pixels} px"
        captions.append(amount if one.scar.pixels else "")
    upper, masks = _axes(figure, (left, bottom + _OUTLINE_KEY_INCHES, width, height - _OUTLINE_KEY_INCHES)), _outlined(report)
    draw_montage(upper, report.result.study, masks, captions)
    outline_key(_axes(figure, (left, bottom, width, _OUTLINE_KEY_INCHES)), masks)


def _outlined(report: Report) -> dict[str, np.ndarray]:
    """The masks to outline, by the names of :data:`~MyoScarSegLib.outputs.montage.OUTLINES`."""
    masks = {"scar": report.scar}
    if report.ventricle is not None:
        masks |= {"LV myocardium": report.ventricle.myocardium, "LV blood pool": report.ventricle.cavity}
    no_reflow = report.anatomy.no_reflow
    if no_reflow is not None and no_reflow.any():
        masks["no-reflow"] = no_reflow
    return masks


PICTURES: Mapping[str, tuple[Callable[[Figure, Report, Box], None], float, float]] = {
    "bullseye": (draw_bullseyes, 2.7, 5.4),
    "slices": (draw_slices, 5.4, 4.4),
    "bars": (draw_bars, 3.4, 2.6),
    "wall": (draw_wall, 3.4, 2.0),
    "intensities": (draw_intensities, 3.4, 2.2),
}
"""Name to what draws it, and its width and height in inches in a panel, which is narrow: letters have a size of their own."""


def picture(draw: Callable[[Figure, Report, Box], None], report: Report, width: float, height: float, dpi: int) -> bytes:
    """One picture of its own, of that size in inches, as a PNG file."""
    figure, margin = canvas(width, height), 0.06
    draw(figure, report, (margin, margin, width - 2 * margin, height - 2 * margin))
    return png(figure, dpi)


def _axes(figure: Figure, box: Box) -> Axes:
    width, height = figure.get_size_inches()
    return figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))


def _say(figure: Figure, box: Box, title: str, why: str) -> None:
    """The place of a picture that cannot be drawn, with the reason."""
    import textwrap

    axis = _axes(figure, box)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set(color="#dfe3e7", linewidth=0.8)
    words = "\n".join(textwrap.wrap(why, max(int(box[2] / 0.068), 12)))
    axis.text(
        0.5, 0.5, f"{title}: not measured\n{words}", transform=axis.transAxes, ha="center", va="center", fontsize=7, color=FAINT
    )
