"""The new model against the one in use, on patients that neither has seen: what is better, by how much, and how sure that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.detection import Detector
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.result import Result
from MyoScarSegLib.segmentation import Segmenter
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, REFERENCE_BOX, Evaluation, Stack, evaluate_models
from MyoScarSegLib.training.evaluation.scores import CaseScore
from MyoScarSegLib.training.evaluation.statistics import Difference, paired, rounded, verdict
from MyoScarSegLib.training.runs.comparison_files import (
    FORMAT_VERSION,
    NEW,
    TRUTH,
    USED,
    Predictions,
    file_of,
    write_comparison,
)
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.start_models import start_names
from MyoScarSegLib.training.train_job import FRESH
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.utils.words import counted

_SETTINGS, _THRESHOLD = (REFERENCE_BOX, END_TO_END), 0.5


@dataclass(frozen=True)
class Models:
    """A segmenter and a detector that work together.

    Attributes:
        segmenter, detector: name, path or a loaded one; None for the default.
        name: what tables call it; empty for the models' own names.
    """

    segmenter: str | Path | Segmenter | None = None
    detector: str | Path | Detector | None = None
    name: str = ""


def compare_models(
    new: Models,
    used: Models,
    slices: Sequence[LabeledSlice],
    *,
    device: str = "auto",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> tuple[dict[str, Any], dict[str, Predictions]]:
    """Segment the same labeled patients, who did not train, with both, end to end and with reference boxes, and compare.

    Returns:
        A JSON-ready document and the masks of each case. The document has ``new`` and ``used`` (names, checksums), ``figures``
        (each with both means, the paired difference and intervals; see :class:`~.statistics.Difference`), ``cases`` (a row each,
        with the worst slice and every slice), ``verdict`` (``word``, ``sentence``), ``failures`` and ``notes``.
    """
    if not slices:
        raise StudyError("There are no validation patients to compare the models on. Put some on the validation side.")
    masks: dict[str, Predictions] = {}
    evaluations: dict[str, Evaluation] = {}
    told: dict[str, dict[str, Any]] = {}
    for number, (who, models) in enumerate(((NEW, new), (USED, used))):
        pipeline = Pipeline(detector=models.detector, segmenter=models.segmenter, device=device)
        checkpoint, detector = pipeline.networks.segmenter.checkpoint, pipeline.networks.detector
        told[who] = {
            "name": models.name or checkpoint.name,
            "segmenter": {"name": checkpoint.name, "sha256": checkpoint.sha256},
            "detector": {"name": detector.name, "sha256": detector.checksum},
        }

        def keep(setting: str, stack: Stack, result: Result, who: str = who) -> None:
            kept = masks.setdefault(stack.case, Predictions(stack.numbers, {TRUTH: np.asarray(stack.scar, dtype=bool)}))
            name = who if setting == END_TO_END else f"{who}, {setting}"
            kept.masks[name] = np.asarray(result.mask, dtype=bool).copy()

        def report(done: int, total: int, message: str, number: int = number, name: str = told[who]["name"]) -> None:
            progress(number * total + done, 2 * total, f"{name}: {message}")

        evaluations[who] = evaluate_models(
            pipeline, slices, threshold=_THRESHOLD, settings=_SETTINGS, on_result=keep, progress=report, cancel=cancel
        )
    pairs = {setting: _pairs(*(evaluations[who].settings[setting] for who in (NEW, USED))) for setting in _SETTINGS}
    figures = _figures(pairs)
    same = all(told[NEW][part]["sha256"] == told[USED][part]["sha256"] for part in ("segmenter", "detector"))
    rows = [_row(ends, tights) for ends, tights in zip(pairs[END_TO_END], pairs[REFERENCE_BOX], strict=True)]
    document = {
        "version": FORMAT_VERSION,
        "program": f"MyoScarSeg {__version__}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "threshold": _THRESHOLD,
        NEW: told[NEW],
        USED: told[USED],
        "figures": [
            {"name": name, "title": of.title, "unit": of.unit, "good": of.good, **figures[name].to_json()}
            for name, of in _FIGURES.items()
            if name in figures
        ],
        "cases": rows,
        "verdict": verdict(figures.get("end_to_end_dice"), figures.get("false_mass_g"), same_models=same),
        "failures": {who: dict(evaluations[who].failures) for who in (NEW, USED)},
        "notes": _notes(evaluations, rows),
    }
    return document, masks


def compare_run(
    run: Run,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    *,
    used: str | Path | None = None,
    used_detector: str | Path | None = None,
    library: Path | str | None = None,
) -> dict[str, Any]:
    """Compare what a run made with the models in use, on its validation patients, and keep the result in its folder: the files of
    :mod:`.comparison_files`, of which ``comparison.json`` is returned.

    It is compared with ``used`` and ``used_detector``; None for those that were in use when the run was planned, if its record
    says so, else those that the training started from. ``library`` has the patients; None for where the run finds them itself.
    """
    made, settings = run.models(), run.settings
    if not made:
        raise StudyError(f"The run {run.name} has made no model that could be compared.")
    planned = run.record.compare_with
    other = {
        "segmenter": used or planned.get("segmenter") or settings.start_segmenter,
        "detector": used_detector or planned.get("detector") or settings.start_detector,
    }
    other = {part: None if model == FRESH else model for part, model in other.items()}  # which is nothing to compare with
    # What was not trained is the same on both sides: the one that is used.
    mine = {part: made.get(part, other[part]) for part in other}
    main = "segmenter" if "segmenter" in made else "detector"
    document, masks = compare_models(
        Models(mine["segmenter"], mine["detector"], settings.name or run.name),
        Models(other["segmenter"], other["detector"], start_names(main, None if other[main] is None else str(other[main]))),
        validation_slices(run, library, progress, cancel),
        device=settings.device,
        progress=progress,
        cancel=cancel,
    )
    document |= {"run": run.name, "trained": sorted(made)}
    write_comparison(run.folder, document, masks)
    return document


def validation_slices(run: Run, library: Path | str | None, progress: Progress, cancel: CancelToken | None) -> list[LabeledSlice]:
    """The labeled slices of a run's validation patients, as its library has them now."""
    validation = set(run.split.validation)
    data = read_dataset(run.data(library), kind="library", progress=progress, cancel=cancel)
    found = [s for s in data.slices if s.patient in validation]
    if not found:
        raise StudyError(
            f"None of the run's {len(validation)} validation patients can be read: the models cannot be compared."
            if validation
            else "The run has no validation patients: the models cannot be compared."
        )
    return found


