"""Which packages a Python has, read from their records: nothing is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any


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


def normalise(name: str) -> str:
    """The form under which names of packages are compared: ``SimpleITK`` and ``simpleitk`` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_packages(path: Iterable[str] | None = None, names: Iterable[str] | None = None) -> dict[str, Found]:
    """The packages of this Python, or of the folders ``path``, by their normalised names.

    The caches of importing are emptied first, so that what another process has installed meanwhile is seen.

    Args:
        path: folders to look in instead of those that Python imports from.
        names: look for these packages only: a few milliseconds instead of the hundred and more that all records take.
    """
    importlib.invalidate_caches()
    where: dict[str, Any] = {} if path is None else {"path": list(path)}
    asked: list[dict[str, Any]] = [{}] if names is None else [{"name": name} for name in names]
    found: dict[str, Found] = {}
    for distribution in chain.from_iterable(importlib.metadata.distributions(**where, **one) for one in asked):
        record = distribution.metadata  # is read from the file each time that it is asked for
        name, version = record["Name"], record["Version"]
        if name and version:  # else a folder that lost its record; importlib.metadata gives None then
            # pip writes the list of files last, so a package without one was not finished.
            whole = distribution.read_text("RECORD") is not None or _of_another_kind(distribution)
            found.setdefault(normalise(name), Found(name, version, whole))
    return found


def importable(modules: Iterable[str]) -> set[str]:
    """Those of the top-level ``modules`` that could be imported here."""
    return {module for module in modules if importlib.util.find_spec(module) is not None}


def _of_another_kind(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it is recorded as eggs are, or by a system's package manager, where no list of files is the rule."""
    return distribution.read_text("PKG-INFO") is not None or (distribution.read_text("INSTALLER") or "pip").strip() != "pip"
