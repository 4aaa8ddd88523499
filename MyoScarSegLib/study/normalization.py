"""The one intensity normalization: detector, segmenter and training all see what this function returns.

It works on raw voxel values, so neither display window nor file format can change a result. A checkpoint records
:data:`NORMALIZATION`; loading compares the record with this module and refuses a mismatch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normalization:
    """How raw values become network input.

    Attributes:
        version: raised whenever the result for the same input changes.
        low_percentile, high_percentile: robust range of the slice; what lies outside is clipped.
    """

    version: int = 1
    low_percentile: float = 0.5
    high_percentile: float = 99.8


NORMALIZATION = Normalization()


def normalize(image: np.ndarray) -> np.ndarray:
    """Map one slice to 0..1 by its own robust intensity range.

    Signed (PSIR) and unsigned (magnitude) images are treated alike: only the order and relative distance of values
    count, so the result does not change when the input is scaled by a positive factor or shifted.

    Args:
        image: ``[rows, columns]``, raw voxel values of any real type, finite.

    Returns:
        float32 ``[rows, columns]`` in 0..1; all zero for a constant slice.
    """
    # In double precision, or a large offset or a tiny scale would cost the contrast.
    values = np.asarray(image, dtype=np.float64)
    low, high = np.percentile(values, (NORMALIZATION.low_percentile, NORMALIZATION.high_percentile))
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        return np.zeros(values.shape, dtype=np.float32)
    return np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
