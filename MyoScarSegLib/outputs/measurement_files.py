"""All measurements of a report as JSON and CSV. ``docs/measurements.schema.json`` describes the JSON; units are in the names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.outputs.report_content import Report
from MyoScarSegLib.quantification.aha import SEGMENTS, InsertionPoints
from MyoScarSegLib.quantification.segment_values import GRADES
from MyoScarSegLib.quantification.wall import Transmurality
from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.utils.files import read_json

MEASUREMENTS = "measurements.json"
VERSION = 1
_EXTENTS = ("scar", "scar_in_wall", "scar_outside_wall", "no_reflow", "myocardium", "cavity")
_LISTS = {"segments": "burden_segments.csv", "slices": "burden_slices.csv", "lesions": "burden_lesions.csv",
          "methods": "burden_methods.csv"}  # fmt: skip
_TABLE = "burden.csv"
_EXTENT_FIELDS = ("pixels", "volume_ml", "mass_g")
_SHAPES: dict[str, Sequence[str]] = {
    **dict.fromkeys((*_EXTENTS, "extent", "core", "grey"), _EXTENT_FIELDS),
    "transmurality": [field.name for field in fields(Transmurality)],
    "insertion_points": [field.name for field in fields(InsertionPoints)],
    "grey_zone": ["definition", "core", "grey", "core_percent", "grey_percent", "lower_intensity", "upper_intensity"],
}
"""Fields of what may be null as a whole."""


def document_of(report: Report) -> dict[str, Any]:
    """The measurements as a JSON object; what was not measured is null, and ``missing`` says why. It names no patient."""
    m, result = report.measurements, report.result
    geometry, within, provenance = result.study.geometry, result.mass_interval, result.provenance
    scar = {
        "mass_low_g": None if within is None else within.low_g,
        "mass_high_g": None if within is None else within.high_g,
        "likely_wrong": None if within is None else within.doubtful,
    }
    return {
        "version": VERSION,
        "case": report.name,
        "research_use_only": True,
        **{name: _plain(getattr(m, name)) for name in _EXTENTS},
        "scar_interval": scar,
        "scar_percent_of_myocardium": _number(m.percent_of_myocardium),
        "scar_percent_of_myocardium_low": _number(m.percent_low),
        "scar_percent_of_myocardium_high": _number(m.percent_high),
        "transmurality": _plain(m.transmurality),
        "grey_zone": _intensities(_plain(m.grey_zone)),
        "insertion_points": _plain(m.insertions),
        "septum_turned_deg": _number(report.septum_turned_deg),
        "segments": None if m.segments is None else [_segment(one) for one in m.segments],
        "slices": _plain(m.slices),
        "lesions": _plain(m.lesions),
        "methods": [_intensities(_plain(one)) for one in report.methods],
        "missing": dict(m.missing),
        "warnings": report.warnings,
        "myocardium_source": None if report.ventricle is None else report.ventricle.source,
        "edited_by_hand": report.edits,
        "mask_source": report.mask_source or "this program",
        "reader_minutes": _number(report.reader_minutes),
        "reconstruction": result.study.reconstruction.value,
        "spacing_mm": _plain(geometry.spacing_mm),
        "slice_distance_mm": _number(geometry.slice_distance_mm),
        "threshold_probability": None if report.mask_source else result.threshold,
        "growth_mm": result.growth_mm,
        "provenance": {key: str(value) for key, value in provenance.items()},
    }


def write_burden_tables(root: Path) -> None:
    """Make ``burden.csv`` and the tables of segments, slices, lesions and methods anew from ``*/measurements.json``.

    ``burden.csv`` has a row per case, the others a row per case and thing. An empty field was not measured.

    Raises:
        OutputError: a table cannot be written, or a file of measurements is damaged.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (_TABLE, *_LISTS.values())}
    files = sorted(root.glob(f"*/{MEASUREMENTS}"), key=lambda file: natural_order(file.parent.name))
    for file in files:
        document = read_json(file, OutputError)
        try:
            case = {"case": document["case"]}
            rows[_TABLE].append(case | dict(_flat({k: v for k, v in document.items() if k not in (*_LISTS, "missing", "case")})))
            for name, table in _LISTS.items():
                rows[table] += [case | dict(_flat(one)) for one in document[name] or ()]
        except (KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"{file} is damaged. Make the report of this case again, or delete the file.") from error
    for name, lines in rows.items():
        columns = dict.fromkeys(column for line in lines for column in line)
        write_table(root / name, columns or ("case",), lines)


def _intensities(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """With the unit of thresholds in their names."""
    named = {name: f"{name}_intensity" for name in ("lower", "upper", "threshold_low", "threshold_high")}
    return None if entry is None else {named.get(name, name): value for name, value in entry.items()}


def _segment(one: Any) -> dict[str, Any]:
    about = SEGMENTS[one.number - 1]
    found = _plain(one)
    names = {"number": one.number, "name": about.name, "artery": about.artery}
    return names | found | {"grade_percent": None if one.grade is None else GRADES[one.grade].rstrip("%")}


def _flat(entry: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of an object with those of the objects in it, their names joined; lists as one text.

    An object that is null has its fields, too, so that tables have the same columns whatever was measured.
    """
    for name, value in entry.items():
        value = dict.fromkeys(_SHAPES[name]) if value is None and name in _SHAPES else value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}_")
        elif isinstance(value, list):
            yield f"{before}{name}", " ".join(f"{one:.6g}" if isinstance(one, float) else str(one) for one in value)
        else:
            yield f"{before}{name}", value


def _plain(value: Any) -> Any:
    """A dataclass, and what is in it, as JSON has it; no array."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return _number(float(value)) if isinstance(value, (float, np.floating)) else value


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
