"""Small pictures of labels: a case's slice with most scar, and values whose meaning is to be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import write_bytes
from MyoScarSegLib.utils.windows import window_of

THUMBNAIL_SIDE_PX = 160
_SCAR_RGB = (255, 176, 0)
COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
"""Of label values in order, again from the first after the last (Okabe and Ito's, told apart by color-blind readers)."""
_PREVIEW_SIDE_PX = 420
_OPACITY = 0.45


def write_thumbnail(path: Path, study: Study, scar: np.ndarray) -> None:
    """Write a PNG, :data:`THUMBNAIL_SIDE_PX` on its longer side, of the middle part of the slice, with the scar's outline.

    ``scar`` is bool ``[k, j, i]``; without any, the middle slice is shown.
    """
    from PIL import Image
    from scipy.ndimage import binary_erosion

    areas = scar.sum(axis=(1, 2))
    k = int(areas.argmax()) if areas.any() else study.slices // 2
    shown = scar[k].copy()  # and the middle 70% of the slice
    shown[tuple(slice(round(0.15 * length), round(0.85 * length)) for length in shown.shape)] = True
    rows, columns = window_of(shown, 4)
    gray = (np.clip(normalize(study.voxels[k]), 0, 1)[rows, columns] * 255).astype(np.uint8)
    spacing = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    size_mm = gray.shape[0] * spacing[0], gray.shape[1] * spacing[1]
    scale = THUMBNAIL_SIDE_PX / max(size_mm)
    size = max(1, round(size_mm[1] * scale)), max(1, round(size_mm[0] * scale))
    picture = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC).convert("RGB")).copy()
    mask = np.asarray(Image.fromarray(scar[k][rows, columns].astype(np.uint8) * 255).resize(size)) > 127
    picture[mask & ~binary_erosion(mask)] = _SCAR_RGB
    write_png(path, Image.fromarray(picture))


def write_label_preview(path: Path, image: np.ndarray, labels: np.ndarray, values: Sequence[int]) -> None:
    """Write a PNG of a slice ``[row, column]`` and, over it, its label values in :data:`COLORS`."""
    from PIL import Image

    shown = np.repeat(normalize(image)[..., None] * 255, 3, axis=-1)
    for number, value in enumerate(values):
        here = labels == value
        shown[here] = (1 - _OPACITY) * shown[here] + _OPACITY * np.array(COLORS[number % len(COLORS)])
    picture = Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8))
    times = _PREVIEW_SIDE_PX / max(picture.size)
    size = round(picture.width * times), round(picture.height * times)
    write_png(path, picture.resize(size, Image.Resampling.NEAREST))


def write_gray(path: Path, pixels: np.ndarray) -> None:
    """Write ``[row, column]`` values from 0 to 255 as an 8-bit PNG."""
    from PIL import Image

    write_png(path, Image.fromarray(pixels.astype(np.uint8)))


def write_png(path: Path, picture: Any, **how: Any) -> None:
    """Write a picture of Pillow as PNG, atomically; ``how`` Pillow is to save it."""
    data = BytesIO()
    picture.save(data, format="PNG", **how)
    write_bytes(path, data.getvalue())
