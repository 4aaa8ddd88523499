"""The packages that the networks need, and which of them are there. Nothing is imported to find out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from MyoScarSegLib.installation.installed import Found, normalise


@dataclass(frozen=True)
class Requirement:
    """One package.

    Attributes:
        name: as the package index calls it.
        minimum: the oldest version that serves, "" for any.
        purpose: what it is for, for the user.
        download_mb: about how much is downloaded for it and for what it needs in turn, megabytes. Of torch, see ``sizes``.
        disk_mb: about how much it takes on the disk then, megabytes.
        instead: packages that bring the same modules; where one is installed, this one must not be put over it.
        alone: installed without what it declares to need, because this list has that.
    """

    name: str
    minimum: str = ""
    purpose: str = ""
    download_mb: float = 1
    disk_mb: float = 2
    instead: tuple[str, ...] = ()
    alone: bool = False

    def __str__(self) -> str:
        """As pip takes it."""
        return f"{self.name}>={self.minimum}" if self.minimum else self.name

    def satisfied(self, installed: Mapping[str, Found]) -> bool:
        """Whether it, or a package that does instead, is installed whole and not too old."""
        there = [installed[normalise(name)] for name in (self.name, *self.instead) if normalise(name) in installed]
        return any(found.whole and not older(found.version, self.minimum) for found in there)


TORCH = (
    Requirement("torch", "2.6", "networks"),
    Requirement("torchvision", "0.21", "networks", 8, 15),
)

# ultralytics declares more than inference takes: exclusions of numpy versions on macOS that are Slicer's, and OpenCV by a name
# that may not be the one another extension installed. So it goes in alone, and what it does take is listed here. OpenCV without
# windows ("headless"), because the other kind brings its own Qt, which breaks Slicer's on Linux.
_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
OTHERS = (
    Requirement("ultralytics-opencv-headless", "8.4", "detector", 2, 11, ("ultralytics",), alone=True),
    Requirement("segment-anything", "1.0", "segmenter", 0.1, 0.4, alone=True),
    Requirement("safetensors", "0.4.3", "model files", 0.6, 1),
    Requirement("nibabel", "5.2", "image files", 3.3, 12),
    Requirement("pynrrd", "1.0", "image files", 0.1, 0.1),
    Requirement("opencv-python-headless", "4.7", "detector", 61, 110, _OPENCV),
    Requirement("matplotlib", "3.8", "pictures", 17, 55),
    Requirement("pillow", "10.3", "pictures", 7, 20),
    Requirement("polars", "0.20", "detector", 55, 180),
    Requirement("psutil", "5.8", "detector", 0.3, 1),
    Requirement("pyyaml", "5.3.1", "detector", 0.8, 3),
    Requirement("nvidia-ml-py", "12.0", "detector", 0.1, 0.5),
    Requirement("ultralytics-thop", "2.2.3", "detector", 0.1, 0.2),
    Requirement("ultralytics-platform", "0.1.45", "detector", 0.7, 2),
    Requirement("tqdm", "4.66", "progress", 0.1, 0.5),
)
TRAINING = (
    Requirement("accelerate", "1.0", "training", 1, 5),
    Requirement("monai", "1.4", "training", 2, 12),
)

#: What Slicer brings itself. Too old a version is told to the user; it is never replaced.
SLICERS_OWN = (
    Requirement("numpy", "1.26"),
    Requirement("scipy", "1.11"),
    Requirement("SimpleITK", "2.3"),
    Requirement("pydicom", "2.4"),
)

#: Modules that Slicer may bring without the record of a package: pip, not knowing them, would put its own beside them.
SLICERS_MODULES = {"numpy": "numpy", "scipy": "scipy", "SimpleITK": "simpleitk", "vtk": "vtk", "pydicom": "pydicom"}


def wanted(training: bool = False) -> tuple[Requirement, ...]:
    """Everything that is needed to propose and segment, and with ``training`` to fine-tune."""
    return (*TORCH, *OTHERS, *(TRAINING if training else ()))


def names(training: bool = False) -> list[str]:
    """The packages whose presence tells what is missing: those that are wanted, and those that would do instead."""
    return [name for requirement in wanted(training) for name in (requirement.name, *requirement.instead)]


def missing(installed: Mapping[str, Found], training: bool = False) -> list[Requirement]:
    """What of :func:`wanted` is not there, too old, or half installed."""
    return [requirement for requirement in wanted(training) if not requirement.satisfied(installed)]


def older(version: str, minimum: str) -> bool:
    """Whether ``version`` is before ``minimum``, by their numbers: ``2.14.1+cpu`` is not before ``2.6``."""
    return bool(minimum) and _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"v?(?:\d+!)?([0-9]+(?:\.[0-9]+)*)", version.strip())
    numbers = [int(part) for part in release.group(1).split(".")] if release else [0]
    while numbers and numbers[-1] == 0:  # 2.0 is 2
        numbers.pop()
    return tuple(numbers)
