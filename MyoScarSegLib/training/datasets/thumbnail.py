"""A small picture of a case: the slice with most scar, outlined."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from MyoScarSegLib.study.normalise import normalise
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import write_bytes

SIDE_PX = 160
_SCAR_RGB = (255, 176, 0)


def write_thumbnail(path: Path, study: Study, scar: np.ndarray) -> None:
    """Write a PNG, :data:`SIDE_PX` on its longer side, of the middle part of the slice.

    Args:
        path: of the PNG.
        study: the stack.
        scar: bool ``[k, j, i]``; without any, the middle slice is shown.

    Raises:
        OutputError: the file cannot be written.
    """
    from PIL import Image
    from scipy.ndimage import binary_erosion

    areas = scar.sum(axis=(1, 2))
    k = int(areas.argmax()) if areas.any() else study.slices // 2
    rows, columns = _window(study.slice_shape, scar[k])
    grey = (np.clip(normalise(study.voxels[k]), 0, 1)[rows, columns] * 255).astype(np.uint8)
    height, width = grey.shape
    spacing = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    size_mm = height * spacing[0], width * spacing[1]
    scale = SIDE_PX / max(size_mm)
    size = max(1, round(size_mm[1] * scale)), max(1, round(size_mm[0] * scale))
    picture = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")).copy()
    mask = np.asarray(Image.fromarray(scar[k][rows, columns].astype(np.uint8) * 255).resize(size)) > 127
    picture[mask & ~binary_erosion(mask)] = _SCAR_RGB
    data = BytesIO()
    Image.fromarray(picture).save(data, format="PNG")
    write_bytes(path, data.getvalue())


def _window(shape: tuple[int, int], scar: np.ndarray) -> tuple[slice, slice]:
    """The middle 70% of the slice, moved and grown so that all scar is in it."""
    found = []
    for axis, length in enumerate(shape):
        low, high = round(0.15 * length), round(0.85 * length)
        inside = np.flatnonzero(scar.any(axis=1 - axis))
        if inside.size:
            low, high = min(low, max(0, int(inside[0]) - 4)), max(high, min(length, int(inside[-1]) + 5))
        found.append(slice(low, max(high, low + 1)))
    return found[0], found[1]
