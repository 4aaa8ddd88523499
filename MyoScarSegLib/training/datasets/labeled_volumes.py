"""Folders of image and label volumes (NIfTI, NRRD, MetaImage; images also as DICOM folders)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.masks import check_cover, read_labels
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets import labelmaps
from MyoScarSegLib.training.datasets.labeled import INFARCT, LabeledStudy, scar_only_unless_wall
from MyoScarSegLib.training.datasets.labelmaps import LabelMap
from MyoScarSegLib.training.datasets.pairs import Pair, find_pairs
from MyoScarSegLib.training.datasets.patients import PatientRule
from MyoScarSegLib.training.datasets.stored_stacks import Sidecar, read_written
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps


@dataclass(frozen=True)
class _Read:
    """A case before the data set's label map is known: classes, or values that still need it."""

    pair: Pair
    patient: str
    study: Study
    classes: np.ndarray | None
    values: np.ndarray | None
    wall_known: bool


def read_volumes(
    folder: Path,
    *,
    label_map: LabelMap | None = None,
    patients: PatientRule | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> tuple[list[LabeledStudy], dict[str, str]]:
    """All cases of a folder of volumes, and why others could not be read.

    The label map is the one given, the one that nnU-Net's ``dataset.json`` or a conversion by this program left, or the one
    that a file's place says (:func:`~.labelmaps.named_by_place`); named segments (``.seg.nrrd``) need none.

    Raises:
        UnnamedLabelsError: nothing says what the values mean.
        StudyError: no case can be read.
        Cancelled: ``cancel`` was set.
    """
    found = find_pairs(folder)
    if not found.pairs and not found.skipped:
        raise StudyError(
            f"{folder} holds no image with labels: expected are images/ and labels/ with equal names, a folder per case, or "
            "a_lge.nii.gz beside a_labels.nii.gz."
        )
    sidecar = Sidecar.read(folder)
    rule = patients or PatientRule()
    skipped = dict(found.skipped)
    cases: list[_Read] = []
    for pair in steps(found.pairs, lambda pair: f"Reading {pair.case}", progress, cancel):
        try:
            cases.append(_read(pair, rule, sidecar, label_map))
        except UnnamedLabelsError:
            raise
        except StudyError as error:
            skipped[pair.case] = str(error)
    if not cases:
        raise _none_readable(folder, skipped)
    label_map = label_map or sidecar.label_map
    meaning = _meaning(folder, cases) if label_map is None else dict.fromkeys((case.pair.case for case in cases), label_map)
    studies = []
    for case in cases:
        labeled = _labeled(case, meaning.get(case.pair.case, {}), sidecar)
        try:
            check_cover(labeled.labels >= INFARCT, str(case.pair.labels))
            studies.append(labeled)
        except StudyError as error:
            skipped[case.pair.case] = str(error)
    if not studies:
        raise _none_readable(folder, skipped)
    return studies, skipped


def _none_readable(folder: Path, skipped: dict[str, str]) -> StudyError:
    name, reason = next(iter(skipped.items()))
    return StudyError(f"None of the {len(skipped)} cases in {folder} can be read; {name}: {reason}")


def _read(pair: Pair, rule: PatientRule, sidecar: Sidecar, label_map: LabelMap | None) -> _Read:
    facts = sidecar.cases.get(pair.case)
    study = read_study(pair.image) if facts is None else read_written(pair.image, facts)
    labels = read_labels(pair.labels, study)
    if not labels.segments and labels.values is not None and pair.labels.name.lower().endswith(".seg.nrrd"):
        raise StudyError(f"{pair.labels} is a segmentation without any segment.")
    patient = rule.of_stack(pair.case) if facts is None else facts.patient
    if labels.segments:
        classes, wall_known = labelmaps.classes_of_segments(labels.segments, str(pair.labels), label_map)
        return _Read(pair, patient, study, classes, None, wall_known)
    return _Read(pair, patient, study, None, labelmaps.whole_numbers(labels, str(pair.labels)), False)


def _meaning(folder: Path, cases: list[_Read]) -> dict[str, LabelMap]:
    """The label map of each case whose file lies where its meaning is said.

    Raises:
        UnnamedLabelsError: nothing says what the values of some are.
    """
    found: dict[str, LabelMap] = {}
    unknown: set[int] = set()
    example: tuple[np.ndarray, np.ndarray] | None = None
    for case in cases:
        if case.values is not None:
            values = {int(value) for value in np.unique(case.values)}
            label_map = labelmaps.named_by_place(case.pair.labels, values, folder)
            if label_map is None:
                unknown |= values
                example = example or (case.study.voxels, case.values)
            else:
                found[case.pair.case] = label_map
    if unknown:
        raise labelmaps.unnamed(str(folder), unknown, example=example)
    return found


def _labeled(case: _Read, label_map: LabelMap, sidecar: Sidecar) -> LabeledStudy:
    classes, wall_known = case.classes, case.wall_known
    if classes is None:
        assert case.values is not None  # noqa: S101 - one of both is there
        classes = labelmaps.apply_label_map(case.values, label_map, str(case.pair.labels))
        facts = sidecar.cases.get(case.pair.case)
        wall_known = labelmaps.knows_wall(label_map) if facts is None else facts.wall_known
    classes, wall_known = scar_only_unless_wall(classes, wall_known)
    return LabeledStudy(case.pair.case, case.patient, replace(case.study, case=case.pair.case), classes, wall_known)
