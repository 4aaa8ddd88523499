"""What the Python that is installed into has, found by a process that runs on it."""

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
from MyoScarSegLib.installation.computer import Computer, this_computer
from MyoScarSegLib.installation.requirements import SLICERS_MODULES, Found, installed_packages, older
from MyoScarSegLib.utils import json_fields

PUBLIC_INDEX = "https://pypi.org/simple"


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
        python: version of Python, ``3.12.10``.
    """

    packages: dict[str, Found]
    modules: frozenset[str]
    computer: Computer
    index: str
    folder: str
    writable: bool
    free_bytes: int
    python: str

    @classmethod
    def from_json(cls, document: Any) -> Report:
        """The report of :func:`look`.

        Raises:
            InstallationError: it is none.
        """
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
        python=platform.python_version(),
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
