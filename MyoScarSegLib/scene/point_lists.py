"""Point lists of a volume: the point prompts, one list for "scar is here" and one for "it is not"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer
import vtk

from MyoScarSegLib.prompts import Point
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.observers import Observers, Writing
from MyoScarSegLib.scene.slice_order import is_reverse
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry, is_linear
from MyoScarSegLib.utils.signal import Signal

ROLE_POINTS = {True: "points +", False: "points -"}
POINT_COLORS = {True: (0.25, 0.85, 1.0), False: (1.0, 0.35, 0.55)}
_ON_SLICE = 1e-3
_PLACE = "MyoScarSeg.Place"
"""Attribute of a list: the volume's IJK to RAS, row by row, that its positions are for; then these, in the list's own frame."""
_ROUNDING_PX = 0.01
"""How far beyond the image's edge a point on it may come back from the world."""


class PointLists:
    """The points of one volume. A point belongs to the slice that is nearest to it.

    The lists follow the volume through its transforms, also when these are applied to it for good. They are made when first
    needed, and anew if the user deletes one.

    Attributes:
        changed: emitted without arguments after points were placed, dragged to the end, or removed by others.
    """

    def __init__(self, volume_node: Any, geometry: VolumeGeometry) -> None:
        self.volume_node = volume_node
        self._geometry = geometry
        self._nodes: dict[bool, Any] = {}
        self._observers = Observers()
        self.changed = Signal()
        self._writing = Writing()
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
                display = prepare_point_display(node, POINT_COLORS[positive], "Cross2D" if positive else "Circle2D")
                display.SetPointLabelsVisibility(False)
            self._nodes[positive] = node
            self._watch(node)
        self._follow(node)
        return node

    def has_node(self, positive: bool) -> bool:
        """Whether the list is there already."""
        node = self._nodes.get(positive)
        return node is not None and node.GetScene() is not None

    def read(self) -> list[Point]:
        """All placed points that lie in the image, positive ones first. The lists are laid where the volume is now."""
        found: list[Point] = []
        for positive in (True, False):
            if self.has_node(positive):  # a preview that follows the mouse is no point
                places = self._geometry.from_world(point_positions(self.node(positive)))
                found += [point for place in places if (point := self._point(place, positive)) is not None]
        return found

    def point(self, positive: bool, number: int) -> Point | None:
        """The point that a control point of a list is; None if it lies beside the image."""
        ras = np.zeros(3)
        self.node(positive).GetNthControlPointPositionWorld(number, ras)
        return self._point(self._geometry.from_world(ras)[0], positive)

    def write(self, points: Iterable[Point]) -> None:
        """Put these points, which lie in the image, in place of all others."""
        wanted = list(points)
        for positive in (True, False):
            own = [p for p in wanted if p.positive is positive]
            if not own and not self.has_node(positive):
                continue
            node = self.node(positive)
            with self._writing, slicer.util.NodeModify(node):
                node.RemoveAllControlPoints()
                for point in own:
                    ras = self._geometry.to_world(np.array([[point.x, point.y, float(point.slice)]]))[0]
                    node.AddControlPointWorld(vtk.vtkVector3d(*ras), "+" if positive else "-")
                self._remember(node)

    def set_visible(self, visible: bool) -> None:
        """Show or hide all points."""
        for positive in (True, False):
            if self.has_node(positive):
                self._nodes[positive].SetDisplayVisibility(visible)

    def close(self) -> None:
        """Observe nothing any more; the lists stay."""
        self.changed.clear()
        self._observers.clear()
        self._nodes = {}

    def _point(self, place: np.ndarray, positive: bool) -> Point | None:
        x, y, k = place
        if not self._in_image(x, y, k):
            return None
        _slices, rows, columns = self._geometry.shape
        return Point(int(np.floor(k + 0.5)), float(np.clip(x, 0, columns)), float(np.clip(y, 0, rows)), positive)

    def _watch(self, node: Any) -> None:
        markups = slicer.vtkMRMLMarkupsNode
        events = (markups.PointPositionDefinedEvent, markups.PointEndInteractionEvent, markups.PointRemovedEvent)
        for event in events:
            self._observers.add(node, event, self._on_changed)

    def _on_changed(self, node: Any) -> None:
        if self._writing:
            return
        self._follow(node)
        self._snap(node)
        self.changed.emit()

    def _in_image(self, x: float, y: float, k: float) -> bool:
        slices, rows, columns = self._geometry.shape
        return (
            -0.5 <= k < slices - 0.5
            and -_ROUNDING_PX <= x <= columns + _ROUNDING_PX
            and -_ROUNDING_PX <= y <= rows + _ROUNDING_PX
        )

    def _follow(self, node: Any) -> None:
        """Keep a list on its pixels when the volume is put under another transform, or got another place itself.

        Boxes are kept in pixels and need no such thing. Points are kept in the volume's own frame, in millimetres, which is
        another one after a transform was applied to the volume for good, or its origin was set.
        """
        here = self._geometry.ijk_to_ras()
        known = _place_of(node)
        before, positions = (here, None) if known is None else known
        if is_reverse(before, here, self.volume_node.GetImageData().GetDimensions()[2]):
            self._remember(node)  # a reader has reversed the slices: nothing has moved
            before = here
        parent, old_parent = self.volume_node.GetParentTransformNode(), node.GetParentTransformNode()
        moved = not np.allclose(before, here, rtol=1e-7, atol=1e-5)
        if known is not None and not moved and parent is old_parent:
            return
        with self._writing, slicer.util.NodeModify(node):
            placed, world = placed_points(node), point_positions(node)
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())
            local = point_positions(node, world=False)
            if moved and parent is not old_parent and not is_linear(old_parent):
                # The volume was resampled where it was: the world is what stays.
                for number, ras in zip(placed, world, strict=True):
                    node.SetNthControlPointPositionWorld(number, *ras)
            elif moved and (parent is not old_parent or _same(positions, local) or not self._fits(node)):
                # Otherwise the list was moved together with the volume.
                shift = here @ np.linalg.inv(before)
                for number, position in zip(placed, local, strict=True):
                    node.SetNthControlPointPosition(number, *(shift[:3, :3] @ position + shift[:3, 3]))
            self._remember(node)

    def _remember(self, node: Any) -> None:
        numbers = np.concatenate([self._geometry.ijk_to_ras().ravel(), point_positions(node, world=False).ravel()])
        node.SetAttribute(_PLACE, " ".join(repr(float(number)) for number in numbers))

    def _fits(self, node: Any) -> bool:
        """Whether all points lie on slices of the image."""
        return all(
            self._in_image(x, y, k) and abs(k - np.floor(k + 0.5)) < 10 * _ON_SLICE
            for x, y, k in self._geometry.from_world(point_positions(node))
        )

    def _snap(self, node: Any) -> None:
        """Put points that lie between two slices onto the nearer one: what a reader sees is then what the model gets.

        A point beside the image counts for nothing, so it is hidden. It goes with the next change of the list; to remove it here
        would be in the way of whoever is placing it.
        """
        with self._writing:
            for number, (x, y, k) in zip(placed_points(node), self._geometry.from_world(point_positions(node)), strict=True):
                inside = self._in_image(x, y, k)
                if node.GetNthControlPointVisibility(number) != inside:
                    node.SetNthControlPointVisibility(number, inside)
                if not inside:
                    continue
                index = float(np.floor(k + 0.5))
                if abs(index - k) > _ON_SLICE:
                    node.SetNthControlPointPositionWorld(number, *self._geometry.to_world(np.array([[x, y, index]]))[0])
            self._remember(node)


