"""What is measured on a study: scar burden, and the field's thresholds for scar in a known wall.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, ScarBurden, SliceBurden, scar_burden
    from MyoScarSegLib.quantification.reference import ReferenceMask, otsu_threshold, reference_masks, remote_myocardium

_HOMES = {
    "MYOCARDIAL_DENSITY_G_PER_ML": "burden",
    "ReferenceMask": "reference",
    "ScarBurden": "burden",
    "SliceBurden": "burden",
    "otsu_threshold": "reference",
    "reference_masks": "reference",
    "remote_myocardium": "reference",
    "scar_burden": "burden",
}

__all__ = [
    "MYOCARDIAL_DENSITY_G_PER_ML",
    "ReferenceMask",
    "ScarBurden",
    "SliceBurden",
    "otsu_threshold",
    "reference_masks",
    "remote_myocardium",
    "scar_burden",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
