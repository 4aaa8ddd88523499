"""Patient-wise splits: no patient's slices are ever on both sides."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.utils.files import read_json
from MyoScarSegLib.utils.json_fields import read, save, to_json
from MyoScarSegLib.utils.words import counted, listed

SPLIT = "split.json"
"""The file that holds one."""
TRAINING, VALIDATION = "training", "validation"
"""The sides of a split."""

#: A slice with fewer grey levels shows nothing by which it could be recognized.
_FEWEST_GREYS = 16


@dataclass(frozen=True)
class Split:
    """Which patients train and which validate, and how they were drawn.

    Attributes:
        training, validation: patient names, sorted; disjoint.
        seed: of the shuffle; None, as are the others, if somebody else drew the split.
        folds, held_out: the patients were dealt into ``folds`` parts, of which number ``held_out`` validates.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]
    seed: int | None = None
    folds: int | None = None
    held_out: int | None = None

    def __post_init__(self) -> None:
        both = set(self.training) & set(self.validation)
        if both:
            raise StudyError(f"The split has patients on both sides: {', '.join(sorted(both))}. Split by patient.")

    def side_of(self, patient: str) -> str:
        """``training``, ``validation``, or empty for one that it does not know."""
        return TRAINING if patient in self.training else VALIDATION if patient in self.validation else ""

    def extended(self, patients: Iterable[str]) -> Split:
        """The split with everybody on their side, and those of ``patients`` that it does not know among the training ones."""
        new = set(patients) - set(self.training) - set(self.validation)
        return replace(self, training=tuple(sorted({*self.training, *new})))

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON object."""
        return dict(to_json(self, version=1))

    def write(self, path: Path) -> None:
        """Write the manifest atomically."""
        save(path, self, version=1)

    @classmethod
    def read(cls, path: Path) -> Split:
        """A manifest, alone or in a model card (its ``split``); StudyError if it is none, or has a patient on both sides."""
        document = read_json(path, StudyError)
        if isinstance(document, Mapping):
            document = document.get("split", document)
        return read(cls, document, StudyError, f"The split manifest {path}", version=1, ignore=True)


def split_patients(strata: Mapping[str, str], *, seed: int = 0, folds: int = 5, held_out: int = 0) -> Split:
    """Deal patients into ``folds``, each stratum (such as infarct and normal) spread evenly, and hold the one numbered
    ``held_out`` out. The same seed and patients give the same split whatever their order.

    Raises:
        StudyError: there are fewer patients than folds, or the numbers make no sense.
    """
    if folds < 2 or not 0 <= held_out < folds:
        raise StudyError(
            f"A split needs at least 2 folds and holds one of them out; {folds} folds with number {held_out} held out is none."
        )
    if len(strata) < folds:
        raise StudyError(f"{counted(len(strata), 'patient')} cannot be split into {folds} folds.")
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for patient, stratum in sorted(strata.items()):
        by_stratum[stratum].append(patient)
    generator = random.Random(seed)  # noqa: S311 - a reproducible shuffle, not a secret
    dealt: list[str] = []
    for _, patients in sorted(by_stratum.items()):
        generator.shuffle(patients)
        dealt += patients
    # One deal over all strata in a row, so that the folds' sizes differ by at most one.
    validation = sorted(dealt[held_out::folds])
    training = sorted(set(dealt) - set(validation))
    return Split(tuple(training), tuple(validation), seed, folds, held_out)


def check_split(split: Split, slices: Iterable[LabeledSlice]) -> list[str]:
    """Whether a split fits the data it is to divide: sentences on patients that only one of both knows, each says what to do.

    Raises:
        StudyError: nobody trains or nobody validates, or one picture would be on both sides.
    """
    slices = list(slices)
    found = {labeled.patient for labeled in slices}
    for part, patients in ((TRAINING, split.training), (VALIDATION, split.validation)):
        if not found & set(patients):
            raise StudyError(
                f"The data has none of the split's {len(patients)} {part} patients{_some(patients)}; its own are{_some(found)}. "
                "The split is of other data, or patients are named otherwise there. Draw a split of this data."
            )
    check_leakage(split, slices)
    warnings, known = [], {*split.training, *split.validation}
    if unknown := found - known:
        are = counted(len(unknown), "patient of the data is", "patients of the data are")
        left_out = f"on neither side of the split and left out{_some(unknown)}."
        warnings.append(f"{are} {left_out} Extend the split, or draw a new one, to use them.")
    if missing := known - found:
        are = counted(len(missing), "patient of the split is", "patients of the split are")
        do = "Figures do not compare with those of the whole data; bring them back, or draw a new split."
        warnings.append(f"{are} not in the data{_some(missing)}. {do}")
    return warnings


def check_leakage(split: Split, slices: Iterable[LabeledSlice]) -> None:
    """Refuse a split that trains and validates on one picture under two patients' names.

    No split has a patient on both sides: :class:`Split` refuses to be made so. Pictures are compared as the networks see them
    (normalized), so another bit depth or scale does not hide one. Blank slices are left out.
    """
    side = {**dict.fromkeys(split.training, "trained on"), **dict.fromkeys(split.validation, "validated")}
    seen: dict[str, LabeledSlice] = {}
    for labeled in slices:
        part = side.get(labeled.patient)
        digest = picture_digest(labeled.image) if part is not None else None
        if digest is None:
            continue
        first = seen.setdefault(digest, labeled)
        if side[first.patient] != part:
            raise StudyError(
                f"The same picture is {side[first.patient]} as slice {first.index} of {first.patient} and {part} as slice "
                f"{labeled.index} of {labeled.patient}: these are one patient. Give both the same code, or leave one out."
            )


def picture_digest(image: np.ndarray) -> str | None:
    """SHA-256 of a slice ``[rows, columns]`` as the networks see it; None for a blank one, which is like any other."""
    seen = np.round(normalize(image) * 255).astype(np.uint8)
    if len(np.unique(seen)) < _FEWEST_GREYS:
        return None
    return hashlib.sha256(f"{seen.shape}".encode() + seen.tobytes()).hexdigest()


def _some(patients: Collection[str]) -> str:
    """The first few names, for a sentence."""
    return f" ({listed(sorted(patients), 5)})" if patients else ""