def placed_points(node: Any) -> list[int]:
    """The points of a list that are placed; a preview that follows the mouse is not, nor is one without a position."""
    defined = slicer.vtkMRMLMarkupsNode.PositionDefined
    return [n for n in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointPositionStatus(n) == defined]


def point_positions(node: Any, *, world: bool = True) -> np.ndarray:
    """RAS ``[n, 3]`` of the placed points, in the world or in the list's own frame."""
    placed = placed_points(node)
    positions = np.zeros((len(placed), 3))
    for number, position in zip(placed, positions, strict=True):
        (node.GetNthControlPointPositionWorld if world else node.GetNthControlPointPosition)(number, position)
    return positions


def _place_of(node: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The matrix ``[4, 4]`` and positions ``[n, 3]`` of :data:`_PLACE`, None if it says nothing that makes sense."""
    try:
        numbers = np.array([float(number) for number in (node.GetAttribute(_PLACE) or "").split()])
    except ValueError:
        return None
    if numbers.size < 16 or (numbers.size - 16) % 3 or not np.isfinite(numbers).all():
        return None
    matrix = numbers[:16].reshape(4, 4)
    return (matrix, numbers[16:].reshape(-1, 3)) if np.linalg.det(matrix) else None


def _same(one: np.ndarray | None, other: np.ndarray) -> bool:
    return one is not None and one.shape == other.shape and np.allclose(one, other, rtol=1e-7, atol=1e-4)


def prepare_point_display(node: Any, color: tuple[float, float, float], glyph: str) -> Any:
    """Flat glyphs in the slice views. Returns the display node."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*color)
    display.SetColor(*color)
    display.SetGlyphTypeFromString(glyph)
    display.SetGlyphScale(2.2)
    display.SetVisibility3D(False)
    return display
