"""The segment of one tissue of a study: made, read and written slice by slice, beside whatever else its node holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.attributes import ROLE, make_node, node_of
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study.tissue import SCAR, Term

ROLE_SEGMENTATION = "segmentation"
SEGMENT_TAG = "MyoScarSeg.Segment"
_BINARY_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
_CLOSED_SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
_SAME_GRID_VOXELS = 1e-2
"""Farthest that two grids' voxels may lie apart and still be one grid; files round matrices to about 1e-6."""


class TissueSegment:
    """One segment of a segmentation node, as boolean slices of the study.

    Only this segment is ever changed. The node is the study's own, made when it is first needed, or one that the user chose;
    then its other segments stay as they are, overlapping ones and those that share a label map with ours as well.

    Attributes:
        volume_node: whose tissue it is.
        geometry: of that volume.
        tag: by which our segment is known, also after its node was saved and loaded: unlike that of other studies.
        tissue: that it shows: name, color and code.
        last_node: the node that was last used, also after it was deleted.
        surface_rests: whether the surfaces, which take long, are to be made by :meth:`make_surface` and not at each write.
    """

    def __init__(
        self,
        volume_node: Any,
        geometry: VolumeGeometry,
        tag: str,
        node: Any = None,
        touched: Callable[[], None] | None = None,
        tissue: Term = SCAR,
    ) -> None:
        """In the segmentation ``node`` that was chosen before; the study's own one if None.

        ``touched()`` is called when anything of it was changed, by whomever; :attr:`version` says whether it was our voxels.
        """
        self.volume_node = volume_node
        self.geometry = geometry
        self.tag = tag
        self.tissue = tissue
        self.last_node = node
        self.surface_rests = self._surface_due = False
        self._touched = touched
        self._observers = Observers()
        self._node: Any = None
        self._use(node)
        self._segment_id = ""

    def ensure_node(self) -> Any:
        """The segmentation node with our segment in it; both are made anew if they are not there."""
        node = self.node
        if node is None:
            node = self.last_node = self._make_node()
            self._use(node)
        if node.GetSegmentation().GetSegment(self._segment_id) is None:
            self._segment_id = self._find_segment(node) or _make_segment(node, self.tag, self.tissue)
        return node

    @property
    def node(self) -> Any:
        """The segmentation node if it is in the scene; None before anything was segmented, or if the user deleted it."""
        if self._node is None or self._node.GetScene() is None:
            self._use(node_of(self.volume_node, ROLE_SEGMENTATION))
            self.last_node = self._node or self.last_node
        return self._node

    def close(self) -> None:
        """Observe the node no longer; it stays."""
        self._observers.clear()

    def _use(self, node: Any) -> None:
        if node is not self._node:
            self._observers.clear()
            self._node = node
            if node is not None and self._touched is not None:
                self._observers.add(node, "AnyEvent", self._on_event)

    def _on_event(self, _node: Any) -> None:
        if self._touched is not None:
            self._touched()

    @property
    def segment_id(self) -> str:
        """Id of our segment, empty if there is none."""
        node = self.node
        if node is None:
            return ""
        if node.GetSegmentation().GetSegment(self._segment_id) is None:
            self._segment_id = self._find_segment(node)
        return self._segment_id

    def remove_segment(self) -> None:
        """Take our segment out of its node, and the node out of the scene if it was made for it and holds nothing else."""
        node, segment_id = self.node, self.segment_id
        if node is None:
            return
        if segment_id:
            node.GetSegmentation().RemoveSegment(segment_id)
        if node.GetAttribute(ROLE) == ROLE_SEGMENTATION and not node.GetSegmentation().GetNumberOfSegments():
            node.GetScene().RemoveNode(node)

    def follow_volume(self) -> None:
        """Put the study's own node under the volume's transform, if the volume was moved and its scar stayed behind.

        A node that lies right in the world as it is (the volume's transform was hardened) and one of the user's stay.
        """
        node = self.node
        if node is None or node.GetAttribute(ROLE) != ROLE_SEGMENTATION or self._lies_right(node):
            return
        if all(self._offset(image, self.geometry.ijk_to_ras()) is not None for image in _images(node)):
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())

    def _lies_right(self, node: Any) -> bool:
        if node.GetParentTransformNode() is self.volume_node.GetParentTransformNode():
            return True
        try:
            return self._is_on_grid(node)
        except SceneError:
            return False

    def _is_on_grid(self, node: Any) -> bool:
        """Whether all that a segmentation holds lies on the volume's voxels. Raises SceneError as :meth:`_ijk_to_node`."""
        wanted = self._ijk_to_node(node)
        return all(self._offset(image, wanted) is not None for image in _images(node))

    def check(self, node: Any) -> None:
        """Raise if ``node`` cannot take this volume's scar without harm to it or to what it holds.

        Raises:
            SceneError: it is no segmentation of this scene, locked, holds surfaces only, or lies on another grid.
        """
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            raise SceneError(_("This is no segmentation. Choose a segmentation node, or none for a new one."))
        name = node.GetName()
        if node.GetScene() is not self.volume_node.GetScene():
            raise SceneError(_("The segmentation {name} is not in the scene of the volume.").format(name=name))
        if node.GetHideFromEditors() or not node.GetSelectable():
            # MRML has no lock for segmentations; these two say that a node is not for editing.
            raise SceneError(
                _("The segmentation {name} is locked. Unlock it, or choose another one, or none for a new one.").format(name=name)
            )
        segmentation = node.GetSegmentation()
        if segmentation.GetNumberOfSegments() and segmentation.GetSourceRepresentationName() != _BINARY_LABELMAP:
            raise SceneError(
                _(
                    "The segmentation {name} is made of {kind}, not of voxels. Make binary labelmap its source representation in "
                    "the module Segmentations, or choose another one."
                ).format(name=name, kind=segmentation.GetSourceRepresentationName().lower())
            )
        if not self._is_on_grid(node):
            raise SceneError(
                _(
                    "The segmentation {name} lies on another grid than the volume {volume}, so scar would not stay on its "
                    "voxels. Choose another segmentation, or none for a new one."
                ).format(name=name, volume=self.volume_node.GetName())
            )

    def _make_node(self) -> Any:
        name = _("{name} scar").format(name=self.volume_node.GetName())
        node = make_node(self.volume_node, "vtkMRMLSegmentationNode", ROLE_SEGMENTATION, name)
        node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume_node)
        node.CreateDefaultDisplayNodes()
        return node

    def _find_segment(self, node: Any) -> str:
        """Our segment in a node, by its tag: a segment that is only named like it may be the user's own work."""
        segmentation = node.GetSegmentation()
        text = vtk.mutable("")
        for segment_id in segmentation.GetSegmentIDs():
            if segmentation.GetSegment(segment_id).GetTag(SEGMENT_TAG, text) and str(text) == self.tag:
                return str(segment_id)
        return ""

    @property
    def version(self) -> tuple[Any, ...]:
        """Changes whenever the voxels of the segment may have changed; empty if there is no segment."""
        segment_id = self.segment_id
        if not segment_id:
            return ()
        node = self.node
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(_BINARY_LABELMAP)
        return node.GetID(), segment_id, 0 if image is None else image.GetMTime(), segment.GetLabelValue()

    def mask(self) -> np.ndarray:
        """bool ``[k, row, column]`` of the study: the voxels of the segment; none if there is no segment."""
        node, segment_id = self.node, self.segment_id
        segment = node.GetSegmentation().GetSegment(segment_id) if segment_id else None
        image = None if segment is None else segment.GetRepresentation(_BINARY_LABELMAP)
        if segment is None or _is_empty(image):
            return np.zeros(self.geometry.shape, dtype=bool)
        try:
            offset = self._offset(image, self._ijk_to_node(node))
        except SceneError:
            offset = None
        if offset is None:  # the user put it on another grid: read as it would look on the volume's
            array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, self.volume_node)
            return np.ascontiguousarray(self.geometry.to_study(array) > 0)
        return np.ascontiguousarray(self.geometry.to_study(self._on_volume(image, segment.GetLabelValue(), offset)))

    def _on_volume(self, image: Any, label: int, offset: np.ndarray) -> np.ndarray:
        """A label map that may cover a part of the volume, or reach beyond it, as bool ``[k, j, i]`` of the volume."""
        extent, size = image.GetExtent(), self.volume_node.GetImageData().GetDimensions()
        array = _array(image)
        whole = np.zeros((size[2], size[1], size[0]), dtype=bool)
        source, target = [], []
        for axis in (2, 1, 0):
            first = extent[2 * axis] + int(offset[axis])
            low, high = max(first, 0), min(first + array.shape[2 - axis], size[axis])
            if low >= high:
                return whole
            source.append(slice(low - first, high - first))
            target.append(slice(low, high))
        whole[tuple(target)] = array[tuple(source)] == label
        return whole

    def write_slices(self, masks: Mapping[int, np.ndarray]) -> None:
        """Make slices of the segment equal to the masks, bool ``[row, column]`` by index; others, and other segments, stay.

        Raises:
            SceneError: the node cannot be written, see :meth:`check`; then nothing is.
        """
        if not masks:
            return
        if self.node is not None:
            self.check(self.node)
        elif not any(mask.any() for mask in masks.values()):
            return  # nothing to make a node for
        node = self.ensure_node()
        image, offset = self._own_image(node)
        segmentation = node.GetSegmentation()
        label = segmentation.GetSegment(self._segment_id).GetLabelValue()
        extent = image.GetExtent()
        size = self.volume_node.GetImageData().GetDimensions()
        first = [-int(offset[axis]) - extent[2 * axis] for axis in (2, 1, 0)]
        inside = tuple(slice(low, low + size[axis]) for low, axis in zip(first, (2, 1, 0), strict=True))
        of_study = self.geometry.to_study(_array(image)[inside])
        for k, mask in masks.items():
            of_study[k] = np.where(mask, label, 0)
        has_surface = segmentation.ContainsRepresentation(_CLOSED_SURFACE)
        image.GetPointData().GetScalars().Modified()
        image.Modified()
        segmentation.GetSegment(self._segment_id).Modified()
        self._surface_due = has_surface or self._surface_due  # a change of voxels takes the surfaces of all segments away
        if not self.surface_rests:
            self.make_surface()

    def make_surface(self) -> None:
        """Make the surfaces that were shown before the voxels were changed; from now on each write does so."""
        self.surface_rests, due, self._surface_due = False, self._surface_due, False
        if due and self.node is not None:
            self.node.CreateClosedSurfaceRepresentation()

    def _own_image(self, node: Any) -> tuple[Any, np.ndarray]:
        """The label map of our segment alone, as large as the volume at least, and its offset.

        Segments may share one label map, each with a value of its own. Slicer's functions for writing into a segment then move
        voxels between label maps and values by rules that depend on overlaps, and can overwrite a neighbor with the wrong value;
        in a label map that is ours alone a slice is a plain array.
        """
        segmentation = node.GetSegmentation()
        segment = segmentation.GetSegment(self._segment_id)
        image = segment.GetRepresentation(_BINARY_LABELMAP)
        others = [i for i in segmentation.GetSegmentIDs() if i != self._segment_id]
        if any(segmentation.GetSegment(i).GetRepresentation(_BINARY_LABELMAP) is image for i in others):
            segmentation.SeparateSegmentLabelmap(self._segment_id)
            image = segment.GetRepresentation(_BINARY_LABELMAP)
        matrix = self._ijk_to_node(node)
        offset = None if _is_empty(image) else self._offset(image, matrix)
        size = self.volume_node.GetImageData().GetDimensions()
        if offset is None:  # no voxels yet: check() has refused voxels on another grid
            offset, extent = np.zeros(3, dtype=int), [0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1]
            wanted = _blank(extent, matrix)
        else:
            extent = list(image.GetExtent())
            for axis in range(3):
                extent[2 * axis] = min(extent[2 * axis], -int(offset[axis]))
                extent[2 * axis + 1] = max(extent[2 * axis + 1], size[axis] - 1 - int(offset[axis]))
            if extent == list(image.GetExtent()):
                return image, offset
            wanted = _blank(extent, _ijk_to_world(image), image.GetScalarType())
            low = [image.GetExtent()[2 * axis] - extent[2 * axis] for axis in (2, 1, 0)]
            part = _array(image)
            _array(wanted)[tuple(slice(n, n + length) for n, length in zip(low, part.shape, strict=True))] = part
        if image is None:
            segment.AddRepresentation(_BINARY_LABELMAP, wanted)
            return wanted, offset
        image.DeepCopy(wanted)  # the same object, which the segmentation watches
        return image, offset

    def _ijk_to_node(self, node: Any) -> np.ndarray:
        """``[4, 4]`` from the volume's IJK to the segmentation node's own coordinates.

        Raises:
            SceneError: a non-linear transform lies between the two.
        """
        of_volume, of_node = self.volume_node.GetParentTransformNode(), node.GetParentTransformNode()
        if of_volume is of_node:
            return self.geometry.ijk_to_ras()
        between = vtk.vtkGeneralTransform()
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(of_volume, of_node, between)
        if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(between):
            raise SceneError(
                _(
                    "A non-linear transform lies between the volume {volume} and the segmentation {name}. Put both under the "
                    "same transform, or choose another segmentation."
                ).format(volume=self.volume_node.GetName(), name=node.GetName())
            )
        matrix = vtk.vtkMatrix4x4()
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(of_volume, of_node, matrix)
        return slicer.util.arrayFromVTKMatrix(matrix) @ self.geometry.ijk_to_ras()

    def _offset(self, image: Any, ijk_to_node: np.ndarray) -> np.ndarray | None:
        """Whole voxels ``[i, j, k]`` from the image's indices to the volume's; None if they are not on one grid."""
        relative = np.linalg.solve(ijk_to_node, _ijk_to_world(image))
        size = max(self.volume_node.GetImageData().GetDimensions())
        offset = np.round(relative[:3, 3])
        apart = np.abs(relative[:3, :3] - np.eye(3)).max() * size + np.abs(relative[:3, 3] - offset).max()
        return offset.astype(int) if apart <= _SAME_GRID_VOXELS else None


