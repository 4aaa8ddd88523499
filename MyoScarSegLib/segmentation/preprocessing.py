"""How a slice becomes a network's input. Ours is one; a foreign checkpoint brings the one that it was trained with.

The id of a checkpoint's preprocessing is in the model registry, in the checkpoint's own metadata (ours), or follows from
its layout. Boxes, points and masks go through the :class:`~MyoScarSegLib.study.frame.Frame` that was used for the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import NORMALIZATION, normalize

if TYPE_CHECKING:
    import torch

_SAM_MEAN = (123.675, 116.28, 103.53)
_SAM_DEVIATION = (58.395, 57.12, 57.375)
_HEART_RADIUS = 0.36
"""Of the disc that :func:`heart_contrast` looks at, as a share of the window's side: 45 mm of 125."""
_DARK, _BRIGHT = 0.1, 0.8
"""Where the heart's darkest and brightest percent come to lie; small bright scar is beyond."""


@dataclass(frozen=True)
class Preprocessing:
    """From a native slice to a network's input.

    Attributes:
        id: name and version; part of every embedding's cache key and of the provenance.
        intensities: maps a raw slice ``[rows, columns]`` to float32 of the same shape.
        side: rows and columns of the square input; None if the checkpoint decides.
        stretch: the slice fills the square, aspect ratio lost (only how some foreign checkpoints were trained).
        physical: keep the aspect ratio in millimeters rather than in pixels.
        mean, deviation: per channel, applied after resizing and before padding with zeros.
    """

    id: str
    intensities: Callable[[np.ndarray], np.ndarray]
    side: int | None
    stretch: bool = False
    physical: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def frame(self, shape: tuple[int, int], side: int, pixel_spacing_mm: tuple[float, float] | None = None) -> Frame:
        """Where a slice of ``shape`` (rows, columns) lies in an input of ``side``; see :meth:`Frame.fit`."""
        spacing = pixel_spacing_mm if self.physical else None
        return Frame.fit(shape, (side, side), pixel_spacing_mm=spacing, stretch=self.stretch)

    def network_input(self, image: np.ndarray, frame: Frame) -> torch.Tensor:
        """The network's input: float32 ``[3, rows, columns]`` of ``frame.size``, from a raw slice ``[rows, columns]``."""
        import torch

        grey = frame.image_to_input(self.intensities(image))
        rows, columns = frame.content
        result = torch.zeros(3, *frame.size)
        for channel, (mean, deviation) in enumerate(zip(self.mean, self.deviation, strict=True)):
            result[channel, :rows, :columns] = (grey[:rows, :columns] - mean) / deviation
        return result


def encoder_input(windows: torch.Tensor, recipe: Preprocessing) -> torch.Tensor:
    """The encoder's input ``[batch, 3, rows, columns]`` from windows ``[batch, 1, rows, columns]`` of normalized slices."""
    mean, deviation = (windows.new_tensor(values)[None, :, None, None] for values in (recipe.mean, recipe.deviation))
    return (windows - mean) / deviation


