"""How well a detector and a segmenter do on labeled patients, through the pipeline that users run.

The settings:

- ``end_to_end``: no human. The pipeline's own proposals, on all slices of all patients. Where the wall was drawn, a model's
  map of tissues is compared, too.
- ``jittered``: one box on each slice that has scar, round all its scar, each edge moved by an independent uniform draw within
  10% of the box's side. No box on other slices. It counts as drawn by the reader, whose boxes bound the mask.
- ``clicks_1``, ``clicks_2``, ...: after that box a click a round on the slices with scar: deepest in the last mask's largest
  error (:func:`~MyoScarSegLib.training.reader_prompts.correction`), positive or negative; none where all is right.
- ``oracle``: that one box with its edges where the scar ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from MyoScarSegLib.errors import Cancelled, MyoScarSegError, StudyError
from MyoScarSegLib.networks import image_of
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.quantification.reference import METHODS, reference_masks
from MyoScarSegLib.result import Boxes, Result
from MyoScarSegLib.study.checks import recognize_reconstruction
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.study.tissue import CAVITY
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, by_stack, in_order
from MyoScarSegLib.training.evaluation.scores import CaseScore, Grid, score_case
from MyoScarSegLib.training.evaluation.summary import Evaluation
from MyoScarSegLib.training.reader_prompts import Corners, correction, tight
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress, steps

REFERENCE_BOX, JITTERED, CLICKS, END_TO_END = "oracle", "jittered", "clicks", "end_to_end"
SETTINGS = (REFERENCE_BOX, JITTERED, CLICKS, END_TO_END)
BOX_ERROR = 0.1
"""By how much an edge of the jittered box is off at most, as a share of the box's side."""
NOTE = "Thresholds (n SD, FWHM, Otsu) were given the expert's myocardium; models were not."
ASSUMED_PIXEL_MM, ASSUMED_SLICE_MM = 1.4, 10.0
"""Where the data has lost its spacing and a number is needed: EMIDEC's usual one."""


@dataclass(frozen=True)
class Stack:
    """All labeled slices of one stack.

    Attributes:
        case: its name; patient: whose it is.
        study: the images.
        scar: bool ``[k, j, i]``, the reference.
        wall: bool ``[k, j, i]``, the reference's myocardium with its scar; None if it was not drawn.
        cavity: bool ``[k, j, i]``; likewise.
        numbers: what the data set calls the slices.
        grid: sizes, of the data or assumed.
    """

    case: str
    patient: str
    study: Study
    scar: np.ndarray
    wall: np.ndarray | None
    cavity: np.ndarray | None
    numbers: tuple[int, ...]
    grid: Grid

    def score(self, mask: np.ndarray, probability: np.ndarray | None = None) -> CaseScore:
        """Of a predicted mask, bool ``[k, j, i]``, and the probabilities behind it."""
        return score_case(
            mask,
            self.scar,
            self.grid,
            case=self.case,
            patient=self.patient,
            wall=self.wall,
            probability=probability,
            slice_numbers=self.numbers,
        )


def stacks_of(slices: Iterable[LabeledSlice]) -> list[Stack]:
    """The stacks that slices belong to, sorted by patient and case, their slices by number. StudyError if there are none, or a
    stack's differ in size or spacing, or one is there twice.
    """
    found = by_stack(slices)
    if not found:
        raise StudyError("There are no labeled slices to evaluate on.")
    return [_stack(patient, case, of) for (patient, case), of in sorted(found.items())]


