"""How a study is shown: the grey values that are black and white, and what part of it the slice views show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.displayed_slice import slice_views
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry

_FIELD_MM = 130.0
"""Least side of a view on the heart: a left ventricle with its wall measures 60 to 90 mm."""
_MARGIN = 1.15
_HEART_MM = 45.0
"""Radius around the middle of the left ventricle in which there are cavity, wall and scar, and little fat."""
_DARKEST, _BRIGHTEST = 1.0, 99.7
"""Percentiles there that are black and white. A small scar is brighter than nearly all of the rest."""


@dataclass(frozen=True)
class ViewSettings:
    """What was shown at one moment.

    Attributes:
        window: grey values that are black and white, and whether the application chooses them; None without a display.
        views: per slice view, by its id, its field of view, its origin and its matrix to RAS, 3 + 3 + 16 numbers.
    """

    window: tuple[float, float, bool] | None = None
    views: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def current_view(volume_node: Any) -> ViewSettings:
    """How a volume is shown now, in the views that have it, or have nothing."""
    return ViewSettings(_window_of(volume_node), {node.GetID(): _view_of(node) for node in _views(volume_node)})


def fit_to_heart(
    volume_node: Any,
    geometry: VolumeGeometry,
    voxels: np.ndarray,
    boxes: Iterable[Box],
    heart: tuple[float, float] | None,
) -> ViewSettings:
    """Fill the views with the heart and the grey scale with what is in it; a view along the slices stays on its slice.

    The boxes must be in sight. ``heart`` is ``(x, y)`` of the left ventricle's middle in pixel edges; that of the boxes if None,
    and without either nothing changes. Returns how the volume is shown then.
    """
    corners = np.array([box.xyxy for box in boxes]).reshape(-1, 2, 2)
    if heart is None and not len(corners):
        return current_view(volume_node)
    x, y = heart if heart is not None else np.median(corners.mean(axis=1), axis=0)
    middle = (geometry.shape[0] - 1) / 2
    steps = np.diff(geometry.to_world(np.array([[x, y, middle], [x + 1, y, middle], [x, y, middle], [x, y + 1, middle]])), axis=0)
    column_mm, row_mm = (float(np.linalg.norm(step)) for step in steps[::2])
    reach = float(np.abs((corners - [x, y]) * [column_mm, row_mm]).max(initial=0.0))
    side_mm = max(_FIELD_MM, 2 * _MARGIN * reach)
    for node in _views(volume_node):
        k = geometry.slice_of_view(node) if geometry.shows_slices(node) else None
        width, height, _depth = node.GetDimensions()
        if min(width, height) < 2:  # a view that was never shown has no size
            continue
        with slicer.util.NodeModify(node):
            node.SetXYZOrigin(0.0, 0.0, 0.0)
            node.JumpSliceByCentering(*geometry.to_world(np.array([[x, y, middle if k is None else k]]))[0])
            scale = side_mm / min(width, height)
            node.SetFieldOfView(scale * width, scale * height, node.GetFieldOfView()[2])
    display = volume_node.GetDisplayNode()
    if display is not None:
        rows, columns = (np.arange(size) + 0.5 for size in voxels.shape[1:])
        near = np.hypot(((rows - y) * row_mm)[:, None], (columns - x) * column_mm) <= _HEART_MM
        if near.any():
            low, high = np.percentile(voxels[:, near], (_DARKEST, _BRIGHTEST))
            if high > low:
                _set_window(volume_node, (float(low), float(high), False))
    return current_view(volume_node)


def change_view(volume_node: Any, now: ViewSettings | None, target: ViewSettings | None) -> None:
    """Show a volume as in ``target``, but for what is not as in ``now`` any more: the reader has changed that since."""
    if now is None or target is None or now == target:
        return
    if target.window is not None and now.window is not None and _alike(_window_of(volume_node), now.window):
        _set_window(volume_node, target.window)
    for node in _views(volume_node):
        was, wanted = now.views.get(node.GetID()), target.views.get(node.GetID())
        if was is not None and wanted is not None and _alike(_view_of(node)[:6], was[:6]):
            _set_view(node, was, wanted)


def _views(volume_node: Any) -> list[Any]:
    """The slice views of the layout that show a volume, or nothing; without an application all count."""
    scene = volume_node.GetScene()
    own = (None, "", volume_node.GetID())
    composites = nodes_by_class(scene, "vtkMRMLSliceCompositeNode")
    other = {composite.GetLayoutName() for composite in composites if composite.GetBackgroundVolumeID() not in own}
    nodes = slice_views(scene)
    mapped = [node for node in nodes if node.IsMappedInLayout()]
    return [node for node in mapped or nodes if node.GetLayoutName() not in other]


def _window_of(volume_node: Any) -> tuple[float, float, bool] | None:
    display = volume_node.GetDisplayNode()
    if display is None:
        return None
    return display.GetWindowLevelMin(), display.GetWindowLevelMax(), bool(display.GetAutoWindowLevel())


def _set_window(volume_node: Any, window: tuple[float, float, bool]) -> None:
    display = volume_node.GetDisplayNode()
    with slicer.util.NodeModify(display):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*window[:2])
        display.SetAutoWindowLevel(window[2])


def _view_of(node: Any) -> tuple[float, ...]:
    matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    return (*node.GetFieldOfView(), *node.GetXYZOrigin(), *(float(number) for number in matrix.ravel()))


def _set_view(node: Any, was: tuple[float, ...], wanted: tuple[float, ...]) -> None:
    """Zoom and place as wanted; on the slice that the reader has come to meanwhile, and turned as he has turned the view."""
    here, before, matrix = (np.array(view[6:]).reshape(4, 4) for view in (_view_of(node), was, wanted))
    with slicer.util.NodeModify(node):
        node.SetFieldOfView(*wanted[:3])
        node.SetXYZOrigin(*wanted[3:6])
        if np.allclose(here[:3, :3], before[:3, :3], atol=1e-6):
            normal = here[:3, 2]
            matrix[:3, 3] += normal * (normal @ (here[:3, 3] - before[:3, 3]))
            node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
            node.UpdateMatrices()


def _alike(one: tuple[float, ...] | None, other: tuple[float, ...]) -> bool:
    return one is not None and bool(np.allclose(one, other, rtol=1e-5, atol=1e-5))
