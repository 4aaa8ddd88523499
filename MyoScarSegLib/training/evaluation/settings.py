"""How well a detector and a segmenter do on labeled patients, through the pipeline that users run.

Three settings, and the clicks of a reader who goes on:

- ``oracle``: a tight box around each lesion of the reference.
- ``jittered``: that box drawn in a hurry, each edge off by a normal error of 10% of the box's side.
- ``clicks_1``, ``clicks_2``, ...: after the jittered box a correcting click a round, on each slice that is not right yet, in
  the middle of its largest error.
- ``end_to_end``: the pipeline's own proposals; slices and patients without scar count.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.evaluation import Evaluation
from MyoScarSegLib.training.evaluation.scores import CaseScore, score_case
from MyoScarSegLib.training.evaluation.stacks import Stack, stacks_of
from MyoScarSegLib.training.prompt_boxes import JITTER, jittered
from MyoScarSegLib.training.prompt_clicks import correction
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.result import Result

ORACLE, JITTERED, CLICKS, END_TO_END = "oracle", "jittered", "clicks", "end_to_end"
SETTINGS = (ORACLE, JITTERED, CLICKS, END_TO_END)


@dataclass(frozen=True)
class ModelEvaluation(Evaluation):
    """Scores of a pipeline on labeled patients; see :class:`Evaluation`.

    ``failures`` has ``"<setting>, <case>, slice <n>"`` to the reason why that slice could not be done; it counts as empty.
    """


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
) -> ModelEvaluation:
    """Segment labeled patients in several settings, and compare.

    Each slice draws its box errors from a generator of its own, seeded by ``seed``, case and slice: two models evaluated with
    one seed get the same boxes, whatever else they are evaluated on. Where the data has lost its spacing,
    :data:`~MyoScarSegLib.training.evaluation.stacks.ASSUMED_PIXEL_MM` and its like stand in, and the scores say so.

    Args:
        pipeline: the models.
        slices: labeled slices of whole patients.
        clicks: rounds of corrections.
        threshold: probability from which on a pixel counts as scar.
        seed: of box errors and clicks.
        settings: some of :data:`SETTINGS`; ``clicks`` needs the jittered boxes and does them, too.
        on_result: called with setting, case and what the pipeline made of it, for those who want the masks.
        progress: called before each case and setting.
        cancel: honoured before each slice.

    Raises:
        MyoScarSegError: there is no such setting.
        StudyError: there are no slices, or they do not make stacks.
        ModelError: a model cannot be loaded.
        Cancelled: the token was set.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown or not settings:
        raise MyoScarSegError(f"There is no setting {', '.join(unknown) or 'given'}; choose from {', '.join(SETTINGS)}.")
    stacks = stacks_of(slices)
    rounds = clicks if CLICKS in settings else 0
    work = _Work(pipeline, threshold, rounds, seed, frozenset(settings), cancel, on_result)
    steps = sum(name != CLICKS for name in settings) + rounds + (CLICKS in settings and JITTERED not in settings)
    for number, stack in enumerate(stacks):
        done = 0

        def report(what: str, number: int = number, case: str = stack.case) -> None:
            nonlocal done
            progress(number * steps + done, len(stacks) * steps, f"evaluating {case} ({number + 1} of {len(stacks)}): {what}")
            done += 1

        work.evaluate(stack, report)
    progress(len(stacks) * steps, len(stacks) * steps, "evaluated")
    how = {"threshold": threshold, "clicks": rounds, "seed": seed, "box_jitter": JITTER}
    return ModelEvaluation({name: tuple(of) for name, of in work.scores.items()}, work.failures, work.provenance, how)


class _Work:
    """One evaluation under way: the scores gathered so far, by setting."""

    def __init__(
        self,
        pipeline: Pipeline,
        threshold: float,
        clicks: int,
        seed: int,
        settings: frozenset[str],
        cancel: CancelToken | None,
        on_result: Callable[[str, Stack, Result], None] | None = None,
    ) -> None:
        self._on_result = on_result
        self._pipeline, self._threshold, self._clicks, self._seed = pipeline, threshold, clicks, seed
        self._settings, self._cancel = settings, cancel
        names = [ORACLE, JITTERED, *(f"{CLICKS}_{n + 1}" for n in range(clicks)), END_TO_END]
        wanted = settings | ({JITTERED} if CLICKS in settings else set())
        self.scores: dict[str, list[CaseScore]] = {n: [] for n in names if n in wanted or n.startswith(CLICKS)}
        self.failures: dict[str, str] = {}
        self.provenance: dict[str, str] = {}

    def evaluate(self, stack: Stack, report: Callable[[str], None]) -> None:
        """All settings of one stack."""
        spacing = stack.study.geometry.pixel_spacing_mm
        tight = {k: boxes_of(lesions(mask, spacing, smallest_mm2=0.0)) for k, mask in enumerate(stack.scar) if mask.any()}
        if ORACLE in self._settings:
            report("oracle boxes")
            self._segment(ORACLE, stack, [_box(k, box, "reference") for k, of in tight.items() for box in of])
        if JITTERED in self.scores:
            report("jittered boxes")
            generators = {k: self._generator(stack, k) for k in range(len(stack.scar))}
            hurried = [
                _box(k, jittered(generators[k], tuple(box), stack.scar[k].shape, JITTER), "jittered reference")
                for k, of in tight.items()
                for box in of
            ]
            mask = self._segment(JITTERED, stack, hurried).mask
            points: list[Point] = []
            for number in range(1, self._clicks + 1):
                report(f"click {number}")
                for k in tight:
                    for x, y, positive in correction(generators[k], mask[k], stack.scar[k]):
                        points.append(Point(k, float(x), float(y), bool(positive)))
                mask = self._segment(f"{CLICKS}_{number}", stack, hurried, points).mask
        if END_TO_END in self._settings:
            report("end to end")
            proposed = self._pipeline.propose(stack.study, cancel=self._cancel)
            if proposed.cancelled:
                raise Cancelled
            self._failed(END_TO_END, stack, proposed.failed_slices)
            self.provenance |= proposed.provenance
            self._segment(END_TO_END, stack, proposed)

    def _segment(self, setting: str, stack: Stack, boxes: Sequence[Box], points: Sequence[Point] = ()) -> Result:
        result = self._pipeline.segment(stack.study, boxes, points, threshold=self._threshold, cancel=self._cancel)
        if result.cancelled:
            raise Cancelled
        self._failed(setting, stack, result.failed_slices)
        if result.scores:
            models = {key: value for key, value in result.provenance.items() if not key.startswith("heart_centre")}
            self.provenance |= models
        if self._on_result is not None:
            self._on_result(setting, stack, result)
        self.scores[setting].append(
            score_case(
                result.mask,
                stack.scar,
                stack.grid,
                case=stack.case,
                patient=stack.patient,
                wall=stack.wall,
                probability=result.probability,
                slice_numbers=stack.numbers,
            )
        )
        return result

    def _failed(self, setting: str, stack: Stack, failed: Any) -> None:
        for k, reason in failed.items():
            self.failures[f"{setting}, {stack.case}, slice {stack.numbers[k]}"] = reason

    def _generator(self, stack: Stack, k: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(stack.case.encode()), stack.numbers[k]])


def _box(k: int, corners: Iterable[float], source: str) -> Box:
    x0, y0, x1, y1 = (float(value) for value in corners)
    return Box(k, x0, y0, x1, y1, source=source)
