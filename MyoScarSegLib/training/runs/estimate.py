"""How long a training will take: a few seconds of it are done on this device, with the real models and data, and extrapolated."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import SEGMENTER, TrainSettings
from MyoScarSegLib.utils.json_fields import read
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.case_record import Case
    from MyoScarSegLib.training.datasets.labeled import LabeledSlice
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.train_job import TrainJob

STAGES = ("reading", "embedding", "steps", "validation", "comparing")
_MEASURED_SLICES = 24
_LOOKED_AT = 3
_SLACK_LOW, _SLACK_HIGH = 0.75, 1.4
"""Other programs, a warmer processor, slices that differ: an estimate that is wrong by so much is a good one."""
_PROMPT_ROUNDS = 4
"""Beside a look, the figures at the end have jittered boxes and three rounds of clicks."""
_CORRECTED_WORK = 1.5
"""Of a window of the asked phase, most of which are corrected, to one of the context phase."""


@dataclass(frozen=True)
class Estimate:
    """How long a training will take.

    Attributes:
        seconds: of all epochs.
        low, high: between which it will probably be; low counts that it may end early, when nothing gets better.
        parts: seconds by stage.
        device: what was measured on.
    """

    seconds: float
    low: float
    high: float
    parts: Mapping[str, float]
    device: str

    @classmethod
    def from_json(cls, document: Any) -> Estimate:
        """What a background task gave."""
        return read(cls, document, StudyError, "The estimate")


def estimate(
    settings: TrainSettings,
    library: Path | str,
    split: Split,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Estimate:
    """Measure and extrapolate, in about 15 seconds a model; longer only where one step alone takes longer.

    Raises:
        StudyError: the library cannot be read, or nobody in it trains.
        ModelError: a start model cannot be used, a setting makes no sense, or a package is missing.
    """
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.utils.device import resolve_device

    progress(0, 0, "Reading some cases")
    data = _Data.of(Library.open(library), split, cancel)
    parts = dict.fromkeys(STAGES, 0.0)
    parts["reading"] = data.reading
    early = 0.0
    for part in settings.parts:
        job = settings.job(part, Path(library), Path("estimate"), Path("split.json"), len(split.training))
        if part == SEGMENTER:
            early += _segmenter(job, data, parts, progress, cancel)
        else:
            _detector(job, data, parts, progress, cancel)
    seconds = sum(parts.values())
    low, high = _SLACK_LOW * (seconds - early), _SLACK_HIGH * seconds
    return Estimate(seconds, low, high, parts, str(resolve_device(settings.device)))


@dataclass
class _Data:
    """How much data there is, and some of it.

    Attributes:
        scarred, free: training slices with scar and without.
        validation: validation slices; 0 without validation patients.
        some: training slices, some with scar.
        looked_at: a few validation slices of one stack.
        reading: seconds that reading all of it takes.
    """

    scarred: int
    free: int
    validation: int
    some: list[LabeledSlice]
    looked_at: list[LabeledSlice]
    reading: float

    @classmethod
    def of(cls, library: Library, split: Split, cancel: CancelToken | None) -> _Data:
        cases, _ = library.scan()
        training = [c for c in cases if c.patient in split.training]
        validation = [c for c in cases if c.patient in split.validation]
        if not training:
            raise StudyError("None of the split's training patients is in the library. Draw the split anew.")
        if not any(c.slices_with_scar for c in training):
            raise ModelError("None of the training patients has scar. Add cases with scar to the training side.")
        ordered = sorted(training, key=lambda c: -c.slices_with_scar)
        seconds: list[float] = []
        some = _load(library, ordered, _MEASURED_SLICES, seconds, cancel)
        seen = _load(library, sorted(validation, key=lambda c: -c.slices_with_scar), 1, seconds, cancel)
        scarred = sum(_reviewed(c) / c.slices * c.slices_with_scar for c in training if c.slices)
        return cls(
            scarred=round(scarred),
            free=max(0, round(sum(_reviewed(c) for c in training) - scarred)),
            validation=sum(_reviewed(c) for c in validation),
            some=some,
            looked_at=_neighbors(seen),
            reading=sum(seconds) / max(1, len(seconds)) * (len(training) + len(validation)),
        )


def _load(
    library: Library, cases: Sequence[Case], slices: int, seconds: list[float], cancel: CancelToken | None
) -> list[LabeledSlice]:
    """The slices of the first cases that can be read, until there are as many."""
    found: list[LabeledSlice] = []
    failed: StudyError | None = None
    for case in cases:
        check_cancel(cancel)
        began = time.monotonic()
        try:
            found += library.load(case).slices()
        except StudyError as error:  # the training leaves it out, too, as long as there are others
            failed = error
            continue
        seconds.append(time.monotonic() - began)
        if len(found) >= slices:
            break
    if not found and failed is not None:
        raise failed
    return found


def _reviewed(case: Case) -> int:
    return case.slices if case.reviewed is None else len(case.reviewed)


def _neighbors(slices: Sequence[LabeledSlice]) -> list[LabeledSlice]:
    """A few of a stack with the most scar in the middle: some with scar, and some proposals."""
    if not slices:
        return []
    one = [s for s in slices if s.stack == slices[0].stack]
    at = max(range(len(one)), key=lambda n: int(one[n].scar.sum()))
    first = min(max(0, at - _LOOKED_AT // 2), max(0, len(one) - _LOOKED_AT))
    return one[first : first + _LOOKED_AT]


def _segmenter(job: TrainJob, data: _Data, parts: dict[str, float], progress: Progress, cancel: CancelToken | None) -> float:
    """Add a segmenter's seconds to the stages; returns those that are not spent if it ends as early as it may."""
    from MyoScarSegLib.models import DEFAULT_SEGMENTER
    from MyoScarSegLib.training.finetune.fine_tuning import ASKED_SCAR_FREE, CONTEXT_SCAR_FREE, asked_epochs
    from MyoScarSegLib.training.finetune.finetune_job import sam_settings
    from MyoScarSegLib.training.runs.pace import pace_of_segmenter
    from MyoScarSegLib.training.start_models import knows_scar

    start = job.start or DEFAULT_SEGMENTER
    settings = sam_settings(job, further=knows_scar(job.start))
    pace = pace_of_segmenter(start, settings, data.some, data.looked_at, job.device, progress, cancel)
    real = data.scarred + data.free
    phantoms = min(settings.phantoms, math.ceil(0.4 * real)) if settings.phantom_share else 0

    def an_epochs_windows(scar_free_share: float) -> int:
        windows = data.scarred + min(data.free, round(scar_free_share * data.scarred))
        return windows + (round(settings.phantom_share * windows) if phantoms else 0)

    looks = settings.epochs // settings.evaluate_every if settings.evaluate_every and data.validation else 0
    an_epoch = an_epochs_windows(settings.scar_free_share) * pace.window + pace.epoch
    a_look = data.validation * pace.look
    figures = 2 * data.validation * (pace.look + _PROMPT_ROUNDS * pace.prompt)
    parts["reading"] += pace.loading
    if settings.mode == "decoder":
        parts["embedding"] += (real + phantoms) * settings.copies * pace.embedding
    looked_at = settings.context_epochs * an_epochs_windows(CONTEXT_SCAR_FREE)
    answered = asked_epochs(settings) * _CORRECTED_WORK * (1 + ASKED_SCAR_FREE) * data.scarred
    parts["steps"] += settings.epochs * an_epoch + (looked_at + answered) * pace.context_window
    parts["validation"] += looks * a_look + figures
    parts["comparing"] += 2 * a_look
    least = min(settings.epochs, settings.patience + 1) if settings.patience and looks else settings.epochs
    return (settings.epochs - least) * (an_epoch + a_look)


def _detector(job: TrainJob, data: _Data, parts: dict[str, float], progress: Progress, cancel: CancelToken | None) -> None:
    from MyoScarSegLib.training.runs.pace import pace_of_detector
    from MyoScarSegLib.training.yolo.detector_job import detector_settings, start_detector
    from MyoScarSegLib.training.yolo.detector_scores import TEST_PHANTOMS
    from MyoScarSegLib.training.yolo.detector_settings import PHANTOM_SHARE

    start = start_detector(job.start)
    settings = detector_settings(job, start)
    pace = pace_of_detector(job, start, settings, data.some, progress, cancel)
    real = data.scarred + data.free
    windows = real / (1 - PHANTOM_SHARE) if settings.phantoms else real
    parts["reading"] += pace.loading
    parts["steps"] += settings.epochs * (windows * pace.window + pace.epoch)
    parts["validation"] += (2 * real + data.validation + TEST_PHANTOMS) * pace.look
    parts["comparing"] += 2 * data.validation * pace.look
