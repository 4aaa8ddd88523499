"""Slice views drawn by VTK off-screen: image, boxes with their handles, points, and the scar's fill and outline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.box_views import COLORS
from MyoScarSegLib.study.tissue import SCAR


def draw_slice(
    path: Path,
    session: Any,
    k: int,
    *,
    size: tuple[int, int] = (640, 640),
    center: tuple[float, float] | None = None,
    zoom: float = 1.0,
    selected: int | None = None,
    text: str = "",
) -> None:
    """Draw slice ``k`` of a study as a slice view shows it, and write it as PNG.

    Args:
        path: of the picture.
        session: the study's.
        k: slice.
        size: of the picture.
        center: in pixels of the slice; its middle if None.
        zoom: 1 shows the whole slice.
        selected: id of the box that stands out.
        text: at the lower left.
    """
    rows, columns = session.study.slice_shape
    row_mm, column_mm = session.study.geometry.pixel_spacing_mm or (1.0, 1.0)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(0.0, 0.0, 0.0)
    image = session.study.voxels[k]
    display = session.volume_node.GetDisplayNode()
    low = display.GetWindowLevelMin() if display is not None else float(image.min())
    high = display.GetWindowLevelMax() if display is not None else float(image.max())
    grey = np.clip((image - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    renderer.AddViewProp(_image(np.repeat(grey[..., None], 3, axis=2), column_mm, row_mm, 0.0))
    mask = session.mask()[k]
    if mask.any():
        red, green, blue = (round(255 * part) for part in SCAR.color)
        fill = np.zeros((rows, columns, 4), dtype=np.uint8)
        fill[mask] = (red, green, blue, 95)
        renderer.AddViewProp(_image(fill, column_mm, row_mm, 0.1))
        renderer.AddViewProp(_outline(mask, column_mm, row_mm))
    for row in session.state.boxes:
        if row.box.slice == k:
            for actor in _box(row.box, column_mm, row_mm, rows, row.id == selected):
                renderer.AddViewProp(actor)
    for point in session.state.points:
        if point.slice == k:
            renderer.AddViewProp(_point(point, column_mm, row_mm, rows))
    if text:
        renderer.AddViewProp(_text(text))
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    x, y = center or (columns / 2, rows / 2)
    focus = (x * column_mm, (rows - y) * row_mm)
    camera.SetFocalPoint(*focus, 0.0)
    camera.SetPosition(*focus, 100.0)
    camera.SetParallelScale(max(rows * row_mm, columns * column_mm * size[1] / size[0]) / 2 / zoom)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()


def _image(pixels: np.ndarray, column_mm: float, row_mm: float, z: float) -> Any:
    rows, columns, channels = pixels.shape
    data = vtk.vtkImageData()
    data.SetDimensions(columns, rows, 1)
    data.SetSpacing(column_mm, row_mm, 1.0)
    data.SetOrigin(column_mm / 2, row_mm / 2, z)
    flat = np.ascontiguousarray(pixels[::-1]).reshape(-1, channels)
    data.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    actor = vtk.vtkImageActor()
    actor.SetInputData(data)
    actor.SetInterpolate(channels == 3)
    return actor


def _outline(mask: np.ndarray, column_mm: float, row_mm: float) -> Any:
    rows = len(mask)
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()

    def line(x0: float, y0: float, x1: float, y1: float) -> None:
        lines.InsertNextCell(2)
        for x, y in ((x0, y0), (x1, y1)):
            lines.InsertCellPoint(points.InsertNextPoint(x * column_mm, (rows - y) * row_mm, 0.2))

    padded = np.pad(mask, 1)
    for row, column in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        line(column, row, column + 1, row)
    for row, column in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        line(column, row, column, row + 1)
    return _lines(points, lines, SCAR.color, 2.0)


def _box(box: Box, column_mm: float, row_mm: float, rows: int, selected: bool) -> list[Any]:
    color = COLORS[box.state]
    opacity = 0.45 if box.state is BoxState.REJECTED else 1.0
    corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
    at = [(x * column_mm, (rows - y) * row_mm) for x, y in corners]
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    lines.InsertNextCell(5)
    for x, y in (*at, at[0]):
        lines.InsertCellPoint(points.InsertNextPoint(x, y, 0.3))
    actors = [_lines(points, lines, color, 3.0 if selected else 2.0, opacity)]
    if selected:
        middles = [((at[n][0] + at[n - 1][0]) / 2, (at[n][1] + at[n - 1][1]) / 2) for n in range(4)]
        handles = vtk.vtkPoints()
        vertices = vtk.vtkCellArray()
        for x, y in (*at, *middles):
            vertices.InsertNextCell(1)
            vertices.InsertCellPoint(handles.InsertNextPoint(x, y, 0.4))
        shape = vtk.vtkPolyData()
        shape.SetPoints(handles)
        shape.SetVerts(vertices)
        actor = _actor(shape, color)
        actor.GetProperty().SetPointSize(9.0)
        actors.append(actor)
    return actors


def _point(point: Point, column_mm: float, row_mm: float, rows: int) -> Any:
    x, y = point.x * column_mm, (rows - point.y) * row_mm
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    reach = 2.2
    strokes = [((-reach, 0), (reach, 0))] + ([((0, -reach), (0, reach))] if point.positive else [])
    for (x0, y0), (x1, y1) in strokes:
        lines.InsertNextCell(2)
        for dx, dy in ((x0, y0), (x1, y1)):
            lines.InsertCellPoint(points.InsertNextPoint(x + dx, y + dy, 0.5))
    return _lines(points, lines, (0.35, 0.9, 0.5) if point.positive else (0.4, 0.75, 1.0), 3.0)


def _lines(points: Any, lines: Any, color: tuple[float, float, float], width: float, opacity: float = 1.0) -> Any:
    shape = vtk.vtkPolyData()
    shape.SetPoints(points)
    shape.SetLines(lines)
    actor = _actor(shape, color)
    actor.GetProperty().SetLineWidth(width)
    actor.GetProperty().SetOpacity(opacity)
    return actor


def _actor(shape: Any, color: tuple[float, float, float]) -> Any:
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(shape)
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*color)
    actor.GetProperty().LightingOff()
    return actor


def _text(text: str) -> Any:
    actor = vtk.vtkTextActor()
    actor.SetInput(text)
    actor.SetPosition(12, 10)
    actor.GetTextProperty().SetFontSize(18)
    actor.GetTextProperty().SetColor(0.9, 0.9, 0.9)
    return actor
