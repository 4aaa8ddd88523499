"""All that a user and a model have made of a study, as one immutable value: the model of a study, and what undo goes back to."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import numpy as np

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.quantification.mass_interval import MassError, uncertain_pixels
from MyoScarSegLib.result import DEFAULT_THRESHOLD, MASS_ERROR, mask_of
from MyoScarSegLib.scene.packed_masks import checksum_of, pack, unpack
from MyoScarSegLib.scene.slice_prompts import NO_PROMPTS, SlicePrompts, prompts_by_slice
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_state import VentricleState
from MyoScarSegLib.utils.json_fields import Index, Limits

if TYPE_CHECKING:
    from MyoScarSegLib.scene.view_settings import ViewSettings

Probability = Annotated[float, Limits(above=0, below=1)]
_SAME_IOU = 0.7
"""A proposal that overlaps a box of the reader more than this is that box."""
_ANOTHER_SHARE = 0.5
"""A suggestion is offered only where no box is: no more than this of it may lie in one."""


@dataclass(frozen=True)
class BoxRow:
    """A box and its number, which it keeps for life."""

    id: int
    box: Box


@dataclass(frozen=True)
class ModelMask:
    """A mask as it was made of a slice's probabilities.

    Attributes:
        threshold, growth_mm: with which it was made.
        checksum: see :func:`checksum_of`: a slice whose mask has another one was edited by hand.
        score: the model's own estimate of its IoU, None if unknown.
        run: index of the run that gave the probabilities in :attr:`StudyState.runs`.
    """

    threshold: Probability
    growth_mm: float
    checksum: str
    score: float | None
    run: Index


@dataclass(frozen=True, eq=False)
class ModelSlice:
    """What the model gave for one slice.

    Attributes:
        probability: float32 ``[row, column]``, read-only.
        mask: that was last made of it.
        uncertain_px: see :func:`~MyoScarSegLib.quantification.mass_interval.uncertain_pixels`.
        prompts: that it was made with.
    """

    probability: np.ndarray
    mask: ModelMask
    uncertain_px: float
    prompts: SlicePrompts = NO_PROMPTS

    @property
    def gave_something(self) -> bool:
        """Whether the probabilities are not 0 throughout."""
        return self.uncertain_px > 0 or self.mask.checksum != _NO_PIXELS


@dataclass(frozen=True)
class SliceState:
    """One slice: its mask as it is, and the model's share in it.

    Attributes:
        drawn: the mask's pixels, packed; empty if there are none.
        model: None if no model has written here.
    """

    drawn: bytes = b""
    model: ModelSlice | None = None

    @cached_property
    def edited(self) -> bool:
        """Whether the mask holds anything that the model did not write, or lacks what it wrote."""
        if self.model is None:
            return bool(self.drawn)
        return checksum_of(self.drawn) != self.model.mask.checksum


NOTHING = SliceState()


@dataclass(frozen=True)
class StudyState:
    """A study's boxes, points, masks and settings at one moment. Slices with nothing on them are left out of ``slices``.

    Attributes:
        boxes: with their numbers, rejected ones too.
        points: in the order in which they were placed.
        threshold: probability from which on a pixel counts as scar.
        growth_mm: by how much masks are grown, or below 0 shrunk, in the slice.
        view: how the study is shown, if the program has changed that.
        proposals: provenance of the proposed boxes.
        runs: provenance of each run of the segmenter that a slice's mask is of.
        failed: slice index to reason, for slices on which the latest run failed.
        ventricle: wall, blood pool, no-reflow and landmarks.
        method: the reference method whose masks were taken over; empty if none were.
    """

    boxes: tuple[BoxRow, ...] = ()
    points: tuple[Point, ...] = ()
    threshold: float = DEFAULT_THRESHOLD
    growth_mm: float = 0.0
    slices: Mapping[int, SliceState] = field(default_factory=dict)
    view: ViewSettings | None = None
    proposals: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Mapping[str, str], ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    ventricle: VentricleState = field(default_factory=VentricleState)
    method: str = ""

    def of(self, k: int) -> SliceState:
        """The state of a slice."""
        return self.slices.get(k, NOTHING)

    @cached_property
    def prompts(self) -> dict[int, SlicePrompts]:
        """What asks for scar, by slice; slices with nothing are left out."""
        return prompts_by_slice((row.box for row in self.boxes), self.points)

    def prompts_on(self, k: int) -> SlicePrompts:
        """What asks for scar on a slice."""
        return self.prompts.get(k, NO_PROMPTS)

    @property
    def models(self) -> dict[int, ModelSlice]:
        """What the model gave, by slice."""
        return {k: state.model for k, state in self.slices.items() if state.model is not None}

    @property
    def segmented(self) -> list[int]:
        """Slices that the model has written in."""
        return list(self.models)

    @property
    def edited(self) -> list[int]:
        """Slices that the user has painted or erased in, which the model therefore leaves alone."""
        return [k for k, state in self.slices.items() if state.edited]

    @property
    def stale(self) -> set[int]:
        """Slices whose mask was made by the model from other prompts than there are now."""
        return {k for k, s in self.slices.items() if s.model and s.model.prompts != self.prompts_on(k) and not s.edited}

    @property
    def confirmed(self) -> list[int]:
        """Slices whose scar is as the reader left it: painted in, or made up to date of a point, or of a box that he set or
        accepted."""
        boxes = {
            row.box.slice for row in self.boxes if row.box.counts and (row.box.by_reader or row.box.state is BoxState.ACCEPTED)
        }
        asked, stale = boxes | {point.slice for point in self.points}, self.stale
        return [k for k, s in self.slices.items() if s.edited or (k in asked and s.model is not None and k not in stale)]

    @property
    def scores(self) -> dict[int, float]:
        """The model's own estimates of its masks' IoU, by slice."""
        return {k: model.mask.score for k, model in self.models.items() if model.mask.score is not None}

    @property
    def provenance(self) -> dict[str, str]:
        """Where boxes and masks come from, with the settings in force. Slices of several runs: every value is named."""
        found, used, error = dict(self.proposals), self._runs_of(self.models.values()), self.mass_error
        for key in {key: None for run in used for key in run if key != MASS_ERROR}:
            found[key] = "; ".join({run[key]: None for run in used if key in run})
        found |= {MASS_ERROR: error.text()} if error.known else {}
        found["threshold"], found["growth_mm"] = f"{self.threshold:g}", f"{self.growth_mm:g}"
        for key, value in self.ventricle.provenance.items():
            found.setdefault(key, value)
        if self.method:
            found["method"] = self.method
        if self.edited:
            found["edited_slices"] = " ".join(str(k) for k in self.edited)
        return found

    @property
    def mass_error(self) -> MassError:
        """How far the mass may be off: the widest of the runs that scar is of. One that only took scar away asked no model."""
        gave = self._runs_of(model for model in self.models.values() if model.gave_something)
        return MassError.widest(MassError.of_text(run.get(MASS_ERROR, "")) for run in gave)

    def _runs_of(self, models: Iterable[ModelSlice]) -> list[Mapping[str, str]]:
        return [self.runs[n] for n in sorted({model.mask.run for model in models}) if n < len(self.runs)]

    @property
    def has_masks(self) -> bool:
        """Whether there is any mask, of the model or of the user."""
        return bool(self.slices)

    @property
    def methods_meet_model(self) -> bool:
        """Whether reference methods are compared with the model's masks, since a method's were taken over for the scar."""
        return bool(self.method and self.models)

    def box(self, box_id: int) -> Box:
        """One box.

        Raises:
            PromptError: there is no such box.
        """
        for row in self.boxes:
            if row.id == box_id:
                return row.box
        raise PromptError(_("There is no box {id} any more.").format(id=box_id))

    def boxes_and_points(self) -> tuple[list[Box], list[Point]]:
        """Boxes, rejected ones too, and points."""
        return [row.box for row in self.boxes], list(self.points)

    def review_order(self) -> list[int]:
        """Box ids in the order of looking through them: proposals by slice, in a slice the most doubtful first."""
        return _in_order(row for row in self.boxes if row.box.state is BoxState.PROPOSED and not row.box.by_reader)

    def faint_order(self) -> list[int]:
        """Ids of the boxes that the program rejected as too faint, likewise."""
        return _in_order(row for row in self.boxes if row.box.faint)

    def uncertain_px(self, slices: int) -> list[float]:
        """The uncertain pixels of each of ``slices`` slices; none where the model has not written, or the user has painted."""
        by_model = {k: s.model.uncertain_px for k, s in self.slices.items() if s.model is not None and not s.edited}
        return [by_model.get(k, 0.0) for k in range(slices)]

    def masks(self, shape: tuple[int, int, int]) -> np.ndarray:
        """bool ``[k, row, column]`` of all slices."""
        whole = np.zeros(shape, dtype=bool)
        for k, state in self.slices.items():
            whole[k] = unpack(state.drawn, shape[1:])
        return whole

    def probabilities(self, shape: tuple[int, int, int]) -> np.ndarray:
        """float32 ``[k, row, column]``; 0 where the model has not written."""
        whole = np.zeros(shape, dtype=np.float32)
        for k, model in self.models.items():
            whole[k] = model.probability
        return whole

    def changed_prompts(self, before: StudyState) -> set[int]:
        """Slices whose new prompts ask for a new mask: those with a mask of the model, and those that got a prompt."""
        slices = {k for k in before.prompts.keys() | self.prompts.keys() if before.prompts_on(k) != self.prompts_on(k)}
        return {k for k in slices if self.of(k).model is not None or self.prompts_on(k).adds_to(before.prompts_on(k))}

    def with_slices(self, changes: Mapping[int, SliceState], **fields: object) -> StudyState:
        """The state with some slices changed, in slice order, and with other fields."""
        merged = {**self.slices, **changes}
        slices = {k: merged[k] for k in sorted(merged) if merged[k] != NOTHING}
        return replace(self, slices=slices, **fields)  # type: ignore[arg-type]  # callers name fields

    def with_proposals(self, boxes: Iterable[Box], first_id: int) -> StudyState:
        """The state with new proposals, numbered from ``first_id`` on, in place of the old ones.

        Boxes that the user accepted, rejected or drew stay, and a proposal that is nearly one of these is left out. Those that
        were proposed as rejected are proposals still, and so are suggestions that nobody has judged.
        """
        kept = [row for row in self.boxes if not _is_proposal(row.box)]
        new = [box for box in boxes if not any(_iou(box, row.box) > _SAME_IOU for row in kept)]
        return replace(self, boxes=(*kept, *(BoxRow(first_id + n, box) for n, box in enumerate(new))))

    def with_suggestions(self, boxes: Iterable[Box], provenance: Mapping[str, str], first_id: int) -> StudyState:
        """The state with suggested boxes beside all that is there, numbered from ``first_id`` on; the same if none is added.

        One that lies for the most part in a box of its slice, also in a rejected one, is left out.
        """
        new = [box for box in boxes if not any(_common_px(box, row.box) > _ANOTHER_SHARE * box.area_px for row in self.boxes)]
        if not new:
            return self
        rows = (*self.boxes, *(BoxRow(first_id + n, box) for n, box in enumerate(new)))
        return replace(self, boxes=rows, proposals={**self.proposals, **provenance})

    def with_masks(
        self,
        probability: Mapping[int, np.ndarray],
        scores: Mapping[int, float],
        failed: Mapping[int, str],
        provenance: Mapping[str, str],
        prompts: Mapping[int, SlicePrompts],
        pixel_spacing_mm: tuple[float, float] | None,
    ) -> StudyState:
        """The state after a run of the segmenter with these prompts, with the threshold and growth in force.

        Args:
            probability: slice index to read-only float32 ``[row, column]``.
            scores: the model's own estimates.
            failed: slice index to reason.
            provenance: of the run.
            prompts: that the slices were run with.
            pixel_spacing_mm: ``(between rows, between columns)``, for growth.
        """
        left = {k: why for k, why in self.failed.items() if k not in probability} | dict(failed)
        if not probability:
            return replace(self, failed=left)
        runs, run = _with_run(self, provenance, probability.keys())
        known = {k: score for k, score in scores.items() if math.isfinite(score)}
        changes = {}
        for k, array in probability.items():
            mask = ModelMask(self.threshold, self.growth_mm, "", known.get(k), run)
            model = ModelSlice(array, mask, uncertain_pixels(array), prompts.get(k, NO_PROMPTS))
            changes[k] = _drawn(model, mask, pixel_spacing_mm)
        return self.with_slices(changes, runs=runs, failed=left)

    def with_settings(self, threshold: float, growth_mm: float, pixel_spacing_mm: tuple[float, float] | None) -> StudyState:
        """The state with the model's masks made anew from their probabilities, but for slices that the user edited."""
        changes = {
            k: _drawn(model, replace(model.mask, threshold=threshold, growth_mm=growth_mm), pixel_spacing_mm)
            for k, model in self.models.items()
            if not self.of(k).edited and (model.mask.threshold, model.mask.growth_mm) != (threshold, growth_mm)
        }
        return self.with_slices(changes, threshold=threshold, growth_mm=growth_mm)

    def with_method(self, mask: np.ndarray, method: str) -> StudyState:
        """The state with a reference method's mask, bool ``[k, row, column]``, in place of what is drawn: it counts as edited."""
        changes = {k: replace(self.of(k), drawn=pack(one)) for k, one in enumerate(mask)}
        return self.with_slices(changes, method=method)

    def cleared(self) -> StudyState:
        """The state without boxes, points and the model's masks; slices that the user edited stay as they are."""
        slices = {k: SliceState(s.drawn) for k, s in self.slices.items() if s.edited and s.drawn}
        ventricle = self.ventricle.cleared()
        return replace(self, boxes=(), points=(), slices=slices, proposals={}, runs=(), failed={}, ventricle=ventricle)


