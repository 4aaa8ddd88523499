"""What is measured on a study: scar burden, and the field's thresholds for scar in a known wall.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.aha import SEGMENTS, InsertionPoints
    from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, Extent, ScarBurden, SliceBurden, scar_burden
    from MyoScarSegLib.quantification.contours import ventricle_of_contours
    from MyoScarSegLib.quantification.insertions import propose_insertions
    from MyoScarSegLib.quantification.measurements import Measurements, measure
    from MyoScarSegLib.quantification.reference import (
        ReferenceMask,
        ReferenceRow,
        otsu_threshold,
        reference_masks,
        reference_table,
    )
    from MyoScarSegLib.quantification.remote import Remote, remote_myocardium
    from MyoScarSegLib.quantification.ventricle import Ventricle, ventricle_of_labels, ventricle_of_tissue

_HOMES = {
    "Extent": "burden",
    "InsertionPoints": "aha",
    "MYOCARDIAL_DENSITY_G_PER_ML": "burden",
    "Measurements": "measurements",
    "ReferenceMask": "reference",
    "ReferenceRow": "reference",
    "Remote": "remote",
    "SEGMENTS": "aha",
    "ScarBurden": "burden",
    "SliceBurden": "burden",
    "Ventricle": "ventricle",
    "measure": "measurements",
    "otsu_threshold": "reference",
    "propose_insertions": "insertions",
    "reference_masks": "reference",
    "reference_table": "reference",
    "remote_myocardium": "remote",
    "scar_burden": "burden",
    "ventricle_of_contours": "contours",
    "ventricle_of_labels": "ventricle",
    "ventricle_of_tissue": "ventricle",
}

__all__ = [
    "MYOCARDIAL_DENSITY_G_PER_ML",
    "SEGMENTS",
    "Extent",
    "InsertionPoints",
    "Measurements",
    "ReferenceMask",
    "ReferenceRow",
    "Remote",
    "ScarBurden",
    "SliceBurden",
    "Ventricle",
    "measure",
    "otsu_threshold",
    "propose_insertions",
    "reference_masks",
    "reference_table",
    "remote_myocardium",
    "scar_burden",
    "ventricle_of_contours",
    "ventricle_of_labels",
    "ventricle_of_tissue",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
