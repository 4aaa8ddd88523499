"""The door to MONAI, which only training needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import ModelError

if TYPE_CHECKING:
    import torch


def transforms() -> ModuleType:
    """``monai.transforms``.

    Raises:
        ModelError: MONAI is not installed.
    """
    try:
        import monai.transforms
    except ImportError as reason:
        raise ModelError(
            f"Augmentation needs MONAI, which cannot be loaded ({reason}). Install what training needs: "
            "pip install 'myoscarseg[train]'"
        ) from reason
    return monai.transforms


def smooth(image: torch.Tensor, deviations_px: Sequence[float]) -> torch.Tensor:
    """Gaussian smoothing by MONAI, but with the image going on beyond its edges rather than black.

    Args:
        image: float32 ``[channels, rows, columns]``.
        deviations_px: standard deviation along rows and columns; 0 leaves an axis as it is.

    Returns:
        A new tensor of the same shape.
    """
    from torch.nn import functional

    down, across = (math.ceil(4 * deviation) for deviation in deviations_px)
    rows, columns = image.shape[1:]
    padded = functional.pad(image[None], (across, across, down, down), mode="replicate")[0]
    smoothed = transforms().GaussianSmooth([max(deviation, 1e-3) for deviation in deviations_px])(padded)
    return plain(smoothed)[:, down : down + rows, across : across + columns]


def plain(image: torch.Tensor) -> torch.Tensor:
    """Without MONAI's metadata, which slow every later operation."""
    as_tensor = getattr(image, "as_tensor", None)
    return image if as_tensor is None else as_tensor()
