"""Masks in files against reference masks in files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.grids import common_grid
from MyoScarSegLib.study.masks import StoredLabels, check_cover, read_labels, read_stored
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets.labeled import CAVITY, INFARCT, scar_only_unless_wall
from MyoScarSegLib.training.datasets.labelmaps import (
    LabelMap,
    classes_of_segments,
    knows_wall,
    named_by_place,
    unnamed,
    whole_numbers,
)
from MyoScarSegLib.training.evaluation.evaluation import Evaluation
from MyoScarSegLib.training.evaluation.maskfiles import MaskFile, find_masks, match
from MyoScarSegLib.training.evaluation.scores import CaseScore, Grid, score_case
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

MASKS = "masks"


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
        labels: value to class in plain label volumes of ``truth``, values without a class being background; None for what each
            file's place says. Named segments need none. The reference's myocardium is taken from there, too, if it is labeled.
        pred_labels: the same of ``predicted``; None for what each file's place says, and for files that hold a value which is
            scar in ``labels``, those.
        spacing_mm: ``(i, j, k)`` for files without spacing, or instead of theirs.
        progress: called before each case.
        cancel: honoured before each case.

    Returns:
        The scores as setting :data:`MASKS`. Cases that cannot be compared, and references without a prediction, are among
        its failures; predictions without a reference are noted.

    Raises:
        UnnamedLabelsError: nothing says what values mean.
        StudyError: a path is missing or holds no mask, or no case is on both sides.
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
    truth_files = [(case, file.path) for case, file in references.cases.items()]
    predicted_files = [(reference.case, prediction.path) for prediction, reference in matches.pairs]
    truth_maps = _maps(truth_files, truth, labels, None, "--labels", failures)
    pred_maps = _maps(predicted_files, predicted, pred_labels, labels, "--pred-labels", failures)
    scores: list[CaseScore] = []
    for done, (prediction, reference) in enumerate(matches.pairs):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(done, len(matches.pairs), f"comparing {reference.case}")
        if reference.case in failures:
            continue
        try:
            maps = pred_maps[reference.case], truth_maps[reference.case]
            scores.append(_compare(prediction, reference, maps, spacing_mm, patients.get(reference.case)))
        except UnnamedLabelsError:
            raise
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
        "predicted_labels": _told(pred_maps),
        "truth_labels": _told(truth_maps),
    }
    return Evaluation({MASKS: tuple(scores)}, failures, how=how, notes=tuple(notes))


def _compare(
    prediction: MaskFile,
    reference: MaskFile,
    maps: tuple[LabelMap, LabelMap],
    spacing_mm: tuple[float, float, float] | None,
    patient: str | None,
) -> CaseScore:
    study = common_grid(reference.path, prediction.path)
    classes, wall_known = _classes(reference.path, study, maps[1])
    check_cover(classes >= INFARCT, str(reference.path))
    classes, wall_known = scar_only_unless_wall(classes, wall_known)
    mask = _classes(prediction.path, study, maps[0], "--pred-labels")[0] >= INFARCT
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


def _classes(path: Path, study: Study, label_map: LabelMap, option: str = "--labels") -> tuple[np.ndarray, bool]:
    stored = read_labels(path, study)
    if stored.segments:
        return classes_of_segments(stored.segments, str(path), label_map, option)
    values = whole_numbers(stored, str(path))
    classes = np.zeros(values.shape, dtype=np.uint8)
    for value, number in label_map.items():
        classes[values == value] = number
    return classes, knows_wall(label_map)


def _maps(
    files: list[tuple[str, Path]],
    where: Path,
    given: LabelMap | None,
    other: LabelMap | None,
    option: str,
    failures: dict[str, str],
) -> dict[str, LabelMap]:
    """The label map of each case: the one given, that of the file's place, or the other side's if it has a value that is scar.

    Raises:
        UnnamedLabelsError: there is none of these.
    """
    found: dict[str, LabelMap] = {}
    unknown: set[int] = set()
    for case, path in files:
        try:
            values = _values(path)
        except StudyError as error:
            failures[case] = str(error)
            continue
        if values is None:
            label_map: LabelMap | None = given or other or {}
        else:
            label_map = given or named_by_place(path, values, where if where.is_dir() else None)
            if label_map is None and other is not None and any(other.get(value, 0) >= INFARCT for value in values):
                label_map = other
        if label_map is None:
            unknown |= values or set()
        else:
            found[case] = label_map
    if unknown:
        raise unnamed(str(where), unknown, option)
    return found


def _values(path: Path) -> set[int] | None:
    """All values in a plain label volume; None for a segmentation."""
    values, _, fields = read_stored(path)
    return None if values.ndim != 3 or fields else {int(v) for v in np.unique(whole_numbers(StoredLabels(values), str(path)))}


def _told(maps: dict[str, LabelMap]) -> dict[str, int]:
    return {str(value): number for label_map in maps.values() for value, number in label_map.items()}


def _patients(truth: Path) -> dict[str, str]:
    """Case to patient, where the reference is a training library; a case of its own each elsewhere."""
    from MyoScarSegLib.training.datasets.training_library import MARK, Library

    if not (truth / MARK).is_file():
        return {}
    return {record.case: record.patient for record in Library.open(truth).scan()[0]}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
