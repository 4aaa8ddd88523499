"""The fine-tuning of a segmenter as a job: data, training, figures before and after, model and card."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import Cancelled
from MyoScarSegLib.segmentation.sam_checkpoint import read_checkpoint
from MyoScarSegLib.training.card import write_card
from MyoScarSegLib.training.finetune.calibration import Chosen, bias_of, can_calibrate, choose_threshold
from MyoScarSegLib.training.finetune.fine_tuning import CALIBRATION, Outcome, Patients, fine_tune
from MyoScarSegLib.training.finetune.network import start_model
from MyoScarSegLib.training.finetune.sam_settings import SamSettings
from MyoScarSegLib.training.job_data import JobData, provenance, read_job_data
from MyoScarSegLib.training.options import with_options
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    import numpy as np

    from MyoScarSegLib.result import Result
    from MyoScarSegLib.segmentation import Segmenter
    from MyoScarSegLib.training.datasets.labeled import LabeledSlice
    from MyoScarSegLib.training.evaluation.model_evaluation import Stack
    from MyoScarSegLib.training.train_job import TrainJob

_LIMITS = (
    "Research use only; not a medical device. A reader must look at every mask.",
    "Nothing is known of scanners, sequences and diseases that the data does not hold.",
)
_STOPPED = "The training was stopped: this is the best model until then, and nobody has measured how good it is."
_FURTHER: Mapping[str, Any] = {
    "epochs": 5,
    "decoder_rate": 5e-5,
    "detail_rate": 5e-5,
    "prompting.empty": 0.05,
    "prompting.ventricle": 0.0,
}
"""Settings of a training that starts from a segmenter of ours: it knows scar, and harder ones made it draw too little."""
_FALSE_GRAM = 0.01


def run_sam(
    job: TrainJob, progress: Progress = no_progress, cancel: CancelToken | None = None, hooks: Hooks = NO_HOOKS
) -> dict[str, Any]:
    """See :func:`MyoScarSegLib.training.train_job.run`."""
    from MyoScarSegLib.detection import load_detector
    from MyoScarSegLib.models import DEFAULT_SEGMENTER

    start = job.start or DEFAULT_SEGMENTER
    knows_scar = read_checkpoint(start).preprocessing.startswith("myoscarseg")
    settings = sam_settings(job, further=knows_scar)
    start_model(start, settings)  # whether it can be trained is to be known before the data is read
    manifest = job.out / "split.json"
    hooks.stage("reading")
    used = read_job_data(job, manifest, progress, cancel, hooks.data)
    used.split.write(manifest)
    detector = load_detector(device=job.device)

    patients = Patients(used.training, used.validation, heart_finder(detector))
    masks: dict[tuple[str, int], np.ndarray] = {}

    def end_to_end(segmenter: Segmenter) -> dict[str, float]:
        return _end_to_end(segmenter, detector, used.validation, masks, progress, cancel, hooks)

    def looked(epoch: int) -> None:
        if hooks.looked is not None:
            hooks.looked(epoch, used.validation, [masks[s.stack, s.index] for s in used.validation])

    licence = provenance(job, used, ())["licence"]
    outcome = fine_tune(
        start,
        patients,
        settings,
        job.out,
        end_to_end=end_to_end if used.validation else None,
        resume=job.resume,
        device=job.device,
        licence=licence,
        name=job.name,
        stopped=lambda so_far: _write_card(job, used, settings, so_far, stopped=True),
        looked=looked,
        progress=progress,
        cancel=cancel,
        hooks=hooks,
    )
    metrics: dict[str, Any] = {}
    calibration = None
    if used.validation and outcome.main_process:
        hooks.stage("validation")
        try:
            if settings.calibrate:
                calibration = _calibrate(job, outcome.model, detector, used, progress, cancel)
                with hooks.files:
                    if calibration is not None:
                        calibration.apply(outcome.model)
                    # What follows takes long, and whatever ends it, the card is to be that of the model.
                    _write_card(job, used, settings, outcome, calibration=calibration, stopped=True)
            metrics = {
                "validation": _figures(outcome.model, detector, job.device, used, progress, cancel),
                "validation, start model": _figures(start, detector, job.device, used, progress, cancel),
            }
        except Cancelled:
            with hooks.files:
                _write_card(job, used, settings, outcome, calibration=calibration, stopped=True)
            raise
    if outcome.main_process:
        with hooks.files:
            _write_card(job, used, settings, outcome, metrics=metrics, calibration=calibration)
    return {
        "kind": "sam",
        "name": job.name,
        "model": str(outcome.model),
        "card": str(outcome.model.with_suffix(".json")),
        "log": str(job.out / "log.jsonl"),
        "split": str(manifest),
        "sha256": sha256_of(outcome.model),
        "metrics": metrics,
    }


def _write_card(
    job: TrainJob,
    used: JobData,
    settings: SamSettings,
    outcome: Outcome,
    *,
    metrics: Mapping[str, Any] | None = None,
    calibration: Chosen | None = None,
    stopped: bool = False,
) -> None:
    """The card of the model as it now is; of a training that was stopped it says so."""
    record = {
        "name": job.name,
        "task": "segment",
        "architecture": outcome.start.checkpoint.architecture,
        "preprocessing": outcome.start.preprocessing,
        "program": __version__,
        "seed": settings.seed,
        "seconds": round(outcome.seconds),
        "cores": os.cpu_count(),
        "started_from": {"name": outcome.start.checkpoint.name, "sha256": outcome.start.checkpoint.sha256},
        "settings": settings.to_json(),
        "split": used.split.to_json(),
        "losses": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "calibration": None if calibration is None else calibration.calibration.to_json(),
        "metrics": metrics or {},
        **provenance(job, used, (_STOPPED, *_LIMITS) if stopped else _LIMITS),
    }
    write_card(outcome.model, record)


def sam_settings(job: TrainJob, *, further: bool) -> SamSettings:
    """The settings that a job means.

    Args:
        job: the job; what it says goes before what is usual.
        further: whether the start model has already learnt scar.

    Raises:
        ModelError: an option is none of them, or makes no sense.
    """
    given: Mapping[str, Any] = {"epochs": job.epochs, "batch": job.batch}
    own = {"mode": job.mode, "preset": job.augmentation, "dense_preset": job.augmentation, "seed": job.seed}
    usual = with_options(SamSettings(), _FURTHER if further else {})
    settings = with_options(usual, own | {name: value for name, value in given.items() if value is not None})
    return with_options(settings, job.options)


def heart_finder(detector: Any) -> Any:
    """What finds the heart in a patient's slices by a detector, or by the program's own if that one knows no ventricle."""
    from MyoScarSegLib.detection.heart_center import find_heart, heart_detector

    finder = heart_detector(detector, "auto")

    def find(stack: Sequence[LabeledSlice]) -> tuple[float, float] | None:
        return find_heart({s.index: s.image for s in stack}, finder, stack[0].pixel_spacing_mm)

    return find


def _end_to_end(
    segmenter: Segmenter,
    detector: Any,
    slices: Sequence[LabeledSlice],
    masks: dict[tuple[str, int], np.ndarray],
    progress: Progress,
    cancel: CancelToken | None,
    hooks: Hooks,
) -> dict[str, float]:
    """The figure that a training is stopped by: Dice of the patients with scar, less a little for scar where there is none.

    ``masks`` is given those drawn end to end, by stack and slice number. With ``hooks.oracle`` the Dice is told with the
    reference's tight boxes, too.
    """
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, REFERENCE_BOX, evaluate_models

    def seen(setting: str, stack: Stack, result: Result) -> None:
        if setting == END_TO_END:
            masks.update({(stack.case, number): result.mask[k] for k, number in enumerate(stack.numbers)})

    pipeline = Pipeline(detector=detector, segmenter=segmenter)
    settings = (REFERENCE_BOX, END_TO_END) if hooks.oracle else (END_TO_END,)
    told = progress if hooks.oracle else no_progress
    all_figures = evaluate_models(pipeline, slices, settings=settings, progress=told, cancel=cancel, on_result=seen).figures()
    figures = all_figures[END_TO_END]
    kept = {"dice": figures["dice_mean"], "false_g": figures["false_mass_g_per_scar_free_patient"]}
    known = {name: float(value) for name, value in kept.items() if value is not None}
    score = known.get("dice", 0.0) - _FALSE_GRAM * known.get("false_g", 0.0)
    if hooks.oracle:
        both = {f"{setting}_dice": all_figures[setting]["dice_mean"] for setting in settings}
        known |= {name: float(value) for name, value in both.items() if value is not None}
    return {**known, "score": score}


def _calibrate(
    job: TrainJob,
    model: Path,
    detector: Any,
    used: JobData,
    progress: Progress,
    cancel: CancelToken | None,
) -> Chosen | None:
    """The threshold of a model with a refiner that is best on the validation patients, with hurried boxes.

    What is chosen is written down before it is applied: interrupted afterwards, the training must not choose again for a
    model whose threshold was moved.
    """
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.model_evaluation import JITTERED, evaluate_models

    if not can_calibrate(model):
        return None
    note = job.out / CALIBRATION
    if job.resume and note.is_file():
        return Chosen.read(note)
    pipeline = Pipeline(detector=detector, segmenter=model, device=job.device)
    evaluation = evaluate_models(pipeline, used.validation, settings=(JITTERED,), progress=progress, cancel=cancel)
    calibration = choose_threshold(evaluation.settings[JITTERED])
    if calibration is None:
        return None
    chosen = Chosen(calibration, bias_of(model))
    chosen.write(note)
    return chosen


def _figures(
    model: str | Path, detector: Any, device: str, used: JobData, progress: Progress, cancel: CancelToken | None
) -> dict[str, Any]:
    """The figures of a model in all settings, named ``SETTING FIGURE``."""
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_models

    pipeline = Pipeline(detector=detector, segmenter=model, device=device)
    evaluation = evaluate_models(pipeline, used.validation, progress=progress, cancel=cancel)
    return {
        f"{setting} {name}": value
        for setting, figures in evaluation.figures().items()
        for name, value in figures.items()
        if not isinstance(value, Mapping)
    }
