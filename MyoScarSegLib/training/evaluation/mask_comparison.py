"""Masks in files against reference masks in files, matched by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.grids import common_grid
from MyoScarSegLib.study.masks import StoredLabels, is_dicom_mask, read_labels, read_stored
from MyoScarSegLib.study.names import has_extension, natural_order
from MyoScarSegLib.study.segments import check_cover
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
from MyoScarSegLib.training.datasets.pairs import LABEL_FOLDERS, in_order, stem, subfolder, volumes_in
from MyoScarSegLib.training.evaluation.scores import CaseScore, Grid, score_case
from MyoScarSegLib.training.evaluation.summary import Evaluation
from MyoScarSegLib.utils.files import read_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps
from MyoScarSegLib.utils.words import listed

MASKS = "masks"
_OF_MASKS = r"labels?|masks?|seg|segmentations?|contours?|annotations?|gt|ground_?truth|truth|scar|pred|predictions?"
_MASK_NAME = re.compile(rf"(?:^|[_\-. ])(?:{_OF_MASKS})$", re.IGNORECASE)
_ENDING = re.compile(rf"[_\-. ](?:{_OF_MASKS}|lge|image|0000)$", re.IGNORECASE)
_SEGMENTATION = (".seg.nrrd", ".seg.nhdr")
_PROBABILITY, _RESULT = "probability.nii.gz", "result.json"


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
    """Compare predicted masks with reference masks, matched by name; see :func:`find_masks` for what files and folders may be.

    The scores are those of the setting :data:`MASKS`. Cases that cannot be compared, and references without a prediction, are
    among the failures; predictions without a reference are noted.

    Args:
        labels: value to class in plain label volumes of ``truth``, values without a class being background; None for what each
            file's place says. Named segments need none. The reference's myocardium is taken from there, too, if it is labeled.
        pred_labels: the same of ``predicted``; None for what each file's place says, and for files that hold a value which is
            scar in ``labels``, those.
        spacing_mm: ``(i, j, k)`` for files without spacing, or instead of theirs.

    Raises:
        UnnamedLabelsError: nothing says what values mean.
        StudyError: a path is missing or holds no mask, or no case is on both sides.
    """
    (predictions, failures), (references, skipped) = find_masks(predicted), find_masks(truth)
    failures |= skipped
    if predicted.is_file() and truth.is_file():  # two files that were given as such are a pair whatever their names
        predictions = dict(zip(references, predictions.values(), strict=True))
    matched = match(predictions, references)
    if not matched:
        raise StudyError(
            f"No case is in both {predicted} and {truth}: the one has {listed(predictions, 3)}, the other "
            f"{listed(references, 3)}. Cases are matched by name."
        )
    if predicted.is_dir():
        lacking = [case for case in references if case not in matched]
        failures |= dict.fromkeys(lacking, f"It has a reference, but no prediction in {predicted}.")
    patients = _patients(truth)
    truth_maps = _maps(references, truth, labels, None, "--labels", failures)
    files = {case: predictions[name] for case, name in matched.items()}
    pred_maps = _maps(files, predicted, pred_labels, labels, "--pred-labels", failures)
    scores: list[CaseScore] = []
    for case in steps(matched, lambda case: f"comparing {case}", progress, cancel):
        if case in failures:
            continue
        try:
            maps = pred_maps[case], truth_maps[case]
            scores.append(_compare(case, patients.get(case), (files[case], references[case]), maps, spacing_mm))
        except UnnamedLabelsError:
            raise
        except StudyError as error:
            failures[case] = str(error)
    without_truth = [name for name in predictions if name not in matched.values()]
    notes = []
    if without_truth:
        has, counted = ("has", "is") if len(without_truth) == 1 else ("have", "are")
        notes.append(f"{listed(without_truth, 3)} {has} no reference in {truth} and {counted} not counted.")
    unsized = [s.case for s in scores if s.truth_mass_g is None]
    if unsized:
        notes.append(f"{listed(unsized, 3)}: no spacing, so neither distances nor mL and g; --spacing supplies it.")
    how = {
        "predicted": predicted.name,
        "truth": truth.name,
        "predicted_labels": _told(pred_maps),
        "truth_labels": _told(truth_maps),
    }
    return Evaluation({MASKS: tuple(scores)}, failures, how=how, notes=tuple(notes))


def _compare(
    case: str,
    patient: str | None,
    files: tuple[Path, Path],
    maps: tuple[LabelMap, LabelMap],
    spacing_mm: tuple[float, float, float] | None,
) -> CaseScore:
    """One case's prediction and reference, of which ``files`` and ``maps`` are."""
    prediction, reference = files
    study = common_grid(reference, prediction)
    classes, wall_known = _classes(reference, study, maps[1])
    check_cover(classes >= INFARCT, str(reference))
    classes, wall_known = scar_only_unless_wall(classes, wall_known)
    mask = _classes(prediction, study, maps[0], "--pred-labels")[0] >= INFARCT
    probability: np.ndarray | None = None
    geometry = study.geometry
    if (prediction.parent / _RESULT).is_file():  # beside several cases' masks in one folder it would be of nobody knows which
        beside = prediction.parent / _PROBABILITY
        probability = read_labels(beside, study).values if beside.is_file() and beside != prediction else None
        document = read_json(prediction.parent / _RESULT, StudyError)
        sized = not isinstance(document, dict) or document.get("spacing_mm", ()) is not None
        if not sized and geometry.spacing_mm == (1.0, 1.0, 1.0):  # the image had no spacing, and 1 mm is only a filler
            geometry = replace(geometry, spacing_mm=None)
    if spacing_mm is not None:
        geometry = study.with_spacing(spacing_mm).geometry
    return score_case(
        mask,
        classes >= INFARCT,
        Grid.of(geometry, study.slices),
        case=case,
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
    files: dict[str, Path],
    where: Path,
    given: LabelMap | None,
    other: LabelMap | None,
    option: str,
    failures: dict[str, str],
) -> dict[str, LabelMap]:
    """The label map of each case: the one given, that of the file's place, or the other side's if it has a value that is scar."""
    found: dict[str, LabelMap] = {}
    unknown: set[int] = set()
    for case, path in files.items():
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
    if is_dicom_mask(path):
        return None
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


