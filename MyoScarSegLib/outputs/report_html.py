"""The report as one HTML file that needs nothing else: pictures inside, plain CSS, one A4 page when printed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from MyoScarSegLib.outputs.burden_pictures import (
    draw_bars,
    draw_bullseyes,
    draw_intensities,
    draw_slices,
    draw_wall,
    picture,
    slices_height,
)
from MyoScarSegLib.outputs.report_content import RESEARCH_USE, Report, Tile

_DPI = 170
_WIDTH_INCHES = 7.48
_STYLE = """
@page { size: A4; margin: 9mm 10mm; }
* { box-sizing: border-box; }
body { font: 8.2pt/1.3 system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; color: #1f2328;
  max-width: 190mm; margin: 0 auto; }
header { display: flex; justify-content: space-between; align-items: baseline; border-bottom: 1px solid #c9ced4; }
h1 { font-size: 15pt; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 8.5pt; margin: 1.5mm 0 0.5mm; }
header p { margin: 0 0 1mm; color: #667079; }
header .use { color: #8a4b08; font-weight: bold; text-align: right; white-space: nowrap; }
.warnings { background: #fff4e0; color: #8a4b08; margin: 1.5mm 0; padding: 1mm 2mm 1mm 5mm; }
.tiles { display: flex; flex-wrap: wrap; margin: 1.5mm -0.5mm 0; }
.tile { width: 19%; flex-grow: 1; margin: 0.5mm; background: #f5f7f9; padding: 0.8mm 1.5mm; }
.tile span, .tile small { display: block; color: #667079; font-size: 6.6pt; }
.tile b { font-size: 11pt; }
.missing { margin: 0; color: #667079; font-size: 7pt; }
.two { display: flex; } .two > * { width: 41%; } .two > .wide { width: 59%; }
.plots { display: flex; } .plots img { width: 33.3%; } img { display: block; width: 100%; max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: 6.2pt; line-height: 1.2; }
th, td { padding: 0.25mm 0.6mm; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #c9ced4; color: #667079; font-weight: normal; }
td[colspan] { white-space: normal; } td.words, th.words { text-align: left; }
.lines p { margin: 0; font-size: 7pt; overflow-wrap: anywhere; } .lines span { color: #667079; }
footer { display: flex; justify-content: space-between; margin-top: 3mm; font-size: 7.5pt; }
footer .use { color: #8a4b08; }
"""


def html_page(report: Report) -> str:
    """The report as an HTML document."""
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width"><meta name="generator" content="MyoScarSeg">',
        f"<title>Scar burden: {escape(report.name)}</title><style>{_STYLE}</style></head><body>",
        f"<header><div><h1>{escape(report.title)}</h1><p>{escape(report.subtitle)}</p></div>",
        '<p class="use">Scar burden, LGE<br>Research use only</p></header>',
        _listed(report.warnings, "warnings"),
        '<div class="tiles">',
        *map(_tile, report.tiles),
        "</div>",
        *(f'<p class="missing">{escape(why)}</p>' for why in report.missing),
        *_pictures(report),
        '<div class="two"><div class="wide"><h2>How it was measured</h2><div class="lines">',
        *(f"<p><span>{escape(name)}:</span> {escape(words)}</p>" for name, words in report.method_lines),
        "</div></div><div>",
        "<h2>Other methods in the same wall</h2>" if report.method_rows else "",
        _table(report.METHOD_HEADS, report.method_rows, words=(0,)) if report.method_rows else "",
        "</div></div>",
        "<footer><span>Reader ____________________ Date ____________ Signature ____________________</span>",
        f'<span class="use">{escape(RESEARCH_USE)}</span></footer></body></html>\n',
    ]
    return "\n".join(part for part in parts if part)


def _pictures(report: Report) -> Iterable[str]:
    segments = report.segment_rows
    width, height = (4.6, 2.6) if segments else (_WIDTH_INCHES, 0.6)
    bullseyes = _inline(picture(draw_bullseyes, report, width, height, _DPI), "Scar burden and transmurality of the 17 segments")
    if segments:
        yield f'<div class="two"><div class="wide">{bullseyes}</div><div>'
        yield _table(report.SEGMENT_HEADS, segments, words=(1, 2))
        yield "</div></div>"
    else:
        yield bullseyes
    most = max(2.35 - 0.14 * (len(report.warnings) + len(report.missing)), 1.3)  # so that it stays one page
    yield _inline(
        picture(draw_slices, report, _WIDTH_INCHES, slices_height(report, _WIDTH_INCHES - 0.12, most) + 0.12, _DPI),
        "Slices with the outlines of myocardium, blood pool and scar",
    )
    yield '<div class="plots">'
    for draw, words in (
        (draw_bars, "Scar of each slice"),
        (draw_wall, "Transmurality along the wall"),
        (draw_intensities, "Histogram of the wall's intensities"),
    ):
        yield _inline(picture(draw, report, 2.45, 1.62, _DPI), words)
    yield "</div>"


def _tile(tile: Tile) -> str:
    name, value, note = (escape(words) for words in (tile.name, tile.value, tile.note))
    return f'<div class="tile"><span>{name}</span><b>{value}</b><small>{note}</small></div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: tuple[int, ...]) -> str:
    """A table; a row that is shorter than the heads has a sentence as its last cell."""

    def cell(tag: str, text: str, column: int, more: str = "") -> str:
        style = ' class="words"' if column in words or more else ""
        return f"<{tag}{style}{more}>{escape(text)}</{tag}>"

    lines = ["<table><tr>", *(cell("th", head, n) for n, head in enumerate(heads)), "</tr>"]
    for row in rows:
        span = len(heads) - len(row) + 1
        last = len(row) - 1
        lines.append("<tr>")
        lines += [cell("td", text, n, f' colspan="{span}"' if n == last and span > 1 else "") for n, text in enumerate(row)]
        lines.append("</tr>")
    return "".join([*lines, "</table>"])


def _listed(lines: Sequence[str], style: str) -> str:
    if not lines:
        return ""
    return f'<ul class="{style}">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _inline(data: bytes, words: str) -> str:
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
