"""All that a user and a model have made of a study, as one immutable value: what undo goes back to."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from MyoScarSegLib.prompts import Point
from MyoScarSegLib.scene.boxes import BoxRow
from MyoScarSegLib.scene.look import Look

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class ModelSlice:
    """What the model gave for one slice, and the mask that was made of it.

    Attributes:
        probability: float32 ``[row, column]``, read-only.
        threshold, growth_mm: of the mask as last written.
        mark: of that mask, see :func:`mark_of`: a slice whose mask has another one was edited by hand.
        score: the model's own estimate of its mask's IoU, None if unknown.
        run: index of the run that made it in :attr:`StudyState.runs`.
    """

    probability: np.ndarray
    threshold: float
    growth_mm: float
    mark: str
    score: float | None
    run: int


@dataclass(frozen=True)
class SliceState:
    """One slice: its mask as it is, and the model's part in it.

    Attributes:
        drawn: the mask's pixels, packed; empty if there are none.
        model: None if no model has written here.
    """

    drawn: bytes = b""
    model: ModelSlice | None = None

    @property
    def edited(self) -> bool:
        """Whether the mask holds anything that the model did not write, or lacks what it wrote."""
        if self.model is None:
            return bool(self.drawn)
        return mark_of(self.drawn) != self.model.mark


NOTHING = SliceState()


@dataclass(frozen=True)
class StudyState:
    """A study's boxes, points, masks and settings at one moment. Slices with nothing on them are left out of ``slices``.

    Attributes:
        look: how the study is shown, if the program has changed that; see :mod:`~MyoScarSegLib.scene.look`.
        proposals: provenance of the proposed boxes.
        runs: provenance of each run of the segmenter that a slice's mask is of.
        failed: slice index to reason, for slices on which the latest run failed.
    """

    boxes: tuple[BoxRow, ...] = ()
    points: tuple[Point, ...] = ()
    threshold: float = DEFAULT_THRESHOLD
    growth_mm: float = 0.0
    slices: Mapping[int, SliceState] = field(default_factory=dict)
    look: Look | None = None
    proposals: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Mapping[str, str], ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)

    def of(self, k: int) -> SliceState:
        """The state of a slice."""
        return self.slices.get(k, NOTHING)

    @property
    def segmented(self) -> list[int]:
        """Slices that the model has written in."""
        return sorted(k for k, state in self.slices.items() if state.model is not None)

    @property
    def edited(self) -> list[int]:
        """Slices that the user has painted or erased in."""
        return sorted(k for k, state in self.slices.items() if state.edited)

    @property
    def models(self) -> dict[int, ModelSlice]:
        """What the model gave, by slice."""
        return {k: state.model for k, state in self.slices.items() if state.model is not None}

    @property
    def scores(self) -> dict[int, float]:
        """The model's own estimates of its masks' IoU, by slice."""
        return {k: model.score for k, model in self.models.items() if model.score is not None}

    @property
    def provenance(self) -> dict[str, str]:
        """Where boxes and masks come from, with the settings in force. Slices of several runs: every value is named."""
        found = dict(self.proposals)
        used = [self.runs[n] for n in sorted({model.run for model in self.models.values()}) if n < len(self.runs)]
        for key in {key: None for run in used for key in run}:
            found[key] = "; ".join({run[key]: None for run in used if key in run})
        found["threshold"], found["growth_mm"] = f"{self.threshold:g}", f"{self.growth_mm:g}"
        if self.edited:
            found["edited_slices"] = " ".join(str(k) for k in self.edited)
        return found


def with_run(
    state: StudyState, provenance: Mapping[str, str], slices: Collection[int]
) -> tuple[tuple[Mapping[str, str], ...], int]:
    """The runs of a state with one more, on these slices, and its index.

    A run of which no slice is left gives its place to the new one; the others keep theirs.
    """
    used = {model.run for k, model in state.models.items() if k not in slices}
    runs = [run if n in used else {} for n, run in enumerate(state.runs)]
    for n in sorted(used & set(range(len(runs)))):
        if dict(runs[n]) == dict(provenance):
            return tuple(runs), n
    free = next((n for n in range(len(runs)) if n not in used), len(runs))
    return (*runs[:free], dict(provenance), *runs[free + 1 :]), free


def with_slices(slices: Mapping[int, SliceState], changes: Mapping[int, SliceState]) -> dict[int, SliceState]:
    """``slices`` with some of them changed, in slice order."""
    merged = {**slices, **changes}
    return {k: merged[k] for k in sorted(merged) if merged[k] != NOTHING}


def pack(mask: np.ndarray) -> bytes:
    """A bool mask ``[row, column]`` as bytes; none if it is empty."""
    return np.packbits(mask).tobytes() if mask.any() else b""


def unpack(drawn: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The mask that :func:`pack` made bytes of."""
    if not drawn:
        return np.zeros(shape, dtype=bool)
    return np.unpackbits(np.frombuffer(drawn, dtype=np.uint8), count=shape[0] * shape[1]).reshape(shape).astype(bool)


def mark_of(drawn: bytes) -> str:
    """A short text that is the same for equal masks only."""
    return hashlib.blake2b(drawn, digest_size=12).hexdigest()


def bytes_between(before: StudyState, after: StudyState) -> int:
    """Bytes that remembering both states costs beyond remembering one of them."""
    cost = 1024
    for k in before.slices.keys() | after.slices.keys():
        old, new = before.of(k), after.of(k)
        if old is new:
            continue
        cost += len(old.drawn) + len(new.drawn)
        if old.model is not None and (new.model is None or new.model.probability is not old.model.probability):
            cost += old.model.probability.nbytes
    return cost
