"""What the models have given for a study is put into it: proposals, suggestions, masks. Each is one undo entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from MyoScarSegLib.prompts import Box, check_box
from MyoScarSegLib.result import SliceMasks
from MyoScarSegLib.scene.probability_volume import checked
from MyoScarSegLib.scene.slice_prompts import SlicePrompts
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.view_settings import current_view, fit_to_heart

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession


def apply_proposals(
    session: StudySession,
    boxes: Iterable[Box],
    provenance: Mapping[str, str] | None = None,
    *,
    heart: tuple[float, float] | None = None,
    fit: bool = False,
) -> None:
    """Put proposed boxes in place of earlier proposals; accepted, rejected and the user's own boxes stay.

    With ``fit`` views and gray scale show the heart, of which ``heart`` is the middle ``(x, y)`` if it is known, if these are the
    study's first proposals: later the reader may have chosen others. Undone with the proposals.
    """
    found = [check_box(box, session.geometry.shape) for box in boxes]
    fit = fit and not session.state.proposals
    if fit:
        session.state = replace(session.state, view=current_view(session.volume_node))  # what undo goes back to
    with session.step(_("Propose boxes"), segment=False):
        proposed = session.state.with_proposals(found, session.nodes.boxes.next_id)
        session.become(replace(proposed, proposals=dict(provenance or {})))
        if fit:
            view = fit_to_heart(session.volume_node, session.geometry, session.study.voxels, found, heart)
            session.state = replace(session.state, view=view)


def apply_suggestions(session: StudySession, boxes: Iterable[Box], provenance: Mapping[str, str]) -> list[int]:
    """Add boxes that were suggested on neighbors, as an offer: nothing that exists changes, and none is segmented before it is
    accepted, moved or resized (:attr:`Box.counts <MyoScarSegLib.prompts.Box.counts>`).

    Returns:
        The slice of each box that was added; those that overlap a box that is there were not.
    """
    found = [check_box(box, session.geometry.shape) for box in boxes]
    with session.step(_("Suggest boxes"), segment=False):
        before = len(session.state.boxes)
        session.become(session.state.with_suggestions(found, provenance, session.nodes.boxes.next_id))
        added = session.state.boxes[before:]
    return sorted(row.box.slice for row in added)


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
