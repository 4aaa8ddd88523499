"""From the values and segments that a label file holds to the five classes of a labeled slice."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.outputs.case_walls import RESULT
from MyoScarSegLib.study.masks import StoredLabels, read_labels
from MyoScarSegLib.study.names import stem
from MyoScarSegLib.study.segments import Segment, check_cover, scar_of
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW, class_named, says_scar
from MyoScarSegLib.training.datasets.labeled import scar_only_unless_wall
from MyoScarSegLib.training.datasets.pairs import LABEL_FOLDERS, in_acdcs_layout, in_emidecs_layout
from MyoScarSegLib.utils.files import read_json
from MyoScarSegLib.utils.words import listed

#: Value in a file to class.
LabelMap = Mapping[int, int]

#: EMIDEC's own values are the classes.
EMIDEC: LabelMap = {BACKGROUND: BACKGROUND, CAVITY: CAVITY, MYOCARDIUM: MYOCARDIUM, INFARCT: INFARCT, NO_REFLOW: NO_REFLOW}

#: ACDC's: right ventricle, myocardium and cavity; no scar is drawn there.
ACDC: LabelMap = {0: BACKGROUND, 1: BACKGROUND, 2: MYOCARDIUM, 3: CAVITY}

#: A mask that is zero but for scar, by the value of its scar.
BINARY: dict[int, LabelMap] = {value: {0: BACKGROUND, value: INFARCT} for value in (1, 255)}

EXAMPLE = "--labels 'cavity=1 myocardium=2 scar=3,4'"

#: Label maps of a whole body have about 120 values; an image of 8 bits has more.
_MOST_VALUES = 128

#: So many values are named in a message.
_MOST_SHOWN = 12


def parse_label_map(text: str) -> LabelMap:
    """A label map from a user's text: ``"emidec"``, or classes with their values: ``"cavity=1 myocardium=2 scar=3,4"`` (separated
    by blanks or semicolons; background, cavity, myocardium, scar, no-reflow). Zero is background unless it says otherwise.

    Raises:
        StudyError: it is neither, a value is given twice, or there is no scar.
    """
    if text.strip().lower() == "emidec":
        return EMIDEC
    found: dict[int, int] = {}
    for part in re.split(r"[\s;]+", text.strip()):
        name, equals, values = part.partition("=")
        number = class_named(name)
        if number is None or not equals or not re.fullmatch(r"\d{1,9}(,\d{1,9})*", values):
            raise StudyError(
                f"{part!r} says no class with its values; the classes are background, cavity, myocardium, scar and no-reflow, "
                f"such as {EXAMPLE}."
            )
        for value in map(int, values.split(",")):
            if found.setdefault(value, number) != number:
                raise StudyError(f"The value {value} is given to two classes in {text!r}.")
    found.setdefault(0, BACKGROUND)
    if not {INFARCT, NO_REFLOW} & set(found.values()):
        raise StudyError(f"{text!r} says no value for scar; such as {EXAMPLE}.")
    return found


def named_by_place(path: Path, values: Collection[int], root: Path | None = None) -> LabelMap | None:
    """What the ``values`` in a plain label file mean by where it lies; None if that does not say.

    Our own results say it, and EMIDEC's layout; nnU-Net's ``dataset.json`` beside the file or its folder; and, if there is one
    value only (1 or 255), a file or folder whose name says scar, infarct or LGE. Names of folders above ``root`` (the file's own
    if None) do not count. Nothing but 0 is no scar.
    """
    drawn = set(values) - {0}
    if not drawn:
        return BINARY[1]
    if drawn <= set(EMIDEC) and in_emidecs_layout(path):
        return EMIDEC
    if drawn <= set(ACDC) and in_acdcs_layout(path):
        return ACDC
    if drawn == {1} and (path.parent / RESULT).is_file():
        return BINARY[1]
    for folder in (path.parent, path.parent.parent):
        if (found := _of_nnunet(folder)) is not None and drawn <= set(found):
            return found
    value = next(iter(drawn))
    return BINARY[value] if drawn in ({1}, {255}) and _says_scar(path, root) else None


def unnamed(
    where: str, values: Collection[int], option: str = "--labels", example: tuple[np.ndarray, np.ndarray] | None = None
) -> UnnamedLabelsError:
    """The error that asks what values mean, with the answer that would fit, and the slice ``example`` that has most of them."""
    drawn = sorted(set(values) - {0})
    names = {1: ("scar",), 2: ("myocardium", "scar"), 3: ("cavity", "myocardium", "scar")}
    classes = names.get(len(drawn), ("cavity", "myocardium", "scar", "no-reflow"))
    fitting = [f"{name}={value}" for name, value in zip(classes, drawn, strict=False)]
    if rest := drawn[len(classes) :]:
        fitting.append(f"background={','.join(map(str, rest))}")
    error = UnnamedLabelsError(where, drawn, " ".join(fitting), option=option)
    if example is not None:
        voxels, labeled = example
        most = max(range(len(labeled)), key=lambda k: (len(np.unique(labeled[k])), np.count_nonzero(labeled[k])))
        error.example = voxels[most], labeled[most]
    return error


def _says_scar(path: Path, root: Path | None) -> bool:
    """Whether the nearest of a file's name and its folders' that names a tissue says scar."""
    parents = path.resolve().parents
    last = path.parent.resolve() if root is None else root.resolve()
    folders = [folder.name for folder in parents if folder == last or last in folder.parents]
    if root is None and folders[0].lower() in LABEL_FOLDERS:
        folders.append(parents[1].name)
    said = (says_scar(name, image=True) for name in (stem(path), *folders))
    return next((answer for answer in said if answer is not None), False)


def _of_nnunet(folder: Path) -> LabelMap | None:
    """The label map in nnU-Net's ``dataset.json``, if it says scar: version 2 has name to value, version 1 value to name."""
    path = folder / "dataset.json"
    if not path.is_file():
        return None
    document = read_json(path, StudyError)
    labels = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(labels, dict):
        return None
    pairs = [(value, key) if str(key).isdigit() else (key, value) for key, value in labels.items()]
    found: dict[int, int] = {}
    for name, value in pairs:
        number = class_named(str(name))
        if number is None or not str(value).isdigit():
            return None
        found[int(value)] = number
    return found if {INFARCT, NO_REFLOW} & set(found.values()) else None


