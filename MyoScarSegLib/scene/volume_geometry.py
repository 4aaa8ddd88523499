"""Pixels of a study and the world: the one place where they are converted, through every parent transform.

A study's ``[k, row, column]`` may be a transposed view of the volume's array (its slice axis is the through-plane axis of the
acquisition, whichever axis of the file that is). In the plane, positions are pixel *edges* (x along columns, y along rows, the
center of pixel (0, 0) at (0.5, 0.5)); through the stack they are slice indices, whole numbers at the slices' centers. The
world is RAS in millimeters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MyoScarSegLib.prompts import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

_CENTER = np.array([0.5, 0.5, 0.0])
"""Of the first pixel of the first slice, x and y in pixel edges."""
_PARALLEL = 0.996
"""Least cosine between a view's normal and the slices' for the view to show slices: 5 degrees."""
_EXACTLY_PARALLEL = 0.99999

_MARGIN = 1.05
"""How much larger than a slice the field of a view is that shows it."""


class VolumeGeometry:
    """Where the voxels of a volume node lie. It reads the node anew each time, so it never goes stale.

    Attributes:
        volume_node: the scalar volume.
        axes: which axis of the volume's ``[k, j, i]`` array each axis of the study is, as ``Study.file_axes``.
    """

    def __init__(self, volume_node: Any, axes: Sequence[int] = (0, 1, 2)) -> None:
        self.volume_node = volume_node
        self.axes = (int(axes[0]), int(axes[1]), int(axes[2]))
        self._xyk = [2 - axis for axis in reversed(self.axes)]  # of a study's x, y, k: where it stands in i, j, k

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(slices, rows, columns)`` of the study."""
        size = self.volume_node.GetImageData().GetDimensions()
        columns, rows, slices = (int(size[axis]) for axis in self._xyk)
        return slices, rows, columns

    def to_study(self, array: np.ndarray) -> np.ndarray:
        """A view of an array like the volume's, with the study's axes."""
        return np.transpose(array, self.axes)

    def to_volume(self, array: np.ndarray) -> np.ndarray:
        """A view of an array with the study's axes, like the volume's ``[k, j, i]``."""
        return np.transpose(array, np.argsort(self.axes))

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """RAS ``[n, 3]`` of study positions ``[n, 3]``: x, y in pixel edges, slice index."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        ijk = np.empty_like(points)
        ijk[:, self._xyk] = points - _CENTER
        return self._through_parents(_apply(self.ijk_to_ras(), ijk), to_world=True)

    def from_world(self, points: np.ndarray) -> np.ndarray:
        """Study positions ``[n, 3]`` (x, y in pixel edges, slice index) of RAS ``[n, 3]``."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        ijk = _apply(np.linalg.inv(self.ijk_to_ras()), self._through_parents(points, to_world=False))
        return ijk[:, self._xyk] + _CENTER

    def slice_at(self, ras: Sequence[float]) -> int | None:
        """The slice that a world position lies in, None beyond the stack."""
        k = float(self.from_world(np.array([ras], dtype=float))[0, 2])
        nearest = int(np.floor(k + 0.5))
        return nearest if 0 <= nearest < self.shape[0] else None

    def middle(self, k: float | None = None) -> np.ndarray:
        """RAS ``[3]`` of the middle of slice ``k``, or of the stack."""
        slices, rows, columns = self.shape
        at = (slices - 1) / 2 if k is None else k
        return self.to_world(np.array([[columns / 2, rows / 2, at]]))[0]

    def ijk_to_ras(self) -> np.ndarray:
        """``[4, 4]`` from the volume's I, J, K to its own RAS, below all parent transforms."""
        matrix = vtk.vtkMatrix4x4()
        self.volume_node.GetIJKToRASMatrix(matrix)
        return slicer.util.arrayFromVTKMatrix(matrix)

    def roi_of(self, box: Box) -> tuple[np.ndarray, np.ndarray]:
        """A box as an oriented ROI in the world, one slice thick: it ends half way to the nearer neighbor, so that it shows in
        no other slice, however unevenly they are spaced.

        Returns:
            ``[4, 4]`` from the ROI's own axes to RAS (rotation and center, right-handed), and its ``[3]`` edge lengths in mm.
        """
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        k = float(box.slice)
        ends = self.to_world(
            np.array(
                [[box.x0, y, k], [box.x1, y, k], [x, box.y0, k], [x, box.y1, k], [x, y, k - 0.5], [x, y, k + 0.5], [x, y, k]]
            )
        )
        across, along = ends[1] - ends[0], ends[3] - ends[2]
        first = across / np.linalg.norm(across)
        second = along - first * (along @ first)
        second /= np.linalg.norm(second)
        normal = np.cross(first, second)
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = first, second, normal
        matrix[:3, 3] = ends[6]
        thickness = 2 * np.abs((ends[4:6] - ends[6]) @ normal).min()
        return matrix, np.array([np.linalg.norm(across), np.linalg.norm(along), thickness])

    def box_of(self, matrix: np.ndarray, size: np.ndarray) -> tuple[int, tuple[float, float, float, float]]:
        """The slice and corners ``(x0, y0, x1, y1)`` of an oriented ROI in the world; what :meth:`roi_of` made, comes back.

        The slice is the nearest one, also beyond the stack; the caller checks.
        """
        signs = np.array([[-1, -1, 0, 1], [1, -1, 0, 1], [-1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 1]], dtype=float)
        corners = signs * np.array([*(np.asarray(size, dtype=float) / 2), 1.0])
        study = self.from_world((corners @ np.asarray(matrix, dtype=float).T)[:, :3])
        low, high = study[:4, :2].min(axis=0), study[:4, :2].max(axis=0)
        return int(np.floor(study[4, 2] + 0.5)), (float(low[0]), float(low[1]), float(high[0]), float(high[1]))

    def shows_slices(self, slice_node: Any) -> bool:
        """Whether a view lies parallel to the study's slices."""
        return bool(abs(_view_normal(slice_node) @ self._slice_normal()) >= _PARALLEL)

    def lies_in_slices(self, slice_node: Any) -> bool:
        """Whether a view lies in the slices exactly, so that it shows whole boxes to its edges."""
        return bool(abs(_view_normal(slice_node) @ self._slice_normal()) >= _EXACTLY_PARALLEL)

    def slice_of_view(self, slice_node: Any) -> int | None:
        """The slice that a view through the stack shows, None beyond it. Meaningful where :meth:`shows_slices`."""
        normal, middle = _view_normal(slice_node), self.middle()
        origin = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())[:3, 3]
        return self.slice_at(middle + normal * ((origin - middle) @ normal))

    def position_in_view(self, slice_node: Any, x: float, y: float) -> tuple[int | None, float, float]:
        """Slice and ``(x, y)`` in pixel edges of a display position in a view (origin at its bottom left)."""
        ras = slice_node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3]
        column, row, _ = self.from_world(np.array([ras]))[0]
        return self.slice_at(ras), float(column), float(row)

    def show_slice(self, slice_node: Any, k: int) -> None:
        """Scroll a view to a slice."""
        slice_node.JumpSliceByOffsetting(*self.middle(k))

    def center_view(self, slice_node: Any, k: int) -> None:
        """Show a whole slice in the middle of a view that lies in the slices."""
        slice_node.JumpSliceByCentering(*self.middle(k))
        width, height, _depth = slice_node.GetDimensions()
        if width < 2 or height < 2:  # a view that was never shown has no size
            return
        _slices, rows, columns = self.shape
        corners = self.to_world(np.array([[0.0, 0.0, k], [columns, 0.0, k], [0.0, rows, k]]))
        across, down = (float(np.linalg.norm(corner - corners[0])) for corner in corners[1:])
        mm_per_pixel = _MARGIN * max(across / width, down / height)
        slice_node.SetFieldOfView(mm_per_pixel * width, mm_per_pixel * height, slice_node.GetFieldOfView()[2])

    def align_view(self, slice_node: Any) -> None:
        """Turn a view to lie in the acquired slices, whatever their angle; one that lies across them is turned as an axial one,
        else a coronal view would have them upside down."""
        slices, rows, columns = self.shape
        # Not the stack's own direction: slices that are shifted against each other lie at an angle to it.
        matrix, _size = self.roi_of(Box(slices // 2, 0.0, 0.0, float(columns), float(rows)))
        if not self.shows_slices(slice_node):
            at = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())
            at[:3, :3] = np.diag((-1.0, 1.0, 1.0))
            slice_node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(at))
        slice_node.RotateToAxes(slicer.util.vtkMatrixFromArray(matrix), 2)

    def _slice_normal(self) -> np.ndarray:
        slices, rows, columns = self.shape
        middle = np.array([columns / 2, rows / 2, (slices - 1) / 2])
        origin, across, along = self.to_world(middle + np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]))
        normal = np.cross(across - origin, along - origin)
        return normal / np.linalg.norm(normal)

    def _through_parents(self, points: np.ndarray, *, to_world: bool) -> np.ndarray:
        parent = self.volume_node.GetParentTransformNode()
        if parent is None:
            return points
        if parent.IsTransformToWorldLinear():
            matrix = vtk.vtkMatrix4x4()
            (parent.GetMatrixTransformToWorld if to_world else parent.GetMatrixTransformFromWorld)(matrix)
            return _apply(slicer.util.arrayFromVTKMatrix(matrix), points)
        transform = vtk.vtkGeneralTransform()
        (parent.GetTransformToWorld if to_world else parent.GetTransformFromWorld)(transform)
        return np.array([transform.TransformPoint(point) for point in points])


