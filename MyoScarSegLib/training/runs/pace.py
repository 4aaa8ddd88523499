"""Short measurements of what a training does again and again, with the real network, real slices and the real training code."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel

if TYPE_CHECKING:
    from MyoScarSegLib.training.finetune.sam_settings import SamSettings
    from MyoScarSegLib.training.train_job import TrainJob
    from MyoScarSegLib.training.yolo.detector_settings import DetectorSettings

ENOUGH_S = 6.0
"""One of the measurements stops after this time, if it has seen what it is to see."""
_MOST_ENCODING_S = 2.5
_PROMPTS, _CONTEXT, _PREPARING, _EPOCH = "prompts", "context", "Preparing", "epoch"


@dataclass(frozen=True)
class Pace:
    """Seconds of what a training does again and again; 0 for what it does not do.

    Attributes:
        loading: packages and start model, once.
        window: one window in a step; of a segmenter's in the prompts phase.
        epoch: what comes at the end of each epoch beside the look: the checkpoint.
        look: one slice looked at; by a segmenter end to end and with tight boxes.
        embedding: one window, drawn and encoded.
        context_window: one window in a step of the context phase.
        prompt: one slice looked at once more with other prompts.
    """

    loading: float
    window: float
    epoch: float
    look: float
    embedding: float = 0.0
    context_window: float = 0.0
    prompt: float = 0.0


class _Watch(CancelToken):
    """Notes when a training reports what, and ends it when time is up and there is enough to go by."""

    def __init__(self, seconds: float, kinds: Sequence[str], enough: int, outer: CancelToken | None) -> None:
        """Ends the training after ``seconds``, if ``enough`` steps were seen of the first of ``kinds``, with which messages of
        interest begin; or with ``outer``.
        """
        super().__init__()
        self._measured_at, self._kinds, self._enough, self._outer = time.monotonic() + seconds, kinds, enough, outer
        self._events: list[tuple[str, int, int, float]] = []

    def __call__(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.utils.progress.Progress`."""
        kind = next((kind for kind in self._kinds if message.startswith(kind)), "")
        self._events.append((kind, done, total, time.monotonic()))

    @property
    def cancelled(self) -> bool:
        """As of every token."""
        steps = [event for event in self._events if event[0] == self._kinds[0]]
        # After the last step come figures that were measured already.
        over = bool(steps) and steps[-1][1] == steps[-1][2]
        enough = len(steps) >= self._enough and time.monotonic() >= self._measured_at
        return super().cancelled or over or enough or (self._outer is not None and self._outer.cancelled)

    def run(self, training: Callable[..., Any], *args: Any, **named: Any) -> None:
        """Carry out a training until enough was seen."""
        try:
            training(*args, **named, progress=self, cancel=self)
        except Cancelled:
            check_cancel(self._outer)

    @property
    def embedding(self) -> float:
        """Seconds of one window; the first one left out where there are more."""
        each = np.diff([when for kind, _, _, when in self._events if kind == _PREPARING])
        return float(np.mean(each[1:] if len(each) > 1 else each)) if len(each) else 0.0

    def steps(self, kind: str, batch: int, epochs: int, windows: int | None = None) -> tuple[float, float]:
        """Seconds of one window in a step of a kind, and of an epoch's end; in the last step of an epoch are what is left of
        ``windows``, None for full batches.
        """
        marks = [(done, when) for k, done, _, when in self._events if k == kind]
        an_epoch = next((total for k, _, total, _ in self._events if k == kind), epochs) // epochs
        within: list[float] = []
        across: list[tuple[float, int]] = []
        for (_, before), (done, after) in itertools.pairwise(marks):
            place = (done - 1) % an_epoch
            size = batch if windows is None else min(batch, windows - place * batch)
            if place:
                within.append((after - before) / size)
            else:
                across.append((after - before, size))
        if not within:
            return (float(np.mean([seconds / size for seconds, size in across])) if across else 0.0), 0.0
        window = float(np.mean(within))
        ends = [max(0.0, seconds - window * size) for seconds, size in across]
        return window, float(np.mean(ends)) if ends else 0.0


def pace_of_segmenter(
    start: str | Path,
    settings: SamSettings,
    training: Sequence[LabeledSlice],
    validation: Sequence[LabeledSlice],
    device: str,
    progress: Progress,
    cancel: CancelToken | None,
) -> Pace:
    """Measure on some slices, in ten to twenty seconds; longer only where one step alone takes longer.

    Of the ``training`` slices some have scar; ``validation`` is a few of one stack, empty if nothing is looked at.
    """
    began = time.monotonic()
    from MyoScarSegLib.detection import load_detector
    from MyoScarSegLib.training.finetune.network import start_model
    from MyoScarSegLib.utils.device import resolve_device

    progress(0, 0, "Loading the models")
    network, begun = start_model(start, settings)
    network.to(resolve_device(device))
    detector = load_detector(device=device)
    loading = time.monotonic() - began
    progress(0, 0, "Measuring the image encoder")
    encoding = _encoder_seconds(network["image_encoder"], begun, device)
    look = prompt = 0.0
    check_cancel(cancel)
    if validation:
        progress(0, 0, "Measuring a look at the validation slices")
        look, prompt = _look_seconds(network, begun, detector, validation, device, cancel)
    context_epochs = 3 if settings.context_epochs and "context" in network else 0
    del network
    progress(0, 0, "Measuring the steps of the training")
    steps = _segmenter_steps(start, settings, training, encoding, context_epochs, device, cancel)
    return Pace(loading=loading, look=look, prompt=prompt, **steps)


