"""The fine-tuning of a segmenter as a job: data, training, figures before and after, model and card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.detection import load_detector
from MyoScarSegLib.detection.heart_center import find_heart, heart_detector
from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.result import Result
from MyoScarSegLib.segmentation import Segmenter
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, REFERENCE_BOX, Stack, evaluate_models
from MyoScarSegLib.training.evaluation.summary import Evaluation
from MyoScarSegLib.training.finetune.fine_tuning import Outcome, Patients, fine_tune
from MyoScarSegLib.training.finetune.network import start_model
from MyoScarSegLib.training.job_data import JobCard, read_job_data
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.start_models import knows_scar
from MyoScarSegLib.training.train_job import Hooks, TrainJob, with_options
from MyoScarSegLib.utils.progress import no_progress

_LIMITS = (
    "Research use only; not a medical device. A reader must look at every mask.",
    "Nothing is known of scanners, sequences and diseases that the data does not hold.",
)
_STOPPED = "The training was stopped: this is the best model until then, and nobody has measured how good it is."
_FURTHER: Mapping[str, Any] = {
    "context_epochs": 10,
    "context_rate": 3e-4,
    "epochs": 5,
    "decoder_rate": 5e-5,
    "prompting.empty": 0.05,
    "prompting.ventricle": 0.0,
    "start_share": 0.5,
}
"""Settings of a training that starts from a segmenter of ours: it knows scar, and harder ones made it draw too little. Without
half of the start model's weights it forgot after five patients that normal hearts have no scar (research/finetuning)."""
_FALSE_GRAM = 0.01
"""What a gram of scar in a patient without any costs in the score, in Dice."""


def train_segmenter(job: TrainJob, hooks: Hooks) -> tuple[Path, dict[str, Any]]:
    """Carry out the training of a segmenter; :func:`MyoScarSegLib.training.train_job.run` says the rest. Model and figures."""
    start = job.start or DEFAULT_SEGMENTER
    settings = segmenter_settings(job, further=knows_scar(job.start))
    start_model(start, settings)  # whether it can be trained is to be known before the data is read
    used = read_job_data(job, hooks)
    anatomy = [] if job.anatomy is None else read_dataset(job.anatomy, progress=hooks.progress, cancel=hooks.cancel).slices
    detector = load_detector(device=job.device)
    finder = heart_detector(detector, "auto")  # the program's own where the detector knows no ventricle

    def heart_of(stack: Sequence[LabeledSlice]) -> tuple[float, float] | None:
        return find_heart({s.index: s.image for s in stack}, finder, stack[0].pixel_spacing_mm)

    validation = _Validation(job, used.validation, detector, hooks)
    card = JobCard(job, used, settings, hooks, _LIMITS, _STOPPED)
    metrics: dict[str, Any] = {}

    def describe(outcome: Outcome, *, complete: bool = False) -> None:
        facts = {
            "task": "segment",
            "architecture": outcome.start.checkpoint.architecture,
            "preprocessing": outcome.start.preprocessing,
            "seconds": round(outcome.seconds),
            "started_from": {"name": outcome.start.checkpoint.name, "sha256": outcome.start.checkpoint.sha256},
            "losses": outcome.epochs,
            "best_epoch": outcome.best_epoch,
            "metrics": metrics,
        }
        card.write(outcome.model, facts, complete=complete)

    outcome = fine_tune(
        start,
        Patients(used.training, used.validation, anatomy, heart_of),
        settings,
        job.out,
        look=validation.look if used.validation else None,
        resume=job.resume,
        device=job.device,
        license=card.license,
        name=job.name,
        kept=describe,
        hooks=hooks,
    )
    if outcome.main_process:
        if used.validation:
            hooks.stage("validation")
            metrics["validation"] = validation.figures(outcome.model)
            metrics["validation, start model"] = validation.figures(start)
        describe(outcome, complete=True)
    return outcome.model, metrics


def segmenter_settings(job: TrainJob, *, further: bool) -> SegmenterSettings:
    """The settings that a job means; ``further`` if the start model has already learned scar. ModelError names a wrong option."""
    usual = SegmenterSettings(mode=job.mode, augmentation=job.augmentation, seed=job.seed)
    return with_options(usual, {**(_FURTHER if further else {}), **job.said})


@dataclass(frozen=True)
class _Validation:
    """The validation patients of a job, and what is done with them."""

    job: TrainJob
    slices: Sequence[LabeledSlice]
    detector: Any
    hooks: Hooks

    def look(self, epoch: int, segmenter: Segmenter) -> dict[str, float]:
        """The figure that a training is stopped by: Dice of the patients with scar, less a little for scar where there is none.

        With ``hooks.of_run`` the Dice is told with the reference's tight boxes, too.
        """
        masks: dict[tuple[str, int], np.ndarray] = {}

        def seen(setting: str, stack: Stack, result: Result) -> None:
            if setting == END_TO_END:
                masks.update({(stack.case, number): result.mask[k] for k, number in enumerate(stack.numbers)})

        settings = (REFERENCE_BOX, END_TO_END) if self.hooks.of_run else (END_TO_END,)
        told = self.hooks.progress if self.hooks.of_run else no_progress
        all_figures = self._evaluate(segmenter, settings=settings, progress=told, on_result=seen).figures()
        figures = all_figures[END_TO_END]
        kept = {"dice": figures["dice_mean"], "false_g": figures["false_mass_g_per_scar_free_patient"]}
        if self.hooks.of_run:
            kept |= {f"{setting}_dice": all_figures[setting]["dice_mean"] for setting in settings}
        known = {name: float(value) for name, value in kept.items() if value is not None}
        if self.hooks.looked is not None:
            self.hooks.looked(epoch, self.slices, [masks[s.stack, s.index] for s in self.slices])
        return {**known, "score": known.get("dice", 0.0) - _FALSE_GRAM * known.get("false_g", 0.0)}

    def figures(self, model: str | Path) -> dict[str, Any]:
        """The figures of a model in all settings, named ``SETTING FIGURE``."""
        return {
            f"{setting} {name}": value
            for setting, figures in self._evaluate(model, progress=self.hooks.progress).figures().items()
            for name, value in figures.items()
            if not isinstance(value, Mapping)
        }

    def _evaluate(self, segmenter: str | Path | Segmenter, **how: Any) -> Evaluation:
        pipeline = Pipeline(detector=self.detector, segmenter=segmenter, device=self.job.device)
        return evaluate_models(pipeline, self.slices, cancel=self.hooks.cancel, **how)
