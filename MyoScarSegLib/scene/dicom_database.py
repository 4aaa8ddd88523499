"""The DICOM images behind a volume of the scene, as Slicer's DICOM database knows them."""

from __future__ import annotations

from typing import Any

import slicer


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