def _ijk_to_world(image: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _make_segment(node: Any, tag: str, tissue: Term) -> str:
    """A new, empty segment. If there is one named like it, that is not ours, and stays."""
    segmentation = node.GetSegmentation()
    taken = {segmentation.GetSegment(segment_id).GetName() for segment_id in segmentation.GetSegmentIDs()}
    names = [tissue.name, *(f"{tissue.name} {number}" for number in range(2, len(taken) + 3))]
    name = next(name for name in names if name not in taken)
    segment_id = segmentation.AddEmptySegment("", name, tissue.color)
    segment = segmentation.GetSegment(segment_id)
    segment.SetTerminology(tissue.terminology)
    segment.SetTag(SEGMENT_TAG, tag)
    return str(segment_id)


def _images(node: Any) -> list[Any]:
    """The label maps of a segmentation that hold voxels, and its reference grid if it has one."""
    segmentation = node.GetSegmentation()
    layers = [segmentation.GetLayerDataObject(n) for n in range(segmentation.GetNumberOfLayers())]
    images = [image for image in layers if not _is_empty(image)]
    text = segmentation.GetConversionParameter(slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName())
    if text:
        reference = slicer.vtkOrientedImageData()
        if slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, reference, False):
            images.append(reference)
    return images


def _is_empty(image: Any) -> bool:
    if image is None:
        return True
    extent = image.GetExtent()
    return any(extent[2 * axis] > extent[2 * axis + 1] for axis in range(3)) or image.GetPointData().GetScalars() is None


def _array(image: Any) -> np.ndarray:
    """The voxels of a label map ``[k, j, i]``, as a view."""
    extent = image.GetExtent()
    scalars = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape([extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0)])


def _blank(extent: list[int], ijk_to_node: np.ndarray, scalar_type: int = vtk.VTK_UNSIGNED_CHAR) -> Any:
    image = slicer.vtkOrientedImageData()
    image.SetExtent(extent)
    image.AllocateScalars(scalar_type, 1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_node))
    _array(image)[:] = 0
    return image