def _stack(patient: str, case: str, slices: list[LabeledSlice]) -> Stack:
    slices = in_order(slices)
    in_plane, between = slices[0].pixel_spacing_mm, [one.slice_spacing_mm for one in slices]
    assumed = in_plane is None or any(distance is None for distance in between)
    row_mm, column_mm = in_plane or (ASSUMED_PIXEL_MM, ASSUMED_PIXEL_MM)
    extents = np.array([ASSUMED_SLICE_MM if distance is None else distance for distance in between], dtype=np.float64)
    voxels = np.stack([np.asarray(one.image, dtype=np.float32) for one in slices])
    reconstruction, reason = recognize_reconstruction(voxels)
    study = Study(
        case=case,
        voxels=voxels,
        geometry=Geometry((column_mm, row_mm, float(np.median(extents)))),
        reconstruction=reconstruction,
        reconstruction_reason=reason,
    )
    labels = np.stack([one.labels for one in slices])
    known = all(one.wall_known for one in slices)
    wall, cavity = (labels > CAVITY, labels == CAVITY) if known else (None, None)
    grid = Grid((row_mm, column_mm), row_mm * column_mm, extents, assumed)
    numbers = tuple(one.index for one in slices)
    return Stack(case, patient, study, np.stack([one.scar for one in slices]), wall, cavity, numbers, grid)


