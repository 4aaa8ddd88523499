"""``.seg.nrrd`` files with exactly the header that a test gives, as other programs and versions write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from MyoScarSegLib.study import Geometry


def write_seg(path: Path, array: np.ndarray, geometry: Geometry, segments: list[dict[str, str]], *, first: int = 0) -> Path:
    """Write values ``[k, j, i]``, or ``[component, k, j, i]``; ``segments`` are the fields of each, numbered from ``first``."""
    array = np.asarray(array, dtype=np.uint8)
    listed = array.ndim == 4
    steps = geometry.direction * np.asarray(geometry.spacing_mm)
    vectors = " ".join("(" + ",".join(f"{value:.10g}" for value in steps[:, column]) + ")" for column in range(3))
    sizes = [*array.shape[:1], *array.shape[:0:-1]] if listed else array.shape[::-1]
    header = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {'none ' if listed else ''}{vectors}",
        f"kinds: {'list ' if listed else ''}domain domain domain",
        "encoding: gzip",
        "space origin: (" + ",".join(f"{value:.10g}" for value in geometry.origin_mm) + ")",
    ]
    for number, fields in enumerate(segments, start=first):
        header += [f"Segment{number}_{key}:={value}" for key, value in fields.items()]
    body = np.ascontiguousarray(np.moveaxis(array, 0, -1) if listed else array).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(header) + "\n\n").encode() + gzip.compress(body))
    return path
