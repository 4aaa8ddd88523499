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
        """The slice widgets of the present layout."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return []
        found = [manager.sliceWidget(name) for name in manager.sliceViewNames()]
        return [widget for widget in found if widget is not None]

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
        if not self.along_slices:
            session.geometry.align_view(self.widgets[0].mrmlSliceNode())
        slicer.util.resetSliceViews()

    def jump(self, k: int) -> None:
        """Scroll the views along the slices to slice ``k``; if there is none, turn the first one."""
        session = self._workflow.session
        if session is None or not self.widgets:
            return
        if not self.along_slices:
            session.geometry.align_view(self.widgets[0].mrmlSliceNode())
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

    @staticmethod
    def _is_shown(volume_node: Any) -> bool:
        scene = volume_node.GetScene()
        return any(
            scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode").GetBackgroundVolumeID() == volume_node.GetID()
            for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
        )
