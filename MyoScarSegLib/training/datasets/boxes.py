"""From masks to YOLO's label files, and back: a line per box, ``class x y width height``, centers, all as shares of the image."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.lesions import boxes_of, lesions

PER_SCAR, MERGED = "per-scar", "merged"


def scar_boxes(scar: np.ndarray, pixel_spacing_mm: tuple[float, float] | None = None, *, merged: bool = False) -> np.ndarray:
    """Boxes around the lesions of one slice, see :func:`~MyoScarSegLib.lesions.lesions`.

    Args:
        scar: ``[rows, columns]``, non-zero where there is scar.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
        merged: one box around all of it, instead of one for each scar.

    Returns:
        float64 ``[boxes, 4]``, ``(x0, y0, x1, y1)`` in pixel edges; none where there is no scar.
    """
    numbered = lesions(scar, pixel_spacing_mm)
    return boxes_of(numbered > 0 if merged else numbered)


def yolo_text(boxes: np.ndarray, shape: tuple[int, int], number: int = 0) -> str:
    """The label file of one picture; empty for one without boxes, which YOLO takes as background.

    Args:
        boxes: ``[boxes, 4]`` in pixel edges.
        shape: ``(rows, columns)`` of the picture.
        number: of the class.
    """
    rows, columns = shape
    lines = []
    for x0, y0, x1, y1 in np.asarray(boxes, dtype=np.float64).reshape(-1, 4):
        shares = ((x0 + x1) / 2 / columns, (y0 + y1) / 2 / rows, (x1 - x0) / columns, (y1 - y0) / rows)
        # Eight digits keep an edge to a ten-thousandth of a pixel in any picture.
        lines.append(f"{number} " + " ".join(f"{share:.8f}" for share in shares) + "\n")
    return "".join(lines)
