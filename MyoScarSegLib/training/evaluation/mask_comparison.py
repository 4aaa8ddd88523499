"""Masks in files against reference masks in files, matched by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.outputs.case_walls import RESULT, scar_in
from MyoScarSegLib.study.masks import dicom_masks_in, read_labels
from MyoScarSegLib.study.names import is_segmentation, natural_order, stem
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.segments import check_cover
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM
from MyoScarSegLib.training.datasets.labelmaps import (
    LabelMap,
    apply_label_map,
    classes_of_segments,
    named_by_place,
    unnamed,
    whole_numbers,
)
from MyoScarSegLib.training.datasets.pairs import LABEL_FOLDERS, LABEL_WORDS, folders_in, subfolder, volumes_in
from MyoScarSegLib.training.datasets.places import CASES
from MyoScarSegLib.training.datasets.training_library import Library, is_library
from MyoScarSegLib.training.evaluation.common_grid import common_grid
from MyoScarSegLib.training.evaluation.scores import CaseScore, Grid, score_case
from MyoScarSegLib.training.evaluation.summary import Evaluation
from MyoScarSegLib.utils.files import read_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps
from MyoScarSegLib.utils.words import listed

MASKS = "masks"
_MASK_WORDS = rf"{LABEL_WORDS}|truth|pred|predictions?"
_MASK_NAME = re.compile(rf"(?:^|[_\-. ])(?:{_MASK_WORDS})$", re.IGNORECASE)
_ENDING = re.compile(rf"[_\-. ](?:{_MASK_WORDS}|lge|image|0000)$", re.IGNORECASE)
_PROBABILITY = "probability.nii.gz"


def compare_masks(
    predicted: Path,
    truth: Path,
    *,
    labels: LabelMap | None = None,
    pred_labels: LabelMap | None = None,
    image: Path | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Compare predicted masks with reference masks, matched by name; see :func:`find_masks` for what files and folders may be.

    Two files, or the folders of two cases that ``segment`` wrote, are a pair whatever their names.

    The scores are those of the setting :data:`MASKS`. Cases that cannot be compared, and references without a prediction, are
    among the failures; predictions without a reference are noted.

    Args:
        labels: value to class in plain label volumes of ``truth``, values without a class being background; None for what each
            file's place says. Named segments need none. The reference's myocardium is taken from there, too, if it is labeled.
        pred_labels: the same of ``predicted``; None for what each file's place says, and for files that hold a value which is
            scar in ``labels``, those.
        image: the study that the masks were drawn on, or a folder with the study of each case, matched by name. Two DICOM masks
            need it unless they say their whole grid; other masks of a case that has one are put on it, too.
        spacing_mm: ``(i, j, k)`` for files without spacing, or instead of theirs.

    Raises:
        UnnamedLabelsError: nothing says what values mean.
        StudyError: a path is missing or holds no mask, or no case is on both sides.
    """
    predicted, truth = (scar_in(path) if (path / RESULT).is_file() else path for path in (predicted, truth))
    (predictions, failures), (references, skipped) = find_masks(predicted), find_masks(truth)
    failures |= skipped
    if predicted.is_file() and truth.is_file():
        predictions = dict(zip(references, predictions.values(), strict=True))
    matched = match(predictions, references)
    if not matched:
        there = [listed(names, 3) or "none" for names in (predictions, references)]
        reasons = "".join(f" {why}" for why in failures.values())
        raise StudyError(
            f"No case is in both {predicted} and {truth}: the one has {there[0]}, the other {there[1]}. Cases are matched by "
            f"name.{reasons}"
        )
    if predicted.is_dir():
        lacking = [case for case in references if case not in matched]
        failures |= dict.fromkeys(lacking, f"It has a reference, but no prediction in {predicted}.")
    studies = _studies(image, matched, one_case=predicted.is_file() and truth.is_file())
    library = Library.open(truth) if is_library(truth) else None
    patients = {} if library is None else {record.case: record.patient for record in library.scan()[0]}
    sides = _Masks(truth, labels, None, "--labels"), _Masks(predicted, pred_labels, labels, "--pred-labels")
    scores: list[CaseScore] = []
    for case in steps(matched, lambda case: f"comparing {case}", progress, cancel):
        try:
            files = references[case], predictions[matched[case]]
            study = read_study(studies[case]) if case in studies else common_grid(*files)
            scores.append(_compare(case, patients.get(case), study, files, sides, spacing_mm))
        except UnnamedLabelsError:
            raise
        except StudyError as error:
            failures[case] = str(error)
    for side in sides:  # asked for once, for all of the folder
        if side.unknown:
            raise unnamed(str(side.where), side.unknown, side.option)
    notes = []
    if without_truth := [name for name in predictions if name not in matched.values()]:
        has, counted = ("has", "is") if len(without_truth) == 1 else ("have", "are")
        notes.append(f"{listed(without_truth, 3)} {has} no reference in {truth} and {counted} not counted.")
    if unsized := [s.case for s in scores if s.truth_mass_g is None]:
        notes.append(f"{listed(unsized, 3)}: no spacing, so neither distances nor mL and g; --spacing supplies it.")
    how: dict[str, Any] = {"predicted": predicted.name, "truth": truth.name}
    how |= {"predicted_labels": sides[1].used, "truth_labels": sides[0].used}
    return Evaluation({MASKS: tuple(scores)}, failures, how=how, notes=tuple(notes))


