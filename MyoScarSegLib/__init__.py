"""MyoScarSeg's library: myocardial scar on LGE cardiac MRI, from study to boxes, mask and mass.

The names below are what a script needs. They load on first use: importing the package loads nothing else, and ``torch``,
``ultralytics`` and ``SimpleITK`` load where they are used::

    from MyoScarSegLib import Pipeline, read_study

    study = read_study("patient/")
    result = Pipeline().run(study)
    print(result.burden.mass_g)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MyoScarSegLib.detection import load_detector
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.prompts import Box, Point
    from MyoScarSegLib.result import Result
    from MyoScarSegLib.segmentation import SegmenterImage, load_segmenter
    from MyoScarSegLib.study import read_study

__version__ = "0.1.0"

__all__ = ["Box", "Pipeline", "Point", "Result", "SegmenterImage", "load_detector", "load_segmenter", "read_study"]

_HOMES = {
    "Box": "prompts",
    "Pipeline": "pipeline",
    "Point": "prompts",
    "Result": "result",
    "SegmenterImage": "segmentation",
    "load_detector": "detection",
    "load_segmenter": "segmentation",
    "read_study": "study",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
