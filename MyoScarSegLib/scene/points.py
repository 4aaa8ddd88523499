"""Point prompts: two point lists of a volume, one for "scar is here" and one for "it is not"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import slicer
import vtk

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.prompts import Point, check_point
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.geometry import VolumeGeometry
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.text import _

ROLE_POINTS = {True: "points +", False: "points -"}
_COLORS = {True: (0.25, 0.85, 1.0), False: (1.0, 0.35, 0.55)}
_ON_SLICE = 1e-3


class PointPrompts:
    """The points of one volume. The lists are the truth; a point belongs to the slice that is nearest to it.

    The lists follow the volume through its transforms. They are made when first needed, and anew if the user deletes one.
    """

    def __init__(self, volume_node: Any, geometry: VolumeGeometry) -> None:
        self.volume_node = volume_node
        self._geometry = geometry
        self._nodes: dict[bool, Any] = {}
        self._observers = Observers()
        self._callbacks: list[Callable[[], None]] = []
        self._writing = 0
        for positive in (True, False):
            if node_of(volume_node, ROLE_POINTS[positive]) is not None:
                self.node(positive)

    def node(self, positive: bool) -> Any:
        """The list of positive or of negative points."""
        node = self._nodes.get(positive)
        if node is None or node.GetScene() is None:
            node = node_of(self.volume_node, ROLE_POINTS[positive])
            if node is None:
                name = _("Scar is here (+)") if positive else _("No scar here (-)")
                node = make_node(self.volume_node, "vtkMRMLMarkupsFiducialNode", ROLE_POINTS[positive], name)
                node.SetControlPointLabelFormat("+" if positive else "-")
                _prepare_display(node, positive)
            self._nodes[positive] = node
            self._watch(node)
        if node.GetTransformNodeID() != self.volume_node.GetTransformNodeID():
            self._writing += 1
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())
            self._writing -= 1
        return node

    def has_node(self, positive: bool) -> bool:
        """Whether the list is there already."""
        node = self._nodes.get(positive)
        return node is not None and node.GetScene() is not None

    def points(self) -> list[Point]:
        """All placed points that lie in the image, positive ones first."""
        found: list[Point] = []
        slices, rows, columns = self._geometry.shape
        for positive in (True, False):
            for x, y, k in self._positions(positive):
                index = int(np.floor(k + 0.5))
                if 0 <= index < slices and 0 <= x <= columns and 0 <= y <= rows:
                    found.append(Point(index, float(x), float(y), positive))
        return found

    def add(self, point: Point) -> None:
        """Add a point.

        Raises:
            PromptError: it is outside the image.
        """
        point = check_point(point, self._geometry.shape)
        ras = self._geometry.to_world(np.array([[point.x, point.y, float(point.slice)]]))[0]
        node = self.node(point.positive)
        self._writing += 1
        try:
            node.AddControlPointWorld(vtk.vtkVector3d(*ras), "+" if point.positive else "-")
        finally:
            self._writing -= 1
        self._tell()

    def write(self, points: Iterable[Point]) -> None:
        """Put these points in place of all others, in one change; errors as of :meth:`add`."""
        checked = [check_point(point, self._geometry.shape) for point in points]
        if checked == self.points() and all(self._defined(p) == self._count(p) for p in (True, False)):
            return
        self._writing += 1
        try:
            for positive in (True, False):
                own = [p for p in checked if p.positive is positive]
                if not own and not self.has_node(positive):
                    continue
                node = self.node(positive)
                changing = node.StartModify()
                node.RemoveAllControlPoints()
                for point in own:
                    ras = self._geometry.to_world(np.array([[point.x, point.y, float(point.slice)]]))[0]
                    node.AddControlPointWorld(vtk.vtkVector3d(*ras), "+" if positive else "-")
                node.EndModify(changing)
        finally:
            self._writing -= 1
        self._tell()

    def remove_nearest(self, k: int, x: float, y: float, within_px: float = 4.0) -> Point:
        """Remove the point of a slice that is nearest to a position.

        Raises:
            PromptError: none is near.
        """
        points = self.points()
        near = [(np.hypot(p.x - x, p.y - y), n) for n, p in enumerate(points) if p.slice == k]
        if not near or min(near)[0] > within_px:
            raise PromptError(_("There is no point here to remove."))
        gone = points.pop(min(near)[1])
        self.write(points)
        return gone

    def remove_slice(self, k: int) -> None:
        """Remove all points of a slice."""
        self.write([p for p in self.points() if p.slice != k])

    def set_visible(self, visible: bool) -> None:
        """Show or hide all points."""
        for positive in (True, False):
            if self.has_node(positive):
                self.node(positive).SetDisplayVisibility(visible)

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after points were placed, dragged to the end, or removed. Returns the function that ends this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def close(self) -> None:
        """Observe nothing any more; the lists stay."""
        self._callbacks.clear()
        self._observers.clear()
        self._nodes = {}

    def _positions(self, positive: bool) -> np.ndarray:
        """``[n, 3]`` of the placed points: x, y in pixel edges, slice index. A preview that follows the mouse is none."""
        if not self.has_node(positive):
            return np.zeros((0, 3))
        node = self.node(positive)
        placed = []
        for number in range(node.GetNumberOfControlPoints()):
            if node.GetNthControlPointPositionStatus(number) == slicer.vtkMRMLMarkupsNode.PositionDefined:
                ras = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(number, ras)
                placed.append(ras)
        return self._geometry.from_world(np.array(placed)) if placed else np.zeros((0, 3))

    def _defined(self, positive: bool) -> int:
        return self._nodes[positive].GetNumberOfDefinedControlPoints() if self.has_node(positive) else 0

    def _count(self, positive: bool) -> int:
        return self._nodes[positive].GetNumberOfControlPoints() if self.has_node(positive) else 0

    def _watch(self, node: Any) -> None:
        markups = slicer.vtkMRMLMarkupsNode
        events = (markups.PointPositionDefinedEvent, markups.PointEndInteractionEvent, markups.PointRemovedEvent)
        for event in events:
            self._observers.add(node, event, self._changed)

    def _changed(self, node: Any) -> None:
        if self._writing:
            return
        self._snap(node)
        self._tell()

    def _snap(self, node: Any) -> None:
        """Put points that lie between two slices onto the nearer one: what a reader sees is then what the model gets."""
        self._writing += 1
        try:
            for number in range(node.GetNumberOfControlPoints()):
                if node.GetNthControlPointPositionStatus(number) != slicer.vtkMRMLMarkupsNode.PositionDefined:
                    continue
                ras = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(number, ras)
                x, y, k = self._geometry.from_world(np.array([ras]))[0]
                index = float(np.clip(np.floor(k + 0.5), 0, self._geometry.shape[0] - 1))
                if abs(index - k) > _ON_SLICE:
                    node.SetNthControlPointPositionWorld(number, *self._geometry.to_world(np.array([[x, y, index]]))[0])
        finally:
            self._writing -= 1

    def _tell(self) -> None:
        for callback in list(self._callbacks):
            callback()


def _prepare_display(node: Any, positive: bool) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*_COLORS[positive])
    display.SetColor(*_COLORS[positive])
    display.SetPointLabelsVisibility(False)
    display.SetGlyphTypeFromString("Cross2D" if positive else "Circle2D")
    display.SetGlyphScale(2.2)
    display.SetVisibility3D(False)
