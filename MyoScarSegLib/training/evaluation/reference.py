"""The field's thresholds on labeled slices, beside which models are shown.

They are given the expert's own myocardium, which no model gets: what they find outside the wall is not held against them, and
where the wall is was not their work. And as their remote myocardium is found from the image, nobody drew it for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.quantification.reference import METHODS, reference_masks
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.evaluation import Evaluation
from MyoScarSegLib.training.evaluation.scores import CaseScore, score_case
from MyoScarSegLib.training.evaluation.stacks import stacks_of
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

NOTE = "Thresholds (n SD, FWHM, Otsu) were given the expert's myocardium; models were not."


def evaluate_reference(
    slices: Iterable[LabeledSlice],
    *,
    methods: Sequence[str] = METHODS,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Threshold within the reference's wall, and compare.

    Args:
        slices: labeled slices of whole patients.
        methods: some of :data:`~MyoScarSegLib.quantification.reference.METHODS`; each becomes a setting of that name.
        progress: called before each case.
        cancel: honoured before each case.

    Returns:
        The scores; cases whose wall was not drawn are among the failures.

    Raises:
        MyoScarSegError: there is no such method.
        StudyError: there are no slices, or they do not make stacks.
        Cancelled: the token was set.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise MyoScarSegError(f"There is no reference method {', '.join(unknown)}; choose from {', '.join(METHODS)}.")
    scores: dict[str, list[CaseScore]] = {method: [] for method in methods}
    failures: dict[str, str] = {}
    stacks = stacks_of(slices)
    for done, stack in enumerate(stacks):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(done, len(stacks), f"thresholds of {stack.case}")
        try:
            if stack.wall is None:
                raise StudyError("its left-ventricular wall was not drawn")
            found = reference_masks(stack.study.voxels, stack.wall, stack.cavity)
        except StudyError as error:
            failures[f"thresholds, {stack.case}"] = str(error)
            continue
        for method in methods:
            scores[method].append(
                score_case(
                    found[method].mask,
                    stack.scar,
                    stack.grid,
                    case=stack.case,
                    patient=stack.patient,
                    wall=stack.wall,
                    slice_numbers=stack.numbers,
                )
            )
    progress(len(stacks), len(stacks), "thresholds")
    return Evaluation({method: tuple(of) for method, of in scores.items()}, failures, notes=(NOTE,))
