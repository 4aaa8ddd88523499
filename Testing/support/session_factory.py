"""Volumes in a scene, at any angle, for the tests of the scene layer."""

from __future__ import annotations

from typing import Any

import numpy as np


def random_matrix(seed: int, spacing_mm: tuple[float, float, float], *, flip: bool = False) -> np.ndarray:
    """IJK to RAS ``[4, 4]``: a random rotation, ``(i, j, k)`` spacing, a random origin; left-handed if ``flip``."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if (np.linalg.det(rotation) < 0) != flip:
        rotation[:, 2] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * spacing_mm
    matrix[:3, 3] = rng.uniform(-100, 100, 3)
    return matrix


def add_volume(
    scene: Any, shape: tuple[int, int, int], matrix: np.ndarray | None = None, name: str = "LGE", seed: int = 0
) -> Any:
    """A scalar volume of noise with voxels ``[k, j, i]``."""
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    voxels = np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)
    slicer.util.updateVolumeFromArray(node, voxels)
    if matrix is None:
        node.SetSpacing(1.4, 1.4, 10.0)
    else:
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def add_transform(scene: Any, seed: int, name: str = "Patient") -> Any:
    """A rigid transform node."""
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(random_matrix(seed, (1.0, 1.0, 1.0))))
    return node


def blob(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    """float32 ``[row, column]``: probability of a round scar, 0.5 at ``radius`` pixels from ``(x, y)`` in pixel edges."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    distance = np.hypot(columns - x, rows - y)
    return (1 / (1 + np.exp(np.clip(distance - radius, -30, 30)))).astype(np.float32)