def find_masks(path: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Name of a case to the mask that ``path`` is, or to those in the folder; and of others to the reason why they have none.

    A folder may hold mask files (with images among them only those that are named like masks), a subfolder ``labels`` or the like
    of them, or a folder per case: what ``myoscarseg segment`` writes, EMIDEC's ``Case_P001/Contours/Case_P001.nii.gz``, or
    anything with one mask in it. A training library's cases are found, too.
    """
    if path.is_file():
        return {_name(path): path}, {}
    if not path.is_dir():
        raise StudyError(f"There is no file or folder {path}.")
    if (path / "library.json").is_file():
        path = path / "cases"
    cases: dict[str, Path] = {}
    skipped: dict[str, str] = {}

    def add(case: str, files: list[Path]) -> None:
        # A result is written as a segmentation and as a volume: the same mask twice.
        best = [f for f in files if has_extension(f, _SEGMENTATION)] or files
        earlier = cases.get(case)
        if len(best) > 1 or (earlier is not None and stem(earlier) != stem(best[0])):
            names = ", ".join(f.name for f in ([earlier] if earlier else []) + best)
            cases.pop(case, None)
            skipped[case] = f"{case} has several masks ({names}); leave one."
        elif case not in skipped and (earlier is None or has_extension(best[0], _SEGMENTATION)):
            cases[case] = best[0]

    flat = _masks_in(path)
    for file in flat:
        add(_name(file), [file])
    for folder in [] if flat else in_order(p for p in path.iterdir() if p.is_dir()):
        if files := _masks_in(folder):
            add(folder.name, files)
        elif (folder / _RESULT).is_file() or volumes_in(folder):
            skipped[folder.name] = f"{folder} holds no mask."
    if not cases and not skipped:
        raise StudyError(f"{path} holds no masks: expected are .seg.nrrd, NIfTI, NRRD or MHA files, or a folder per case.")
    return cases, skipped


def match(predicted: Iterable[str], truth: Iterable[str]) -> dict[str, str]:
    """Reference to prediction of one name; failing that, of names that differ in letters' case or endings alone.

    ``a_lge`` and ``a_labels`` do. The references are in natural order; what has no partner, or several, is left out.
    """
    by_key: dict[str, list[str]] = {}
    for name in truth:
        by_key.setdefault(_key(name), []).append(name)
    known = set(truth)
    pairs: dict[str, str] = {}
    # Equal names first, so that no near one takes their place.
    for name in sorted(predicted, key=lambda n: n not in known):
        candidates = [name] if name in known else by_key.get(_key(name), [])
        if len(candidates) == 1:
            pairs.setdefault(candidates[0], name)
    return dict(sorted(pairs.items(), key=lambda pair: natural_order(pair[0])))


def _name(path: Path) -> str:
    """A mask file's case: of a result's own files that of their folder."""
    if (path.parent / _RESULT).is_file():
        return path.parent.name
    name = stem(path)
    return _ENDING.sub("", name) or name


def _key(name: str) -> str:
    before = ""
    while name != before:
        before, name = name, _ENDING.sub("", name)
    return name.casefold()


def _masks_in(folder: Path) -> list[Path]:
    """The volumes of a folder, or of its ``labels`` or the like, that are named like masks; if none is, all."""
    inner = (subfolder(folder, (name,)) for name in LABEL_FOLDERS)
    files = next((found for sub in inner if sub is not None and (found := volumes_in(sub))), None) or volumes_in(folder)
    named = [f for f in files if has_extension(f, _SEGMENTATION) or _MASK_NAME.search(stem(f))]
    return named or [f for f in files if f.name != _PROBABILITY]
