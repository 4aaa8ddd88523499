"""From masks to YOLO's label files, and back: a line per box, ``class x y width height``, centres, all as shares of the image."""

from __future__ import annotations

import math

import numpy as np

from MyoScarSegLib.errors import StudyError
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


def boxes_of_text(text: str, shape: tuple[int, int], where: str = "The label file") -> tuple[np.ndarray, np.ndarray]:
    """Boxes and classes from a label file.

    Args:
        text: of the file.
        shape: ``(rows, columns)`` of the picture.
        where: the file, for messages.

    Returns:
        float64 ``[boxes, 4]`` in pixel edges, and int64 ``[boxes]`` numbers of classes.

    Raises:
        StudyError: a line is no box, or lies outside the picture.
    """
    rows, columns = shape
    boxes, classes = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            name, x, y, width, height = line.split()
            kind, values = int(name), (float(x), float(y), float(width), float(height))
        except ValueError as error:
            raise StudyError(f"{where}: line {number} is no box (class x y width height): {line.strip()[:80]!r}.") from error
        x0, x1 = (values[0] - values[2] / 2) * columns, (values[0] + values[2] / 2) * columns
        y0, y1 = (values[1] - values[3] / 2) * rows, (values[1] + values[3] / 2) * rows
        inside = -0.01 <= x0 < x1 <= columns + 0.01 and -0.01 <= y0 < y1 <= rows + 0.01
        if kind < 0 or not all(map(math.isfinite, values)) or not inside:
            raise StudyError(f"{where}: the box in line {number} does not lie in the picture: {line.strip()[:80]!r}.")
        boxes.append((x0, y0, x1, y1))
        classes.append(kind)
    return np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(classes, dtype=np.int64)
