"""The application's views: showing the volume in those of slices, scrolling them to a slice, and a plot beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.utils.signal import Signal

_PLOT_LAYOUT = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView
_PLAIN_LAYOUT = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


class Views:
    """What the panel does to the application's views. Without a main window there are none, and nothing happens.

    Attributes:
        plot_changed: emitted without arguments when another plot is shown, or none any more.
    """

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._layout_before: int | None = None
        self._plotted = ""
        self.plot_changed = Signal()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.connect("layoutChanged(int)", self._on_layout)

    def close(self) -> None:
        """Follow the application's layout no longer."""
        self.plot_changed.clear()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.disconnect("layoutChanged(int)", self._on_layout)

    @property
    def widgets(self) -> list[Any]:
        """The slice widgets of the present layout, the red one first.

        The layout manager gives them in no order, with those of other layouts, which are hidden.
        """
        manager = slicer.app.layoutManager()
        if manager is None:
            return []
        found = [widget for widget in map(manager.sliceWidget, manager.sliceViewNames()) if widget is not None]
        shown = [widget for widget in found if widget.mrmlSliceNode().IsMappedInLayout()]
        return sorted(shown or found, key=_red_first)

    @property
    def along_slices(self) -> list[Any]:
        """Those that show slices of the chosen volume, as opposed to cuts across them."""
        session = self._workflow.session
        if session is None:
            return []
        return [widget for widget in self.widgets if session.geometry.shows_slices(widget.mrmlSliceNode())]

    def show_volume(self) -> None:
        """Have the chosen volume in the views, with its slices in one of them at least."""
        session = self._workflow.session
        if session is None or not self.widgets:
            return
        shown = self._is_shown(session.volume_node)
        if not shown:
            slicer.util.setSliceViewerLayers(background=session.volume_node)
        if self._align(session.geometry) or not shown:  # else the reader's zoom, or that of a loaded scene, stays
            slicer.util.resetSliceViews()

    def jump(self, k: int) -> None:
        """Scroll the views along the slices to slice ``k``; if there is none, turn the first one."""
        session = self._workflow.session
        if session is None or not self.widgets:
            return
        self._align(session.geometry)
        for widget in self.along_slices:
            session.geometry.show_slice(widget.mrmlSliceNode(), k)

    @property
    def plotted(self) -> str:
        """The plot that :meth:`show_plot` was asked for, while the layout has its view; else empty."""
        return self._plotted

    def show_plot(self, name: str, choose: Callable[[], None]) -> None:
        """Take the layout with a plot view, and show a chart in it.

        Args:
            name: of the plot.
            choose: makes the chart the one to be shown.
        """
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if int(manager.layout) != _PLOT_LAYOUT:
            self._layout_before = int(manager.layout)
            manager.setLayout(_PLOT_LAYOUT)
        self._plotted = name
        choose()
        self.plot_changed.emit()

    def leave_plot(self, name: str) -> None:
        """Go back to the layout before this plot, if it is the one that is shown."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._plotted == name:
            # A scene that was saved with the plot comes with its layout.
            manager.setLayout(_PLAIN_LAYOUT if self._layout_before is None else self._layout_before)

    def _on_layout(self, layout: int) -> None:
        # While a scene is closed or loaded there is none, and then the one before again.
        if int(layout) not in (_PLOT_LAYOUT, slicer.vtkMRMLLayoutNode.SlicerLayoutNone):
            self._plotted, self._layout_before = "", None
            self.plot_changed.emit()

    def fit_plot(self) -> None:
        """Have the shown plot's axes follow its curves, which they do not do by themselves."""
        manager = slicer.app.layoutManager()
        if manager is None or not self._plotted:
            return
        for number in range(int(manager.plotViewCount)):
            manager.plotWidget(number).plotView().fitToContent()

    def pixel_step(self, right: int, up: int) -> tuple[int, int]:
        """The step along columns and rows that comes nearest to one to the right or up in the view; rows run down without one."""
        session, along = self._workflow.session, self.along_slices
        if session is None or not along:
            return right, -up
        node = along[0].mrmlSliceNode()
        width, height = node.GetDimensions()[:2]
        x, y = width / 2, height / 2
        _k, column, row = session.geometry.position_in_view(node, x, y)
        _k, column_there, row_there = session.geometry.position_in_view(node, x + 10 * right, y + 10 * up)
        across, down = column_there - column, row_there - row
        if abs(across) >= abs(down):
            return (1 if across > 0 else -1), 0
        return 0, (1 if down > 0 else -1)

    def _align(self, geometry: Any) -> bool:
        """Turn one view into the slices, exactly: a view that is tilted by a few degrees cuts boxes off away from its middle.
        Returns whether it had to be turned."""
        along = [widget.mrmlSliceNode() for widget in self.along_slices]
        if any(geometry.lies_in_slices(node) for node in along):
            return False
        geometry.align_view(along[0] if along else self.widgets[0].mrmlSliceNode())
        return True

    @staticmethod
    def _is_shown(volume_node: Any) -> bool:
        composites = nodes_by_class(volume_node.GetScene(), "vtkMRMLSliceCompositeNode")
        return any(composite.GetBackgroundVolumeID() == volume_node.GetID() for composite in composites)


def _red_first(widget: Any) -> tuple[bool, str]:
    name = widget.mrmlSliceNode().GetLayoutName() or ""
    return name != "Red", name
