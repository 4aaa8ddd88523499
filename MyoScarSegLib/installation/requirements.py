"""The packages that the networks need, and which of them are there. Nothing is imported to find out."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True)
class Found:
    """An installed package.

    Attributes:
        name: as the package calls itself.
        version: its version.
        whole: False if an installation of it was broken off.
    """

    name: str
    version: str
    whole: bool = True


@dataclass(frozen=True)
class Requirement:
    """One package.

    Attributes:
        name: as the package index calls it.
        minimum: the oldest version that serves, "" for any.
        download_mb: about how much is downloaded for it and for what it needs in turn, megabytes; of torch, see the plan.
        disk_mb: about how much it takes on the disk then, megabytes.
        instead: packages that bring the same modules; where one is installed, this one must not be put over it.
        alone: installed without what it declares to need, because this list has that.
    """

    name: str
    minimum: str = ""
    download_mb: float = 1
    disk_mb: float = 2
    instead: tuple[str, ...] = ()
    alone: bool = False

    def __str__(self) -> str:
        """As pip takes it."""
        return f"{self.name}>={self.minimum}" if self.minimum else self.name

    def satisfied(self, installed: Mapping[str, Found]) -> bool:
        """Whether it, or a package that does instead, is installed whole and not too old."""
        names = map(canonicalize_name, (self.name, *self.instead))
        there = [installed[name] for name in names if name in installed]
        return any(found.whole and not older(found.version, self.minimum) for found in there)


TORCH = (
    Requirement("torch", "2.6"),
    Requirement("torchvision", "0.21", 8, 15),
)

# ultralytics declares more than inference takes: exclusions of numpy versions on macOS that are Slicer's, and OpenCV by a name
# that may not be the one another extension installed. So it goes in alone, and what it does take is listed here. OpenCV without
# windows ("headless"), because the other kind brings its own Qt, which breaks Slicer's on Linux.
_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
OTHERS = (
    Requirement("ultralytics-opencv-headless", "8.4", 2, 11, ("ultralytics",), alone=True),
    Requirement("segment-anything", "1.0", 0.1, 0.4, alone=True),
    Requirement("safetensors", "0.4.3", 0.6, 1),
    Requirement("nibabel", "5.2", 3.3, 12),
    Requirement("pynrrd", "1.0", 0.1, 0.1),
    Requirement("highdicom", "0.27", 5, 30),
    Requirement("opencv-python-headless", "4.7", 61, 110, _OPENCV),
    Requirement("matplotlib", "3.8", 17, 55),
    Requirement("pillow", "10.3", 7, 20),
    Requirement("polars", "0.20", 55, 180),
    Requirement("psutil", "5.8", 0.3, 1),
    Requirement("pyyaml", "5.3.1", 0.8, 3),
    Requirement("nvidia-ml-py", "12.0", 0.1, 0.5),
    Requirement("ultralytics-thop", "2.2.3", 0.1, 0.2),
    Requirement("ultralytics-platform", "0.1.45", 0.7, 2),
    Requirement("tqdm", "4.66", 0.1, 0.5),
)
TRAINING = (Requirement("accelerate", "1.0", 1, 5),)

#: What Slicer brings itself. Too old a version is told to the user; it is never replaced.
SLICERS_OWN = (
    Requirement("numpy", "1.26"),
    Requirement("packaging", "23.0"),
    Requirement("scipy", "1.11"),
    Requirement("SimpleITK", "2.3"),
    Requirement("pydicom", "2.4"),
)

#: Modules that Slicer may bring without the record of a package: pip, not knowing them, would put its own beside them.
SLICERS_MODULES = {"numpy": "numpy", "scipy": "scipy", "SimpleITK": "simpleitk", "vtk": "vtk", "pydicom": "pydicom"}


def wanted(training: bool = False) -> tuple[Requirement, ...]:
    """Everything that is needed to propose and segment, and with ``training`` to fine-tune."""
    return (*TORCH, *OTHERS, *(TRAINING if training else ()))


def missing(installed: Mapping[str, Found], training: bool = False) -> list[Requirement]:
    """What of :func:`wanted` is not there, too old, or half installed."""
    return [requirement for requirement in wanted(training) if not requirement.satisfied(installed)]


def missing_now(training: bool = False) -> list[Requirement]:
    """What is missing in the running Python, without starting a process: some milliseconds."""
    names = [name for requirement in wanted(training) for name in (requirement.name, *requirement.instead)]
    return missing(installed_packages(names=names), training)


def installed_packages(path: Iterable[str] | None = None, names: Iterable[str] | None = None) -> dict[str, Found]:
    """The packages of this Python, or of the folders ``path``, by their canonical names. Nothing is imported.

    The caches of importing are emptied first, so that what another process has installed meanwhile is seen. To look for some
    ``names`` only takes a few milliseconds instead of the hundred and more that all records take.
    """
    importlib.invalidate_caches()
    where: dict[str, Any] = {} if path is None else {"path": list(path)}
    asked: list[dict[str, Any]] = [{}] if names is None else [{"name": name} for name in names]
    found: dict[str, Found] = {}
    for distribution in chain.from_iterable(importlib.metadata.distributions(**where, **one) for one in asked):
        try:
            record = distribution.metadata  # is read from the file each time that it is asked for
        except FileNotFoundError:  # from the package importlib_metadata, which takes the place of Python's own once imported
            continue
        name, version = record["Name"], record["Version"]
        if name and version:  # else a folder that lost its record; importlib.metadata gives None then
            # pip writes the list of files last, so a package without one was not finished.
            whole = distribution.read_text("RECORD") is not None or _of_another_kind(distribution)
            found.setdefault(canonicalize_name(name), Found(name, version, whole))
    return found


def older(version: str, minimum: str) -> bool:
    """Whether ``version`` is before ``minimum``; one that is no version is."""
    try:
        return bool(minimum) and Version(version) < Version(minimum)
    except InvalidVersion:
        return True


def pytorch_extension_present() -> bool:
    """Whether Slicer has the PyTorch extension.

    Its own call ends with ``import torch`` in the application, which together with torchvision brings Slicer down; it cannot be
    cancelled, and takes no constraints. So its installer, light-the-torch, is run in a process of its own instead.
    """
    return importlib.util.find_spec("PyTorchUtils") is not None


def other_installation() -> str:
    """Why nothing may be installed now, "" if it may: two pips at once spoil each other's work.

    Slicer knows of its own installations (``slicer.packaging``); its ``pip_install`` is not used, because it cannot be cancelled
    and says nothing of how far it is.
    """
    if getattr(sys.modules.get("slicer"), "app", None) is None:  # Slicer's Python, or another one with Slicer's libraries
        return ""
    if importlib.import_module("slicer.packaging").isPipInstallInProgress():
        return "Slicer is installing packages for another module. Wait until that has ended."
    return ""


def _of_another_kind(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it is recorded as eggs are, or by a system's package manager, where no list of files is the rule."""
    return distribution.read_text("PKG-INFO") is not None or (distribution.read_text("INSTALLER") or "pip").strip() != "pip"
