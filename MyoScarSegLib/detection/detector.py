"""The interface of every detector, and where to get one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.prompts import Box

if TYPE_CHECKING:
    from MyoScarSegLib.models import Entry

SCAR_ONLY = ("scar",)


class Detector(Protocol):
    """Proposes boxes on LGE slices.

    Attributes:
        name: short name, the ``source`` of its boxes.
        checksum: SHA-256 of its checkpoint.
        preprocessing: id of what it does to raw voxel values.
        image_size: longest side of its input, pixels.
        class_names: its classes as its checkpoint names them.
        labels: what it can be asked for: ``"scar"``, ``"lv"`` (the left ventricle within the epicardium), ...
        confidence: its own threshold, used where the caller gives none.
    """

    name: str
    checksum: str
    preprocessing: str
    image_size: int
    class_names: tuple[str, ...]
    labels: tuple[str, ...]
    confidence: float

    def detect(
        self,
        image: np.ndarray,
        *,
        slice_index: int,
        pixel_spacing_mm: tuple[float, float] | None = None,
        confidence: float | None = None,
        iou: float | None = None,
        labels: Sequence[str] = SCAR_ONLY,
    ) -> list[Box]:
        """Find boxes on one slice.

        Args:
            image: ``[rows, columns]`` raw voxel values, finite.
            slice_index: what the boxes' ``slice`` shall be.
            pixel_spacing_mm: ``(row, column)`` spacing if known.
            confidence: keep boxes above it, 0 to 1; None for the detector's own threshold.
            iou: of two boxes with one label that overlap more than this, the less confident is dropped; None for the
                detector's own value.
            labels: the labels to return, of :attr:`labels`.

        Returns:
            Boxes in native pixel edges within the slice, most confident first; none is a valid answer.

        Raises:
            ModelError: the detector does not know a label, or a threshold is not within 0 to 1.
            StudyError: ``image`` is not one slice of finite values.
        """
        ...

    def detect_many(
        self,
        images: Sequence[np.ndarray],
        *,
        slice_indices: Sequence[int] | None = None,
        pixel_spacing_mm: tuple[float, float] | None = None,
        confidence: float | None = None,
        iou: float | None = None,
        labels: Sequence[str] = SCAR_ONLY,
    ) -> list[list[Box]]:
        """As :meth:`detect` for several slices at once; ``slice_indices`` are 0, 1, ... unless given."""
        ...


def load_detector(name_or_path: str | Path | None = None, *, device: str = "auto", trust: bool = False) -> Detector:
    """Load a detector.

    Args:
        name_or_path: a name of the model registry, or the path of a checkpoint: ``.safetensors`` (MyoScarSeg's own) or
            ``.pt`` (ultralytics, task detect). None for the default detector.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        trust: run the code that a pickled checkpoint may contain. Only for files from people you trust.

    Raises:
        ModelError: no such model, damaged, untrusted, or not a detector that this program can run.
    """
    from MyoScarSegLib.detection.yolo import YoloDetector

    path, name = _locate(name_or_path)
    if path.suffix == ".safetensors":
        return YoloDetector.from_checkpoint(path, name=name, device=device)
    if path.suffix in (".pt", ".pth"):
        return YoloDetector.from_ultralytics(path, name=name, device=device, trust=trust)
    raise ModelError(f"{path} is not a detector checkpoint: it should end in .safetensors (MyoScarSeg) or .pt (ultralytics).")


def _locate(name_or_path: str | Path | None) -> tuple[Path, str]:
    """File and name of a detector."""
    from MyoScarSegLib import models

    if name_or_path is None:
        name_or_path = models.DEFAULT_DETECTOR
    path = Path(name_or_path)
    looks_like_path = isinstance(name_or_path, Path) or len(path.parts) > 1 or path.suffix in models.CHECKPOINT_ENDINGS["detect"]
    if looks_like_path or path.is_file():
        if not path.is_file():
            raise ModelError(f"There is no detector checkpoint {path}.")
        known = models.registry().identify(path)
        if known is not None:
            _check_task(known)
        return path, path.stem if known is None else known.name
    entry = models.registry().entry(str(name_or_path))
    _check_task(entry)
    return models.registry().path(entry.name), entry.name


def _check_task(entry: Entry) -> None:
    if entry.task != "detect":
        raise ModelError(f"{entry.name} is a segmenter, not a detector. Give it as --segmenter.")