def _encoder_seconds(encoder: Any, begun: Any, device: str) -> float:
    """One pass of the image encoder; the second one, for the first makes memory."""
    import torch

    from MyoScarSegLib.segmentation.preprocessing import encoder_input, preprocessing
    from MyoScarSegLib.utils.device import resolve_device

    image = torch.zeros(1, 1, begun.side, begun.side, device=resolve_device(device))
    encoder.eval()

    def once() -> None:
        with torch.inference_mode():
            encoder(encoder_input(image, preprocessing(begun.preprocessing))).cpu()

    first = _seconds_of(once)
    return first if first > _MOST_ENCODING_S else _seconds_of(once)


def _look_seconds(
    network: Any, begun: Any, detector: Any, validation: Sequence[LabeledSlice], device: str, cancel: CancelToken | None
) -> tuple[float, float]:
    """Seconds per slice of a look, and of the same slices with other prompts."""
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, JITTERED, REFERENCE_BOX, evaluate_models
    from MyoScarSegLib.training.finetune.fine_tuning import segmenter_of

    pipeline = Pipeline(detector=detector, segmenter=segmenter_of(network, begun, device), device=device)
    detector.detect_many([validation[0].image])  # the first call makes memory
    look = _seconds_of(lambda: evaluate_models(pipeline, validation, settings=(REFERENCE_BOX, END_TO_END), cancel=cancel))
    again = _seconds_of(lambda: evaluate_models(pipeline, validation, settings=(JITTERED,), cancel=cancel))
    return look / len(validation), again / len(validation)


def _segmenter_steps(
    start: str | Path, settings: SamSettings, training: Sequence[LabeledSlice], encoding: float, context_epochs: int, device: str,
    cancel: CancelToken | None,
) -> dict[str, float]:  # fmt: skip
    """What :class:`Pace` says of embeddings, windows and epochs, of a training made small."""
    from MyoScarSegLib.training.finetune.fine_tuning import CONTEXT_BATCH, Patients, fine_tune

    passes = 1 if settings.mode == "decoder" else 4  # forwards and backwards, twice
    most = max(2, min(2 * settings.batch, int(_MOST_ENCODING_S / max(encoding * passes, 1e-3))))
    chosen = _mixed(training, most)
    batch = max(1, min(settings.batch, len(chosen) // 2))
    small = replace(
        settings, epochs=2, context_epochs=context_epochs, copies=1, phantoms=0, phantom_share=0.0,
        scar_free_share=float(len(chosen)), batch=batch, evaluate_every=0,
        # Other windows than those of the training, whose embeddings may be there already.
        seed=int(np.random.default_rng().integers(1 << 30, 1 << 31)),
    )  # fmt: skip
    # The first step makes memory.
    watch = _Watch(ENOUGH_S + 2 * encoding * len(chosen), (_PROMPTS, _CONTEXT, _PREPARING), 2, cancel)
    with tempfile.TemporaryDirectory(prefix="myoscarseg-estimate-") as folder:
        watch.run(fine_tune, start, Patients(chosen), small, Path(folder), device=device)
    window, epoch = watch.steps(_PROMPTS, batch, small.epochs, len(chosen))
    context, _ = watch.steps(_CONTEXT, CONTEXT_BATCH, max(context_epochs, 1), len(chosen))
    return {"window": window, "epoch": epoch, "context_window": context, "embedding": watch.embedding}


def pace_of_detector(
    job: TrainJob,
    start: Path | None,
    settings: DetectorSettings,
    training: Sequence[LabeledSlice],
    progress: Progress,
    cancel: CancelToken | None,
) -> Pace:
    """Measure on some slices, of which some have scar, in about ten seconds."""
    began = time.monotonic()
    from MyoScarSegLib.models import DEFAULT_DETECTOR
    from MyoScarSegLib.training.job_data import JobData
    from MyoScarSegLib.training.splits import Split
    from MyoScarSegLib.training.yolo.detector_scores import find_on, own_detector
    from MyoScarSegLib.training.yolo.detector_training import train_detector

    progress(0, 0, "Loading the detector")
    detector = own_detector(start or DEFAULT_DETECTOR, job.device)
    loading = time.monotonic() - began
    chosen = _mixed(training, 2 * settings.batch)
    find_on(detector, chosen[:1])
    detect = _seconds_of(lambda: find_on(detector, chosen[:6])) / len(chosen[:6])
    progress(0, 0, "Measuring the steps of the training")
    batch = max(1, min(settings.batch, len(chosen) // 2))
    small = replace(settings, epochs=3, batch=batch, phantoms=0)
    used = JobData(DataSet("library", chosen), Split(tuple(sorted({s.patient for s in chosen})), ()), ())
    watch = _Watch(ENOUGH_S, (_EPOCH,), 3, cancel)
    with tempfile.TemporaryDirectory(prefix="myoscarseg-estimate-") as folder:
        watch.run(train_detector, replace(job, out=Path(folder)), used, small, start)
    window, epoch = watch.steps(_EPOCH, batch, small.epochs)
    if not window:
        raise ModelError("The detector's training could not be measured: it made no two steps.")
    return Pace(loading, window, epoch, detect)


def _mixed(slices: Sequence[LabeledSlice], most: int) -> list[LabeledSlice]:
    """As many slices with scar as without, as far as there are."""
    scarred = [s for s in slices if s.scar.any()]
    free = [s for s in slices if not s.scar.any()]
    if not scarred:
        raise ModelError("None of the training slices has scar. Add cases with scar to the training patients.")
    half = max(1, most // 2)
    chosen = scarred[: max(half, most - len(free))]
    return chosen + free[: most - len(chosen)]


def _seconds_of(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
