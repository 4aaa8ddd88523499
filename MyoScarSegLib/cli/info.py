"""``myoscarseg info``: what an input holds, and which stack would be segmented and why."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from MyoScarSegLib.cli.console import add_options, print_json
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.utils.words import counted


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "info",
        help="show the series found, the geometry, PSIR or magnitude, and why this series",
        description="Show what an input holds: every series, the one that would be segmented and why, its geometry and its kind.",
    )
    parser.add_argument("input", metavar="INPUT", help="DICOM folder, NIfTI, NRRD or MHA file, or folder of PNG/JPEG slices")
    add_options(parser, series="the series to look at instead of the one picked")
    add_options(parser, "axis", "json")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what the input holds. Returns 0 if it can be read without problems, else 1."""
    from MyoScarSegLib.study.description import describe

    try:
        entry = describe(args.input, series=args.series, axis=args.axis)
    except StudyError as error:
        entry = {"input": str(args.input), "series": [], "study": None, "error": str(error)}
    print_json(entry) if args.json else sys.stdout.write(as_text(entry) + "\n")
    if entry["error"]:
        sys.stderr.write(f"{entry['error']}\n")
    return int(bool(entry["error"] or entry["study"]["problems"]))


def as_text(entry: dict[str, Any]) -> str:
    """One input's description as lines to read."""
    lines = [entry["input"]]
    if entry["series"]:
        lines.append(f"  series found: {len(entry['series'])}")
    for series in entry["series"]:
        lines += _series_lines(series)
    study = entry["study"]
    if study is None:
        return "\n".join([*lines, "  no study was read"])
    lines += [f"  {name + ':':<18}{value}" for name, value in _facts(study) if value]
    lines += [f"  bad slice {index}: {reason}" for index, reason in study["bad_slices"].items()]
    lines += [f"  note: {note}" for note in study["notes"]]
    lines += [f"  PROBLEM: {problem}" for problem in study["problems"]]
    return "\n".join(lines)


def _series_lines(series: dict[str, Any]) -> list[str]:
    mark = "->" if series["chosen"] else "  "
    size = f"{counted(series['slices'], 'slice')} of {series['rows']} x {series['columns']}"
    if series["images"] != series["slices"]:
        size += f", {counted(series['images'], 'image')}"
    kind = f", {series['reconstruction']}" if series["reconstruction"] else ""
    head = f"  {mark} {series['key']}: {series['description'] or '(no description)'} [{series['modality']}{kind}] {size}"
    against = series["unreadable"] or series["rejected"]
    reasons = "; ".join(series["reasons"])
    lines = [head]
    if against:
        lines.append(f"       not taken by itself: {against}")
    if reasons:
        lines.append(f"       score {series['score']:g}: {reasons}")
    return lines


def _facts(study: dict[str, Any]) -> list[tuple[str, str]]:
    spacing = study["spacing_mm"]
    positions = study["slice_positions_mm"]
    intensity = study["intensity"]
    between = ""
    if study["slice_distance_mm"] is not None:
        between = f"{study['slice_distance_mm']:.4g} mm"
        if study["slice_thickness_mm"] is not None:
            between += f", thickness {study['slice_thickness_mm']:g} mm"
        if study["gap_between_slices_mm"]:
            between += f", so {study['gap_between_slices_mm']:.4g} mm between slices were not imaged"
    return [
        ("case", study["case"]),
        ("format", study["format"]),
        ("chosen", study["why_this_series"] or ""),
        ("slices", f"{study['slices']} of {study['rows']} rows x {study['columns']} columns"),
        ("slice axis", f"{study['slice_axis']} of the file"),
        ("spacing", "none" if spacing is None else " x ".join(f"{value:.4g}" for value in spacing) + " mm (i, j, k)"),
        ("slice distance", between),
        ("slice positions", "" if positions is None else "uneven: " + ", ".join(f"{value:g}" for value in positions) + " mm"),
        ("orientation", study["orientation"] if spacing is not None else ""),
        ("kind", f"{study['reconstruction']}: {study['reconstruction_reason']}"),
        ("intensity", f"{intensity['min']:g} to {intensity['max']:g}, median {intensity['median']:g}"),
    ]
