"""The networks that a pipeline works with, and where they found the heart of a study."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.detection import Detector
from MyoScarSegLib.detection.heart_center import find_heart
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, checksum_of_model
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter, SegmenterImage
from MyoScarSegLib.segmentation.neighbors import neighbors
from MyoScarSegLib.study.normalization import NORMALIZATION
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress


class Networks:
    """A detector and a segmenter, loaded when first needed and kept for the studies that follow."""

    def __init__(
        self,
        *,
        detector: str | Path | Detector | None,
        segmenter: str | Path | Segmenter | None,
        device: str,
        precision: str,
        view: str,
        trust: bool,
        preprocessing_id: str | None,
        cache: EmbeddingCache | None,
    ) -> None:
        """Choose the models; nothing is loaded yet.

        Args:
            detector: name in the registry, path, or a loaded one; the default model if None.
            segmenter: likewise.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
            precision: of the segmenter's encoder: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
            view: what the segmenter looks at: ``auto``, ``heart`` or ``slice``.
            trust: unpickle foreign checkpoints that hold more than tensors.
            preprocessing_id: what a foreign segmenter was trained with, where it is not known otherwise.
            cache: of image embeddings; a new one if None.
        """
        self._detector = detector
        self._segmenter = segmenter
        self._device = device
        self._precision = precision
        self._view = view
        self._trust = trust
        self._preprocessing_id = preprocessing_id
        self._cache = cache
        self._heart_detector: Detector | None = None
        self._hearts: list[Heart] = []

    @property
    def detector(self) -> Detector:
        """The detector, loaded on first use; ModelError if it is missing, damaged, untrusted or no detector."""
        if self._detector is None or isinstance(self._detector, (str, Path)):
            from MyoScarSegLib.detection import load_detector

            self._detector = load_detector(self._detector, device=self._device, trust=self._trust)
        return self._detector

    @property
    def segmenter(self) -> Segmenter:
        """The segmenter, loaded on first use; ModelError if it is missing, damaged, untrusted or no segmenter."""
        if self._segmenter is None or isinstance(self._segmenter, (str, Path)):
            from MyoScarSegLib.segmentation import load_segmenter

            self._segmenter = load_segmenter(
                self._segmenter,
                device=self._device,
                precision=self._precision,
                view=self._view,
                trust=self._trust,
                preprocessing_id=self._preprocessing_id,
                cache=self._cache,
            )
        return self._segmenter

    def forget(self) -> None:
        """Drop what is kept of the studies that were seen; the networks stay loaded."""
        if self._segmenter is not None and not isinstance(self._segmenter, (str, Path)):
            self._segmenter.forget()

    def settings(self) -> dict[str, Any]:
        """What was chosen beside the models, as far as numbers depend on it."""
        return {"precision": self._precision, "view": self._view, "preprocessing_id": self._preprocessing_id}

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the files of ``detector`` and ``segmenter``, empty for one that is missing or damaged; neither is loaded."""

        def checksum(model: str | Path | None, default: str) -> str:
            try:
                return checksum_of_model(default if model is None else model)
            except ModelError:  # whoever needs the model says so
                return ""

        detector, segmenter = self._detector, self._segmenter
        plain = (str, Path, type(None))
        return {
            "detector": checksum(detector, DEFAULT_DETECTOR) if isinstance(detector, plain) else detector.checksum,
            "segmenter": checksum(segmenter, DEFAULT_SEGMENTER) if isinstance(segmenter, plain) else segmenter.checkpoint.sha256,
        }

    def heart_center(
        self, study: Study, *, progress: Progress = no_progress, cancel: CancelToken | None = None
    ) -> tuple[float, float] | None:
        """``(x, y)`` of the left ventricle in native pixel edges, None if it is not found on any slice.

        It depends on the images alone, not on the prompts, and is the same for all slices of a study: so a slice's embedding
        can be made before there is any box, and stays good whatever is edited. It is looked for once per study.

        Raises:
            ModelError: the detector that finds the left ventricle cannot be loaded, or fails on every slice.
            Cancelled: ``cancel`` was set.
        """
        detector, known = self.heart_detector, self.known_heart(study)
        if known is None:
            spacing = study.geometry.pixel_spacing_mm
            center = find_heart(usable_slices(study), detector, spacing, progress=progress, cancel=cancel)
            known = self.remember_heart(study, center)
        return known.center

    @property
    def heart_detector(self) -> Detector:
        """The detector that finds the heart."""
        if self._heart_detector is None:
            from MyoScarSegLib.detection.heart_center import heart_detector

            # Loaded here if it is not yet, or the order of the calls would decide which detector finds the heart.
            self._heart_detector = heart_detector(self.detector, self._device)
        return self._heart_detector

    def known_heart(self, study: Study) -> Heart | None:
        """What is known of the study's heart; None if it has not been looked for."""
        return next((heart for heart in self._hearts if heart.belongs_to(study)), None)

    def remember_heart(self, study: Study, center: tuple[float, float] | None) -> Heart:
        """Keep where a study's heart was found, ``center`` as of :meth:`heart_center`, as long as its voxels live."""
        heart = Heart(weakref.ref(study.voxels), study.geometry.pixel_spacing_mm, center)
        self._hearts = [*(heart for heart in self._hearts if heart.voxels() is not None), heart]
        return heart

    def segmenter_provenance(self) -> dict[str, str]:
        """The segmenter's name, checksum and ways, as a result records them."""
        segmenter = self.segmenter
        checkpoint = segmenter.checkpoint
        return {
            "segmenter": checkpoint.name,
            "segmenter_sha256": checkpoint.sha256,
            "architecture": checkpoint.architecture,
            "preprocessing": checkpoint.preprocessing,
            "normalisation": f"{NORMALIZATION.version}",
            "view": "slice" if segmenter.window is None else f"heart window {segmenter.window.side_mm:g} mm",
            "precision": str(segmenter.precision).removeprefix("torch."),
            "device": segmenter.device.type,
            **({"remark": " ".join(checkpoint.notes)} if checkpoint.notes else {}),
        }

    def heart_provenance(self, center: tuple[float, float] | None) -> dict[str, str]:
        """The detector that looked for the heart, and where it found it, as a result records them."""
        return {
            "heart_detector": self.heart_detector.name,
            "heart_detector_sha256": self.heart_detector.checksum,
            "heart_centre_px": "not found; the middle of the slice" if center is None else f"{center[0]:.2f} {center[1]:.2f}",
        }