def evaluate_models(
    pipeline: Pipeline,
    slices: Iterable[LabeledSlice],
    *,
    clicks: int = 3,
    threshold: float = 0.5,
    seed: int = 0,
    settings: Sequence[str] = SETTINGS,
    on_result: Callable[[str, Stack, Result], None] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Segment labeled slices of whole patients in several of the :data:`SETTINGS`, and compare.

    Each slice draws its box errors from a generator of its own, seeded by ``seed``, case and slice: two models evaluated with one
    seed get the same boxes, whatever else they are evaluated on. Where the data has lost its spacing, :data:`ASSUMED_PIXEL_MM`
    and its like stand in, and the scores say so.

    Args:
        clicks: how many are made on a slice, one after the other; the setting ``clicks`` does the jittered boxes, too.
        threshold: probability from which on a pixel counts as scar.
        on_result: called with setting, case and what the pipeline made of it, for those who want the masks.

    Raises:
        MyoScarSegError: there is no such setting.
        StudyError: there are no slices, or they do not make stacks.
        ModelError: a model cannot be loaded.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown or not settings:
        raise MyoScarSegError(f"There is no setting {', '.join(unknown) or 'given'}; choose from {', '.join(SETTINGS)}.")
    stacks = stacks_of(slices)
    rounds = clicks if CLICKS in settings else 0
    work = _Work(pipeline, threshold, rounds, seed, frozenset(settings), cancel, on_result)
    per_case = sum(name != CLICKS for name in settings) + rounds + (CLICKS in settings and JITTERED not in settings)
    total = len(stacks) * per_case
    steps_of = ((number, stack, what) for number, stack in enumerate(stacks, start=1) for what in work.evaluated(stack))
    for done, (number, stack, what) in enumerate(steps_of):
        progress(done, total, f"evaluating {stack.case} ({number} of {len(stacks)}): {what}")
    progress(total, total, "evaluated")
    how = {"threshold": threshold, "clicks": rounds, "seed": seed, "box_jitter": BOX_ERROR}
    return Evaluation({name: tuple(of) for name, of in work.scores.items()}, work.failures, work.provenance, how)


@dataclass
class _Work:
    """One evaluation under way: the scores gathered so far, by setting."""

    pipeline: Pipeline
    threshold: float
    clicks: int
    seed: int
    settings: frozenset[str]
    cancel: CancelToken | None
    on_result: Callable[[str, Stack, Result], None] | None = None
    scores: dict[str, list[CaseScore]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def evaluated(self, stack: Stack) -> Iterator[str]:
        """Go through all settings of one stack; each is named before it is begun."""
        boxes = {k: box for k, mask in enumerate(stack.scar) if (box := tight(mask)) is not None}
        if REFERENCE_BOX in self.settings:
            yield "reference boxes"
            self._segment(REFERENCE_BOX, stack, [Box(k, *box) for k, box in boxes.items()])
        if {JITTERED, CLICKS} & self.settings:
            yield "jittered boxes"
            drawn = [Box(k, *self._jittered(stack, k, box)) for k, box in boxes.items()]
            mask = self._segment(JITTERED, stack, drawn).mask
            points: list[Point] = []
            for number in range(1, self.clicks + 1):
                yield f"click {number}"
                for k in boxes:
                    for x, y, positive in correction(None, mask[k], stack.scar[k]):
                        points.append(Point(k, float(x), float(y), bool(positive)))
                mask = self._segment(f"{CLICKS}_{number}", stack, drawn, points).mask
        if END_TO_END in self.settings:
            yield "end to end"
            proposed = self.pipeline.propose(stack.study, cancel=self.cancel)
            if proposed.cancelled:
                raise Cancelled
            self._failed(END_TO_END, stack, proposed.failed_slices)
            self.provenance |= proposed.provenance
            self._segment(END_TO_END, stack, proposed)
            if stack.wall is not None and self.pipeline.networks.segmenter.knows_tissue:
                self.scores[END_TO_END][-1] = self._with_anatomy(self.scores[END_TO_END][-1], stack, proposed)

    def _with_anatomy(self, score: CaseScore, stack: Stack, proposed: Boxes) -> CaseScore:
        """``score`` with the Dice of wall and cavity in the model's map of tissues; slices that failed are empty."""
        networks = self.pipeline.networks
        center = networks.heart_center(stack.study, cancel=self.cancel)
        found = np.zeros(stack.scar.shape, dtype=np.uint8)
        for k in range(stack.study.slices):
            check_cancel(self.cancel)
            if k not in proposed.failed_slices and k not in stack.study.bad_slices:
                found[k] = networks.segmenter.tissue(image_of(stack.study, k, center)).argmax(axis=0)
        wall, cavity = np.asarray(stack.wall), np.asarray(stack.cavity)
        return replace(score, myocardium_dice=dice(found > CAVITY, wall), cavity_dice=dice(found == CAVITY, cavity))

    def _segment(self, setting: str, stack: Stack, boxes: Sequence[Box], points: Sequence[Point] = ()) -> Result:
        result = self.pipeline.segment(stack.study, boxes, points, threshold=self.threshold, cancel=self.cancel)
        if result.cancelled:
            raise Cancelled
        self._failed(setting, stack, result.failed_slices)
        if result.scores:
            models = {key: value for key, value in result.provenance.items() if not key.startswith("heart_centre")}
            self.provenance |= models
        if self.on_result is not None:
            self.on_result(setting, stack, result)
        self.scores.setdefault(setting, []).append(stack.score(result.mask, result.probability))
        return result

    def _failed(self, setting: str, stack: Stack, failed: Any) -> None:
        for k, reason in failed.items():
            self.failures[f"{setting}, {stack.case}, slice {stack.numbers[k]}"] = reason

    def _jittered(self, stack: Stack, k: int, box: Corners) -> Corners:
        generator = np.random.default_rng([self.seed, zlib.crc32(stack.case.encode()), stack.numbers[k]])
        side = np.tile(np.subtract(box[2:], box[:2]), 2)
        x0, y0, x1, y1 = (float(edge) for edge in box + generator.uniform(-BOX_ERROR, BOX_ERROR, 4) * side)
        return x0, y0, x1, y1


def evaluate_thresholds(
    slices: Iterable[LabeledSlice], *, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> Evaluation:
    """Threshold within the reference's wall, and compare: each method of :mod:`MyoScarSegLib.quantification.reference` is a
    setting. Cases whose wall was not drawn, and methods without an answer, are among the failures.

    Raises:
        StudyError: there are no slices, or they do not make stacks.
    """
    scores: dict[str, list[CaseScore]] = {method: [] for method in METHODS}
    failures: dict[str, str] = {}
    stacks = stacks_of(slices)
    for stack in steps(stacks, lambda stack: f"thresholds of {stack.case}", progress, cancel):
        try:
            if stack.wall is None:
                raise StudyError("its left-ventricular wall was not drawn")
            found = reference_masks(
                stack.study.voxels, stack.wall, stack.cavity, psir=stack.study.reconstruction is Reconstruction.PSIR
            )
        except StudyError as error:
            failures[f"thresholds, {stack.case}"] = str(error)
            continue
        for method in METHODS:
            if (mask := found[method].mask) is None:
                failures[f"{method}, {stack.case}"] = found[method].why
            else:
                scores[method].append(stack.score(mask))
    return Evaluation({method: tuple(of) for method, of in scores.items()}, failures, notes=(NOTE,))
