"""A small picture of a training's curves for the panel; the plot view has the large one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import qt

from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.text import _

Points = Sequence[tuple[float, float]]

_HEIGHT = 96
_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 8, 8, 16
#: Curve to its colour on a light and on a dark ground; the scene's plot has the same.
COLORS = {"loss": ("#8a8a8a", "#9a9a9a"), "end_to_end": ("#1f77b4", "#5db0ea"), "oracle": ("#2e9d4f", "#6bcf86")}


def draw_curves(label: Any, series: Mapping[str, Points]) -> Any:
    """A pixmap as wide as a label.

    Args:
        label: that it is for; it has the colours and the pixel ratio.
        series: curve (``loss``, ``end_to_end``, ``oracle``) to its points ``(epoch, value)``. Dice is drawn on 0 to 1, the loss
            on a scale of its own.
    """
    width, ratio = max(int(label.width), 120), float(label.devicePixelRatioF())
    pixmap = qt.QPixmap(round(width * ratio), round(_HEIGHT * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    dark = style.is_dark(label)
    muted = qt.QColor(style.muted(label))
    last = math.ceil(max((point[0] for points in series.values() for point in points), default=1.0)) or 1
    losses = [value for _epoch, value in series.get("loss", ()) if math.isfinite(value)]
    highest = max(losses, default=1.0) or 1.0
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    inner_w, inner_h = width - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    faint = qt.QColor(muted.red(), muted.green(), muted.blue(), 70)
    font = qt.QFont(label.font)
    if font.pointSizeF() > 0:  # one that is set in pixels stays as it is
        font.setPointSizeF(max(font.pointSizeF() * 0.8, 6.0))
    painter.setFont(font)
    for value in (0.0, 0.5, 1.0):
        y = _TOP + inner_h * (1 - value)
        painter.setPen(qt.QPen(faint, 1))
        painter.drawLine(qt.QPointF(_LEFT, y), qt.QPointF(width - _RIGHT, y))
        painter.setPen(qt.QPen(muted, 1))
        painter.drawText(qt.QPointF(4, y + 4), f"{value:g}")
    painter.drawText(qt.QPointF(_LEFT, _HEIGHT - 3), "0")
    text = str(last)
    painter.drawText(qt.QPointF(width - _RIGHT - 7 * len(text), _HEIGHT - 3), text)
    for name in ("loss", "oracle", "end_to_end"):
        top = highest if name == "loss" else 1.0
        points = [
            qt.QPointF(_LEFT + inner_w * epoch / last, _TOP + inner_h * (1 - min(max(value / top, 0.0), 1.0)))
            for epoch, value in series.get(name, ())
            if math.isfinite(value)
        ]
        color = qt.QColor(COLORS[name][dark])
        painter.setPen(qt.QPen(color, 1.2 if name == "loss" else 2.0))
        for one, other in itertools.pairwise(points):
            painter.drawLine(one, other)
        if name != "loss" and points:
            painter.setBrush(qt.QBrush(color))
            painter.drawEllipse(points[-1], 2.5, 2.5)
    painter.end()
    return pixmap


def key_text(series: Mapping[str, Points]) -> str:
    """The key of the curves as rich text, with the latest value of each."""
    titles = {"end_to_end": _("Dice end to end"), "oracle": _("Dice with true boxes"), "loss": _("loss")}
    parts = []
    for name, title in titles.items():
        points = series.get(name, ())
        if points:
            unbroken = f"{title} {points[-1][1]:.2f}".replace(" ", "&nbsp;")
            parts.append(f"<span style='color: {COLORS[name][0]}'>●</span>&nbsp;{unbroken}")
    return "&nbsp; ".join(parts)


def fitted(picture: Any, width: int) -> Any:
    """A picture not wider than this."""
    return picture if picture.width() <= width else picture.scaledToWidth(width, qt.Qt.SmoothTransformation)