def _in_order(rows: Iterable[BoxRow]) -> list[int]:
    """Ids by slice, in a slice the most doubtful first."""
    return [row.id for row in sorted(rows, key=lambda row: (row.box.slice, row.box.confidence or 0.0, row.id))]


def _drawn(model: ModelSlice, mask: ModelMask, pixel_spacing_mm: tuple[float, float] | None) -> SliceState:
    """The slice with its mask made anew, with the threshold and growth of ``mask``."""
    drawn = pack(mask_of(model.probability, mask.threshold, mask.growth_mm, pixel_spacing_mm))
    return SliceState(drawn, replace(model, mask=replace(mask, checksum=checksum_of(drawn))))


def _with_run(
    state: StudyState, provenance: Mapping[str, str], slices: Collection[int]
) -> tuple[tuple[Mapping[str, str], ...], int]:
    """The runs of a state with one more, on these slices, and its index.

    A run of which no slice is left gives its place to the new one; the others keep theirs.
    """
    used = {model.mask.run for k, model in state.models.items() if k not in slices}
    runs = [run if n in used else {} for n, run in enumerate(state.runs)]
    for n in sorted(used & set(range(len(runs)))):
        if dict(runs[n]) == dict(provenance):
            return tuple(runs), n
    free = next((n for n in range(len(runs)) if n not in used), len(runs))
    return (*runs[:free], dict(provenance), *runs[free + 1 :]), free


