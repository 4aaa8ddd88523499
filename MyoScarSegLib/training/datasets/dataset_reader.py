"""Reading any labeled data set, recognized by what is in its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledStudy, none_of
from MyoScarSegLib.training.datasets.labelmaps import EMIDEC, LabelMap, classes_on, parse_label_map, unnamed
from MyoScarSegLib.training.datasets.pairs import Pair, find_pairs, in_emidecs_layout
from MyoScarSegLib.training.datasets.patients import PatientRule
from MyoScarSegLib.training.datasets.stored_stacks import Sidecar, read_written
from MyoScarSegLib.training.datasets.training_library import Library, is_library
from MyoScarSegLib.training.datasets.yolosam import parts_of, read_yolosam
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps

KINDS = ("emidec", "library", "yolosam", "volumes")


def read_dataset(
    folder: Path | str,
    *,
    kind: str | None = None,
    label_map: LabelMap | str | None = None,
    patient_pattern: str | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> DataSet:
    """All slices of a folder of labeled images, scar or not; what could not be read is in its ``skipped``.

    Args:
        folder: EMIDEC's folders, a training library, YoloSAM's layout, or any folder of image and label volumes.
        kind: one of :data:`KINDS`; None recognizes it by its content.
        label_map: value in the label files to class (0 background, 1 cavity, 2 normal myocardium, 3 infarct, 4 no-reflow), or a
            user's text of that, see :func:`~.labelmaps.parse_label_map`; None for what is said beside them, see
            :func:`~.labelmaps.named_by_place`.
        patient_pattern: regular expression that finds the patient in names of slices or cases, for YoloSAM's layout and volumes;
            see :class:`~.patients.PatientRule` for what is done without.

    Raises:
        UnnamedLabelsError: nothing says what the label values mean.
        StudyError: the folder is of no known kind, nothing in it can be read, or a patient is both trained on and validated.
    """
    folder = Path(folder)
    label_map = parse_label_map(label_map) if isinstance(label_map, str) else label_map
    if kind is not None and kind not in KINDS:
        raise StudyError(f"There is no kind of data set {kind!r}; there are {', '.join(KINDS)}.")
    if not folder.is_dir():
        raise StudyError(f"There is no folder {folder}.")
    try:
        kind = kind or kind_of(folder)
        if kind == "library":
            if label_map is not None or patient_pattern is not None:
                raise StudyError(f"{folder} says itself what its labels mean and whose they are; leave out labels and patients.")
            library = Library.open(folder)
            studies, skipped = library.read(progress=progress, cancel=cancel)
            return DataSet.of_studies(kind, studies, skipped, library.split_manifest())
        rule = PatientRule(patient_pattern)
        if kind == "yolosam":
            return read_yolosam(folder, label_map, rule, progress, cancel)
        label_map = EMIDEC if label_map is None and kind == "emidec" else label_map
        studies, skipped = _volumes(folder, label_map, rule, progress, cancel)
        return DataSet.of_studies(kind, studies, skipped)
    except OSError as error:
        raise StudyError(f"Cannot read {error.filename or folder}: {error.strerror or error}.") from error


def kind_of(folder: Path | str) -> str:
    """What kind of data set ``folder`` holds, one of :data:`KINDS`; StudyError if none that can be recognized."""
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"There is no folder {folder}.")
    if is_library(folder):
        return "library"
    if parts_of(folder):
        return "yolosam"
    pairs, skipped = find_pairs(folder)
    if pairs and all(in_emidecs_layout(pair.labels) for pair in pairs):
        return "emidec"
    if pairs or skipped:
        return "volumes"
    if (folder / "labels" / "train").is_dir():
        raise StudyError(
            f"{folder} holds boxes for YOLO, which do not say which pixels are scar; give the data they were made of."
        )
    raise StudyError(
        f"{folder} holds no labeled data that is known: a training library (library.json), YoloSAM's train/images and "
        "train/masks, EMIDEC's Case_*/Images and Contours, or other volumes (images/ and labels/, or a folder per case)."
    )


def _volumes(
    folder: Path, label_map: LabelMap | None, rule: PatientRule, progress: Progress, cancel: CancelToken | None
) -> tuple[list[LabeledStudy], dict[str, str]]:
    """All cases of a folder of volumes (NIfTI, NRRD, MetaImage; images also as DICOM), and why others could not be read.

    The label map is the one given, or what a file's place says (:func:`~.labelmaps.named_by_place`).
    """
    pairs, skipped = find_pairs(folder)
    if not pairs and not skipped:
        raise StudyError(
            f"{folder} holds no image with labels: expected are images/ and labels/ with equal names, a folder per case, or "
            "a_lge.nii.gz beside a_labels.nii.gz."
        )
    sidecar = Sidecar.read(folder)
    studies: list[LabeledStudy] = []
    unknown: list[UnnamedLabelsError] = []
    for pair in steps(pairs, lambda pair: f"Reading {pair.case}", progress, cancel):
        try:
            studies.append(_volume(pair, rule, sidecar, label_map, folder))
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
        raise none_of(skipped, f"cases in {folder} can be read")
    return studies, skipped


def _volume(pair: Pair, rule: PatientRule, sidecar: Sidecar, label_map: LabelMap | None, folder: Path) -> LabeledStudy:
    facts = sidecar.cases.get(pair.case)
    study = read_study(pair.image) if facts is None else read_written(pair.image, facts, facts.bad_slices)
    patient = rule.of_stack(pair.case) if facts is None else facts.patient
    classes, wall_known = classes_on(study, pair.labels, label_map, None if facts is None else facts.wall_known, folder)
    return LabeledStudy(pair.case, patient, replace(study, case=pair.case), classes, wall_known)
