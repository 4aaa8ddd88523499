"""The rectangle that follows the mouse while a box is drawn: a 2D actor of the view, no node of the scene."""

from __future__ import annotations

from typing import Any

import vtk


class RubberBand:
    """A rectangle in display coordinates of one slice view (origin at its bottom left)."""

    def __init__(self, view: Any, color: tuple[float, float, float]) -> None:
        """
        Args:
            view: the ``qMRMLSliceView``.
            color: red, green and blue from 0 to 1.
        """
        self._view = view
        self._points = vtk.vtkPoints()
        self._points.SetNumberOfPoints(4)
        lines = vtk.vtkCellArray()
        lines.InsertNextCell(5)
        for corner in (0, 1, 2, 3, 0):
            lines.InsertCellPoint(corner)
        self._shape = vtk.vtkPolyData()
        self._shape.SetPoints(self._points)
        self._shape.SetLines(lines)
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._shape)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetColor(*color)
        self._actor.GetProperty().SetLineWidth(2.0)
        self._renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
        if self._renderer is not None:
            self._renderer.AddViewProp(self._actor)

    def stretch(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Span it between two positions."""
        (x0, y0), (x1, y1) = start, end
        for number, (x, y) in enumerate(((x0, y0), (x1, y0), (x1, y1), (x0, y1))):
            self._points.SetPoint(number, x, y, 0.0)
        self._points.Modified()
        self._shape.Modified()
        self._view.scheduleRender()

    def remove(self) -> None:
        """Take it out of the view."""
        if self._renderer is not None:
            self._renderer.RemoveViewProp(self._actor)
        self._renderer = None
        self._view.scheduleRender()
