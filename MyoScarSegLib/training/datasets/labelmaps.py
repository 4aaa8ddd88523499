"""From the values and segments that a label file holds to the five classes of a labelled slice."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.masks import Segment, StoredLabels, read_labels, scar_of
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import class_named
from MyoScarSegLib.training.datasets.dataset import scar_only_unless_wall
from MyoScarSegLib.training.datasets.labelled import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW

#: Value in a file to class.
LabelMap = Mapping[int, int]

#: EMIDEC's own values are the classes.
EMIDEC: LabelMap = {BACKGROUND: BACKGROUND, CAVITY: CAVITY, MYOCARDIUM: MYOCARDIUM, INFARCT: INFARCT, NO_REFLOW: NO_REFLOW}

#: A mask that is zero but for scar, by the value of its scar.
BINARY: dict[int, LabelMap] = {value: {0: BACKGROUND, value: INFARCT} for value in (1, 255)}

EXAMPLE = "--labels 'cavity=1 myocardium=2 scar=3,4'"

#: So many values are named in a message.
_MOST_SHOWN = 12


def parse_label_map(text: str) -> LabelMap:
    """A label map from a user's text.

    Args:
        text: ``"emidec"``, or classes with their values: ``"cavity=1 myocardium=2 scar=3,4"`` (separated by blanks or
            semicolons; classes are background, cavity, myocardium, scar, no-reflow). Zero is background unless it says otherwise.

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


def default_label_map(values: Collection[int], where: str, *, emidec: bool = False) -> LabelMap:
    """The label map that a whole data set's values speak for.

    Args:
        values: all that occur in the data set.
        where: the data set, for the message.
        emidec: the files are named as EMIDEC names them.

    Raises:
        StudyError: they could mean anything.
    """
    drawn = set(values) - {0}
    if emidec and drawn <= set(EMIDEC):
        return EMIDEC
    if len(drawn) <= 1:
        value = next(iter(drawn), 1)
        if value in BINARY:
            return BINARY[value]
    elif drawn <= set(EMIDEC) and drawn & {INFARCT, NO_REFLOW}:
        return EMIDEC
    raise StudyError(
        f"The labels in {where} have the values {listed(values)}, and nothing says which of them is scar. Say so, for example "
        f"with {EXAMPLE}; `--labels emidec` means 1 cavity, 2 myocardium, 3 infarct, 4 no-reflow."
    )


def apply_label_map(values: np.ndarray, label_map: LabelMap, where: str) -> np.ndarray:
    """Classes, uint8, shaped like ``values``.

    Raises:
        StudyError: a value is in no class.
    """
    found = np.unique(values)
    unknown = [int(value) for value in found if int(value) not in label_map]
    if unknown:
        raise StudyError(
            f"{where} has the label values {listed(found)}, of which {listed(unknown)} belong to no class. Give every value a "
            f"class with --labels (background=... for what is to be ignored), for example {EXAMPLE}."
        )
    classes = np.zeros(values.shape, dtype=np.uint8)
    for value in found:
        classes[values == value] = label_map[int(value)]
    return classes


def knows_wall(label_map: LabelMap) -> bool:
    """Whether a label map can tell cavity and myocardium."""
    return {CAVITY, MYOCARDIUM} <= set(label_map.values())


def whole_numbers(labels: StoredLabels, where: str) -> np.ndarray:
    """The stored values ``[k, j, i]`` in the smallest type of whole numbers that holds them.

    Raises:
        StudyError: there are several per voxel, or they are not whole numbers.
    """
    values = labels.values
    if values is None:
        raise StudyError(f"{where} has several values per voxel and names no segments: these are no labels.")
    whole = np.issubdtype(values.dtype, np.integer) or bool(np.isfinite(values).all() and (values == np.round(values)).all())
    if not whole:
        raise StudyError(f"{where} has values that are not whole numbers, so they are no labels; is it an image?")
    found = np.unique(values)
    if len(found) > 256:
        raise StudyError(f"{where} has {len(found)} different values, so they are no labels; is it an image?")
    smallest = np.min_scalar_type(int(found.max())) if found.min() >= 0 else np.dtype(np.int64)
    return values.astype(smallest)


def classes_of_segments(segments: Sequence[Segment], where: str) -> tuple[np.ndarray, bool]:
    """Classes from named segments, of which scar lies over the myocardium that it is part of.

    Returns:
        uint8 ``[k, j, i]``, and whether cavity and myocardium have segments of their own.

    Raises:
        StudyError: none is called or coded scar, or several have one name.
    """
    scar_of(segments, where)
    by_class: dict[int, np.ndarray] = {}
    for segment in segments:
        if segment.number is not None:
            by_class[segment.number] = by_class.get(segment.number, False) | segment.mask
    classes = np.zeros(segments[0].mask.shape, dtype=np.uint8)
    for number in (MYOCARDIUM, CAVITY, INFARCT, NO_REFLOW):
        if number in by_class:
            classes[by_class[number]] = number
    return classes, {CAVITY, MYOCARDIUM} <= set(by_class)


def classes_on(
    study: Study, labels: np.ndarray | Path | str, label_map: LabelMap | None, wall_known: bool | None
) -> tuple[np.ndarray, bool]:
    """The classes of labels that were drawn on one study.

    Args:
        study: the study.
        labels: bool (scar) or classes, ``[k, j, i]`` shaped like the study's voxels; or a file on the study's grid.
        label_map: what the values in a file without named segments mean; None for what they speak for.
        wall_known: whether cavity and myocardium are labelled; None looks whether they are there.

    Returns:
        uint8 ``[k, j, i]``, and whether the wall is known.

    Raises:
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
    stored = read_labels(labels, study)
    if stored.segments:
        classes, drawn = classes_of_segments(stored.segments, str(labels))
        return scar_only_unless_wall(classes, drawn and wall_known is not False)
    values = whole_numbers(stored, str(labels))
    label_map = label_map or default_label_map({int(v) for v in np.unique(values)}, str(labels))
    known = knows_wall(label_map) and wall_known is not False
    return scar_only_unless_wall(apply_label_map(values, label_map, str(labels)), known)


def listed(values: Collection[int]) -> str:
    """Numbers for a sentence, the first dozen of many."""
    ordered = sorted(int(value) for value in values)
    more = f" and {len(ordered) - _MOST_SHOWN} more" if len(ordered) > _MOST_SHOWN else ""
    return ", ".join(map(str, ordered[:_MOST_SHOWN])) + more
