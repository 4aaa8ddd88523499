"""Where a volume comes from: whose exam it is, as the scene says, and its images, as Slicer's DICOM database knows them."""

from __future__ import annotations

from typing import Any

import slicer

from MyoScarSegLib.study.patient import Patient, shown_date, shown_name

_PARTS = {
    "name": "GetDICOMPatientNameAttributeName",
    "number": "GetDICOMPatientIDAttributeName",
    "birth_date": "GetDICOMPatientBirthDateAttributeName",
    "study_date": "GetDICOMStudyDateAttributeName",
}
_PATIENT = "Patient"


def patient_of(volume_node: Any) -> Patient:
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
    shown = {"name": shown_name, "birth_date": shown_date, "study_date": shown_date}
    return Patient(**{part: shown.get(part, str)(text) for part, text in found.items()})


def exam_line(volume_node: Any) -> str:
    """Patient, date and series of a volume in a line, for the reader; empty if patient and date are not known."""
    patient = patient_of(volume_node)
    known = [part for part in (patient.name, patient.number, patient.study_date) if part]
    return " · ".join([*known, str(volume_node.GetName())]) if known else ""


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