def heart_contrast(windows: torch.Tensor) -> torch.Tensor:
    """Spread the grey values of the heart over the whole range.

    Fat and coils near the chest wall are so bright that in a slice normalized as a whole the heart keeps a fifth of the range,
    and scar differs from blood by a few hundredths. What lies beyond the heart may be cut off at black and white.

    Args:
        windows: float ``[batch, slices, rows, columns]`` with the heart in the middle.

    Returns:
        The same shape, in 0..1: the 1st and 99th percentile of the disc in the middle of all slices together go to 0.1 and 0.8.
        A window whose middle is of one value is returned as it is.
    """
    import torch

    rows, columns = windows.shape[-2:]
    y = (torch.arange(rows, device=windows.device) + 0.5) / rows - 0.5
    x = (torch.arange(columns, device=windows.device) + 0.5) / columns - 0.5
    disc = (y[:, None] ** 2 + x[None] ** 2) < _HEART_RADIUS**2
    within = windows[:, :, disc].flatten(1).float()
    low, high = (torch.quantile(within, share, dim=1)[:, None, None, None] for share in (0.01, 0.99))
    spread = (_DARK + (_BRIGHT - _DARK) * (windows - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    return torch.where(high - low > 1e-3, spread, windows)


def preprocessing(preprocessing_id: str) -> Preprocessing:
    """The preprocessing of this id.

    Raises:
        ModelError: this program does not know the id.
    """
    if preprocessing_id not in _KNOWN:
        raise ModelError(
            f"The checkpoint was trained with the preprocessing {preprocessing_id!r}, which this version of MyoScarSeg does not "
            f"have (it has {', '.join(_KNOWN)}). A result would be meaningless: use a matching checkpoint or a newer MyoScarSeg."
        )
    return _KNOWN[preprocessing_id]


def check_normalization(record: Mapping[str, str]) -> None:
    """Compare the normalization that a checkpoint of ours was trained with to the one of this program.

    Args:
        record: the checkpoint's metadata, with ``normalisation_version``, ``low_percentile`` and ``high_percentile``.

    Raises:
        ModelError: they differ, or the record is incomplete.
    """
    ours = {
        "normalisation_version": str(NORMALIZATION.version),
        "low_percentile": str(NORMALIZATION.low_percentile),
        "high_percentile": str(NORMALIZATION.high_percentile),
    }
    for key, value in ours.items():
        if record.get(key) != value:
            raise ModelError(
                f"The checkpoint was trained with another intensity normalization ({key} {record.get(key)!r}, here {value!r}). "
                "Use a checkpoint made for this version of MyoScarSeg."
            )


def _min_max(image: np.ndarray) -> np.ndarray:
    values = np.asarray(image, dtype=np.float64)
    low, high = values.min(), values.max()
    if high <= low:
        return np.zeros(values.shape, dtype=np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def _clipped_min_max(image: np.ndarray) -> np.ndarray:
    """MedSAM's habit for MR: clip to the 0.5 to 99.5 percentile of the non-zero voxels, then min-max."""
    values = np.asarray(image, dtype=np.float64)
    tissue = values[values != 0]
    if tissue.size == 0:
        return np.zeros(values.shape, dtype=np.float32)
    return _min_max(np.clip(values, *np.percentile(tissue, (0.5, 99.5))))


def _z_score(image: np.ndarray) -> np.ndarray:
    """YoloSAM's: clip to the 0.1 to 99.9 percentile, then zero mean and unit deviation."""
    values = np.asarray(image, dtype=np.float64)
    values = np.clip(values, *np.percentile(values, (0.1, 99.9)))
    if values.max() <= values.min():
        return np.zeros(values.shape, dtype=np.float32)
    return ((values - values.mean()) / values.std()).astype(np.float32)


def _own(image: np.ndarray) -> np.ndarray:
    return normalize(quieted(image))


def _grey_255(image: np.ndarray) -> np.ndarray:
    return normalize(image) * np.float32(255)


_KNOWN = {
    p.id: p
    for p in (
        Preprocessing("myoscarseg-1", _own, None, physical=True),
        Preprocessing(
            "myoscarseg-1-sam",
            _own,
            None,
            physical=True,
            mean=(_SAM_MEAN[0] / 255, _SAM_MEAN[1] / 255, _SAM_MEAN[2] / 255),
            deviation=(_SAM_DEVIATION[0] / 255, _SAM_DEVIATION[1] / 255, _SAM_DEVIATION[2] / 255),
        ),
        Preprocessing("sam", _grey_255, 1024, mean=_SAM_MEAN, deviation=_SAM_DEVIATION),
        Preprocessing("medsam", _clipped_min_max, 1024, stretch=True),
        Preprocessing("litemedsam", _min_max, 256),
        Preprocessing("yolosam", _z_score, 1024, stretch=True),
    )
}
