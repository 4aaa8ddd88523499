"""A picture of labels whose meaning is to be asked for: each value in a color of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from MyoScarSegLib.study.normalise import normalise
from MyoScarSegLib.utils.files import write_bytes

COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
"""Of the values in order, again from the first after the last (Okabe and Ito's, told apart by color-blind readers)."""

_SIDE_PX = 420
_OPACITY = 0.45


def write_label_preview(path: Path, image: np.ndarray, labels: np.ndarray, values: Sequence[int]) -> None:
    """Write a PNG of a slice ``[row, column]`` and, over it, its label values in :data:`COLORS`.

    Raises:
        OutputError: the file cannot be written.
    """
    from io import BytesIO

    from PIL import Image

    shown = np.repeat(normalise(image)[..., None] * 255, 3, axis=-1)
    for number, value in enumerate(values):
        here = labels == value
        shown[here] = (1 - _OPACITY) * shown[here] + _OPACITY * np.array(COLORS[number % len(COLORS)])
    picture = Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8))
    times = _SIDE_PX / max(picture.size)
    data = BytesIO()
    picture.resize((round(picture.width * times), round(picture.height * times)), Image.Resampling.NEAREST).save(data, "PNG")
    write_bytes(path, data.getvalue())
