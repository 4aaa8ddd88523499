"""The model's probabilities of scar as a volume node of the scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.study_state import ModelSlice
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry

ROLE_PROBABILITY = "probability"


class ProbabilityVolume:
    """The probabilities of a study's segmented slices as a float volume node that is saved with the scene.

    The node has no display of its own and is hidden from the selectors of other modules. It is made when there is something to
    keep, and anew if the user deletes it.
    """

    def __init__(self, volume_node: Any, geometry: VolumeGeometry) -> None:
        self.volume_node = volume_node
        self.geometry = geometry
        self._node = node_of(volume_node, ROLE_PROBABILITY)

    @property
    def node(self) -> Any:
        """The volume node, None if no slice was segmented yet."""
        if self._node is not None and self._node.GetScene() is None:
            self._node = None
        return self._node

    def read(self, slices: Iterable[int]) -> dict[int, np.ndarray]:
        """Read-only float32 ``[row, column]`` of these slices, none of a node that does not fit the volume.

        A slice of zeros may be one that has no scar, so the caller says which slices the model has written in.
        """
        array = self._array()
        return {} if array is None else {k: frozen(array[k]) for k in sorted(slices) if 0 <= k < array.shape[0]}

    def write(self, models: Mapping[int, ModelSlice], changed: Iterable[int]) -> None:
        """Bring these slices in step with what the model gave, which is 0 where it has not written."""
        changed, array = list(changed), self._array()
        if array is None:
            if not models:
                return
            array, changed = self._make_node(), list(models)
        if changed:
            for k in changed:
                array[k] = models[k].probability if k in models else 0.0
            slicer.util.arrayFromVolumeModified(self._node)

    def follow_volume(self) -> None:
        """Lay the node where the volume is now."""
        node = self.node
        if node is not None and node.GetImageData() is not None:
            node.CopyOrientation(self.volume_node)
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())

    def _array(self) -> np.ndarray | None:
        """The node's voxels ``[k, row, column]``, as a view; None without a node that fits the volume."""
        node = self.node
        if node is None or node.GetImageData() is None:
            return None
        array = slicer.util.arrayFromVolume(node)
        if array.ndim != 3 or array.dtype != np.float32:
            return None
        view = self.geometry.to_study(array)
        return view if view.shape == self.geometry.shape else None

    def _make_node(self) -> np.ndarray:
        if self.node is None:
            name = _("{name} scar probability").format(name=self.volume_node.GetName())
            self._node = make_node(self.volume_node, "vtkMRMLScalarVolumeNode", ROLE_PROBABILITY, name, hidden=True)
        node = self._node
        size = self.volume_node.GetImageData().GetDimensions()
        slicer.util.updateVolumeFromArray(node, np.zeros((size[2], size[1], size[0]), dtype=np.float32))
        self.follow_volume()
        return self.geometry.to_study(slicer.util.arrayFromVolume(node))


def checked(k: int, given: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A model's probabilities for slice ``k`` of a study of ``shape``, as float32 that no longer changes.

    Raises:
        SceneError: they have another shape than the study's slices, or are not between 0 and 1.
    """
    slices, rows, columns = shape
    if not 0 <= k < slices or given.shape != (rows, columns):
        raise SceneError(
            f"Probabilities of {given.shape} for slice {k} do not fit a study of {slices} slices of ({rows}, {columns})."
        )
    if not (given.min() >= 0 and given.max() <= 1):  # also if one is not a number
        raise SceneError(f"The probabilities of slice {k} are not between 0 and 1.")
    return frozen(given)


def frozen(array: np.ndarray) -> np.ndarray:
    """``array`` if it can no longer change, else a copy that cannot: undo keeps slices without copying them again."""
    if array.dtype == np.float32 and not array.flags.writeable and array.base is None:
        return array
    copy = np.array(array, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy
