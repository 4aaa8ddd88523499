"""Volumes whose slices Slicer's readers put into reverse order.

A left-handed volume (one made by a script, or under a mirroring transform that was applied for good) is written as it is; on
reading, its slices come back in reverse order, with the directions that belong to it. In the world nothing has moved, but slice
numbers mean other slices. So a study notes how its volume lay, and counts its boxes and slices anew where that has changed; the
user's volume is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.scene.attributes import node_of
from MyoScarSegLib.scene.saved_study import GRID, ROLE_STUDY
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry

_SAME_MM = 1e-3


def grid_of(volume_node: Any) -> str:
    """How a volume's voxels lie, as text to be kept: dimensions, and the matrix from voxels to RAS by rows."""
    return json.dumps(
        {
            "size": list(volume_node.GetImageData().GetDimensions()),
            "ijk_to_ras": VolumeGeometry(volume_node).ijk_to_ras().tolist(),
        }
    )


def reversed_axis(volume_node: Any, axes: Sequence[int]) -> int | None:
    """Which axis of the study ``[k, row, column]`` runs the other way than when the study was kept; None if none does.

    ``axes`` says which axis of the volume's array each axis of the study is. The volume is only read.
    """
    record = None if volume_node.GetScene() is None else node_of(volume_node, ROLE_STUDY)
    noted = "" if record is None else record.GetParameter(GRID)
    if not noted:
        return None
    try:
        grid = json.loads(noted)
        size, matrix = tuple(int(n) for n in grid["size"]), np.array(grid["ijk_to_ras"], dtype=float).reshape(4, 4)
    except (ValueError, TypeError, KeyError):
        return None  # somebody else's text: then nothing is known
    image = volume_node.GetImageData()
    if (
        image is None
        or image.GetDimensions() != size
        or not is_reverse(matrix, VolumeGeometry(volume_node).ijk_to_ras(), size[2])
    ):
        return None
    return list(axes).index(0)


def is_reverse(before: np.ndarray, now: np.ndarray, slices: int) -> bool:
    """Whether two matrices ``[4, 4]`` from voxels to RAS differ in the direction of the last voxel axis alone."""
    expected = before.copy()
    expected[:3, 3] += before[:3, 2] * (slices - 1)
    expected[:3, 2] *= -1
    return slices > 1 and bool(np.allclose(now, expected, atol=_SAME_MM))


def lay_like(node: Any, volume_node: Any) -> None:
    """Have a volume of our own run the way that the user's does, if it came back in reverse order from its file alone."""
    matrix, size = VolumeGeometry(volume_node).ijk_to_ras(), volume_node.GetImageData().GetDimensions()
    image = node.GetImageData()
    if image is None or image.GetDimensions() != size or not is_reverse(matrix, VolumeGeometry(node).ijk_to_ras(), size[2]):
        return
    with slicer.util.NodeModify(node):
        array = slicer.util.arrayFromVolume(node)
        array[:] = array[::-1].copy()
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        slicer.util.arrayFromVolumeModified(node)