@dataclass(frozen=True)
class Heart:
    """Where the heart is in the study whose voxels these are; ``center`` as of :meth:`Networks.heart_center`."""

    voxels: weakref.ref[np.ndarray]
    pixel_spacing_mm: tuple[float, float] | None
    center: tuple[float, float] | None

    def belongs_to(self, study: Study) -> bool:
        """Whether it is of this study's very voxels, at the same spacing."""
        return self.voxels() is study.voxels and self.pixel_spacing_mm == study.geometry.pixel_spacing_mm


def image_of(study: Study, index: int, center: tuple[float, float] | None) -> SegmenterImage:
    """A slice as the segmenter is given it, with its neighbors."""
    below, above = (None if k is None else study.voxels[k] for k in neighbors_of(study, index))
    return SegmenterImage(study.voxels[index], study.geometry.pixel_spacing_mm, center, below, above)


def neighbors_of(study: Study, index: int) -> tuple[int | None, int | None]:
    """The slices that a segmenter looks at beside one, each None where there is none near enough."""
    return neighbors(study.geometry.positions_mm(study.slices), index, list(usable_slices(study)))


def usable_slices(study: Study) -> dict[int, np.ndarray]:
    """The slices that networks can look at, by their index."""
    return {k: study.voxels[k] for k in range(study.slices) if k not in study.bad_slices}