# ---- what is compared


Pair = tuple[CaseScore, CaseScore]


def _pairs(new: Sequence[CaseScore], used: Sequence[CaseScore]) -> list[Pair]:
    by_case = {(score.patient, score.case): score for score in used}
    return [(score, by_case[score.patient, score.case]) for score in new]


class _Figure(NamedTuple):
    """A figure that both models are compared by; ``of`` takes it from a case, None where a case has none."""

    title: str
    unit: str
    good: str
    of: Callable[[CaseScore], float | None]
    setting: str = END_TO_END
    with_scar: bool = True


_FIGURES: dict[str, _Figure] = {
    "end_to_end_dice": _Figure("Dice, end to end", "", "higher", lambda c: c.dice_3d),
    "oracle_dice": _Figure("Dice, with a tight box", "", "higher", lambda c: c.dice_3d, setting=REFERENCE_BOX),
    "hd95_mm": _Figure("Distance of the borders (HD95)", "mm", "lower", lambda c: c.hd95_3d_mm),
    "mass_bias_g": _Figure("Mass, mean error", "g", "near 0", lambda c: c.mass_error_g),
    "mass_absolute_error_g": _Figure(
        "Mass, mean size of the error", "g", "lower", lambda c: None if c.mass_error_g is None else abs(c.mass_error_g)
    ),
    "false_mass_g": _Figure("False scar of patients without scar", "g", "lower", lambda c: c.predicted_mass_g, with_scar=False),
}


def _figures(pairs: dict[str, list[Pair]]) -> dict[str, Difference]:
    """The figures that some patients have, by name: means over patients."""
    found = {}
    for name, figure in _FIGURES.items():
        of = pairs[figure.setting]
        # A patient with scar in one of several cases is a patient with scar.
        scarred = {a.patient for a, _ in of if a.has_scar}
        values: dict[str, list[tuple[float, float]]] = {}
        for a, b in of:
            new, used = figure.of(a), figure.of(b)
            if new is not None and used is not None and (a.has_scar if figure.with_scar else a.patient not in scarred):
                values.setdefault(a.patient, []).append((new, used))
        means = [np.mean(values[patient], axis=0) for patient in sorted(values)]
        difference = paired([float(mean[0]) for mean in means], [float(mean[1]) for mean in means])
        if difference is not None:
            found[name] = difference
    return found


def _row(ends: Pair, tights: Pair) -> dict[str, Any]:
    """One case: what both made of it."""
    new, used = ends
    both = {who: _of_case(ends[n], tights[n]) for n, who in enumerate((NEW, USED))}
    by_slice = [
        {
            "slice": a.slice, "truth_px": a.truth_px, "new_px": a.predicted_px, "used_px": b.predicted_px,
            "new_dice": rounded(a.dice), "used_dice": rounded(b.dice),
        }
        for a, b in zip(new.by_slice, used.by_slice, strict=True)
    ]  # fmt: skip
    # By pixels that the new model has wrong: a tiny scar that is missed has a Dice of 0, and is seldom the worst.
    worst = max(by_slice, key=lambda row: ((row["truth_px"] + row["new_px"]) * (1 - row["new_dice"]), -row["slice"]))
    return {
        "patient": new.patient,
        "case": new.case,
        "has_scar": new.has_scar,
        "slices_compared": new.slices,
        "truth_mass_g": rounded(new.truth_mass_g),
        "spacing_assumed": new.spacing_assumed,
        **both,
        "dice_difference": rounded(new.dice_3d - used.dice_3d),
        "worst": worst,
        "slices": by_slice,
        "masks": file_of(new.case),
    }


def _of_case(end: CaseScore, tight: CaseScore) -> dict[str, Any]:
    return {
        "end_to_end_dice": rounded(end.dice_3d),
        "oracle_dice": rounded(tight.dice_3d),
        "mass_g": rounded(end.predicted_mass_g),
        "mass_error_g": rounded(end.mass_error_g),
        "false_mass_g": rounded(end.predicted_mass_g if not end.has_scar else end.false_mass_g),
        "hd95_mm": rounded(end.hd95_3d_mm),
    }


def _notes(evaluations: dict[str, Evaluation], rows: Sequence[dict[str, Any]]) -> list[str]:
    notes = []
    if any(row["spacing_assumed"] for row in rows):
        notes.append("Some cases have lost their spacing: grams and millimeters rest on an assumed one.")
    for who, evaluation in evaluations.items():
        if evaluation.failures:
            notes.append(f"The {who} model failed on {counted(len(evaluation.failures), 'slice')}; what failed counts as empty.")
    return notes
