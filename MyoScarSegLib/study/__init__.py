"""An LGE study: reading and writing it, its slice stack and geometry, and the one intensity normalization."""

from MyoScarSegLib.study.description import describe
from MyoScarSegLib.study.masks import read_mask
from MyoScarSegLib.study.reader import list_series, read_study
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.study.writer import write_segmentation, write_volume

__all__ = [
    "Geometry",
    "Reconstruction",
    "Study",
    "describe",
    "list_series",
    "read_mask",
    "read_study",
    "write_segmentation",
    "write_volume",
]
