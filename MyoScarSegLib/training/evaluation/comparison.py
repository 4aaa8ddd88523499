"""Masks in files against reference masks in files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.study.grids import common_grid
from MyoScarSegLib.study.masks import read_labels, read_stored
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets.dataset import scar_only_unless_wall
from MyoScarSegLib.training.datasets.labelled import CAVITY, INFARCT
from MyoScarSegLib.training.datasets.labelmaps import (
    BINARY,
    LabelMap,
    classes_of_segments,
    default_label_map,
    knows_wall,
    whole_numbers,
)
from MyoScarSegLib.training.evaluation.evaluation import Evaluation
from MyoScarSegLib.training.evaluation.maskfiles import MaskFile, find_masks, match
from MyoScarSegLib.training.evaluation.scores import CaseScore, Grid, score_case

MASKS = "masks"


@dataclass(frozen=True)
class _Meaning:
    """What the values of plain label volumes mean, on either side."""

    predicted: LabelMap
    truth: LabelMap


def compare_masks(
    predicted: Path,
    truth: Path,
    *,
    labels: LabelMap | None = None,
    pred_labels: LabelMap | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Compare predicted masks with reference masks, matched by name; see :mod:`.maskfiles` for what folders may hold.

    Args:
        predicted: file or folder.
        truth: file or folder.
        labels: value to class in plain label volumes of ``truth``, values without a class being background; None for what the
            values of all files together speak for (0 and 1, or EMIDEC's). Named segments need none. The reference's myocardium
            is taken from there, too, if it is labelled.
        pred_labels: the same of ``predicted``; None for 0 and 1, and for other values those of ``truth``.
        spacing_mm: ``(i, j, k)`` for files without spacing, or instead of theirs.
        progress: called before each case.
        cancel: honoured before each case.

    Returns:
        The scores as setting :data:`MASKS`. Cases that cannot be compared, and references without a prediction, are among
        its failures; predictions without a reference are noted.

    Raises:
        StudyError: a path is missing or holds no mask, no case is on both sides, or the values do not say what is scar.
        Cancelled: the token was set.
    """
    predictions, references = find_masks(predicted), find_masks(truth)
    matches = match(predictions, references)
    if not matches.pairs:
        raise StudyError(
            f"No case is in both {predicted} and {truth}: the one has {_some(predictions.cases)}, the other "
            f"{_some(references.cases)}. Cases are matched by name."
        )
    failures = {**predictions.skipped, **references.skipped}
    if not predictions.single:
        failures |= dict.fromkeys(matches.without_prediction, f"It has a reference, but no prediction in {predicted}.")
    patients = _patients(truth)
    predicted_files = [(reference.case, prediction.path) for prediction, reference in matches.pairs]
    truth_files = [(case, file.path) for case, file in references.cases.items()]
    meaning = _meaning(predicted_files, truth_files, str(truth), labels, pred_labels, failures)
    scores: list[CaseScore] = []
    for done, (prediction, reference) in enumerate(matches.pairs):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(done, len(matches.pairs), f"comparing {reference.case}")
        if reference.case in failures:
            continue
        try:
            scores.append(_compare(prediction, reference, meaning, spacing_mm, patients.get(reference.case)))
        except StudyError as error:
            failures[reference.case] = str(error)
    progress(len(matches.pairs), len(matches.pairs), "compared")
    notes = [f"{name} has no reference in {truth} and is not counted." for name in matches.without_truth]
    unsized = [s.case for s in scores if s.truth_mass_g is None]
    if unsized:
        notes.append(f"{_some(unsized)}: no spacing, so neither distances nor mL and g; --spacing supplies it.")
    how = {
        "predicted": predicted.name,
        "truth": truth.name,
        "predicted_labels": {str(value): number for value, number in meaning.predicted.items()},
        "truth_labels": {str(value): number for value, number in meaning.truth.items()},
    }
    return Evaluation({MASKS: tuple(scores)}, failures, how=how, notes=tuple(notes))


def _compare(
    prediction: MaskFile,
    reference: MaskFile,
    meaning: _Meaning,
    spacing_mm: tuple[float, float, float] | None,
    patient: str | None,
) -> CaseScore:
    study = common_grid(reference.path, prediction.path)
    classes, wall_known = _classes(reference.path, study, meaning.truth)
    classes, wall_known = scar_only_unless_wall(classes, wall_known)
    mask = _classes(prediction.path, study, meaning.predicted)[0] >= INFARCT
    probability = None if prediction.probability is None else read_labels(prediction.probability, study).values
    geometry = study.geometry
    if spacing_mm is not None:
        geometry = study.with_spacing(spacing_mm).geometry
    elif not prediction.spacing_known and geometry.spacing_mm == (1.0, 1.0, 1.0):
        geometry = replace(geometry, spacing_mm=None)
    return score_case(
        mask,
        classes >= INFARCT,
        Grid.of(geometry, study.slices),
        case=reference.case,
        patient=patient,
        wall=classes > CAVITY if wall_known else None,
        probability=probability,
    )


def _classes(path: Path, study: Study, label_map: LabelMap) -> tuple[np.ndarray, bool]:
    stored = read_labels(path, study)
    if stored.segments:
        return classes_of_segments(stored.segments, str(path))
    values = whole_numbers(stored, str(path))
    classes = np.zeros(values.shape, dtype=np.uint8)
    for value, number in label_map.items():
        classes[values == value] = number
    return classes, knows_wall(label_map)


def _meaning(
    predicted_files: list[tuple[str, Path]],
    truth_files: list[tuple[str, Path]],
    where: str,
    labels: LabelMap | None,
    pred_labels: LabelMap | None,
    failures: dict[str, str],
) -> _Meaning:
    """The label maps of both sides; where none is given from all values that occur, of the reference also in unmatched cases."""
    predicted, truth = pred_labels, labels
    if truth is None:
        emidec = all(case.startswith("Case_") for case, _ in truth_files)
        truth = default_label_map(_values(truth_files, failures), where, emidec=emidec)
    if predicted is None:
        drawn = _values(predicted_files, failures) - {0}
        single = next(iter(drawn), 1)
        predicted = BINARY[single] if len(drawn) <= 1 and single in BINARY else truth
    return _Meaning(predicted, truth)


def _values(files: list[tuple[str, Path]], failures: dict[str, str]) -> set[int]:
    """All values in plain label volumes; of files that cannot be read the reason is kept."""
    from MyoScarSegLib.study.masks import StoredLabels

    found: set[int] = set()
    for case, path in files:
        try:
            values, _, fields = read_stored(path)
            if values.ndim == 3 and not fields:
                found |= {int(value) for value in np.unique(whole_numbers(StoredLabels(values), str(path)))}
        except StudyError as error:
            failures[case] = str(error)
    return found


def _patients(truth: Path) -> dict[str, str]:
    """Case to patient, where the reference is a training library; a case of its own each elsewhere."""
    from MyoScarSegLib.training.datasets.library import MARK, Library

    if not (truth / MARK).is_file():
        return {}
    return {record.case: record.patient for record in Library.open(truth).scan()[0]}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
