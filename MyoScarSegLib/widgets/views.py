"""The application's slice views: showing the volume in them, and scrolling them to a slice."""

from __future__ import annotations

from typing import Any

import slicer

from MyoScarSegLib.scene.workflow import Workflow


class Views:
    """What the panel does to the slice views. Without a main window there are none, and nothing happens."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow

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
        if not self._is_shown(session.volume_node):
            slicer.util.setSliceViewerLayers(background=session.volume_node)
        self._align(session.geometry)
        slicer.util.resetSliceViews()

    def jump(self, k: int) -> None:
        """Scroll the views along the slices to slice ``k``; if there is none, turn the first one."""
        session = self._workflow.session
        if session is None or not self.widgets:
            return
        self._align(session.geometry)
        for widget in self.along_slices:
            session.geometry.show_slice(widget.mrmlSliceNode(), k)

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

    def _align(self, geometry: Any) -> None:
        """Turn one view into the slices, exactly: a view that is tilted by a few degrees cuts boxes off away from its middle."""
        along = [widget.mrmlSliceNode() for widget in self.along_slices]
        if not any(geometry.lies_in_slices(node) for node in along):
            geometry.align_view(along[0] if along else self.widgets[0].mrmlSliceNode())

    @staticmethod
    def _is_shown(volume_node: Any) -> bool:
        scene = volume_node.GetScene()
        return any(
            scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode").GetBackgroundVolumeID() == volume_node.GetID()
            for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
        )


def _red_first(widget: Any) -> tuple[bool, str]:
    name = widget.mrmlSliceNode().GetLayoutName() or ""
    return name != "Red", name
