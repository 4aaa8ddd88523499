"""The grid of a mask file, as a study without an image: what masks are put on when there is nothing else to put them on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.masks import is_blank, is_dicom_mask, read_stored
from MyoScarSegLib.study.names import VOLUME_EXTENSIONS, case_name, has_extension, is_segmentation
from MyoScarSegLib.study.stack import FileStack, numbers, study_from
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.volumes import read_volume


def common_grid(first: Path, second: Path) -> Study:
    """An empty study on the grid that two mask files share; :func:`~MyoScarSegLib.study.masks.read_labels` reads them on it.

    Slicer saves only the part of a segmentation's grid that is drawn on. So a ``.seg.nrrd`` may lie anywhere within the other
    file, and of two of them the grid is what covers both; plain volumes must be of one size. Whether the places agree is
    checked when the masks are read.

    Args:
        first: whose geometry counts.
        second: the other.

    A DICOM segmentation or structure set is put on the grid of the other file, for it need not have one of its own. Of two
    segmentations the grid is what covers the frames of both, if they say how far slices lie apart.

    Raises:
        StudyError: a file is missing or cannot be read, or their sizes differ, or both are DICOM and do not say it.
    """
    volumes = [path for path in (first, second) if not is_dicom_mask(path)]
    if not volumes:
        from MyoScarSegLib.study.dicom_seg import grid_of_frames

        if (grid := grid_of_frames((first, second))) is not None:
            stack = FileStack(np.zeros(grid[0], dtype=np.uint8), grid[1], "DICOM", slice_axis_is_k=True, one_slice_is_enough=True)
            return _empty(case_name(first), stack)
        raise StudyError(
            f"{first} and {second} are both DICOM, without the whole grid that they lie on: give the study, too, by --image."
        )
    if len(volumes) == 1:
        first = second = volumes[0]
    stacks = [_stack(path) for path in (first, second)]
    if is_blank(stacks[0].array, stacks[0].geometry, stacks[1].array.shape):
        stacks.reverse()  # a blank file's geometry need not be that of its image
    cropped = [is_segmentation(path) for path in (first, second)]
    if all(cropped):
        stack = _covering(*stacks)
    elif cropped[0]:
        stack = stacks[1]
    else:
        stack = stacks[0]
        if not cropped[1] and stacks[0].array.shape != stacks[1].array.shape:
            sizes = [numbers(one.array.shape[::-1]) for one in stacks]
            raise StudyError(f"{second} lies on another grid than {first}: its size is {sizes[1]}, the other's {sizes[0]}.")
    return _empty(case_name(first), stack)


def _empty(case: str, stack: FileStack) -> Study:
    # The values only show the checks that this is an image; nobody sees them.
    ramp = np.arange(stack.array.size, dtype=np.float32).reshape(stack.array.shape)
    study = study_from(case, replace(stack, array=ramp))
    return replace(study, voxels=np.zeros(study.voxels.shape, dtype=np.float32))


def _stack(path: Path) -> FileStack:
    """A mask file as a stack in the file's own order, of one slice or more."""
    if not path.is_file():
        raise StudyError(f"There is no mask file {path}.")
    if not has_extension(path, VOLUME_EXTENSIONS):
        raise StudyError(f"{path} is no mask file: give .seg.nrrd, NIfTI, NRRD or MHA.")
    if not is_segmentation(path):
        return replace(read_volume(path), one_slice_is_enough=True)
    stored, geometry, _ = read_stored(path)
    array = stored[..., 0] if stored.ndim == 4 else stored
    return FileStack(array, geometry, "NRRD", one_slice_is_enough=True)


def _covering(first: FileStack, second: FileStack) -> FileStack:
    """The first's grid, grown by whole voxels until it holds the second's."""
    spacing = np.asarray(first.geometry.spacing_mm or (1.0, 1.0, 1.0))
    steps = first.geometry.direction * spacing
    shift = np.linalg.solve(steps, np.subtract(second.geometry.origin_mm, first.geometry.origin_mm))
    offset = np.round(shift).astype(int)
    size, other = np.array(first.array.shape[::-1]), np.array(second.array.shape[::-1])
    low, high = np.minimum(0, offset), np.maximum(size, offset + other)
    if np.prod(high - low, dtype=float) > 64 * max(first.array.size, second.array.size):
        raise StudyError("The two segmentations lie far apart from each other; are they of one image?")
    x, y, z = (float(value) for value in first.geometry.origin_mm + steps @ low)
    geometry = Geometry(first.geometry.spacing_mm, (x, y, z), first.geometry.direction)
    shape = tuple(int(value) for value in (high - low)[::-1])
    return replace(first, array=np.zeros(shape, dtype=np.uint8), geometry=geometry)
