"""What the application offers through PythonQt, as the checker in ``Testing/support/slicer_facts`` reads it."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).resolve().parent.parent / "slicer_facts"


@functools.lru_cache(maxsize=1)
def checker() -> Any:
    """The module ``check_ui.py``."""
    spec = importlib.util.spec_from_file_location("check_ui", FACTS / "check_ui.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_ui"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@functools.lru_cache(maxsize=1)
def api() -> Any:
    """Members of every class, by PythonQt's look-up rules."""
    return checker().Api(FACTS / "qt-api.json")


@functools.cache
def find(cls: str, name: str) -> Any:
    """What ``object.name`` is for an object of this class; None if PythonQt has no such attribute."""
    return api().find(cls, name)


@functools.cache
def signature_problem(cls: str, signature: str) -> str:
    """Why a class has no signal of this signature; empty if it has."""
    return api().signature_problem(cls, signature)