def _is_proposal(box: Box) -> bool:
    """Whether a box is as the program proposed it: the reader has neither drawn nor judged it."""
    return box.faint or (box.state is BoxState.PROPOSED and not box.by_reader)


def _iou(one: Box, other: Box) -> float:
    common = _common_px(one, other)
    return common / (one.area_px + other.area_px - common)


def _common_px(one: Box, other: Box) -> float:
    """The area in both boxes, in pixels; 0 if they are on two slices or of two labels."""
    if one.slice != other.slice or one.label != other.label:
        return 0.0
    width = max(min(one.x1, other.x1) - max(one.x0, other.x0), 0.0)
    height = max(min(one.y1, other.y1) - max(one.y0, other.y0), 0.0)
    return width * height


def same_place(one: Point, other: Point) -> bool:
    """Whether two points are one, of which one was read back from the world."""
    near = abs(one.x - other.x) < 1e-3 and abs(one.y - other.y) < 1e-3
    return near and one.slice == other.slice and one.positive is other.positive


def prompts_label(before: StudyState, after: StudyState) -> str:
    """What somebody did who changed boxes, points or landmarks in the scene."""
    if before.ventricle.landmarks != after.ventricle.landmarks:
        return _("Move an insertion point") if after.ventricle.landmarks else _("Delete the insertion points")
    if before.points != after.points:
        more = len(after.points) - len(before.points)
        return _("Add a point") if more > 0 else _("Remove a point") if more < 0 else _("Move a point")
    more = len(after.boxes) - len(before.boxes)
    return _("Add a box") if more > 0 else _("Delete a box") if more < 0 else _("Change a box")


_NO_PIXELS = checksum_of(b"")


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
    walls = before.ventricle.slices, after.ventricle.slices
    changed = [(walls[0].get(k), walls[1].get(k)) for k in walls[0].keys() | walls[1].keys()]
    return cost + sum(len(b"".join(one.masks)) for pair in changed if pair[0] is not pair[1] for one in pair if one is not None)
