"""Volumes whose slices Slicer's readers put into reverse order.

A left-handed volume (one made by a script, or under a mirroring transform that was applied for good) is written as it is; on
reading, its slices come back in reverse order, with the directions that belong to it. In the world nothing has moved, but slice
numbers mean other slices. So a study notes how its volume lay, and puts volume and probabilities back into that order.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import slicer
import vtk

from MyoScarSegLib.scene.attributes import node_of
from MyoScarSegLib.scene.probability import ROLE_PROBABILITY
from MyoScarSegLib.scene.study_node import GRID, ROLE_STUDY

_SAME_MM = 1e-3


def grid_of(volume_node: Any) -> str:
    """How a volume's voxels lie, as text to be kept: dimensions, and the matrix from voxels to RAS by rows."""
    return json.dumps({"size": list(volume_node.GetImageData().GetDimensions()), "ijk_to_ras": _matrix(volume_node).tolist()})


def put_slices_back(volume_node: Any) -> bool:
    """Bring back the order of slices that a study's boxes and masks were made in, if a reader has reversed it.

    The volume shows the same as before, everywhere in the world. Does nothing for a volume without a study, or one that
    differs from its note in anything else.

    Returns:
        Whether it was reversed.
    """
    record = None if volume_node is None or volume_node.GetScene() is None else node_of(volume_node, ROLE_STUDY)
    noted = "" if record is None else record.GetParameter(GRID)
    if not noted or volume_node.GetImageData() is None:
        return False
    try:
        grid = json.loads(noted)
        size, matrix = tuple(int(n) for n in grid["size"]), np.array(grid["ijk_to_ras"], dtype=float).reshape(4, 4)
    except (ValueError, TypeError, KeyError):
        return False  # somebody else's text: then nothing is known, and nothing is touched
    found = False
    for node in (volume_node, node_of(volume_node, ROLE_PROBABILITY)):
        if node is not None and _is_reversed(node, size, matrix):
            found = True
            _reverse(node, matrix)
    return found


def _is_reversed(node: Any, size: tuple[int, ...], matrix: np.ndarray) -> bool:
    if node.GetImageData() is None or node.GetImageData().GetDimensions() != size or size[2] < 2:
        return False
    expected = matrix.copy()
    expected[:3, 3] += matrix[:3, 2] * (size[2] - 1)
    expected[:3, 2] *= -1
    return bool(np.allclose(_matrix(node), expected, atol=_SAME_MM))


def _reverse(node: Any, matrix: np.ndarray) -> None:
    changing = node.StartModify()
    try:
        array = slicer.util.arrayFromVolume(node)
        array[:] = array[::-1].copy()
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        slicer.util.arrayFromVolumeModified(node)
    finally:
        node.EndModify(changing)


def _matrix(node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
