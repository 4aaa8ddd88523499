"""What a trained network becomes: a detector with a threshold and figures; and the files of its training."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.detection.checkpoint import PREPROCESSING, DetectorRecord, SecondLook, save_checkpoint
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.card import NOT_STATED, write_card
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, strata_by_content
from MyoScarSegLib.training.splits import Split, split_patients
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.training.yolo.evaluation import choose_confidence, find_on, measure
from MyoScarSegLib.training.yolo.samples import phantom_slices_of
from MyoScarSegLib.training.yolo.settings import CLASSES, DetectorSettings
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    from MyoScarSegLib.detection.yolo import YoloDetector

IOU = 0.2
"""Two boxes of one class that overlap more are one: lesions that lie so close were boxed as one."""
SECOND_LOOK_MARGIN = 1.6
SECOND_LOOK_CONFIDENCE = 0.05
TEST_PHANTOM_SEED = 900_001
TEST_PHANTOMS = 60
_STOPPED = "The training was stopped: this is the model until then, its threshold may not be chosen, and nobody has measured it."
UNCALIBRATED = 0.1
"""Threshold of a detector that was stopped before one could be chosen."""


@dataclass(frozen=True)
class DetectorFiles:
    """The files of a training, all in one folder.

    Attributes:
        folder: theirs.
        name: of the model.
    """

    folder: Path
    name: str = "detector"

    @property
    def model(self) -> Path:
        """The detector, as ``--detector`` takes it."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def split(self) -> Path:
        """Which patients trained and which validated."""
        return self.folder / "split.json"

    @property
    def card(self) -> Path:
        """What is known of the model; beside it the same to read."""
        return self.folder / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """A JSON object per line: steps and epochs."""
        return self.folder / "log.jsonl"

    @property
    def state(self) -> Path:
        """What a stopped training goes on from; there while one is not finished."""
        return self.folder / "resume.safetensors"


@dataclass(frozen=True)
class DetectorTraining:
    """What one training is given.

    Attributes:
        slices: all labeled slices of the data.
        split: which patients train and which validate.
        settings: how.
        files: where everything goes.
        start: checkpoint of ours to start from; None for fresh weights.
        ventricles: detector that says where the ventricle is in slices whose wall is not labeled; the start model if None.
        device: ``auto``, ``cpu``, ``cuda``, ...
        told: what else the model card shall say: licence, citation, data, ...
    """

    slices: Sequence[LabeledSlice]
    split: Split
    settings: DetectorSettings
    files: DetectorFiles
    start: Path | None = None
    ventricles: str | Path | None = None
    device: str = "auto"
    told: Mapping[str, Any] = field(default_factory=dict)


