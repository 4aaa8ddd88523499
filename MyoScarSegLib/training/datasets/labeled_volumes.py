"""Folders of image and label volumes (NIfTI, NRRD, MetaImage; images also as DICOM folders)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.training.datasets.labeled import LabeledStudy
from MyoScarSegLib.training.datasets.labelmaps import LabelMap, classes_on, unnamed
from MyoScarSegLib.training.datasets.pairs import Pair, find_pairs
from MyoScarSegLib.training.datasets.patients import PatientRule
from MyoScarSegLib.training.datasets.stored_stacks import Sidecar, read_written
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps


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
    studies: list[LabeledStudy] = []
    unknown: list[UnnamedLabelsError] = []
    for pair in steps(found.pairs, lambda pair: f"Reading {pair.case}", progress, cancel):
        try:
            studies.append(_read(pair, rule, sidecar, label_map or sidecar.label_map, folder))
        except UnnamedLabelsError as error:
            if error.example is None:  # segments, which are asked for by their names
                raise
            unknown.append(error)
        except StudyError as error:
            skipped[pair.case] = str(error)
    if unknown:  # asked for once, for all of the folder
        asked = unnamed(str(folder), {value for error in unknown for value in error.values})
        asked.example = unknown[0].example
        raise asked
    if not studies:
        name, reason = next(iter(skipped.items()))
        raise StudyError(f"None of the {len(skipped)} cases in {folder} can be read; {name}: {reason}")
    return studies, skipped


def _read(pair: Pair, rule: PatientRule, sidecar: Sidecar, label_map: LabelMap | None, folder: Path) -> LabeledStudy:
    facts = sidecar.cases.get(pair.case)
    study = read_study(pair.image) if facts is None else read_written(pair.image, facts)
    patient = rule.of_stack(pair.case) if facts is None else facts.patient
    classes, wall_known = classes_on(study, pair.labels, label_map, None if facts is None else facts.wall_known, folder)
    return LabeledStudy(pair.case, patient, replace(study, case=pair.case), classes, wall_known)
