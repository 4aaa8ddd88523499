"""The left ventricle in a case folder: written so that it can be edited, and read again with what was edited."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.outputs.case_folders import content_of, read_case_boxes, read_record
from MyoScarSegLib.outputs.landmarks import LANDMARKS, read_landmarks, write_landmarks
from MyoScarSegLib.prompts import read_points
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.ventricle import Ventricle, ventricle_of_labels
from MyoScarSegLib.result import Result, mask_of
from MyoScarSegLib.study import read_study, write_volume
from MyoScarSegLib.study.masks import StoredLabels, read_labels, read_mask
from MyoScarSegLib.study.study import Reconstruction, Study
from MyoScarSegLib.study.tissue import BACKGROUND, BLOOD_POOL, CAVITY, INFARCT, MVO, MYOCARDIUM, NO_REFLOW, REMOTE, SCAR, WALL
from MyoScarSegLib.study.writer import write_layers
from MyoScarSegLib.utils.files import read_json

SEGMENTATION, NIFTI, LABELS, IMAGE, RESULT = "scar.seg.nrrd", "scar.nii.gz", "labels.nii.gz", "image.nrrd", "result.json"


def facts_of(walls: Anatomy) -> dict[str, Any]:
    """For ``result.json``: by them one sees later what was edited."""
    found: dict[str, Any] = {}
    if walls.ventricle is not None:
        found |= {"wall_source": walls.ventricle.source, "wall_sha256": _checksum(walls.ventricle)}
    if (points := walls.insertions) is not None:
        found["insertion_points"] = [points.source, [*points.anterior_mm], [*points.inferior_mm]]
    return found


def write_walls(folder: Path, result: Result, walls: Anatomy, formats: str = "both") -> None:
    """Write the wall beside the scar: ``scar.seg.nrrd`` with all segments, ``labels.nii.gz``, the landmarks and the image.

    In the segmentation scar lies over the myocardium that it is part of. The labels, which cannot overlap, have of scar and
    no-reflow what lies within the wall; the whole scar is ``scar.nii.gz``.

    Args:
        formats: ``seg.nrrd``, ``nii.gz`` or ``both``.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    study, ventricle = result.study, walls.ventricle
    none = np.zeros(study.voxels.shape, dtype=bool)
    no_reflow = none if walls.no_reflow is None else walls.no_reflow
    lesion = np.where(no_reflow, 2, result.mask).astype(np.uint8)
    if formats in ("seg.nrrd", "both"):
        wall, cavity = (none, none) if ventricle is None else (ventricle.myocardium, ventricle.cavity)
        anatomy = np.where(wall, 1, np.where(cavity, 2, 0)).astype(np.uint8)
        write_layers(
            folder / SEGMENTATION,
            [(lesion, {1: SCAR} | ({2: MVO} if no_reflow.any() else {})), (anatomy, {1: WALL, 2: BLOOD_POOL})],
            study,
            dict(result.provenance),
        )
    if formats in ("nii.gz", "both") and ventricle is not None:
        labels = ventricle.labels
        labels[ventricle.myocardium & (lesion == 1)] = INFARCT
        labels[ventricle.myocardium & no_reflow] = NO_REFLOW
        write_volume(folder / LABELS, labels, study)
    write_volume(folder / IMAGE, study.voxels, study)
    if walls.insertions is not None:
        write_landmarks(folder / LANDMARKS, walls.insertions)


def walls_of(labels: StoredLabels, scar: np.ndarray) -> Anatomy:
    """The ventricle that named segments show, and the remote myocardium.

    Segments of several layers may overlap: then myocardium is what its segment says, unless that holds all of the blood pool, as
    an epicardium drawn as a whole does. In a file of one layer, where nothing
    overlaps, the scar's pixels are missing in it, and belong to it
    (:func:`~MyoScarSegLib.quantification.ventricle.ventricle_of_labels`).

    Args:
        labels: of a file with segments.
        scar: bool ``[k, j, i]``.
    """
    by_class: dict[int, np.ndarray] = {}
    for segment in labels.segments:
        if segment.number is not None:
            by_class[segment.number] = by_class.get(segment.number, False) | segment.mask
    no_reflow = by_class.get(NO_REFLOW)
    remote = next((one.mask for one in labels.segments if one.name == REMOTE.name and one.mask.any()), None)
    wall = by_class.get(MYOCARDIUM)
    if wall is None or not wall.any():
        return Anatomy(None, no_reflow, remote=remote)
    pool = by_class.get(CAVITY, np.zeros_like(wall))
    if not (pool & ~wall).any():
        wall = wall & ~pool
    classes = np.where(wall, MYOCARDIUM, np.where(pool, CAVITY, BACKGROUND)).astype(np.uint8)
    if labels.values is not None or not (wall & scar).any():
        classes[scar & ~wall] = INFARCT
    return Anatomy(ventricle_of_labels(classes), no_reflow, remote=remote)


