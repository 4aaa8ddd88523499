"""Pictures of the training tab: those in files, each read once, and a small one of a training's curves."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import qt

from MyoScarSegLib.scene.training.training_state import Curves
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.text import _

_MOST_KEPT = 400
_HEIGHT_PX = 96
_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 8, 8, 16
_COLORS = {"loss": ("#8a8a8a", "#9a9a9a"), "end_to_end": ("#1f77b4", "#5db0ea"), "reference_boxes": ("#2e9d4f", "#6bcf86")}
"""Curve to its color on a light and on a dark ground; the scene's plot has the same."""


def picture_of(path: Path | None, side_px: int) -> Any:
    """A picture of a file within a square, read once while the file stays as it is; None if there is none, or it cannot be read.

    A small one takes about half a millisecond.
    """
    try:
        return None if path is None else _read(path, path.stat().st_mtime_ns, side_px)
    except OSError:
        return None


@lru_cache(maxsize=_MOST_KEPT)
def _read(path: Path, _changed_ns: int, side_px: int) -> Any:
    pixmap = qt.QPixmap(str(path))
    return None if pixmap.isNull() else pixmap.scaled(side_px, side_px, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)


def draw_curves(label: Any, curves: Curves) -> Any:
    """A pixmap as wide as a label, in its colors and resolution. Dice is drawn on 0 to 1, the loss on a scale of its own."""
    width, ratio = max(int(label.width), 120), float(label.devicePixelRatioF())
    pixmap = qt.QPixmap(round(width * ratio), round(_HEIGHT_PX * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    muted = qt.QColor(style.muted(label))
    last = math.ceil(max((point[0] for points in curves.values() for point in points), default=1.0)) or 1
    highest_loss = max((value for _epoch, value in curves.get("loss", ()) if math.isfinite(value)), default=1.0) or 1.0
    inner_width, inner_height = width - _LEFT - _RIGHT, _HEIGHT_PX - _TOP - _BOTTOM
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    font = qt.QFont(label.font)
    if font.pointSizeF() > 0:  # one that is set in pixels stays as it is
        font.setPointSizeF(max(font.pointSizeF() * 0.8, 6.0))
    painter.setFont(font)
    for value in (0.0, 0.5, 1.0):
        y = _TOP + inner_height * (1 - value)
        painter.setPen(qt.QPen(qt.QColor(muted.red(), muted.green(), muted.blue(), 70), 1))
        painter.drawLine(qt.QPointF(_LEFT, y), qt.QPointF(width - _RIGHT, y))
        painter.setPen(qt.QPen(muted, 1))
        painter.drawText(qt.QPointF(4, y + 4), f"{value:g}")
    painter.drawText(qt.QPointF(_LEFT, _HEIGHT_PX - 3), "0")
    painter.drawText(qt.QPointF(width - _RIGHT - 7 * len(str(last)), _HEIGHT_PX - 3), str(last))
    for name in ("loss", "reference_boxes", "end_to_end"):
        is_loss = name == "loss"
        points = [
            qt.QPointF(
                _LEFT + inner_width * epoch / last,
                _TOP + inner_height * (1 - min(max(value / (highest_loss if is_loss else 1.0), 0.0), 1.0)),
            )
            for epoch, value in curves.get(name, ())
            if math.isfinite(value)
        ]
        color = qt.QColor(_COLORS[name][style.is_dark(label)])
        painter.setPen(qt.QPen(color, 1.2 if is_loss else 2.0))
        for one, other in itertools.pairwise(points):
            painter.drawLine(one, other)
        if not is_loss and points:
            painter.setBrush(qt.QBrush(color))
            painter.drawEllipse(points[-1], 2.5, 2.5)
    painter.end()
    return pixmap


def curves_key(curves: Curves) -> str:
    """The key of the curves as rich text, with the latest value of each."""
    titles = {"end_to_end": _("Dice end to end"), "reference_boxes": _("Dice with true boxes"), "loss": _("loss")}
    parts = []
    for name, title in titles.items():
        if points := curves.get(name, ()):
            unbroken = f"{title} {points[-1][1]:.2f}".replace(" ", "&nbsp;")
            parts.append(f"<span style='color: {_COLORS[name][0]}'>●</span>&nbsp;{unbroken}")
    return "&nbsp; ".join(parts)
