"""The terms of LGE segments: codes, names and colours, offered in Slicer's list of terms.

Slicer's own lists know neither myocardium nor no-reflow. SNOMED CT has no codes as narrow as ours; as DICOM does, a general code
(myocardium, obstruction) stands together with a region (the left ventricle). Texts beside codes are for readers, not compared.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.utils.files import read_json
from MyoScarSegLib.utils.resources import resources_folder

SCAR, MYOCARDIUM, BLOOD_POOL, NO_REFLOW = "Scar", "Myocardium", "BloodPool", "NoReflow"
_REGION = "Anatomic codes - DICOM master list~SCT^87878005^Left ventricle~^^"


@dataclass(frozen=True)
class Term:
    """One term.

    Attributes:
        name: as shown in lists.
        text: what ``vtkSegment.SetTerminology`` takes.
        colour: red, green, blue from 0 to 1.
    """

    name: str
    text: str
    colour: tuple[float, float, float]


def terminology_file() -> Path:
    """The file that Slicer reads the terms from."""
    return resources_folder() / "Terminology" / "MyoScarSeg.term.json"


@functools.cache
def terms() -> dict[str, Term]:
    """All terms by their labels: ``Scar``, ``Myocardium``, ``BloodPool``, ``NoReflow``.

    Raises:
        SceneError: the file is missing or damaged.
    """
    document = read_json(terminology_file(), SceneError)
    found = {}
    try:
        context = document["SegmentationCategoryTypeContextName"]
        for category in document["SegmentationCodes"]["Category"]:
            for kind in category["Type"]:
                text = f"{context}~{_code(category)}~{_code(kind)}~^^~{_REGION}"
                red, green, blue = (value / 255 for value in kind["recommendedDisplayRGBValue"])
                found[kind["3dSlicerLabel"]] = Term(kind["CodeMeaning"], text, (red, green, blue))
    except (KeyError, TypeError, ValueError) as error:
        raise SceneError(f"{terminology_file()} is damaged: {error!r}. Install MyoScarSeg again.") from error
    return found


def register(logic: Any) -> str:
    """Offer the terms in Slicer's selector of terms; does nothing the second time.

    Args:
        logic: ``slicer.modules.terminologies.logic()``.

    Returns:
        The name under which the terms are listed.

    Raises:
        SceneError: Slicer cannot read the file.
    """
    context = terms()[SCAR].text.partition("~")[0]
    if not logic.IsTerminologyContextLoaded(context) and logic.LoadTerminologyFromFile(str(terminology_file())) != context:
        raise SceneError(f"Slicer cannot read the list of terms {terminology_file()}. Install MyoScarSeg again.")
    return context


def _code(entry: dict[str, Any]) -> str:
    return f"{entry['CodingSchemeDesignator']}^{entry['CodeValue']}^{entry['CodeMeaning']}"
