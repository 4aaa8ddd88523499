"""The model's probabilities of scar, kept slice by slice, and the masks that a threshold and a growth make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.result import check_threshold, mask_of
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.geometry import VolumeGeometry
from MyoScarSegLib.scene.text import _

ROLE_PROBABILITY = "probability"
MOST_GROWTH_MM = 20.0


def check_growth(growth_mm: float) -> float:
    """``growth_mm`` if it is a sensible number of millimetres.

    Raises:
        SceneError: it is not.
    """
    if not math.isfinite(growth_mm) or abs(growth_mm) > MOST_GROWTH_MM:
        raise SceneError(
            _("Growing and shrinking are between {low} and {high} mm, not {value}.").format(
                low=f"{-MOST_GROWTH_MM:g}", high=f"{MOST_GROWTH_MM:g}", value=f"{growth_mm:g}"
            )
        )
    return float(growth_mm)


class ProbabilityVolume:
    """The probabilities of a study's segmented slices, in a float volume node that is saved with the scene.

    The node has no display of its own and is hidden from the selectors of other modules. It is made when there is something to
    keep; if the user deletes it, it is made again from memory.

    Attributes:
        volume_node: whose probabilities these are.
        geometry: of that volume.
    """

    def __init__(
        self, volume_node: Any, geometry: VolumeGeometry, pixel_spacing_mm: tuple[float, float] | None, held: set[int]
    ) -> None:
        """
        Args:
            volume_node: scalar volume.
            geometry: of it.
            pixel_spacing_mm: ``(between rows, between columns)``, for growing and shrinking.
            held: slices that the node, if the scene has it, holds: a slice of zeros may be one that has no scar.
        """
        self.volume_node = volume_node
        self.geometry = geometry
        self.pixel_spacing_mm = pixel_spacing_mm
        self._node = node_of(volume_node, ROLE_PROBABILITY)
        self._slices: dict[int, np.ndarray] = {}
        array = self._array()
        if array is not None:
            for k in sorted(held):
                if 0 <= k < array.shape[0]:
                    self._slices[k] = _frozen(array[k])

    @property
    def node(self) -> Any:
        """The volume node, None if no slice was segmented yet."""
        if self._node is not None and self._node.GetScene() is None:
            self._node = None
        return self._node

    @property
    def slices(self) -> list[int]:
        """Slices that hold the model's probabilities."""
        return sorted(self._slices)

    def of(self, k: int) -> np.ndarray | None:
        """float32 ``[row, column]`` of a slice, read-only; None if it holds none."""
        return self._slices.get(k)

    def array(self) -> np.ndarray:
        """float32 ``[k, row, column]``; 0 where no slice is held."""
        whole = np.zeros(self.geometry.shape, dtype=np.float32)
        for k, probability in self._slices.items():
            whole[k] = probability
        return whole

    def mask_of(self, threshold: float, growth_mm: float, k: int) -> np.ndarray:
        """bool ``[row, column]``: the mask that these settings give on a slice; empty if the slice holds no probabilities."""
        probability = self._slices.get(k)
        if probability is None:
            return np.zeros(self.geometry.shape[1:], dtype=bool)
        return mask_of(probability, check_threshold(threshold), growth_mm, self.pixel_spacing_mm)

    def write(self, slices: Mapping[int, np.ndarray | None]) -> None:
        """Keep these slices' probabilities; None takes a slice away.

        Raises:
            SceneError: the array of a slice has another shape than the study's slices, or is not between 0 and 1.
        """
        frozen = {k: None if given is None else self.checked(k, given) for k, given in slices.items()}
        changed = {k: new for k, new in frozen.items() if self._slices.get(k) is not new}
        if not changed:
            return
        for k, new in changed.items():
            if new is None:
                self._slices.pop(k, None)
            else:
                self._slices[k] = new
        array = self._array()
        if array is None:
            if not self._slices:
                return
            self._make_node()
            array = self._array()
            assert array is not None  # noqa: S101 (it has just been made)
            changed = dict(self._slices)
        for k, new in changed.items():
            array[k] = 0.0 if new is None else new
        slicer.util.arrayFromVolumeModified(self._node)

    def restore_node(self) -> None:
        """Make the node again if the user deleted it."""
        if self._slices and self._array() is None:
            kept, self._slices = self._slices, {}
            self.write(kept)

    def follow_volume(self) -> None:
        """Lay the node where the volume is now."""
        node = self.node
        if node is not None and node.GetImageData() is not None:
            node.CopyOrientation(self.volume_node)
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())

    def checked(self, k: int, given: np.ndarray) -> np.ndarray:
        """``given`` as float32 that no longer changes; errors as of :meth:`write`."""
        slices, rows, columns = self.geometry.shape
        if not 0 <= k < slices or given.shape != (rows, columns):
            raise SceneError(
                f"Probabilities of {given.shape} for slice {k} do not fit a study of {slices} slices of ({rows}, {columns})."
            )
        if not (given.min() >= 0 and given.max() <= 1):  # also if one is not a number
            raise SceneError(f"The probabilities of slice {k} are not between 0 and 1.")
        return _frozen(given)

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

    def _make_node(self) -> None:
        if self.node is None:
            name = _("{name} scar probability").format(name=self.volume_node.GetName())
            self._node = make_node(self.volume_node, "vtkMRMLScalarVolumeNode", ROLE_PROBABILITY, name)
        node = self._node
        node.SetHideFromEditors(True)
        size = self.volume_node.GetImageData().GetDimensions()
        slicer.util.updateVolumeFromArray(node, np.zeros((size[2], size[1], size[0]), dtype=np.float32))
        self.follow_volume()


def _frozen(array: np.ndarray) -> np.ndarray:
    """``array`` if it can no longer change, else a copy that cannot: undo keeps slices without copying them again."""
    if array.dtype == np.float32 and not array.flags.writeable and array.base is None:
        return array
    copy = np.array(array, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy
