"""The right ventricle's insertion points as a file of markups that 3D Slicer opens, moves and saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.utils.files import read_json, write_json

LANDMARKS = "landmarks.mrk.json"
_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
)
_LABELS = {"anterior": "anterior insertion", "inferior": "inferior insertion"}


def write_landmarks(path: Path, points: InsertionPoints) -> None:
    """Write the two points as a point list in LPS, atomically; OutputError if the file cannot be written."""
    places = {"anterior": points.anterior_mm, "inferior": points.inferior_mm}
    control = [
        {"id": str(number), "label": _LABELS[name], "position": [round(v, 4) for v in place], "positionStatus": "defined"}
        for number, (name, place) in enumerate(places.items(), start=1)
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": control}
    write_json(path, {"@schema": _SCHEMA, "markups": [markup]})


def read_landmarks(path: Path) -> InsertionPoints:
    """The two points of a file of markups (``.mrk.json``), in LPS or RAS: the labels begin with ``ant`` and ``inf``.

    Raises:
        StudyError: it is none, or lacks one of the points.
    """
    document = read_json(path, StudyError)
    found: dict[str, tuple[float, float, float]] = {}
    try:
        for markup in document["markups"]:
            sign = -1.0 if markup.get("coordinateSystem", "LPS") in ("RAS", "0") else 1.0
            for control in markup["controlPoints"]:
                if name := _name_of(control):
                    x, y, z = (float(value) for value in control["position"])
                    found[name] = (sign * x, sign * y, z)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"{path} is no file of markups. Save the point list from Slicer as .mrk.json.") from error
    if missing := [label for name, label in _LABELS.items() if name not in found]:
        raise StudyError(f"{path} has no point whose label says {' or '.join(missing)}. Label the points so.")
    return InsertionPoints(found["anterior"], found["inferior"])


def _name_of(control: dict[str, Any]) -> str | None:
    label = str(control.get("label", "")).strip().lower()
    if control.get("positionStatus", "defined") != "defined":
        return None
    return next((name for name in _LABELS if label.startswith(name[:3])), None)
