"""Where a volume comes from: whose exam it is, as the scene says, and its images, as Slicer's DICOM database knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

from MyoScarSegLib.utils.words import person

_PARTS = {
    "name": "GetDICOMPatientNameAttributeName",
    "number": "GetDICOMPatientIDAttributeName",
    "birth_date": "GetDICOMPatientBirthDateAttributeName",
    "study_date": "GetDICOMStudyDateAttributeName",
}
_PATIENT = "Patient"


@dataclass(frozen=True)
class Exam:
    """The exam of a volume, and what its ``series`` is called: shown to the reader, and printed only where he asks for it. Texts
    are empty where the scene does not say them."""

    name: str = ""
    number: str = ""
    birth_date: str = ""
    study_date: str = ""
    series: str = ""

    @property
    def line(self) -> str:
        """All of it in a line; empty if patient and date are not known."""
        known = [part for part in (self.name, self.number, self.study_date) if part]
        return " · ".join([*known, self.series]) if known else ""


def exam_of(volume_node: Any) -> Exam:
    """What the folders of the scene that a volume lies in say of its patient and study, as Slicer's DICOM import makes them."""
    found: dict[str, str] = {}
    scene = volume_node.GetScene()
    tree = None if scene is None else slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if tree is not None:
        constants = slicer.vtkMRMLSubjectHierarchyConstants
        names = {part: getattr(constants, getter)() for part, getter in _PARTS.items() if hasattr(constants, getter)}
        item, top = tree.GetItemByDataNode(volume_node), tree.GetSceneItemID()
        while item not in (tree.GetInvalidItemID(), top):
            for part, attribute in names.items():
                found[part] = found.get(part) or str(tree.GetItemAttribute(item, attribute) or "")
            if tree.GetItemLevel(item) == _PATIENT:
                found["name"] = found.get("name", "") or str(tree.GetItemName(item))
            item = tree.GetItemParent(item)
    date = found.get("study_date", "")
    if len(date) == 8 and date.isdecimal():
        found["study_date"] = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    found["name"] = person(found.get("name", ""))
    return Exam(**found, series=str(volume_node.GetName()))


def database() -> Any:
    """Slicer's DICOM database; None if there is none."""
    return getattr(slicer, "dicomDatabase", None)


def instance_uids(volume_node: Any) -> list[str]:
    """SOP instance UIDs of the images that Slicer's DICOM import made the volume of; none for a volume from elsewhere."""
    return (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()


def image_files(volume_node: Any) -> tuple[str, ...]:
    """Paths of these images, each file once; an empty path stands for images that the database has lost."""
    known = database()
    if known is None:
        return ()
    return tuple(dict.fromkeys(str(known.fileForInstance(uid) or "") for uid in instance_uids(volume_node)))
