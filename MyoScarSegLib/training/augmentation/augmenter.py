"""From a slice to an augmented window: geometry in one resampling, then intensity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.training.augmentation import presets
from MyoScarSegLib.training.augmentation.geometry import sample, sampling_grid, window_matrix
from MyoScarSegLib.training.augmentation.intensity import vary_intensity
from MyoScarSegLib.training.augmentation.library import transforms
from MyoScarSegLib.training.augmentation.presets import Preset

if TYPE_CHECKING:
    import torch

_GEOMETRY, _INTENSITY = 0, 1


class Augmenter:
    """Draws augmented windows around the heart. It keeps no random state: the seed of a call decides it altogether.

    So it may be shared by threads and pickled to processes, and a resumed training draws what the stopped one would have.
    """

    def __init__(self, preset: Preset | str, side: int, window_px: tuple[float, float] | float | None = None) -> None:
        """Prepare windows of one size.

        Args:
            preset: how far things vary, or the name of one of :data:`~MyoScarSegLib.training.augmentation.presets.PRESETS`.
            side: rows and columns of the windows.
            window_px: native (rows, columns) that a window covers at zoom 1, where a call does not say it.

        Raises:
            ModelError: there is no such preset, a size is not positive, or MONAI is not installed.
        """
        self.preset = presets.preset(preset) if isinstance(preset, str) else preset
        if side < 2:
            raise ModelError(f"A window must have at least 2 pixels a side; it has {side}.")
        self.side = side
        if isinstance(window_px, (int, float)):
            window_px = (float(window_px), float(window_px))
        self.window_px = window_px
        transforms()  # missing, it is better noticed now than in a worker

    def __call__(
        self,
        image: np.ndarray | torch.Tensor,
        targets: np.ndarray | torch.Tensor,
        centre: tuple[float, float],
        *,
        seed: Sequence[int] | int,
        window_px: tuple[float, float] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One augmented window. Image and targets go through the same geometry.

        Args:
            image: float32 ``[rows, columns]`` in 0..1, as :func:`~MyoScarSegLib.study.normalise.normalise` returns.
            targets: integers ``[n, rows, columns]``, below 2**24: numbered lesions, ventricle, tissue, ...; n may be 0.
            centre: ``(x, y)`` of the heart in the slice, in pixel edges.
            seed: one or more numbers, not negative, that decide all that is drawn.
            window_px: native (rows, columns) that the window covers at zoom 1: its millimetres over the pixel spacing.

        Returns:
            float32 ``[1, side, side]`` in 0..1, and int64 ``[n, side, side]``; both 0 outside the slice.

        Raises:
            StudyError: image and targets do not fit together, or values, window or centre are not finite.
            ModelError: a seed is negative.
        """
        window, seen, inside = self.geometry(image, targets, centre, seed=seed, window_px=window_px)
        return self.intensity(window, seed=seed, inside=inside), seen

    def geometry(
        self,
        image: np.ndarray | torch.Tensor,
        targets: np.ndarray | torch.Tensor,
        centre: tuple[float, float],
        *,
        seed: Sequence[int] | int,
        window_px: tuple[float, float] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The window that a call with these arguments draws, before its grey values change; arguments and errors as there.

        Returns:
            What a call returns, and bool ``[1, side, side]``: where the window lies within the slice.
        """
        pixels, classes = np.asarray(image), np.asarray(targets)
        covered = _check(pixels, classes, centre, self.window_px if window_px is None else window_px)
        shape = (pixels.shape[0], pixels.shape[1])
        generator = _generator(seed, _GEOMETRY)
        matrix = window_matrix(generator, self.preset, shape, centre, self.side, covered)
        grid = sampling_grid(generator, self.preset, matrix, shape, self.side)
        window, seen, inside = sample(_floats(pixels[None]), _floats(classes), grid, matrix)
        return window.clamp(0, 1), seen, inside

    def intensity(self, image: torch.Tensor, *, seed: Sequence[int] | int, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Change the grey values alone, as a call with this seed does.

        Args:
            image: float32 ``[1, rows, columns]`` in 0..1: a window.
            seed: as in a call.
            inside: bool, likewise: where it lies within the slice. What lies beyond is 0 in use too, whatever the noise and
                the grey of air.

        Returns:
            A new float32 tensor of the same shape, in 0..1.

        Raises:
            StudyError: the image has another shape.
        """
        if image.ndim != 3 or image.shape[0] != 1:
            raise StudyError(f"A window of shape [1, rows, columns] is needed; this one has {tuple(image.shape)}.")
        return vary_intensity(_generator(seed, _INTENSITY), self.preset, image, inside)


def _generator(seed: Sequence[int] | int, part: int) -> np.random.Generator:
    """Geometry and intensity draw from generators of their own: more of the one does not change the other."""
    numbers = [int(seed)] if isinstance(seed, (int, np.integer)) else [int(number) for number in seed]
    if any(number < 0 for number in numbers):
        raise ModelError(f"Seeds must not be negative; these are {numbers}.")
    return np.random.default_rng([part, *numbers])


def _floats(values: np.ndarray) -> torch.Tensor:
    """A copy, since torch takes neither read-only nor mirrored arrays."""
    import torch

    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


def _check(
    image: np.ndarray, targets: np.ndarray, centre: tuple[float, float], window_px: tuple[float, float] | None
) -> tuple[float, float]:
    """The native pixels that the window covers, if all is well."""
    if image.ndim != 2 or targets.ndim != 3 or image.shape != targets.shape[1:] or image.size == 0:
        raise StudyError(
            f"An image [rows, columns] and targets [n, rows, columns] are needed; these have the shapes {image.shape} "
            f"and {targets.shape}."
        )
    if targets.dtype.kind not in "iub":
        raise StudyError(f"Targets must be whole numbers; these are {targets.dtype}.")
    if not np.isfinite(image).all():
        raise StudyError("The image has values that are not finite.")
    if window_px is None or not all(np.isfinite(v) and v > 0 for v in window_px):
        raise StudyError(f"The window must cover a positive number of native pixels; it covers {window_px}.")
    if not all(np.isfinite(v) for v in centre):
        raise StudyError(f"The heart's centre must be finite; it is {centre}.")
    return window_px
