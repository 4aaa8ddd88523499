"""What is measured on a segmented study: scar burden.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, ScarBurden, SliceBurden, scar_burden

_HOMES = {
    "MYOCARDIAL_DENSITY_G_PER_ML": "burden",
    "ScarBurden": "burden",
    "SliceBurden": "burden",
    "scar_burden": "burden",
}

__all__ = ["MYOCARDIAL_DENSITY_G_PER_ML", "ScarBurden", "SliceBurden", "scar_burden"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
