"""Volumes in a scene, as scanners and Slicer's DICOM import leave them."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("none", "linear", "scaled", "nested", "gaps")


def random_ijk_to_ras(generator: np.random.Generator, spacing: tuple[float, float, float], *, flipped: bool = True) -> np.ndarray:
    """``[4, 4]`` of an oblique volume, its axes in any order of handedness."""
    axes, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    if flipped:
        axes = axes * generator.choice((-1, 1), 3)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing)
    matrix[:3, 3] = generator.uniform(-200, 200, 3)
    return matrix


def add_volume(scene: Any, array: np.ndarray, ijk_to_ras: np.ndarray, name: str = "LGE") -> Any:
    """A scalar volume node."""
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return node


def add_transform(scene: Any, matrix: np.ndarray) -> Any:
    """A linear transform node."""
    import slicer

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
    transform = add_transform(scene, random_ijk_to_ras(generator, (1.0, 1.0, 1.0)))
    if kind == "scaled":
        transform = add_transform(scene, random_ijk_to_ras(generator, tuple(generator.uniform(0.5, 2, 3))))
    if kind == "nested":
        transform.SetAndObserveTransformNodeID(add_transform(scene, random_ijk_to_ras(generator, (1, 1, 1))).GetID())
    volume.SetAndObserveTransformNodeID(transform.GetID())
