"""What becomes of a study's scar masks: runs of the segmenter, threshold, growth, a reference method. Each is one undo entry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.result import SliceMasks, check_threshold
from MyoScarSegLib.scene.notices import kept_as_painted
from MyoScarSegLib.scene.probability_volume import checked
from MyoScarSegLib.scene.slice_prompts import SlicePrompts
from MyoScarSegLib.scene.translation import _

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession

MOST_GROWTH_MM = 20.0


def apply_masks(
    session: StudySession,
    masks: SliceMasks,
    *,
    overwrite_edited: bool = False,
    with_latest: bool = False,
    prompts: Mapping[int, SlicePrompts] | None = None,
) -> list[int]:
    """Write the masks of a run of the segmenter, with the threshold and growth in force.

    Args:
        session: of the study.
        masks: probabilities of the slices that were run.
        overwrite_edited: write also where the user painted, whose work is then replaced.
        with_latest: the masks belong to the latest action (a box was moved) and are undone together with it.
        prompts: that the slices were run with; those of now if None.

    Returns:
        The slices that were left as they are, because the user painted in them.
    """
    with session.step(_("Segment scar"), segment=False, with_latest=with_latest):
        state, shape = session.state, session.geometry.shape
        given = {int(k): checked(int(k), array, shape) for k, array in sorted(masks.probability.items())}
        kept = [k for k in given if state.of(k).edited and not overwrite_edited]
        target = state.with_masks(
            {k: array for k, array in given.items() if k not in kept},
            masks.scores,
            {int(k): str(why) for k, why in masks.failed.items()},
            masks.provenance,
            state.prompts if prompts is None else prompts,
            session.study.geometry.pixel_spacing_mm,
        )
        session.become(replace(target, failed={k: why for k, why in target.failed.items() if k not in kept}))
    return kept


def set_threshold(session: StudySession, threshold: float, *, dragging: bool = False) -> list[int]:
    """Count pixels as scar from this probability on, in every slice of the model that was not edited by hand.

    Args:
        session: of the study.
        threshold: above 0 and below 1.
        dragging: it is another value of the slider that gave the one before: both are one step, and the surface of the scar,
            which takes long, is made when the slider rests.

    Returns:
        The slices with a mask of the model that keep theirs, because the user painted in them.
    """
    return _set(session, _("Threshold"), "threshold", dragging, float(check_threshold(threshold)), session.state.growth_mm)


def set_growth_mm(session: StudySession, growth_mm: float, *, dragging: bool = False) -> list[int]:
    """Grow, or below 0 shrink, the model's masks by millimeters in the slice. As :func:`set_threshold`."""
    label = _("Grow") if growth_mm > session.state.growth_mm else _("Shrink")
    return _set(session, label, "growth", dragging, session.state.threshold, check_growth(growth_mm))


def _set(session: StudySession, label: str, key: str, dragging: bool, threshold: float, growth_mm: float) -> list[int]:
    with session.step(label, key=key, join=dragging):
        if dragging:
            session.let_surface_rest()
        session.become(session.state.with_settings(threshold, growth_mm, session.study.geometry.pixel_spacing_mm))
    kept = [k for k in session.state.models if session.state.of(k).edited]
    session.notices.say(note=kept_as_painted(kept))
    return kept


def check_growth(growth_mm: float) -> float:
    """``growth_mm`` if it is a sensible number of millimeters.

    Raises:
        SceneError: it is not.
    """
    if not math.isfinite(growth_mm) or abs(growth_mm) > MOST_GROWTH_MM:
        raise SceneError(
            _("Growing and shrinking are between {low} and {high} mm, not {value}.").format(
                low=f"{-MOST_GROWTH_MM:g}", high=f"{MOST_GROWTH_MM:g}", value=f"{growth_mm:g}"
            )
        )
    return float(growth_mm)


def clear_study(session: StudySession) -> list[int]:
    """Take away boxes, points and the model's masks; slices that the user painted in stay, and are returned."""
    session.change(_("Clear"), lambda state: state.cleared())
    session.pending.forget()
    return session.state.edited


def use_method(session: StudySession, mask: np.ndarray, method: str) -> None:
    """Take a reference method's mask, bool ``[k, row, column]``, for the scar; it counts as drawn by the reader."""
    session.change(_("Use {method}").format(method=method), lambda state: state.with_method(mask, method))