def place_slices(volume_node: Any, origins: np.ndarray) -> Any:
    """Put a volume below a new grid transform that moves each slice, along the volume's K, to where it lies.

    The volume is evenly spaced, without a transform; ``origins`` is RAS ``[slices, 3]`` of the middles of the slices' first
    pixels. Returns the transform node.
    """
    i, j, slices = volume_node.GetImageData().GetDimensions()
    ijk_to_ras = VolumeGeometry(volume_node).ijk_to_ras()
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    grid = vtk.vtkImageData()
    grid.SetDimensions(2, 2, slices)  # its corners lie a pixel outside the slices'
    grid.SetSpacing(spacing[0] * (i + 1), spacing[1] * (j + 1), spacing[2])
    grid.SetOrigin(*(ijk_to_ras @ (-1.0, -1.0, 0.0, 1.0))[:3])
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    moved = origins - _apply(ijk_to_ras, np.column_stack([np.zeros((slices, 2)), np.arange(slices)]))
    vtk_to_numpy(grid.GetPointData().GetScalars()).reshape(slices, 4, 3)[:] = moved[:, None]
    directions = np.eye(4)
    directions[:3, :3] = ijk_to_ras[:3, :3] / spacing
    transform = slicer.vtkOrientedGridTransform()
    transform.SetInterpolationModeToLinear()
    transform.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(directions))
    transform.SetDisplacementGridData(grid)
    node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLGridTransformNode", f"{volume_node.GetName()} slice places")
    node.SetAndObserveTransformToParent(transform)
    volume_node.SetAndObserveTransformNodeID(node.GetID())
    return node


def is_linear(transform_node: Any) -> bool:
    """Whether a transform is linear with all that are above it; so is none at all."""
    return transform_node is None or bool(transform_node.IsTransformToWorldLinear())


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _view_normal(slice_node: Any) -> np.ndarray:
    normal = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())[:3, 2]
    return normal / np.linalg.norm(normal)