def apply_label_map(values: np.ndarray, label_map: LabelMap, where: str) -> np.ndarray:
    """The classes of label values, uint8 of the same shape; StudyError if a value has no class."""
    found = np.unique(values)
    unknown = [int(value) for value in found if int(value) not in label_map]
    if unknown:
        there, strange = (listed(some, _MOST_SHOWN) for some in (found, unknown))
        raise StudyError(
            f"{where} has the label values {there}, of which {strange} belong to no class. Give every value a class with "
            f"--labels (background=... for what is to be ignored), for example {EXAMPLE}."
        )
    classes = np.zeros(values.shape, dtype=np.uint8)
    for value in found:
        classes[values == value] = label_map[int(value)]
    return classes


def knows_wall(label_map: LabelMap) -> bool:
    """Whether a label map can tell cavity and myocardium."""
    return {CAVITY, MYOCARDIUM} <= set(label_map.values())


def whole_numbers(labels: StoredLabels, where: str) -> np.ndarray:
    """The stored values ``[k, j, i]`` in the smallest type of whole numbers that holds them."""
    values = labels.values
    if values is None:
        raise StudyError(f"{where} has several values per voxel and names no segments: these are no labels.")
    whole = np.issubdtype(values.dtype, np.integer) or bool(np.isfinite(values).all() and (values == np.round(values)).all())
    if not whole:
        raise StudyError(f"{where} has values that are not whole numbers, so they are no labels; is it an image?")
    found = np.unique(values)
    if len(found) > _MOST_VALUES:
        raise StudyError(f"{where} has {len(found)} different values, so they are no labels; is it an image?")
    smallest = np.min_scalar_type(int(found.max())) if found.min() >= 0 else np.dtype(np.int64)
    return values.astype(smallest)


