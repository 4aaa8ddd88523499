"""Volumes in a scene, as scanners and Slicer's DICOM import leave them."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("none", "linear", "scaled", "nested", "gaps")


def random_matrix(seed: int | np.random.Generator, spacing_mm: tuple[float, float, float], *, flip: bool = False) -> np.ndarray:
    """``[4, 4]`` of a right-handed oblique volume, left-handed if ``flip``; ``spacing_mm`` is ``(i, j, k)``."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if (np.linalg.det(rotation) < 0) != flip:
        rotation[:, 2] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * spacing_mm
    matrix[:3, 3] = rng.uniform(-100, 100, 3)
    return matrix


def add_volume(
    scene: Any, voxels: np.ndarray | tuple[int, int, int], matrix: np.ndarray | None = None, name: str = "LGE", seed: int = 0
) -> Any:
    """A scalar volume node of voxels ``[k, j, i]``, or of noise of that shape; voxels of 1.4 x 1.4 x 10 mm without a matrix."""
    import slicer

    if isinstance(voxels, tuple):
        voxels = np.random.default_rng(seed).normal(100, 20, voxels).astype(np.float32)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(voxels))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([1.4, 1.4, 10.0, 1.0]) if matrix is None else matrix))
    return node


def add_transform(scene: Any, matrix: np.ndarray | int) -> Any:
    """A linear transform node; a rigid one given by a seed."""
    import slicer

    matrix = random_matrix(matrix, (1.0, 1.0, 1.0)) if isinstance(matrix, int) else matrix
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def add_gaps(volume: Any, shifts_mm: np.ndarray) -> Any:
    """A grid transform that moves each slice (along the volume's K axis) by so many mm along it, as Slicer's DICOM import does
    for stacks with gaps."""
    from MyoScarSegLib.scene.volume_geometry import VolumeGeometry, place_slices

    ijk_to_ras = VolumeGeometry(volume).ijk_to_ras()
    along = ijk_to_ras[:3, 2]
    steps = np.arange(len(shifts_mm)) + np.asarray(shifts_mm) / np.linalg.norm(along)
    return place_slices(volume, ijk_to_ras[:3, 3] + np.outer(steps, along))


def random_parents(scene: Any, volume: Any, kind: str, generator: np.random.Generator) -> None:
    """Put a volume under transforms of a kind of :data:`KINDS`."""
    if kind == "none":
        return
    if kind == "gaps":
        add_gaps(volume, np.cumsum(generator.uniform(0, 4, volume.GetImageData().GetDimensions()[2])))
        return

    def coin() -> bool:
        return bool(generator.integers(2))

    transform = add_transform(scene, random_matrix(generator, (1.0, 1.0, 1.0), flip=coin()))
    if kind == "scaled":
        transform = add_transform(scene, random_matrix(generator, tuple(generator.uniform(0.5, 2, 3)), flip=coin()))
    if kind == "nested":
        transform.SetAndObserveTransformNodeID(add_transform(scene, random_matrix(generator, (1, 1, 1), flip=coin())).GetID())
    volume.SetAndObserveTransformNodeID(transform.GetID())