def divide(
    split: Split, slices: Sequence[LabeledSlice], settings: DetectorSettings
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """The slices to train on, and those to choose the threshold on; never any of the validation patients.

    With ``settings.calibration`` that share of the training patients is dealt out, else both are the same.

    Raises:
        StudyError: the patients are too few to deal out.
        ModelError: none of the training patients is in the data.
    """
    ours = [s for s in slices if s.patient in set(split.training)]
    if not ours:
        raise ModelError("None of the data's patients is a training patient of the split. Give the split of this data.")
    if not settings.calibration or settings.confidence:
        return ours, ours
    inner = split_patients(strata_by_content(ours), seed=settings.seed, folds=max(2, round(1 / settings.calibration)))
    return (
        [s for s in ours if s.patient in set(inner.training)],
        [s for s in ours if s.patient in set(inner.validation)],
    )


def record_of(settings: DetectorSettings, patients: int) -> DetectorRecord:
    """What a checkpoint says of itself until its threshold is chosen."""
    look = SecondLook(settings.window, SECOND_LOOK_MARGIN, SECOND_LOOK_CONFIDENCE) if settings.second_look_share > 0 else None
    training = {"patients": patients, "settings": to_json(settings)}
    confidence = settings.confidence or UNCALIBRATED
    return DetectorRecord(settings.architecture, CLASSES, settings.size, confidence, IOU, look, training=training)


def finish(
    training: DetectorTraining,
    network: Any,
    record: DetectorRecord,
    calibrating: Sequence[LabeledSlice],
    making: Callable[[], Mapping[str, Any]],
    *,
    progress: Progress,
    cancel: CancelToken | None,
    hooks: Hooks = NO_HOOKS,
) -> dict[str, Any]:
    """Choose the threshold, save, and evaluate the saved file: half precision is part of the model.

    Args:
        training: what was trained.
        network: the trained one, without painter.
        record: of the checkpoint, with a preliminary threshold.
        calibrating: slices to choose the threshold on.
        making: gives what :func:`described` is to be told of how it was made.
        progress, cancel: as everywhere.
        hooks: for whoever watches.

    Returns:
        What is known of the model; JSON-ready.
    """
    files, settings = training.files, training.settings

    def save(record: DetectorRecord, chosen_on: str) -> None:
        with hooks.files:
            save_checkpoint(files.model, network, record)
            if hooks.cards:
                known = described(training, record, record.confidence, chosen_on=chosen_on, stopped=True, **making())
                write_card(files.model, known)

    save(record, "")
    confidence, chosen_on = settings.confidence, "given"
    if not confidence:
        findings = find_on(own_detector(files.model, training.device), calibrating, progress=progress, cancel=cancel)
        confidence = choose_confidence(findings)
        patients = len({s.patient for s in calibrating})
        chosen_on = f"{patients} training patients" + (" that did not train" if settings.calibration else " that also trained")
    save(replace(record, confidence=confidence), chosen_on)
    metrics = evaluate(files.model, training.slices, training.split, device=training.device, progress=progress, cancel=cancel)
    return described(training, record, confidence, chosen_on=chosen_on, metrics=metrics, **making())


def described(
    training: DetectorTraining,
    record: DetectorRecord,
    confidence: float,
    *,
    started_from: Mapping[str, Any] | None,
    history: Sequence[Mapping[str, float]],
    seconds: float,
    chosen_on: str = "",
    metrics: Mapping[str, Any] | None = None,
    stopped: bool = False,
) -> dict[str, Any]:
    """What a card says of the detector whose file has just been written.

    Args:
        training: what was trained.
        record: of the checkpoint.
        confidence: its threshold.
        started_from: name and checksum of the start model.
        history: losses of each epoch.
        seconds: that it took.
        chosen_on: what the threshold was chosen on; empty if it was not chosen yet.
        metrics: its figures; None if nobody has measured it yet.
        stopped: whether the training has not come to its end, and may never.
    """
    files, settings, look = training.files, training.settings, record.second_look
    card = {
        "name": files.name,
        "file": files.model.name,
        "task": "detect",
        "program": __version__,
        "sha256": sha256_of(files.model),
        "size": files.model.stat().st_size,
        "architecture": settings.architecture,
        "preprocessing": PREPROCESSING,
        "classes": list(CLASSES),
        "confidence": confidence,
        "confidence_chosen_on": chosen_on,
        "iou": IOU,
        "second_look": None if look is None else asdict(look),
        "started_from": None if started_from is None else dict(started_from),
        "seconds": round(seconds),
        "cores": os.cpu_count(),
        "seed": settings.seed,
        "settings": to_json(settings),
        "split": training.split.to_json(),
        "metrics": dict(metrics or {}),
        "losses": [dict(row) for row in history],
        "licence": NOT_STATED,
        "citation": NOT_STATED,
        **training.told,
    }
    return {**card, "limits": [_STOPPED, *card.get("limits", ())]} if stopped else card


def evaluate(
    detector: str | Path,
    slices: Sequence[LabeledSlice],
    split: Split,
    *,
    confidence: float | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, dict[str, Any]]:
    """Figures of a detector on the validation patients, the training patients, and phantoms that it has not seen.

    Args:
        detector: name or path.
        slices: all slices of the data.
        split: which of them are which.
        confidence: threshold; None for the detector's own.
        device: where it runs.
        progress, cancel: as everywhere.
    """
    loaded = own_detector(detector, device)
    threshold = loaded.confidence if confidence is None else confidence
    sets = {
        "validation": [s for s in slices if s.patient in set(split.validation)],
        "training": [s for s in slices if s.patient in set(split.training)],
        "phantoms": phantom_slices_of(TEST_PHANTOM_SEED, TEST_PHANTOMS),
    }
    return {
        name: measure(find_on(loaded, chosen, progress=progress, cancel=cancel), threshold)
        for name, chosen in sets.items()
        if chosen
    }


def own_detector(name_or_path: str | Path, device: str = "cpu") -> YoloDetector:
    """A detector of scar and left ventricle.

    Raises:
        ModelError: it finds something else, or cannot be loaded.
    """
    from MyoScarSegLib.detection.detector import load_detector
    from MyoScarSegLib.detection.yolo import YoloDetector

    loaded = load_detector(name_or_path, device=device)
    if not isinstance(loaded, YoloDetector) or loaded.labels != CLASSES:
        raise ModelError(f"{name_or_path} finds {', '.join(loaded.labels)}, not {' and '.join(CLASSES)}.")
    return loaded
