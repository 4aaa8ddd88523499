"""The mouse in the slice views: drawing a box, placing points one by one or by a scribble, choosing a box by pressing on it.

Observers sit on each view's interactor before everything else. They stop an event only while a tool of ours is at work, and
leave it alone over a handle, which then moves its own box or point; panning, zooming and scrolling go on as always.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk

from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.box_views import COLORS
from MyoScarSegLib.scene.point_lists import POINT_COLORS
from MyoScarSegLib.widgets.section import quietly
from MyoScarSegLib.widgets.text import _

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.segment_tab import SegmentTab

_PRESS, _MOVE, _RELEASE = "LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent"
_DOUBLE = "LeftButtonDoubleClickEvent"
_PRIORITY = 10.0
_LEAST_PX = 1.5
"""Least side of a box that is drawn, in pixels of the image: less is a click that slipped."""
_SCRIBBLE_PX = 4.0
"""Along a scribble a point is placed so often, in pixels of the image; the network sees a point as a bump half as wide."""
_COMPONENT_NONE = 0
_LINE_COLORS = {"box": COLORS[BoxState.PROPOSED], "positive": POINT_COLORS[True], "negative": POINT_COLORS[False]}


@dataclass
class _Drag:
    """What the mouse has drawn since the button went down.

    Attributes:
        view: in which it began.
        slice: of the volume.
        places: in pixel edges of the slice: where it began, for a box; every point of a scribble.
        trail: the same in the view.
        line: what shows it.
    """

    view: Any
    slice: int
    places: list[tuple[float, float]]
    trail: list[tuple[int, int]]
    line: DrawnLine


class Mouse:
    """One tool at a time: ``"box"``, ``"positive"``, ``"negative"``, or None."""

    def __init__(self, tab: SegmentTab) -> None:
        self._tab = tab
        self._tool: str | None = None
        self._observed: list[tuple[Any, dict[str, int]]] = []
        self._drag: _Drag | None = None
        self._pressed = False
        self._layout_manager: Any = None

    @property
    def tool(self) -> str | None:
        """The tool in use."""
        return self._tool

    def use(self, tool: str | None) -> None:
        """Take up a tool, or lay it down. Its button shows it."""
        if tool is not None and self._tab.workflow.session is None:
            tool = None
        if tool == self._tool:
            self._show_buttons()
            return
        self._end_drag()
        self._tool = tool
        if tool is not None:
            self._tab.scar.editor.rest()
        self._show_buttons()
        for widget in self._tab.panel.views.widgets:
            view = widget.sliceView()
            if tool is None:
                view.unsetViewCursor()
                view.setDefaultViewCursor(qt.QCursor())
            else:
                # Both: after a handle VTK goes back to the default one.
                view.setViewCursor(qt.QCursor(qt.Qt.CrossCursor))
                view.setDefaultViewCursor(qt.QCursor(qt.Qt.CrossCursor))
        slicer.util.showStatusMessage(_hint(tool), 0 if tool else 1)

    def start(self) -> None:
        """Watch the views: the module is shown."""
        self._layout_manager = slicer.app.layoutManager()
        if self._layout_manager is not None:
            self._layout_manager.connect("layoutChanged(int)", self._observe)
        self._observe()

    def stop(self) -> None:
        """Let go of the views: another module is shown."""
        self.use(None)
        if self._layout_manager is not None:
            with contextlib.suppress(ValueError):  # at the application's end it may have gone before us
                self._layout_manager.disconnect("layoutChanged(int)", self._observe)
        self._layout_manager = None
        self._unobserve()

    def point_under(self) -> tuple[bool, int] | None:
        """The point of ours under the mouse, as (positive, number in its list); None if there is none."""
        session = self._tab.workflow.session
        if session is None:
            return None
        for positive in (True, False):
            display = None if (node := session.nodes.points.node(positive)) is None else node.GetDisplayNode()
            if display is not None and display.GetActiveComponentType() == slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint:
                return positive, int(display.GetActiveComponentIndex())
        return None

    def _observe(self, _layout: int = 0) -> None:
        self._unobserve()
        for widget in self._tab.panel.views.widgets:
            view = widget.sliceView()
            interactor = view.interactor()
            tags: dict[str, int] = {}

            def on_event(_caller: Any, event: str, view: Any = view, interactor: Any = interactor, tags: Any = tags) -> None:
                if self._handle(view, interactor, event):
                    interactor.GetCommand(tags[event]).SetAbortFlag(1)

            for event in (_PRESS, _MOVE, _RELEASE, _DOUBLE):
                tags[event] = interactor.AddObserver(event, on_event, _PRIORITY)
            self._observed.append((interactor, tags))

    def _unobserve(self) -> None:
        self._end_drag()
        for interactor, tags in self._observed:
            for tag in tags.values():
                interactor.RemoveObserver(tag)
        self._observed = []

    def _handle(self, view: Any, interactor: Any, event: str) -> bool:
        """Returns whether the event was ours."""
        session = self._tab.workflow.session
        if session is None:
            return False
        if event == _PRESS:
            self._pressed = True
            return self._press(view, interactor, session)
        if event == _DOUBLE:
            # Two quick clicks with a tool are two points; without one the view is maximized, as always.
            if self._tool is None:
                return False
            return self._pressed or self._press(view, interactor, session)
        if event == _RELEASE:
            self._pressed = False
        if self._drag is None or self._drag.view is not view:
            return False
        at = interactor.GetEventPosition()
        if event == _RELEASE:
            self._release(view, at, session)
        elif self._tool == "box":
            (x0, y0), (x1, y1) = self._drag.trail[0], at
            self._drag.line.show([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])
        else:
            self._scribble(self._drag, at, session)
        return True

    def _press(self, view: Any, interactor: Any, session: Any) -> bool:
        if self._over_a_handle():
            self._select_under()
            return False
        if self._tool is None:
            self._select_under()
            return False
        slice_node = view.mrmlSliceNode()
        if not session.geometry.shows_slices(slice_node):
            self._tab.status.say_error(_("This view cuts across the slices. Draw in one that shows a slice of the volume."))
            return True
        at = interactor.GetEventPosition()
        k, x, y = session.geometry.position_in_view(slice_node, *at)
        if k is None:
            return True
        self._drag = _Drag(view, k, [(x, y)], [at], DrawnLine(view, _LINE_COLORS[self._tool]))
        return True

    def _scribble(self, drag: _Drag, at: tuple[int, int], session: Any) -> None:
        """Place one more point if the mouse has gone far enough, within the image."""
        k, x, y = session.geometry.position_in_view(drag.view.mrmlSliceNode(), *at)
        if k == drag.slice and math.hypot(x - drag.places[-1][0], y - drag.places[-1][1]) >= _SCRIBBLE_PX:
            drag.places.append((x, y))
            drag.trail.append(at)
        drag.line.show([*drag.trail, at])

    def _release(self, view: Any, at: tuple[int, int], session: Any) -> None:
        drag, tool = self._drag, self._tool
        self._end_drag()
        if drag is None:
            return
        if tool != "box":
            self._tab.scar.add_point(*(Point(drag.slice, x, y, positive=tool == "positive") for x, y in drag.places))
            return
        _k, x, y = session.geometry.position_in_view(view.mrmlSliceNode(), *at)
        x0, x1 = sorted((drag.places[0][0], x))
        y0, y1 = sorted((drag.places[0][1], y))
        if x1 - x0 >= _LEAST_PX and y1 - y0 >= _LEAST_PX:
            self.use(None)  # one box at a time: the next thing to do is to adjust it
            self._tab.boxes.draw(Box(drag.slice, x0, y0, x1, y1))

    def _end_drag(self) -> None:
        if self._drag is not None:
            self._drag.line.remove()
        self._drag = None

    def _over_a_handle(self) -> bool:
        views = self._tab.workflow.views
        return (views is not None and views.handle_under_mouse()) or self.point_under() is not None

    def _select_under(self) -> None:
        """Choose the box whose outline, handle or center is under the mouse."""
        views, session = self._tab.workflow.views, self._tab.workflow.session
        if views is None or session is None:
            return
        for row in session.state.boxes:
            node = views.node(row.id)
            display = None if node is None else node.GetDisplayNode()
            if display is not None and display.GetActiveComponentType() != _COMPONENT_NONE:
                self._tab.boxes.select(row.id)
                return

    def _show_buttons(self) -> None:
        ui = self._tab.ui
        for tool, button in (("box", ui.drawBoxButton), ("positive", ui.addPositiveButton), ("negative", ui.addNegativeButton)):
            quietly(button, partial(setattr, button, "checked", tool == self._tool))


def _hint(tool: str | None) -> str:
    hints = {
        "box": _("Drag a box around scar. Esc ends."),
        "positive": _("Click on scar that was missed, or scribble over it. Esc ends."),
        "negative": _("Click on what is not scar, or scribble over it. Esc ends."),
    }
    return hints.get(tool or "", "")


class DrawnLine:
    """The line that follows the mouse while something is drawn: a 2D actor of the view, no node of the scene."""

    def __init__(self, view: Any, color: tuple[float, float, float]) -> None:
        """In a ``qMRMLSliceView``, of a color in red, green and blue from 0 to 1."""
        self._view = view
        self._shape = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._shape)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetColor(*color)
        self._actor.GetProperty().SetLineWidth(2.0)
        self._renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
        if self._renderer is not None:
            self._renderer.AddViewProp(self._actor)

    def show(self, places: Sequence[tuple[int, int]]) -> None:
        """Draw it through these places, in display coordinates of the view, with the origin at its bottom left."""
        points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
        lines.InsertNextCell(len(places))
        for x, y in places:
            lines.InsertCellPoint(points.InsertNextPoint(x, y, 0.0))
        self._shape.SetPoints(points)
        self._shape.SetLines(lines)
        self._shape.Modified()
        self._view.scheduleRender()

    def remove(self) -> None:
        """Take it out of the view."""
        if self._renderer is not None:
            self._renderer.RemoveViewProp(self._actor)
        self._renderer = None
        self._view.scheduleRender()
