"""The report as one A4 page in PDF, drawn with the pictures' own functions."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.outputs.burden_pictures import (
    draw_bars,
    draw_bullseyes,
    draw_intensities,
    draw_slices,
    draw_wall,
    slices_height,
)
from MyoScarSegLib.outputs.figures import FAINT, INK, LINE, canvas
from MyoScarSegLib.outputs.report_content import RESEARCH_USE, Report
from MyoScarSegLib.utils.words import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_INCHES, HEIGHT_INCHES = 8.27, 11.69
_MARGIN_INCHES = 0.42
_INNER_INCHES = WIDTH_INCHES - 2 * _MARGIN_INCHES
_WARNING, _WARNING_PAPER = "#8a4b08", "#fff4e0"
_LINE_INCHES = 0.125
_MOST_WARNING_LINES = 6


@dataclass
class _Cursor:
    """How far down the page is filled, in inches from the bottom."""

    y: float

    def down(self, inches: float) -> float:
        """Take that much of the page. Returns where it ends."""
        self.y -= inches
        return self.y


def pdf_page(report: Report) -> bytes:
    """The report as a PDF file of one page. Without a date inside: the same report gives the same bytes."""
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    # Without "Title", which viewers show and systems index: the name stands on the page alone.
    with PdfPages(buffer, metadata={"Creator": "MyoScarSeg", "Producer": None, "CreationDate": None}) as pages:
        pages.savefig(page(report))
    return buffer.getvalue()


def page(report: Report) -> Figure:
    """The page as a figure."""
    figure = canvas(WIDTH_INCHES, HEIGHT_INCHES)
    cursor = _Cursor(HEIGHT_INCHES - 0.36)
    _head(figure, report, cursor)
    _warnings(figure, report, cursor)
    _tiles(figure, report, cursor)
    # What is written below takes what it needs; the pictures share the rest.
    lines = _method_lines(report)
    needed = 0.34 + _LINE_INCHES * max(len(lines), len(_other_lines(report))) + 0.62
    rest = cursor.y - needed
    upper, plots = 2.62 if report.segment_rows else 0.6, 1.7
    bottom = cursor.down(upper + 0.06)
    draw_bullseyes(figure, report, (_MARGIN_INCHES, bottom, 4.36 if report.segment_rows else _INNER_INCHES, upper - 0.06))
    _segments(figure, report, (_MARGIN_INCHES + 4.46, bottom, _INNER_INCHES - 4.46, upper - 0.02))
    slices = slices_height(report, _INNER_INCHES, max(rest - upper - plots - 0.24, 1.0))
    draw_slices(figure, report, (_MARGIN_INCHES, cursor.down(slices + 0.1), _INNER_INCHES, slices))
    plots = min(max(rest - upper - slices - 0.24, plots), 2.3)
    bottom = cursor.down(plots + 0.08)
    third = _INNER_INCHES / 3
    for n, draw in enumerate((draw_bars, draw_wall, draw_intensities)):
        draw(figure, report, (_MARGIN_INCHES + n * third + 0.04 * n, bottom, third - 0.12, plots))
    _foot(figure, report, lines, cursor)
    return figure


def _text(figure: Figure, x: float, y: float, words: str, size: float, **style: Any) -> None:
    figure.text(x / WIDTH_INCHES, y / HEIGHT_INCHES, words, fontsize=size, **{"color": INK, "va": "top", **style})


def _line(figure: Figure, y: float) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(
        Line2D([_MARGIN_INCHES / WIDTH_INCHES, 1 - _MARGIN_INCHES / WIDTH_INCHES], [y / HEIGHT_INCHES] * 2, color=LINE, lw=0.8)
    )


def _box(figure: Figure, x: float, y: float, width: float, height: float, color: str) -> None:
    from matplotlib.patches import Rectangle

    place = (x / WIDTH_INCHES, y / HEIGHT_INCHES)
    figure.add_artist(
        Rectangle(place, width / WIDTH_INCHES, height / HEIGHT_INCHES, fc=color, ec="none", transform=figure.transFigure)
    )


def _head(figure: Figure, report: Report, cursor: _Cursor) -> None:
    _text(figure, _MARGIN_INCHES, cursor.y, shortened(report.title, 52), 14, weight="bold")
    _text(figure, WIDTH_INCHES - _MARGIN_INCHES, cursor.y - 0.01, "Scar burden, LGE", 10, ha="right", color=FAINT)
    _text(figure, _MARGIN_INCHES, cursor.down(0.27), report.subtitle, 7.2, color=FAINT)
    _text(
        figure,
        WIDTH_INCHES - _MARGIN_INCHES,
        cursor.y + 0.06,
        "Research use only",
        7.2,
        ha="right",
        color=_WARNING,
        weight="bold",
    )
    _line(figure, cursor.down(0.17))


def _warnings(figure: Figure, report: Report, cursor: _Cursor) -> None:
    lines = [line for warning in report.warnings for line in _wrapped(warning, _INNER_INCHES - 0.2, 7, bullet="• ")]
    if len(lines) > _MOST_WARNING_LINES:
        lines = [*lines[: _MOST_WARNING_LINES - 1], "… more in the JSON file and in the HTML page"]
    if not lines:
        return
    height = _LINE_INCHES * len(lines) + 0.1
    bottom = cursor.down(height + 0.06)
    _box(figure, _MARGIN_INCHES, bottom, _INNER_INCHES, height, _WARNING_PAPER)
    _text(figure, _MARGIN_INCHES + 0.08, bottom + height - 0.05, "\n".join(lines), 7, color=_WARNING, linespacing=1.25)


def _tiles(figure: Figure, report: Report, cursor: _Cursor) -> None:
    width, height = _INNER_INCHES / 5, 0.6
    for n, tile in enumerate(report.tiles):
        row, column = divmod(n, 5)
        x, top = _MARGIN_INCHES + column * width, cursor.y - 0.05 - row * height
        _box(figure, x + (0.02 if column else 0), top - height + 0.04, width - 0.04, height - 0.05, "#f5f7f9")
        _text(figure, x + 0.07, top - 0.05, tile.name, 6, color=FAINT)
        _text(figure, x + 0.07, top - 0.155, tile.value, 10.5, weight="bold")
        _text(figure, x + 0.07, top - 0.34, "\n".join(textwrap.wrap(tile.note, 30)[:2]), 5.6, color=FAINT, linespacing=1.15)
    cursor.down(0.05 + 2 * height)
    missing = [line for why in report.missing for line in _wrapped(why, _INNER_INCHES, 6.6)]
    if missing:
        _text(figure, _MARGIN_INCHES, cursor.down(0.03), "\n".join(missing), 6.6, color=FAINT, linespacing=1.2)
        cursor.down(0.11 * len(missing) + 0.04)


def _segments(figure: Figure, report: Report, box: tuple[float, float, float, float]) -> None:
    rows = report.segment_rows
    if not rows:
        return
    left, bottom, width, height = box
    places = (0.1, 0.16, 1.08, 1.67, 2.03, 2.52, width)
    aligned = ("right", "left", "left", "right", "right", "right", "right")
    step = (height - 0.08) / (len(rows) + 1)
    for column, (place, side) in enumerate(zip(places, aligned, strict=True)):
        for n, row in enumerate((("", "segment", "artery", "scar g", "scar %", "transm. %", "class %"), *rows)):
            words = row[column].rstrip("%") if n else row[column]
            _text(figure, left + place, bottom + height - 0.04 - n * step, words, 6.2, ha=side, color=INK if n else FAINT)


def _method_lines(report: Report) -> list[str]:
    lines = []
    for name, words in report.method_lines:
        lines += _wrapped(f"{name}: {words}", _INNER_INCHES * 0.56, 6.4)
    return lines


def _other_lines(report: Report) -> list[tuple[str, ...]]:
    """Rows of the table of other methods; a single text is a line of the reason why the one above has no answer."""
    if not report.method_rows:
        return []
    lines: list[tuple[str, ...]] = [report.METHOD_HEADS]
    for row in report.method_rows:
        whole = len(row) == len(report.METHOD_HEADS)
        lines.append(row if whole else (*row[:2], *["–"] * (len(report.METHOD_HEADS) - 2)))
        lines += [] if whole else [(words,) for words in _wrapped(row[-1], _INNER_INCHES * 0.4 - 0.1, 5.8)]
    return lines


def _foot(figure: Figure, report: Report, lines: Sequence[str], cursor: _Cursor) -> None:
    _line(figure, cursor.down(0.04))
    top = cursor.down(0.05)
    _text(figure, _MARGIN_INCHES, top, "How it was measured", 7, weight="bold")
    _text(figure, _MARGIN_INCHES, top - 0.14, "\n".join(lines), 6.4, color=INK, linespacing=1.3)
    others = _other_lines(report)
    if others:
        left = _MARGIN_INCHES + _INNER_INCHES * 0.6
        _text(figure, left, top, "Other methods in the same wall", 7, weight="bold")
        places = (0.0, 1.55, 2.02, 2.5, _INNER_INCHES * 0.4)
        for n, row in enumerate(others):
            y = top - 0.14 - n * _LINE_INCHES
            if len(row) == 1:
                _text(figure, left + 0.1, y, row[0], 5.8, color=FAINT)
                continue
            for column, words in enumerate(row):
                side = "left" if column == 0 else "right"
                _text(figure, left + places[column], y, words, 6.4, ha=side, color=FAINT if n == 0 else INK)
    _text(
        figure, _MARGIN_INCHES, 0.36, "Reader ______________________   Date ______________   Signature ______________________", 7
    )
    _text(figure, WIDTH_INCHES - _MARGIN_INCHES, 0.36, RESEARCH_USE, 7, ha="right", color=_WARNING)


def _wrapped(words: str, width_inches: float, size: float, bullet: str = "") -> list[str]:
    """Lines of about that width: letters of the figures' font are on average just over half as wide as high."""
    most = int(width_inches * 72 / (size * 0.54))
    return textwrap.wrap(words, most, initial_indent=bullet, subsequent_indent=" " * len(bullet)) or [""]