def classes_of_segments(
    segments: Sequence[Segment], where: str, label_map: LabelMap | None = None, option: str = "--labels"
) -> tuple[np.ndarray, bool]:
    """Classes from named segments of one file (``where``, for messages), of which scar lies over the myocardium that it is part
    of.

    What segments mean whose names and codes say nothing, ``label_map`` says by their value; ``option`` is how a user gives it.
    Returns uint8 ``[k, j, i]``, and whether cavity and myocardium have segments of their own.
    """
    if label_map is not None:
        segments = [s if s.number is not None else replace(s, number=label_map.get(s.value)) for s in segments]
    unknown = [s for s in segments if s.number is None]
    if unknown and not any(s.number in (INFARCT, NO_REFLOW) for s in segments):
        raise UnnamedLabelsError(
            where, [s.value for s in unknown], unnamed(where, [s.value for s in unknown]).fitting,
            ", ".join(f"{s.value} is the segment {s.name!r}" for s in unknown[:_MOST_SHOWN]), option,
        )  # fmt: skip
    scar_of(segments, where)
    classes = np.zeros(segments[0].mask.shape, dtype=np.uint8)
    for number in (MYOCARDIUM, CAVITY, INFARCT, NO_REFLOW):
        for segment in segments:
            if segment.number == number:
                classes[segment.mask] = number
    return classes, {CAVITY, MYOCARDIUM} <= {segment.number for segment in segments}


def classes_on(
    study: Study,
    labels: np.ndarray | Path | str,
    label_map: LabelMap | None,
    wall_known: bool | None,
    root: Path | None = None,
) -> tuple[np.ndarray, bool]:
    """The classes of labels that were drawn on one study, uint8 ``[k, j, i]``, and whether the wall is known.

    Args:
        labels: bool (scar) or classes, shaped like the study's voxels; or a file on the study's grid.
        label_map: what the values in a file without named segments mean; None for what its place says (:func:`named_by_place`).
        wall_known: whether cavity and myocardium are labeled; None looks whether they are there.
        root: of a data set that the file belongs to; the names of folders above it say nothing of the labels.

    Raises:
        UnnamedLabelsError: nothing says what the values mean; of a file without segments it has an ``example``.
        StudyError: the labels do not fit the study, or do not say what is scar.
    """
    if isinstance(labels, np.ndarray):
        if labels.shape != study.voxels.shape:
            raise StudyError(f"The labels have the shape {labels.shape}, the study {study.voxels.shape}: both are [k, j, i].")
        if labels.dtype == np.bool_:
            return scar_only_unless_wall(np.where(labels, INFARCT, 0).astype(np.uint8), False)
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() > NO_REFLOW:
            raise StudyError(f"The labels must be bool, or whole numbers from 0 to {NO_REFLOW}, not {labels.dtype}.")
        return scar_only_unless_wall(labels.astype(np.uint8), wall_known is not False)
    classes, drawn = all_classes_on(study, labels, label_map, root)
    return scar_only_unless_wall(classes, drawn and wall_known is not False)


def all_classes_on(
    study: Study, labels: Path | str, label_map: LabelMap | None, root: Path | None = None
) -> tuple[np.ndarray, bool]:
    """The classes of a file on one study, as of :func:`classes_on`, with all that is drawn there; and whether cavity and
    myocardium can both be told.
    """
    stored, where = read_labels(labels, study), str(labels)
    if stored.segments:
        classes, drawn = classes_of_segments(stored.segments, where, label_map)
    elif stored.values is not None and where.lower().endswith(".seg.nrrd"):
        raise StudyError(f"{where} is a segmentation without any segment.")
    else:
        values = whole_numbers(stored, where)
        if label_map is None:
            found = {int(value) for value in np.unique(values)}
            label_map = named_by_place(Path(labels), found, root)
            if label_map is None:
                raise unnamed(where, found, example=(study.voxels, values))
        classes, drawn = apply_label_map(values, label_map, where), knows_wall(label_map)
    check_cover(classes >= INFARCT, where)
    return classes, drawn
