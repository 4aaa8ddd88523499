"""Point lists of a volume: the point prompts, one list for "scar is here" and one for "it is not"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
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


class VolumePoints:
    """A point list that keeps its points on the volume's pixels, also when the volume gets another place for good.

    It is made when first needed, and anew if the user deletes it. Boxes are kept in pixels and need no such thing; points are
    kept in the volume's own frame in millimeters, which is another one after a transform was applied for good, or an origin was
    set.

    Attributes:
        changed: emitted without arguments after points were placed, dragged to the end, or removed by others.
    """

    def __init__(
        self,
        volume_node: Any,
        geometry: VolumeGeometry,
        role: str,
        name: str,
        prepare: Callable[[Any], None],
        settle: Callable[[Any], None] = lambda _node: None,
    ) -> None:
        """``prepare(node)`` sets the look of a new list, called ``name``; ``settle(node)`` is called before a change by others
        is told.
        """
        self.volume_node = volume_node
        self.changed = Signal()
        self._geometry, self._role, self._name, self._prepare, self._settle = geometry, role, name, prepare, settle
        self._observers = Observers()
        self._writing = Writing()
        self._node: Any = None
        if (node := node_of(volume_node, role)) is not None:
            self._use(node)

    @property
    def node(self) -> Any:
        """The list if it is in the scene."""
        if self._node is not None and self._node.GetScene() is None:
            self._node = None
        return self._node

    def ensure_node(self) -> Any:
        """The list, made if it is not there."""
        if self.node is None:
            node = node_of(self.volume_node, self._role)
            if node is None:
                node = make_node(self.volume_node, "vtkMRMLMarkupsFiducialNode", self._role, self._name)
                self._prepare(node)
            self._use(node)
        return self._node

    def read(self) -> np.ndarray:
        """Places of the points, ``[n, 3]``: x and y in pixel edges, and the slice, which need not be whole.

        If the volume was moved without its list, that is laid where the volume is now.
        """
        node = self.node
        if node is None:
            return np.zeros((0, 3))
        self._follow(node)
        return self._geometry.from_world(_positions(node))

    def write(self, places: Sequence[tuple[float, float, float]], labels: Sequence[str]) -> None:
        """Put points at these places instead of all others."""
        if not places and self.node is None:
            return
        node = self.ensure_node()
        self._follow(node)
        with self._writing, slicer.util.NodeModify(node):
            node.RemoveAllControlPoints()
            for place, label in zip(places, labels, strict=True):
                node.AddControlPointWorld(vtk.vtkVector3d(*self._geometry.to_world(np.array([place]))[0]), label)
            self._remember(node)

    def set_visible(self, visible: bool) -> None:
        """Show or hide them."""
        if self.node is not None:
            self._node.SetDisplayVisibility(visible)

    def close(self) -> None:
        """Observe nothing any more; the list stays."""
        self.changed.clear()
        self._observers.clear()
        self._node = None

    def _use(self, node: Any) -> None:
        self._observers.clear()
        self._node = node
        markups = slicer.vtkMRMLMarkupsNode
        for event in (markups.PointPositionDefinedEvent, markups.PointEndInteractionEvent, markups.PointRemovedEvent):
            self._observers.add(node, event, self._on_changed)
        self._follow(node)

    def _on_changed(self, node: Any) -> None:
        if self._writing:
            return
        self._follow(node)
        with self._writing:
            self._settle(node)
            self._remember(node)
        self.changed.emit()

    def _follow(self, node: Any) -> None:
        """Put the points back on their pixels if the volume has got another place, or another transform."""
        here = self._geometry.ijk_to_ras()
        known = _place_of(node)
        before, positions = (here, _positions(node, world=False)) if known is None else known
        if is_reverse(before, here, self.volume_node.GetImageData().GetDimensions()[2]):
            before = here  # a reader has reversed the slices: nothing has moved
            self._remember(node)
        parent, old_parent = self.volume_node.GetParentTransformNode(), node.GetParentTransformNode()
        moved = not np.allclose(before, here, rtol=1e-7, atol=1e-5)
        if known is not None and not moved and parent is old_parent:
            return
        with self._writing, slicer.util.NodeModify(node):
            placed, world = _placed(node), _positions(node)
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())
            if moved and parent is not old_parent and not is_linear(old_parent):
                # The volume was resampled where it was: the world is what stays.
                for number, ras in zip(placed, world, strict=True):
                    node.SetNthControlPointPositionWorld(number, *ras)
            elif moved and len(placed) == len(positions):
                shift = here @ np.linalg.inv(before)
                for number, position in zip(placed, positions, strict=True):
                    node.SetNthControlPointPosition(number, *(shift[:3, :3] @ position + shift[:3, 3]))
            self._remember(node)

    def _remember(self, node: Any) -> None:
        numbers = np.concatenate([self._geometry.ijk_to_ras().ravel(), _positions(node, world=False).ravel()])
        node.SetAttribute(_PLACE, " ".join(repr(float(number)) for number in numbers))


class PointLists:
    """The points of one volume. A point belongs to the slice that is nearest to it.

    Attributes:
        changed: as of :class:`VolumePoints`.
    """

    def __init__(self, volume_node: Any, geometry: VolumeGeometry) -> None:
        self._geometry = geometry
        names = {True: _("Scar is here (+)"), False: _("No scar here (-)")}
        self._lists = {
            positive: VolumePoints(volume_node, geometry, role, names[positive], partial(_prepare, positive), self._snap)
            for positive, role in ROLE_POINTS.items()
        }
        self.changed = Signal()
        for of_sign in self._lists.values():
            of_sign.changed.connect(self.changed.emit)

    def node(self, positive: bool) -> Any:
        """The list of positive or of negative points; None if it is not there."""
        return self._lists[positive].node

    def read(self) -> list[Point]:
        """All placed points that lie in the image, positive ones first. A preview that follows the mouse is none."""
        places = [(place, positive) for positive, of_sign in self._lists.items() for place in of_sign.read()]
        return [point for place, positive in places if (point := self._point(place, positive)) is not None]

    def point(self, positive: bool, number: int) -> Point | None:
        """The point that a control point of a list is; None if it lies beside the image."""
        ras = np.zeros(3)
        self.node(positive).GetNthControlPointPositionWorld(number, ras)
        return self._point(self._geometry.from_world(ras)[0], positive)

    def write(self, points: Iterable[Point]) -> None:
        """Put these points, which lie in the image, in place of all others."""
        wanted = list(points)
        for positive, of_sign in self._lists.items():
            places = [(p.x, p.y, float(p.slice)) for p in wanted if p.positive is positive]
            of_sign.write(places, ["+" if positive else "-"] * len(places))

    def set_visible(self, visible: bool) -> None:
        """Show or hide all points."""
        for of_sign in self._lists.values():
            of_sign.set_visible(visible)

    def close(self) -> None:
        """Observe nothing any more; the lists stay."""
        self.changed.clear()
        for of_sign in self._lists.values():
            of_sign.close()

    def _point(self, place: np.ndarray, positive: bool) -> Point | None:
        x, y, k = place
        if not self._in_image(x, y, k):
            return None
        _slices, rows, columns = self._geometry.shape
        return Point(int(np.floor(k + 0.5)), float(np.clip(x, 0, columns)), float(np.clip(y, 0, rows)), positive)

    def _in_image(self, x: float, y: float, k: float) -> bool:
        slices, rows, columns = self._geometry.shape
        return (
            -0.5 <= k < slices - 0.5
            and -_ROUNDING_PX <= x <= columns + _ROUNDING_PX
            and -_ROUNDING_PX <= y <= rows + _ROUNDING_PX
        )

    def _snap(self, node: Any) -> None:
        """Put points that lie between two slices onto the nearer one: what a reader sees is then what the model gets.

        A point beside the image counts for nothing, so it is hidden. It goes with the next change of the list; to remove it here
        would be in the way of whoever is placing it.
        """
        for number, (x, y, k) in zip(_placed(node), self._geometry.from_world(_positions(node)), strict=True):
            inside = self._in_image(x, y, k)
            if node.GetNthControlPointVisibility(number) != inside:
                node.SetNthControlPointVisibility(number, inside)
            index = float(np.floor(k + 0.5))
            if inside and abs(index - k) > _ON_SLICE:
                node.SetNthControlPointPositionWorld(number, *self._geometry.to_world(np.array([[x, y, index]]))[0])


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


def _prepare(positive: bool, node: Any) -> None:
    node.SetControlPointLabelFormat("+" if positive else "-")
    display = prepare_point_display(node, POINT_COLORS[positive], "Cross2D" if positive else "Circle2D")
    display.SetPointLabelsVisibility(False)


def _placed(node: Any) -> list[int]:
    """The points of a list that are placed; a preview that follows the mouse is not, nor is one without a position."""
    defined = slicer.vtkMRMLMarkupsNode.PositionDefined
    return [n for n in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointPositionStatus(n) == defined]


def _positions(node: Any, *, world: bool = True) -> np.ndarray:
    """RAS ``[n, 3]`` of the placed points, in the world or in the list's own frame."""
    placed = _placed(node)
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
