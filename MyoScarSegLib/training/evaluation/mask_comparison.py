"""Masks in files against reference masks in files, matched by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.grids import common_grid
from MyoScarSegLib.study.masks import StoredLabels, check_cover, is_dicom_mask, read_labels, read_stored
from MyoScarSegLib.study.names import has_extension, natural_order
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
    """Compare predicted masks with reference masks, matched by name; see :func:`find_masks` for what folders may hold.

    Args:
        predicted: file or folder.
        truth: file or folder.
        labels: value to class in plain label volumes of ``truth``, values without a class being background; None for what each
            file's place says. Named segments need none. The reference's myocardium is taken from there, too, if it is labeled.
        pred_labels: the same of ``predicted``; None for what each file's place says, and for files that hold a value which is
            scar in ``labels``, those.
        spacing_mm: ``(i, j, k)`` for files without spacing, or instead of theirs.
        progress, cancel: before each case.

    Returns:
        The scores as setting :data:`MASKS`. Cases that cannot be compared, and references without a prediction, are among
        its failures; predictions without a reference are noted.

    Raises:
        UnnamedLabelsError: nothing says what values mean.
        StudyError: a path is missing or holds no mask, or no case is on both sides.
        Cancelled: the token was set.
    """
    predictions, references = find_masks(predicted), find_masks(truth)
    pairs, without_truth, without_prediction = match(predictions, references)
    if not pairs:
        raise StudyError(
            f"No case is in both {predicted} and {truth}: the one has {_some(predictions.cases)}, the other "
            f"{_some(references.cases)}. Cases are matched by name."
        )
    failures = {**predictions.skipped, **references.skipped}
    if not predictions.single:
        failures |= dict.fromkeys(without_prediction, f"It has a reference, but no prediction in {predicted}.")
    patients = _patients(truth)
    truth_files = [(case, file.path) for case, file in references.cases.items()]
    predicted_files = [(reference.case, prediction.path) for prediction, reference in pairs]
    truth_maps = _maps(truth_files, truth, labels, None, "--labels", failures)
    pred_maps = _maps(predicted_files, predicted, pred_labels, labels, "--pred-labels", failures)
    scores: list[CaseScore] = []
    for prediction, reference in steps(pairs, lambda pair: f"comparing {pair[1].case}", progress, cancel):
        if reference.case in failures:
            continue
        try:
            maps = pred_maps[reference.case], truth_maps[reference.case]
            scores.append(_compare(prediction, reference, maps, spacing_mm, patients.get(reference.case)))
        except UnnamedLabelsError:
            raise
        except StudyError as error:
            failures[reference.case] = str(error)
    notes = [f"{name} has no reference in {truth} and is not counted." for name in without_truth]
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


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


@dataclass(frozen=True)
class MaskFile:
    """A mask of one case.

    Attributes:
        case: its name.
        path: the mask or label volume.
        probability: the probabilities that it was made from; None if they are not beside it.
        spacing_known: False if it was made from an image without spacing, so that the file's 1 mm is only a filler.
    """

    case: str
    path: Path
    probability: Path | None = None
    spacing_known: bool = True


@dataclass(frozen=True)
class MaskFiles:
    """The masks of a file or folder.

    Attributes:
        cases: by name, in natural order.
        skipped: name of a case to the reason why it has no mask.
        single: a file was given, not a folder.
    """

    cases: dict[str, MaskFile] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    single: bool = False


def find_masks(path: Path) -> MaskFiles:
    """The mask that ``path`` is, or the masks in the folder.

    A folder may hold mask files (with images among them only those that are named like masks), a subfolder ``labels`` or the
    like of them, or a folder per case: what ``myoscarseg segment`` writes, EMIDEC's ``Case_P001/Contours/Case_P001.nii.gz``,
    or anything with one mask in it. A training library's cases are found, too.

    Raises:
        StudyError: there is no such file or folder, or no mask in it.
    """
    if path.is_file():
        return MaskFiles({_name(path): _mask_file(_name(path), path)}, single=True)
    if not path.is_dir():
        raise StudyError(f"There is no file or folder {path}.")
    if (path / "library.json").is_file():
        path = path / "cases"
    found = MaskFiles()
    flat = _masks_in(path)
    for file in flat:
        _add(found, _name(file), [file])
    for folder in [] if flat else in_order(p for p in path.iterdir() if p.is_dir()):
        if files := _masks_in(folder):
            _add(found, folder.name, files)
        elif (folder / _RESULT).is_file() or volumes_in(folder):
            found.skipped[folder.name] = f"{folder} holds no mask."
    if not found.cases and not found.skipped:
        raise StudyError(f"{path} holds no masks: expected are .seg.nrrd, NIfTI, NRRD or MHA files, or a folder per case.")
    return found


def match(predicted: MaskFiles, truth: MaskFiles) -> tuple[list[tuple[MaskFile, MaskFile]], list[str], list[str]]:
    """Pairs of one name; failing that, of names that differ in letters' case or endings alone (``a_lge`` and ``a_labels``).

    Two files that were given as such are a pair whatever their names.

    Returns:
        The pairs, and names of cases without a reference and of those without a prediction.
    """
    if predicted.single and truth.single:
        return list(zip(predicted.cases.values(), truth.cases.values(), strict=True)), [], []
    by_key: dict[str, list[str]] = {}
    for name in truth.cases:
        by_key.setdefault(_key(name), []).append(name)
    pairs, without_truth, used = [], [], set()
    # Equal names first, so that no near one takes their place.
    for name in sorted(predicted.cases, key=lambda n: n not in truth.cases):
        candidates = [name] if name in truth.cases else by_key.get(_key(name), [])
        if len(candidates) == 1 and candidates[0] not in used:
            used.add(candidates[0])
            pairs.append((predicted.cases[name], truth.cases[candidates[0]]))
        else:
            without_truth.append(name)
    pairs.sort(key=lambda pair: natural_order(pair[1].case))
    return pairs, without_truth, [name for name in truth.cases if name not in used]


def _add(found: MaskFiles, case: str, files: list[Path]) -> None:
    # A result is written as a segmentation and as a volume: the same mask twice.
    best = [f for f in files if has_extension(f, _SEGMENTATION)] or files
    earlier = found.cases.get(case)
    if len(best) > 1 or (earlier is not None and stem(earlier.path) != stem(best[0])):
        names = ", ".join(f.name for f in ([earlier.path] if earlier else []) + best)
        found.cases.pop(case, None)
        found.skipped[case] = f"{case} has several masks ({names}); leave one."
    elif case not in found.skipped and (earlier is None or has_extension(best[0], _SEGMENTATION)):
        found.cases[case] = _mask_file(case, best[0])


def _mask_file(case: str, path: Path) -> MaskFile:
    probability, result = path.parent / _PROBABILITY, path.parent / _RESULT
    known = True
    if result.is_file():
        document = read_json(result, StudyError)
        known = not isinstance(document, dict) or document.get("spacing_mm", ()) is not None
    # Beside several cases' masks in one folder a probability map would be of nobody knows which.
    own = probability.is_file() and result.is_file() and probability != path
    return MaskFile(case, path, probability if own else None, known)


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
