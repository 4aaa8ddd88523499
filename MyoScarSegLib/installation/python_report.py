"""What the Python that is installed into has, and its computer offers, found by a process that runs on it."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from MyoScarSegLib.errors import InstallationError
from MyoScarSegLib.installation.requirements import SLICERS_MODULES, Found, installed_packages, older
from MyoScarSegLib.utils import json_fields

PUBLIC_INDEX = "https://pypi.org/simple"
# torch's builds and what they take: the driver's CUDA version, and the card's compute capability. The builds for CUDA 13 have no
# code for cards before Turing (7.5); those for 12.6 are the last that have it for Maxwell, Pascal and Volta.
_BUILDS = (("cu130", 13.0, 7.5), ("cu126", 12.0, 5.0))


@dataclass(frozen=True)
class Computer:
    """System and graphics card.

    Attributes:
        system: ``Linux``, ``Windows`` or ``Darwin``.
        machine: the processor, as ``platform.machine()`` gives it.
        card: name of the NVIDIA card, "" if there is none that answers.
        cuda: the newest CUDA version that its driver runs, 0 if unknown.
        capability: the card's compute capability, 0 if unknown.
    """

    system: str
    machine: str = ""
    card: str = ""
    cuda: float = 0.0
    capability: float = 0.0

    @property
    def build(self) -> str:
        """Which build of torch suits: ``cu130``, ``cu126``, ``mps`` or ``cpu``."""
        if self.system == "Darwin":
            return "mps" if self.machine == "arm64" else "cpu"
        for build, cuda, capability in _BUILDS:
            if self.card and self.cuda >= cuda and self.capability >= capability:
                return build
        return "cpu"

    @property
    def device(self) -> str:
        """Which device the networks will use, as ``--device`` names it: ``cuda``, ``mps`` or ``cpu``."""
        return "cuda" if self.build.startswith("cu") else self.build

    @property
    def device_text(self) -> str:
        """The device that the networks will use, in words for the user, with the reason if it is no card."""
        if self.device == "cuda":
            return f"graphics card {self.card}"
        if self.device == "mps":
            return "graphics part of the Apple processor"
        if not self.card:
            return "processor (no NVIDIA graphics card found)"
        if self.cuda < _BUILDS[-1][1]:
            return f"processor (the driver of {self.card} is too old for today's torch: update it to use the card)"
        return f"processor ({self.card} is too old for today's torch)"


@dataclass(frozen=True)
class Report:
    """The Python that the worker runs on.

    Attributes:
        packages: what is installed, by canonical names.
        modules: those of ``SLICERS_MODULES`` that can be imported.
        computer: system and graphics card.
        index: the package index that pip is set to, "" for the public one.
        folder: where pip would install.
        writable: whether it may.
        free_bytes: how much that disk has left.
    """

    packages: dict[str, Found]
    modules: frozenset[str]
    computer: Computer
    index: str
    folder: str
    writable: bool
    free_bytes: int

    @classmethod
    def from_json(cls, document: Any) -> Report:
        """The report of :func:`look`; InstallationError if it is none."""
        return json_fields.read(cls, document, InstallationError, "What Slicer's Python says of itself")

    def version(self, name: str) -> str:
        """The installed version of a package, "" if it is not there."""
        found = self.packages.get(canonicalize_name(name))
        return found.version if found else ""

    @property
    def reports_bytes(self) -> bool:
        """Whether its pip can say how many bytes of a file have come."""
        return not older(self.version("pip"), "24.1")

    @property
    def unrecorded(self) -> set[str]:
        """Packages whose modules are there, but not their records: pip would put its own beside them."""
        return {name for module, name in SLICERS_MODULES.items() if module in self.modules and name not in self.packages}


def look() -> dict[str, Any]:
    """The report on this process's Python, as a JSON object."""
    folder = sysconfig.get_path("purelib")
    existing = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
    report = Report(
        packages=installed_packages(),
        modules=frozenset(module for module in SLICERS_MODULES if importlib.util.find_spec(module) is not None),
        computer=this_computer(),
        index=configured_index(),
        folder=folder,
        writable=os.access(folder, os.W_OK),
        free_bytes=shutil.disk_usage(existing).free,
    )
    document: dict[str, Any] = json_fields.to_json(report)
    return document


def configured_index() -> str:
    """The index that this Python's pip is set to, "" if it is the public one.

    A hospital's computers may reach nothing but a mirror; then torch must come from there as well.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    chosen = dict(re.findall(r"^(global|install|:env:)\.index-url='(.*)'\s*$", ran.stdout, re.MULTILINE))
    index = chosen.get(":env:") or chosen.get("install") or chosen.get("global") or ""
    return "" if index.rstrip("/") == PUBLIC_INDEX else index


def this_computer() -> Computer:
    """This computer. Asking the graphics driver can take seconds: not for the thread that draws the panel."""
    system, machine = platform.system(), platform.machine()
    if system == "Darwin":
        return Computer(system, machine)
    return Computer(system, machine, *_ask_driver())


def _ask_driver() -> tuple[str, float, float]:
    """Name, CUDA version and capability of the most capable NVIDIA card; empty if there is none or it does not answer."""
    cards = []
    for line in _nvidia_smi("--query-gpu=name,compute_cap", "--format=csv,noheader").splitlines():
        name, _, capability = line.rpartition(",")
        cards.append((_number(capability), name.strip()))
    if not cards:
        return "", 0.0, 0.0
    best, card = max(cards)
    cuda = _nvidia_smi().partition("CUDA Version:")[2].split()[:1]
    return card, _number(cuda[0]) if cuda else 0.0, best


def _nvidia_smi(*arguments: str) -> str:
    try:
        ran = subprocess.run(  # noqa: S603 (the arguments are ours)
            ["nvidia-smi", *arguments],  # noqa: S607 (wherever the driver put it)
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.SubprocessError):  # no driver, or one that hangs or complains: then there is no card for us
        return ""
    return ran.stdout


def _number(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        return 0.0
