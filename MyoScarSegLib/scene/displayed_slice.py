"""Which slice of the study the reader looks at, and in which views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk

from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry


def nearest_first(displayed: int, slices: int) -> list[int]:
    """All slice indices, the displayed one first, then its neighbors outwards."""
    return sorted(range(slices), key=lambda k: (abs(k - displayed), -k))


class DisplayedSlice:
    """Calls ``callback(k)`` whenever a slice view that shows the study's slices comes to another one, and ``turned()`` when
    there are other views than before that lie along the slices.

    Slice nodes fire on pan and zoom too, so the slice is computed and compared; views across the stack do not count.
    """

    def __init__(
        self, scene: Any, geometry: VolumeGeometry, callback: Callable[[int], None], turned: Callable[[], None] = lambda: None
    ) -> None:
        self._geometry = geometry
        self._callback = callback
        self._turned = turned
        self._along: dict[str, bool] = {}
        self._observers = Observers()
        self._shown: dict[str, int | None] = {}
        self._displayed: int | None = None
        self._observers.add(scene, slicer.vtkMRMLScene.NodeAddedEvent, self._on_node_added, with_node=True)
        for node in slice_views(scene):
            self._observe(node)

    @property
    def index(self) -> int | None:
        """The slice that was shown last, None if no view shows the study's slices."""
        return self._displayed

    @property
    def along(self) -> tuple[str, ...] | None:
        """Ids of the slice views, of whatever layout, that lie along the slices; None if the scene has no slice view."""
        return tuple(sorted(view for view, along in self._along.items() if along)) if self._along else None

    def stop(self) -> None:
        """Observe the views no longer; the callbacks are never called again."""
        self._observers.clear()

    def _on_node_added(self, node: Any) -> None:
        if node is not None and node.IsA("vtkMRMLSliceNode"):
            self._observe(node)

    def _observe(self, node: Any) -> None:
        if node.GetID() not in self._along:
            self._observers.add(node, vtk.vtkCommand.ModifiedEvent, self._on_slice_node)
            self._note(node)

    def _on_slice_node(self, node: Any) -> None:
        before = self._displayed
        if self._note(node) and self._displayed != before and self._displayed is not None:
            self._callback(self._displayed)

    def _note(self, node: Any) -> bool:
        """Note which slice a view shows. Returns whether that is news and a slice of the study."""
        along = self._geometry.shows_slices(node)
        if self._along.get(node.GetID()) != along:
            self._along[node.GetID()] = along
            self._turned()
        visible = along and not _hidden(node)
        shown = self._geometry.slice_of_view(node) if visible else None
        if shown == self._shown.get(node.GetID()):
            return False
        self._shown[node.GetID()] = shown
        if shown is None:
            return False
        self._displayed = shown
        return True


def slice_views(scene: Any) -> list[Any]:
    """The nodes of all slice views, also of those that the layout does not show."""
    return nodes_by_class(scene, "vtkMRMLSliceNode")


def _hidden(node: Any) -> bool:
    """Whether a view belongs to another layout than the one shown. Without an application none is shown, and all count."""
    return not node.IsMappedInLayout() and any(other.IsMappedInLayout() for other in slice_views(node.GetScene()))
