"""The terms of LGE segments in Slicer's list of terms; their one table is :mod:`MyoScarSegLib.study.tissue`.

Slicer's own lists know neither myocardium nor no-reflow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.utils.resources import resources_folder

CONTEXT = "Segmentation category and type - MyoScarSeg"
"""Under this name Slicer lists the terms."""


def terminology_file() -> Path:
    """The file that Slicer reads the terms from."""
    return resources_folder() / "Terminology" / "MyoScarSeg.term.json"


def register(logic: Any) -> None:
    """Offer the terms in Slicer's selector of terms, given ``slicer.modules.terminologies.logic()``; once is enough.

    Raises:
        SceneError: Slicer cannot read the file.
    """
    if not logic.IsTerminologyContextLoaded(CONTEXT) and logic.LoadTerminologyFromFile(str(terminology_file())) != CONTEXT:
        raise SceneError(f"Slicer cannot read the list of terms {terminology_file()}. Install MyoScarSeg again.")
