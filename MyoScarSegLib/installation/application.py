"""What the application has to say about an installation: its Python, the PyTorch extension, and other installations."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from MyoScarSegLib.installation.installed import installed_packages
from MyoScarSegLib.installation.requirements import Requirement, missing, names


def in_application() -> bool:
    """Whether this process is Slicer itself, not its Python or another one with Slicer's libraries."""
    return getattr(sys.modules.get("slicer"), "app", None) is not None


def missing_now(training: bool = False) -> list[Requirement]:
    """What is missing in the running Python, without starting a process: some milliseconds."""
    return missing(installed_packages(names=names(training)), training)


def pytorch_extension_present() -> bool:
    """Whether Slicer has the PyTorch extension.

    Its own call ends with ``import torch`` in the application, which together with torchvision brings Slicer down; it cannot be
    cancelled, and takes no constraints. So its installer, light-the-torch, is run in a process of its own instead.
    """
    return importlib.util.find_spec("PyTorchUtils") is not None


def other_installation() -> str:
    """Why nothing may be installed now, "" if it may: two pips at once spoil each other's work.

    Slicer 5.12 knows of its own installations (``slicer.packaging``); its ``pip_install`` itself is not used, because it cannot
    be cancelled and says nothing of how far it is.
    """
    if not in_application() or importlib.util.find_spec("slicer.packaging") is None:
        return ""
    packaging = importlib.import_module("slicer.packaging")
    if packaging.isPipInstallInProgress():
        return "Slicer is installing packages for another module. Wait until that has ended."
    return ""
