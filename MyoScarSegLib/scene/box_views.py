"""Boxes in the slice views: a markups ROI node shows each box of the study, and its handles edit it.

A node is moved when its box changes, and read when the user lets go of a handle. Making and removing
nodes is slow (60 and 40 ms), so nodes that are not needed are hidden and kept for the next box.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import Box, BoxState
from MyoScarSegLib.scene.attributes import BOX_ID, ROLE_VIEW, make_node, nodes_of
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.translation import _

COLORS = {
    BoxState.PROPOSED: (1.0, 0.78, 0.24),
    BoxState.ACCEPTED: (0.35, 0.82, 0.45),
    BoxState.REJECTED: (0.62, 0.62, 0.66),
}
"""Of boxes by state, as red, green and blue from 0 to 1; amber, green and grey differ in brightness, too."""
_SELECTED_FILL, _FILL = 0.18, 0.04
_OPACITY = {BoxState.PROPOSED: 0.9, BoxState.ACCEPTED: 1.0, BoxState.REJECTED: 0.35}
_FREE = "0"


@dataclass
class _View:
    """What shows one box.

    Attributes:
        node: the ROI node.
        place: of the box that it was laid to; None if it is to be laid anew.
        style: in which it was drawn; None if it is to be drawn anew.
        dragged: whether the user has it in hand.
    """

    node: Any
    place: tuple[float, ...] | None = None
    style: tuple[Any, ...] | None = None
    dragged: bool = False

    @property
    def visible(self) -> bool:
        display = self.node.GetDisplayNode()
        return display is not None and bool(display.GetVisibility())


class BoxViews:
    """Shows the boxes of one volume, and turns what the user does to them into edits.

    The edits are told, not made: ``on_edited(id, (x0, y0, x1, y1))`` when a box was moved or resized, and ``on_removed(id)`` when
    its node was deleted. Whoever listens changes the study, and the views follow its boxes.

    Attributes:
        pending: whether boxes wait for their nodes.
        selected: id of the box that stands out, None if none does.
    """

    def __init__(
        self,
        session: StudySession,
        *,
        on_edited: Callable[[int, tuple[float, float, float, float]], None],
        on_removed: Callable[[int], None],
        at_once_s: float | None = None,
    ) -> None:
        """After ``at_once_s`` seconds of making nodes the rest wait for the next :meth:`refresh`; if None, none waits."""
        self._at_once_s = at_once_s
        self.pending = False
        self.selected: int | None = None
        self._session = session
        self._geometry = session.geometry
        self._volume_node = session.volume_node
        self._on_edited = on_edited
        self._on_removed = on_removed
        self._shown: dict[int, _View] = {}  # by the box's id
        self._free: list[Any] = []  # nodes for the next boxes
        self._views: tuple[str, ...] | None = None
        self._visible = True
        self._closing = False
        events = slicer.vtkMRMLScene
        self._observers = Observers()
        scene = self._volume_node.GetScene()
        self._observers.add(scene, events.NodeRemovedEvent, self._node_removed, with_node=True)
        self._observers.add(scene, events.StartCloseEvent, self._scene_closes)
        self._observers.add(scene, events.EndCloseEvent, self._scene_closed)
        self._observers.add(self._volume_node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._volume_moved)
        self._disconnect = session.notices.changed.connect(self._on_changed)
        self._adopt()
        self.refresh()

    def select(self, box_id: int | None) -> None:
        """Let one box stand out."""
        if box_id != self.selected:
            self.selected = box_id
            self.refresh()

    def set_visible(self, visible: bool) -> None:
        """Show or hide all boxes, without a change to them."""
        self._visible = visible
        self.refresh()

    def show_in(self, views: tuple[str, ...] | None) -> None:
        """Show the boxes in these views alone, given by the ids of their nodes: those that lie along the slices. In all if None.

        In a view across the slices a box would be the edge of a slice, with handles. In one along them each box shows on its own
        slice alone, because it is one slice thick.
        """
        if views != self._views:
            self._views = views
            self.refresh()

    def node(self, box_id: int) -> Any:
        """The ROI node that shows a box, None if there is no such box."""
        view = self._shown.get(box_id)
        return None if view is None else view.node

    def id_of(self, node: Any) -> int | None:
        """The box that a node shows, None if it is none of ours."""
        return next((box_id for box_id, view in self._shown.items() if view.node is node), None)

    def handle_under_mouse(self) -> bool:
        """Whether the mouse is over a handle or center of any box, which a drag would then move."""
        handles = slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint, slicer.vtkMRMLMarkupsDisplayNode.ComponentScaleHandle
        displays = (view.node.GetDisplayNode() for view in self._shown.values())
        return any(display is not None and display.GetActiveComponentType() in handles for display in displays)

    def _on_changed(self, what: Change) -> None:
        if what is Change.BOXES:
            self.refresh()

    def refresh(self, *, moved: bool = False) -> None:
        """Make the nodes show the study's boxes; ``moved`` says that the volume moved under them."""
        if self._closing or self._volume_node.GetScene() is None:
            return
        begun, made, self.pending = time.monotonic(), 0, False
        rows = {row.id: row.box for row in self._session.state.boxes}
        for box_id in [known for known in self._shown if known not in rows]:
            self._set_free(self._shown.pop(box_id).node)
        for box_id, box in rows.items():
            view = self._shown.get(box_id)
            if view is not None and view.dragged:
                continue
            if view is None:
                if not self._free and made and self._at_once_s is not None and time.monotonic() - begun >= self._at_once_s:
                    self.pending = True
                    continue
                made += not self._free
                view = self._shown[box_id] = _View(self._take(box_id))
            if view.place != box.place or moved:
                self._place(view.node, box)
                view.place = box.place
            visible = self._visible and self._views != ()
            style = (box.state, box_id == self.selected, visible, self._views)
            if view.style != style or view.visible != visible:
                self._style(view.node, *style)
                view.style = style
        if made:
            self._session.nodes.folder.collect()

    def close(self, *, hide: bool = False) -> None:
        """Observe nothing any more; the nodes stay in the scene, hidden if ``hide``."""
        self._disconnect()
        self._observers.clear()
        for view in self._shown.values() if hide else ():
            view.node.SetDisplayVisibility(False)
        self._shown.clear()
        self._free.clear()

    def _adopt(self) -> None:
        """Take up the nodes that a loaded scene brought."""
        for node in nodes_of(self._volume_node, ROLE_VIEW):
            text = node.GetAttribute(BOX_ID) or _FREE
            box_id = int(text) if text.isdigit() else 0
            if box_id and box_id not in self._shown:
                self._shown[box_id] = _View(node)
            else:
                self._set_free(node)
            self._watch(node)

    def _take(self, box_id: int) -> Any:
        if self._free:
            node = self._free.pop()
        else:
            node = make_node(self._volume_node, "vtkMRMLMarkupsROINode", ROLE_VIEW, _("Scar box"))
            _prepare_display(node)
            self._watch(node)
        node.SetAttribute(BOX_ID, str(box_id))
        return node

    def _set_free(self, node: Any) -> None:
        node.SetAttribute(BOX_ID, _FREE)
        node.SetDisplayVisibility(False)  # the user may have deleted the display node
        self._free.append(node)

    def _place(self, node: Any, box: Box) -> None:
        """Lay a node where its box is, in one change; each makes the application compute its handles anew, in every view."""
        name, (matrix, size) = _("Scar box, slice {slice}").format(slice=box.slice), self._geometry.roi_of(box)
        there = self._geometry_of(node)
        if node.GetName() == name and np.allclose(there[0], matrix, atol=1e-6) and np.allclose(there[1], size, atol=1e-6):
            return  # the reader's hand has put it there
        with slicer.util.NodeModify(node):
            node.SetName(name)
            node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))
            node.SetSize(*(float(v) for v in size))

    def _style(self, node: Any, state: BoxState, selected: bool, visible: bool, views: tuple[str, ...] | None) -> None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        with slicer.util.NodeModify(display):
            _prepare_display(node)
            display.SetSelectedColor(*COLORS[state])
            display.SetColor(*COLORS[state])
            display.SetOpacity(1.0 if selected else _OPACITY[state])
            display.SetFillOpacity(_SELECTED_FILL if selected else _FILL)
            display.SetScaleHandleVisibility(state is not BoxState.REJECTED or selected)
            if display.GetViewNodeIDs() != (views or ()):
                display.SetViewNodeIDs(views or ())
            display.SetVisibility(visible)

    def _watch(self, node: Any) -> None:
        markups = slicer.vtkMRMLMarkupsNode
        self._observers.add(node, markups.PointStartInteractionEvent, self._drag_begins)
        self._observers.add(node, markups.PointEndInteractionEvent, self._drag_ends)

    def _drag_begins(self, node: Any) -> None:
        box_id = self.id_of(node)
        if box_id is not None:
            self._shown[box_id].dragged = True

    def _drag_ends(self, node: Any) -> None:
        box_id = self.id_of(node)
        if box_id is None:
            return
        self._shown[box_id] = _View(node)
        try:
            before = self._session.state.box(box_id)
            k, corners = self.corners(box_id)
            if k != before.slice or not np.allclose(corners, before.xyxy, atol=1e-3):
                self._on_edited(box_id, corners)
        except MyoScarSegError:
            # The box was deleted while it was dragged; what remains to be done is to hide its node.
            pass
        self.refresh()

    def corners(self, box_id: int) -> tuple[int, tuple[float, float, float, float]]:
        """Slice and corners of a box as its node lies now, which differs from the box in the middle of a drag."""
        return self._geometry.box_of(*self._geometry_of(self._shown[box_id].node))

    @staticmethod
    def _geometry_of(node: Any) -> tuple[np.ndarray, np.ndarray]:
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(node.GetObjectToWorldMatrix())
        return slicer.util.arrayFromVTKMatrix(matrix), np.array(node.GetSize())

    def _node_removed(self, node: Any) -> None:
        if self._closing or node is None:
            return
        if node.IsA("vtkMRMLMarkupsROINode"):
            self._observers.remove(node)
        self._free = [free for free in self._free if free is not node]
        box_id = self.id_of(node)
        if box_id is not None:
            del self._shown[box_id]
            self._on_removed(box_id)

    def _scene_closes(self, _scene: Any) -> None:
        self._closing = True
        for node in [*(view.node for view in self._shown.values()), *self._free]:
            self._observers.remove(node)
        self._shown.clear()
        self._free.clear()

    def _scene_closed(self, _scene: Any) -> None:
        self._closing = False

    def _volume_moved(self, _volume: Any) -> None:
        self.refresh(moved=True)


def _prepare_display(node: Any) -> None:
    """Flat in its slice: handles on the edges and corners, nothing in 3D, nothing to turn."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility3D(False)
    display.SetVisibility2D(True)
    display.SetHandlesInteractive(True)
    display.SetTranslationHandleVisibility(False)
    display.SetRotationHandleVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetFillVisibility(True)
    display.SetOutlineVisibility(True)
