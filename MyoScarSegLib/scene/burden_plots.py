"""Pictures of scar burden as Slicer plots: bars per slice, transmurality along the wall, histogram of the wall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.scene.plot_chart import Drawn, PlotChart
from MyoScarSegLib.scene.translation import _

if TYPE_CHECKING:
    from MyoScarSegLib.outputs.figure_data import WallHistogram, WallProfile
    from MyoScarSegLib.scene.study_session import StudySession

BARS, WALL, INTENSITIES = "bars", "wall", "intensities"
PLOTS = (BARS, WALL, INTENSITIES)
"""The pictures for which Slicer has a plot."""
_SCAR, _WALL = (0.82, 0.29, 0.36), (0.44, 0.53, 0.61)
_LINES = ((0.15, 0.15, 0.15), (0.12, 0.47, 0.71), (0.18, 0.62, 0.31), (0.90, 0.47, 0.0), (0.58, 0.40, 0.74), (0.55, 0.34, 0.29))


class BurdenChart(PlotChart):
    """The one plot of the study in hand, of the same numbers as its picture."""

    def __init__(self, scene: Any) -> None:
        super().__init__(scene, "burden plot")

    def show(self, session: StudySession, name: str) -> Any:
        """Draw one of :data:`PLOTS` of a study as it is. Returns the chart, whose title says why where there is nothing to draw.

        Raises:
            MyoScarSegError: the study cannot be measured.
        """
        from MyoScarSegLib.outputs.figure_data import slice_bars, wall_profile

        if name == INTENSITIES:
            histogram = session.numbers.histogram(session.state)
            drawn = {} if histogram is None else _steps(histogram)
            return self.draw(_title(_("Intensity in the wall"), drawn), _("Intensity"), _("Pixels"), drawn)
        if name == WALL:
            profile = wall_profile(session.measurements)
            drawn, x_title = ({}, "") if profile is None else (_lines(profile), _degrees(profile))
            return self.draw(_title(_("Transmurality along the wall, by level"), drawn), x_title, "%", drawn)
        bars = slice_bars(session.measurements)
        points = np.array(list(enumerate(bars.amounts)))
        drawn = {BARS: Drawn(_("Scar"), points, _SCAR, "bars")}
        return self.draw(_("Scar of each slice"), _("Slice"), bars.unit, drawn)


def _title(title: str, drawn: dict[str, Drawn]) -> str:
    return title if drawn else _("{title}: not measured, the wall is missing").format(title=title)


def _lines(profile: WallProfile) -> dict[str, Drawn]:
    """A line for each level: the mean of its slices."""
    chords = profile.transmurality.shape[1]
    degrees, drawn = (np.arange(chords) + 0.5) * 360 / chords, {}
    for level, label, color in zip("BMA", (_("base"), _("mid"), _("apex")), _LINES[1:], strict=False):
        rows = profile.transmurality[np.array(profile.levels) == level]
        walled = np.isfinite(rows).sum(axis=0)
        if walled.any():
            mean = 100 * np.nansum(rows, axis=0) / np.where(walled, walled, np.nan)
            drawn[level] = Drawn(label, np.column_stack([degrees, mean]), color)
    return drawn


def _degrees(profile: WallProfile) -> str:
    walls = ", ".join(f"{name} {360 * place:.0f}" for place, name in profile.walls[:-1] if not name.endswith("°"))
    return _("Degrees ({walls})").format(walls=walls) if walls else _("Degrees")


def _steps(histogram: WallHistogram) -> dict[str, Drawn]:
    drawn, edges = {}, np.repeat(histogram.edges, 2)
    for name, label, counts, color in (
        ("wall", _("Wall without scar"), histogram.wall, _WALL),
        ("scar", _("Scar"), histogram.scar, _SCAR),
    ):
        drawn[name] = Drawn(label, np.column_stack([edges, np.concatenate([[0], np.repeat(counts, 2), [0]])]), color)
    top = float(max(histogram.wall.max(), histogram.scar.max()))
    for n, (method, value) in enumerate(histogram.thresholds.items()):
        drawn[method] = Drawn(f"{method}: {value:.4g}", np.array([[value, 0], [value, top]]), _LINES[n % len(_LINES)], "dashes")
    return drawn
