"""What the detector learns from: slices at its input's scale with numbered lesions, the left ventricle and the tissues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.lesions import lesions
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.normalise import normalise
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.yolo.settings import LEFT_VENTRICLE, SCAR, TISSUES

NOT_SCAR = len(TISSUES)
"""In the tissue map: healthy, but nobody labeled what it is."""
_MOST_LESIONS = 255


@dataclass(frozen=True)
class DetectorSample:
    """One slice for the detector.

    Attributes:
        image: float32 ``[rows, columns]``, normalised.
        raw: float32 ``[rows, columns]``, before that.
        targets: uint8 ``[3, rows, columns]``: the numbered lesions; 1 within the epicardium; the tissue, as numbered in
            :data:`TISSUES <MyoScarSegLib.training.yolo.settings.TISSUES>`, or :data:`NOT_SCAR`.
    """

    image: np.ndarray
    raw: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(
        cls, labeled: LabeledSlice, size: int, *, ventricle: tuple[float, float, float, float] | None = None
    ) -> DetectorSample:
        """Prepare one labeled slice at the scale that it has in the detector's input.

        Args:
            labeled: the slice.
            size: longest side of the detector's input.
            ventricle: where only scar is labeled, ``(x0, y0, x1, y1)`` around the left ventricle in native pixel edges;
                None for none in view.
        """
        ventricle_mask, tissue = labeled.left_ventricle, np.minimum(labeled.labels, 3)
        if not labeled.wall_known:
            shape = (labeled.image.shape[0], labeled.image.shape[1])
            ventricle_mask = np.zeros(shape, dtype=bool) if ventricle is None else _ellipse(shape, ventricle)
            tissue = np.where(labeled.scar, 3, np.where(ventricle_mask, NOT_SCAR, 0))
        numbered = lesions(labeled.scar, labeled.pixel_spacing_mm)
        targets = np.stack([np.minimum(numbered, _MOST_LESIONS), ventricle_mask, tissue]).astype(np.uint8)
        frame = Frame.fit(targets.shape[1:], (size, size), pixel_spacing_mm=labeled.pixel_spacing_mm)
        rows, columns = frame.content
        image = frame.image_to_input(normalise(labeled.image))[:rows, :columns].numpy()
        raw = frame.image_to_input(np.asarray(labeled.image, dtype=np.float32))[:rows, :columns].numpy()
        nearest_rows, nearest_columns = (_nearest(n, length) for n, length in zip(frame.content, frame.shape, strict=True))
        return cls(
            np.ascontiguousarray(image),
            np.ascontiguousarray(raw),
            np.ascontiguousarray(targets[:, nearest_rows][:, :, nearest_columns]),
        )

    @property
    def centre(self) -> tuple[float, float]:
        """``(x, y)`` of the ventricle's centre in pixel edges, or of the slice's where there is none."""
        rows, columns = np.nonzero(self.targets[LEFT_VENTRICLE])
        if rows.size == 0:
            return self.image.shape[1] / 2, self.image.shape[0] / 2
        return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5

    @property
    def has_scar(self) -> bool:
        """Whether there is a lesion."""
        return bool(self.targets[SCAR].any())


def samples_of(slices: Iterable[LabeledSlice], size: int) -> list[DetectorSample]:
    """Prepare slices whose wall is labeled."""
    return [DetectorSample.of(s, size) for s in slices]


def phantom_slices_of(seed: int, count: int) -> list[LabeledSlice]:
    """Slices of numerical phantoms as labeled slices of one made patient."""
    from MyoScarSegLib.phantom import phantom_slices

    pairs = enumerate(phantom_slices(seed, count))
    return [LabeledSlice(f"phantom-{seed}", number, image, labels) for number, (image, labels) in pairs]


def _ellipse(shape: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    """The ellipse in a box: turned, its bounding box stays about the ventricle's, which that of the whole box would not."""
    x0, y0, x1, y1 = box
    y, x = (np.arange(length) + 0.5 for length in shape)
    across, down = (x - (x0 + x1) / 2) / max((x1 - x0) / 2, 0.5), (y - (y0 + y1) / 2) / max((y1 - y0) / 2, 0.5)
    return np.asarray(across[None] ** 2 + down[:, None] ** 2 <= 1)


def _nearest(count: int, length: int) -> np.ndarray:
    """Of ``count`` pixels laid over ``length`` native ones, the native pixel under each centre."""
    return np.minimum(((np.arange(count) + 0.5) * length / count).astype(int), length - 1)
