"""An LGE study: reading and writing it, its slice stack and geometry, and the one intensity normalization.

The names below load on first use, so that importing the package costs nothing. No name may be that of a submodule
(so ``normalize`` is imported from ``MyoScarSegLib.study.normalize``): importing one puts the module in the name's place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MyoScarSegLib.study.description import describe
    from MyoScarSegLib.study.frame import Frame
    from MyoScarSegLib.study.masks import read_mask
    from MyoScarSegLib.study.names import case_name
    from MyoScarSegLib.study.normalization import NORMALIZATION, Normalization
    from MyoScarSegLib.study.reader import list_series, read_study
    from MyoScarSegLib.study.series import Series
    from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
    from MyoScarSegLib.study.writer import write_segmentation, write_volume

_HOMES = {
    "NORMALIZATION": "normalization",
    "Frame": "frame",
    "Geometry": "study",
    "Normalization": "normalization",
    "Reconstruction": "study",
    "Series": "series",
    "Study": "study",
    "case_name": "names",
    "describe": "description",
    "list_series": "reader",
    "read_mask": "masks",
    "read_study": "reader",
    "write_segmentation": "writer",
    "write_volume": "writer",
}

__all__ = [
    "NORMALIZATION",
    "Frame",
    "Geometry",
    "Normalization",
    "Reconstruction",
    "Series",
    "Study",
    "case_name",
    "describe",
    "list_series",
    "read_mask",
    "read_study",
    "write_segmentation",
    "write_volume",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
