"""The numerical phantom: LGE short-axis studies of known scar mass, made from a seed; no data needed.

The names below load on first use, so that importing the package costs nothing::

    from MyoScarSegLib.phantom import PhantomSettings, make_phantom

    phantom = make_phantom(7)
    phantom.study, phantom.labels, phantom.scar_mass_g
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MyoScarSegLib.phantom.phantom import Phantom, make_phantom, phantom_slices
    from MyoScarSegLib.phantom.phantom_settings import Infarct, PhantomSettings

_HOMES = {
    "Infarct": "phantom_settings",
    "Phantom": "phantom",
    "PhantomSettings": "phantom_settings",
    "make_phantom": "phantom",
    "phantom_slices": "phantom",
}

__all__ = ["Infarct", "Phantom", "PhantomSettings", "make_phantom", "phantom_slices"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