def _compare(
    case: str,
    patient: str | None,
    study: Study,
    files: tuple[Path, Path],
    sides: tuple[_Masks, _Masks],
    spacing_mm: tuple[float, float, float] | None,
) -> CaseScore:
    """One case's reference and prediction, in this order in ``files`` and ``sides``, on the grid of ``study``."""
    reference, prediction = files
    classes = sides[0].classes(reference, study)
    check_cover(classes >= INFARCT, str(reference))
    mask = sides[1].classes(prediction, study) >= INFARCT
    probability: np.ndarray | None = None
    geometry = study.geometry
    if (prediction.parent / RESULT).is_file():  # beside several cases' masks in one folder it would be of nobody knows which
        beside = prediction.parent / _PROBABILITY
        probability = read_labels(beside, study).values if beside.is_file() and beside != prediction else None
        document = read_json(prediction.parent / RESULT, StudyError)
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
        wall=classes > CAVITY if (classes == MYOCARDIUM).any() else None,
        probability=probability,
    )


def _studies(image: Path | None, cases: Iterable[str], *, one_case: bool) -> dict[str, Path]:
    """Case to the study that its masks were drawn on, of those cases that have one in ``image``."""
    if image is None:
        return {}
    cases = list(cases)
    if not one_case and image.is_dir():
        there = {_name(path): path for path in (*volumes_in(image), *folders_in(image))}
        if found := match(there, cases):
            return {case: there[name] for case, name in found.items()}
    if len(cases) > 1:
        raise StudyError(
            f"{image} holds no study that is named like a case ({listed(cases, 3)}): give the folder that they lie in."
        )
    return dict.fromkeys(cases, image)


@dataclass
class _Masks:
    """The masks of one side: their values mean what the user says, what each file's place says, or what the other side's do.

    Attributes:
        where: their file or folder.
        given: the user's label map.
        other: that of the other side, for files that hold a value which is scar there.
        option: by which a user gives the map.
        used: value to class, of all files.
        unknown: values that nothing explains.
    """

    where: Path
    given: LabelMap | None
    other: LabelMap | None
    option: str
    used: dict[str, int] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)

    def classes(self, path: Path, study: Study) -> np.ndarray:
        """The classes of a mask file on the grid of ``study``, uint8 ``[k, j, i]``."""
        stored = read_labels(path, study)
        if stored.segments:
            label_map = self._noted(self.given or self.other or {})
            return classes_of_segments(stored.segments, str(path), label_map, self.option)[0]
        values = whole_numbers(stored, str(path))
        found = {int(value) for value in np.unique(values)}
        said = self.given or named_by_place(path, found, self.where if self.where.is_dir() else None)
        if said is None and self.other is not None and any(self.other.get(value, 0) >= INFARCT for value in found):
            said = self.other
        if said is None:
            self.unknown |= found
            raise StudyError(f"Nothing says what the values of {path} mean.")
        return apply_label_map(values, dict.fromkeys(found, BACKGROUND) | self._noted(said), str(path))

    def _noted(self, label_map: LabelMap) -> dict[int, int]:
        self.used |= {str(value): number for value, number in label_map.items()}
        return dict(label_map)


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
    if is_library(path):
        path = path / CASES
    skipped: dict[str, str] = {}
    found: dict[str, list[Path]] = {}
    flat = _masks_in(path)
    for file in flat:
        found.setdefault(_name(file), []).append(file)
    for folder in [] if flat else folders_in(path):
        if files := _masks_in(folder):
            found[folder.name] = files
        elif (folder / RESULT).is_file() or volumes_in(folder):
            skipped[folder.name] = f"{folder} holds no mask."
    cases: dict[str, Path] = {}
    for case, files in found.items():
        # A result is written as a segmentation and as a volume: the same mask twice.
        best = [file for file in files if is_segmentation(file)] or files
        rivals = files if flat else best
        if len({stem(file) for file in rivals}) > 1:
            skipped[case] = f"{case} has several masks ({', '.join(file.name for file in rivals)}); leave one."
        else:
            cases[case] = best[0]
    if not cases and not skipped:
        raise StudyError(
            f"{path} holds no masks: expected are .seg.nrrd, NIfTI, NRRD, MHA, DICOM SEG or RTSTRUCT files, or a folder per case."
        )
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
    if (path.parent / RESULT).is_file():
        return path.parent.name
    name = stem(path)
    return _ENDING.sub("", name) or name


def _key(name: str) -> str:
    before = ""
    while name != before:
        before, name = name, _ENDING.sub("", name)
    return name.casefold()


def _masks_in(folder: Path) -> list[Path]:
    """The masks of a folder, or of its ``labels`` or the like: DICOM, and volumes named like masks; if there are none, all."""
    inner = (subfolder(folder, (name,)) for name in LABEL_FOLDERS)
    places = [*(sub for sub in inner if sub is not None), folder]
    files, dicom = next((found for place in places if any(found := (volumes_in(place), dicom_masks_in(place)))), ([], []))
    named = [f for f in files if is_segmentation(f) or _MASK_NAME.search(stem(f))]
    names = {_name(f) for f in named}  # a result may have been written as DICOM, too
    named += [f for f in dicom if _name(f) not in names]
    return named or [f for f in files if f.name != _PROBABILITY]
