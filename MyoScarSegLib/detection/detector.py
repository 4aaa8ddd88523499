"""The interface of every detector, what it finds on the slices of a study, and where to get one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from MyoScarSegLib import models
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import Entry
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

SCAR, LEFT_VENTRICLE = CLASSES = ("scar", "lv")
"""The labels of this program's own detectors, in the order of their outputs."""
SCAR_ONLY = (SCAR,)


class Detector(Protocol):
    """Proposes boxes on LGE slices.

    Attributes:
        name: short name, the ``source`` of its boxes.
        checksum: SHA-256 of its checkpoint.
        preprocessing: id of what it does to raw voxel values.
        labels: what it can be asked for: ``"scar"``, ``"lv"`` (the left ventricle within the epicardium), ...
        confidence: its own threshold, used where the caller gives none.
        slices_at_once: how many slices it takes in one step; :func:`detect_slices` can be cancelled between steps.
    """

    name: str
    checksum: str
    preprocessing: str
    labels: tuple[str, ...]
    confidence: float
    slices_at_once: int

    def detect_many(
        self,
        images: Sequence[np.ndarray],
        *,
        slice_indices: Sequence[int] | None = None,
        pixel_spacing_mm: tuple[float, float] | None = None,
        confidence: float | None = None,
        labels: Sequence[str] = SCAR_ONLY,
    ) -> list[list[Box]]:
        """Find boxes on slices of one stack.

        Args:
            images: of each slice ``[rows, columns]`` raw voxel values, finite.
            slice_indices: what the boxes' ``slice`` shall be; 0, 1, ... if None.
            pixel_spacing_mm: ``(row, column)`` spacing if known.
            confidence: keep boxes above it, 0 to 1; None for the detector's own threshold.
            labels: the labels to return, of :attr:`labels`; asking for several at once is quicker than one after the other.

        Returns:
            For each image its boxes in native pixel edges within the slice, most confident first; none is a valid answer.

        Raises:
            ModelError: the detector does not know a label, or the threshold is not within 0 to 1.
            StudyError: an image is not one slice of finite values.
        """
        ...


@dataclass
class Detected:
    """What a detector found on the slices of a study.

    Attributes:
        boxes: of each slice that was looked at, by its index; most confident first.
        failed: why a slice could not be looked at, by its index.
        cancelled: whether the caller cancelled, so that slices are missing.
    """

    boxes: dict[int, list[Box]] = field(default_factory=dict)
    failed: dict[int, Exception] = field(default_factory=dict)
    cancelled: bool = False


def detect_slices(
    detector: Detector,
    images: Mapping[int, np.ndarray],
    *,
    pixel_spacing_mm: tuple[float, float] | None = None,
    confidence: float | None = None,
    labels: Sequence[str] = SCAR_ONLY,
    what: str = "Proposing boxes",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Detected:
    """Run a detector on slices of one stack. A slice on which it fails costs no other, and a cancelled search keeps what it has.

    Args:
        images: slices ``[rows, columns]`` of raw voxel values, by their index.
        pixel_spacing_mm, confidence, labels: as in :meth:`Detector.detect_many`.
        what: is done, for ``progress``.
        progress: called before each step and at the end.
        cancel: honored before each step.
    """
    found = Detected()
    indices = list(images)

    def detect(some: Sequence[int]) -> None:
        boxes = detector.detect_many(
            [images[k] for k in some],
            slice_indices=some,
            pixel_spacing_mm=pixel_spacing_mm,
            confidence=confidence,
            labels=labels,
        )
        found.boxes.update(zip(some, boxes, strict=True))

    for first in range(0, len(indices), detector.slices_at_once):
        if cancel is not None and cancel.cancelled:
            found.cancelled = True
            return found
        some = indices[first : first + detector.slices_at_once]
        progress(first, len(indices), f"{what}: slice {some[0]}")
        try:
            detect(some)
        except Exception as error:  # whatever a network's library raises, lack of memory too: the slices are tried one by one
            if len(some) == 1:
                found.failed[some[0]] = error
                continue
            for index in some:
                try:
                    detect([index])
                except Exception as reason:  # as above
                    found.failed[index] = reason
    progress(len(indices), len(indices), what)
    return found


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
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise ModelError(f"{path} is not a detector checkpoint: it should end in .safetensors (MyoScarSeg) or .pt (ultralytics).")
    return YoloDetector.load(path, name=name, device=device, trust=trust)


def _locate(name_or_path: str | Path | None) -> tuple[Path, str]:
    """File and name of a detector."""
    if name_or_path is None:
        name_or_path = models.DEFAULT_DETECTOR
    path = models.path_of(name_or_path)
    if path is not None:
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