def read_case(folder: Path, study: Study | None = None) -> tuple[Result, Anatomy]:
    """A case that ``segment`` wrote, with what was edited since.

    Args:
        study: its images; None takes ``image.nrrd`` in the folder.

    Raises:
        StudyError: the folder has no image or mask, one does not fit the other, or the study is another one.
        OutputError: ``result.json`` is missing or damaged.
    """
    document = read_json(folder / RESULT, OutputError)
    try:
        provenance = {str(key): str(value) for key, value in document["provenance"].items()}
        threshold, slices = float(document["threshold"]), len(document["slices"])
        reconstruction = Reconstruction(document["reconstruction"])
        notes, problems = tuple(map(str, document["notes"])), tuple(map(str, document["problems"]))
        growth_mm = float(provenance.get("growth_mm", 0.0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OutputError(f"{folder / 'result.json'} is damaged. Segment the study again.") from error
    if study is None:
        study = _image_of(folder, slices)
        notes = tuple(note for note in notes if "not counted: slice" not in note)  # the result says it of its boxes
        study = replace(study, case=folder.name, reconstruction=reconstruction, notes=notes, problems=problems)
    else:
        record = read_record(folder)
        if record is not None and record.content_sha256 != content_of(study):
            raise StudyError(f"{folder} belongs to another image than {study.case}: give that, or another case.")
    file = scar_in(folder)
    mask = read_mask(file, study)
    probability = read_labels(folder / "probability.nii.gz", study).values
    if probability is None:
        raise StudyError(f"{folder / 'probability.nii.gz'} is no map of probabilities. Segment the study again.")
    boxes = read_case_boxes(folder / "boxes.json") if (folder / "boxes.json").is_file() else []
    points = read_points(folder / "points.json") if (folder / "points.json").is_file() else []
    result = Result(
        study, probability.astype(np.float32), threshold, tuple(boxes), tuple(points), provenance=provenance, growth_mm=growth_mm
    )
    spacing = study.geometry.pixel_spacing_mm
    painted = [k for k in range(slices) if not np.array_equal(mask[k], mask_of(probability[k], threshold, growth_mm, spacing))]
    if painted:
        result = replace(result, drawn=mask, painted=tuple(painted))
    return result, _walls_in(folder, file, study, mask, document)


def scar_in(folder: Path) -> Path:
    """The file that has a case's scar: the segmentation, which Slicer edits, if there is one."""
    return folder / SEGMENTATION if (folder / SEGMENTATION).is_file() else folder / NIFTI


def _image_of(folder: Path, slices: int) -> Study:
    how = f"Give the study and the case together: myoscarseg report STUDY --mask {shlex.quote(str(folder))}"
    if not (folder / IMAGE).is_file():
        raise StudyError(f"{folder} holds no image. {how}; or segment with --report, which keeps the image.")
    study = read_study(folder / IMAGE)
    if study.slices != slices:
        raise StudyError(f"{folder / IMAGE} is on the even grid of an uneven stack, which has {slices} slices. {how}.")
    return study


def _walls_in(folder: Path, file: Path, study: Study, scar: np.ndarray, facts: Mapping[str, Any]) -> Anatomy:
    """Wall and landmarks of a case; ``edited`` and ``reader`` where they are no longer what the program wrote."""
    walls = Anatomy()
    if file.name == SEGMENTATION:
        walls = walls_of(read_labels(file, study), scar)
    elif (folder / LABELS).is_file():
        values = read_labels(folder / LABELS, study).values
        if values is not None:
            walls = Anatomy(ventricle_of_labels(values.astype(np.uint8)), values == NO_REFLOW)
    if walls.ventricle is not None:
        same = facts.get("wall_sha256") == _checksum(walls.ventricle)
        walls = replace(
            walls, ventricle=replace(walls.ventricle, source=facts.get("wall_source", "labels") if same else "edited")
        )
    if (folder / LANDMARKS).is_file():
        points, before = read_landmarks(folder / LANDMARKS), facts.get("insertion_points")
        if before is not None and np.allclose([points.anterior_mm, points.inferior_mm], before[1:], atol=1e-3):
            points = replace(points, source=before[0])
        walls = replace(walls, insertions=points)
    return walls


def _checksum(ventricle: Ventricle) -> str:
    return hashlib.sha256(np.packbits([ventricle.myocardium, ventricle.cavity]).tobytes()).hexdigest()
