"""The subject-hierarchy folder of a study, with the nodes that we made for it."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from MyoScarSegLib.scene.attributes import ROLE, VOLUME, our_nodes
from MyoScarSegLib.scene.translation import _

ROLE_FOLDER = "folder"


class StudyFolder:
    """A folder beside the volume, in the volume's own study where it has one (DICOM); the volume stays where the user has it.

    It is known by a tag, unlike that of other studies.
    """

    def __init__(self, volume_node: Any, tag: str) -> None:
        self.volume_node = volume_node
        self.tag = tag
        self._seen: set[str] = set()
        self._collected_at: int | None = None  # when nodes were added to the scene, or removed, last time

    def collect(self) -> None:
        """Put the nodes of the study that are not in the folder yet into it. One that the user moved elsewhere stays there."""
        scene, of_volume = self.volume_node.GetScene(), self.volume_node.GetID()
        hierarchy = None if scene is None else slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if hierarchy is None or scene.GetNodes().GetMTime() == self._collected_at:
            return
        self._collected_at = scene.GetNodes().GetMTime()
        ours = [node for node, _role in our_nodes(scene) if node.GetNodeReferenceID(VOLUME) == of_volume]
        new = [node for node in ours if node.IsA("vtkMRMLStorableNode") and node.GetID() not in self._seen]
        if not new:
            return
        folder = self._find(hierarchy) or self._make(hierarchy)
        for node in new:
            self._seen.add(node.GetID())
            item = hierarchy.GetItemByDataNode(node)
            if not item:  # outside the application nothing makes items by itself
                hierarchy.CreateItem(folder, node)
            elif hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID():
                hierarchy.SetItemParent(item, folder)

    def _find(self, hierarchy: Any) -> int:
        items = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
        for number in range(items.GetNumberOfIds()):
            item = items.GetId(number)
            if hierarchy.GetItemAttribute(item, ROLE) == f"{ROLE_FOLDER} {self.tag}":
                return int(item)
        return 0

    def _make(self, hierarchy: Any) -> int:
        of_volume = hierarchy.GetItemByDataNode(self.volume_node)
        parent = hierarchy.GetItemParent(of_volume) if of_volume else hierarchy.GetSceneItemID()
        folder = hierarchy.CreateFolderItem(parent, _("{name} scar").format(name=self.volume_node.GetName()))
        hierarchy.SetItemAttribute(folder, ROLE, f"{ROLE_FOLDER} {self.tag}")
        hierarchy.RequestOwnerPluginSearch(folder)  # Slicer took it for any folder
        hierarchy.SetItemExpanded(folder, False)
        return int(folder)


def is_study_folder(hierarchy: Any, item: int) -> bool:
    """Whether an item of the subject hierarchy is the folder of a study."""
    return bool(item) and str(hierarchy.GetItemAttribute(item, ROLE)).startswith(f"{ROLE_FOLDER} ")
