"""How long a training will take: a small one is carried out on this device, with the real models and data, and extrapolated."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.training import train_job
from MyoScarSegLib.training.datasets.case_record import Case
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.run_report import COMPARISON_IN_LOOKS, FIGURES_IN_LOOKS
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.start_models import knows_scar
from MyoScarSegLib.training.train_job import SEGMENTER, TrainJob
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.device import resolve_device
from MyoScarSegLib.utils.json_fields import read
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

STAGES = ("reading", "embedding", "steps", "validation", "comparing")
_SLICES, _EPOCHS = 16, 2
"""Of the small training: slices that train, at most, and passes. One stack validates, once."""
_FEW, _LARGE_SIDE_PX = 4, 256
"""Fewer slices where the image encoder's input is larger: it takes seconds for each."""
_SLACK_LOW, _SLACK_HIGH = 0.75, 1.4
"""Other programs, a warmer processor, slices that differ: an estimate that is wrong by so much is a good one."""
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
        """An estimate as the background task ``estimate`` returned it."""
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
        some: training slices, those with scar first.
        looked_at: the slices of one validation stack.
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
        ordered = sorted(library.scan()[0], key=lambda c: -c.slices_with_scar)
        training = [c for c in ordered if c.patient in split.training]
        validation = [c for c in ordered if c.patient in split.validation]
        if not training:
            raise StudyError("None of the split's training patients is in the library. Draw the split anew.")
        if not training[0].slices_with_scar:
            raise ModelError("None of the training patients has scar. Add cases with scar to the training side.")
        seconds: list[float] = []
        some = _load(library, training, _SLICES, seconds, cancel)
        seen = _load(library, validation, 1, seconds, cancel)
        scarred = sum(_reviewed(c) / c.slices * c.slices_with_scar for c in training if c.slices)
        return cls(
            scarred=round(scarred),
            free=max(0, round(sum(map(_reviewed, training)) - scarred)),
            validation=sum(map(_reviewed, validation)),
            some=sorted(some, key=lambda s: not s.scar.any())[:_SLICES],
            looked_at=seen,
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


def _patients(slices: Sequence[LabeledSlice]) -> tuple[str, ...]:
    return tuple(sorted({s.patient for s in slices}))


class _Watch(CancelToken):
    """Notes when a small training does what, and ends it after its look, when only what was seen before would follow."""

    def __init__(self, progress: Progress, outer: CancelToken | None) -> None:
        """Ends it also with ``outer``; tells ``progress`` what is measured."""
        super().__init__()
        self._progress, self._outer = progress, outer
        self._began = self._since = self._look_began = time.monotonic()
        self._now = ""
        self._steps: dict[str, list[tuple[int, float]]] = {}
        self.loading = self.embedding = self.look = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether this token or the outer one is set."""
        return super().cancelled or (self._outer is not None and self._outer.cancelled)

    def run(self, job: TrainJob, training: Sequence[LabeledSlice], validation: Sequence[LabeledSlice]) -> None:
        """Carry out a job on some slices, until enough was seen."""
        with tempfile.TemporaryDirectory(prefix="myoscarseg-estimate-") as folder:
            out = Path(folder)
            Split(_patients(training), _patients(validation)).write(out / "split.json")
            small = replace(job, out=out / "out", split=out / "split.json")
            data = DataSet("library", [*training, *validation])
            hooks = train_job.Hooks(data=lambda *_: data, stage=self._stage, log=self._logged, of_run=True)
            try:
                train_job.run(small, self._told, self, hooks)
            except Cancelled:
                check_cancel(self._outer)

    def pace(self, phase: str, windows: int, batch: int) -> tuple[float, float]:
        """Seconds of one window in a step, and of an epoch's end, of a phase with as many windows in an epoch."""
        first: dict[int, float] = {}
        last: dict[int, float] = {}
        for epoch, when in self._steps.get(phase, ()):
            first.setdefault(epoch, when)
            last[epoch] = when
        between = [first[after] - last[before] for before, after in itertools.pairwise(first)]
        if not between:
            return 0.0, 0.0
        if windows <= batch:
            return float(np.mean(between)) / windows, 0.0
        window = sum(last[epoch] - first[epoch] for epoch in first) / (len(first) * (windows - batch))
        return window, max(0.0, float(np.mean(between)) - window * batch)

    def _stage(self, stage: str) -> None:
        self._now, self._since = stage, time.monotonic()
        if stage == "embedding" and not self.loading:
            self.loading = self._since - self._began

    def _logged(self, entry: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if entry["event"] == "step":
            self._steps.setdefault(entry["phase"], []).append((entry["epoch"], now))
        elif entry["event"] == "embeddings":
            self.embedding = (now - self._since) / max(1, entry["made"])

    def _told(self, done: int, total: int, message: str) -> None:
        self._progress(0, 0, f"Measuring: {message}")
        if self._now == "validation" and done == 0:
            self._look_began = time.monotonic()
        elif self._now == "validation" and done == total:
            self.look = time.monotonic() - self._look_began
            self.cancel()


def _segmenter(job: TrainJob, data: _Data, parts: dict[str, float], progress: Progress, cancel: CancelToken | None) -> float:
    """Add the seconds of a segmenter's training. Returns how many of them may be saved by an early end."""
    from MyoScarSegLib.training.finetune.fine_tuning import (
        ASKED_SCAR_FREE,
        CONTEXT,
        CONTEXT_SCAR_FREE,
        CONTEXT_SLICES_PER_STEP,
        PROMPTS,
        asked_epochs,
        phantoms_of,
    )
    from MyoScarSegLib.training.finetune.network import start_model
    from MyoScarSegLib.training.finetune.segmenter_job import segmenter_settings

    settings = segmenter_settings(job, further=knows_scar(job.start))
    progress(0, 0, "Loading the model")
    _network, start = start_model(job.start or DEFAULT_SEGMENTER, settings)
    some = data.some[: _SLICES if start.side <= _LARGE_SIDE_PX else _FEW]
    with_scar = sum(bool(s.scar.any()) for s in some)
    batch = max(1, min(settings.batch, len(some) // 2))
    small = {
        "epochs": _EPOCHS, "context_epochs": _EPOCHS if settings.context_epochs else 0, "copies": 1, "phantoms": 0,
        "scar_free_share": float(len(some)), "batch": batch, "evaluate_every": _EPOCHS, "patience": 0,
        # Other windows than those of the training, whose embeddings may be there already.
        "seed": int(np.random.default_rng().integers(1 << 30, 1 << 31)),
    }  # fmt: skip
    watch = _Watch(progress, cancel)
    watch.run(replace(job, options={**job.options, **small}), some, data.looked_at)

    def in_an_epoch(scar_free_share: float, scarred: int, free: int) -> int:
        return scarred + min(free, round(scar_free_share * scarred))

    real, phantoms = data.scarred + data.free, phantoms_of(settings, data.scarred + data.free)
    more = 1 + settings.phantom_share if phantoms else 1.0
    windows = more * in_an_epoch(settings.scar_free_share, data.scarred, data.free)
    context_windows = more * in_an_epoch(CONTEXT_SCAR_FREE, data.scarred, data.free)
    window, end = watch.pace(PROMPTS, len(some), batch)
    of_context = in_an_epoch(CONTEXT_SCAR_FREE, with_scar, len(some) - with_scar)
    context_window, context_end = watch.pace(CONTEXT, of_context, CONTEXT_SLICES_PER_STEP)
    asked = asked_epochs(settings)
    answered = _CORRECTED_WORK * asked * (1 + ASKED_SCAR_FREE) * data.scarred
    a_look = watch.look / max(1, len(data.looked_at)) * data.validation
    looks = settings.epochs // settings.evaluate_every if settings.evaluate_every and data.validation else 0
    an_epoch = windows * window + end
    parts["reading"] += watch.loading
    if settings.mode == "decoder":
        parts["embedding"] += (real + phantoms) * settings.copies * watch.embedding
    parts["steps"] += settings.epochs * an_epoch + (settings.context_epochs + asked) * context_end
    parts["steps"] += (settings.context_epochs * context_windows + answered) * context_window
    parts["validation"] += (looks + FIGURES_IN_LOOKS) * a_look
    parts["comparing"] += COMPARISON_IN_LOOKS * a_look
    least = min(settings.epochs, settings.patience + 1) if settings.patience and looks else settings.epochs
    return (settings.epochs - least) * (an_epoch + a_look)


def _detector(job: TrainJob, data: _Data, parts: dict[str, float], progress: Progress, cancel: CancelToken | None) -> None:
    """Add the seconds of a detector's training."""
    from MyoScarSegLib.training.yolo.boxes_phase import BOXES
    from MyoScarSegLib.training.yolo.detector_job import detector_settings, start_detector
    from MyoScarSegLib.training.yolo.detector_samples import PHANTOM_SHARE
    from MyoScarSegLib.training.yolo.detector_scores import TEST_PHANTOMS

    settings = detector_settings(job, start_detector(job.start))
    batch = max(1, min(settings.batch, len(data.some) // 2))
    watch = _Watch(progress, cancel)
    small = {"epochs": _EPOCHS, "batch": batch, "phantoms": 0}
    watch.run(replace(job, options={**job.options, **small}), data.some, ())
    window, end = watch.pace(BOXES, len(data.some), batch)
    real, look = data.scarred + data.free, watch.look / len(data.some)
    windows = real / (1 - PHANTOM_SHARE) if settings.phantoms else real
    parts["reading"] += watch.loading
    parts["steps"] += settings.epochs * (windows * window + end)
    parts["validation"] += (2 * real + data.validation + TEST_PHANTOMS) * look
    parts["comparing"] += 2 * data.validation * look
