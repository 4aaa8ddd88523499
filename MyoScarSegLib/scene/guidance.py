"""The sentences that say what to do next, and why something cannot be done now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from MyoScarSegLib.prompts import BoxState, places_of
from MyoScarSegLib.scene.slice_prompts import asks
from MyoScarSegLib.scene.translation import _, slice_list

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession
    from MyoScarSegLib.scene.study_state import StudyState

_ACTIONS = frozenset({"propose", "suggest", "segment", "segment_slice", "process", "propose_wall", "report"})
"""What runs one at a time."""


def why_not(verb: str, session: StudySession | None, k: int | None = None) -> str:
    """Why something is not possible now, as a sentence for a tooltip; empty if it is.

    Args:
        verb: one of :data:`_ACTIONS`, ``"cancel"``, ``"undo"``, ``"redo"`` or ``"export"``; all others only need a study.
        session: of the study in hand; None without one.
        k: the slice that is displayed; None if no view shows one.
    """
    if session is None:
        return _("Nothing is running.") if verb == "cancel" else _("Choose an LGE volume first.")
    state, requests = session.state, session.requests
    if verb in ("segment_slice", "suggest") and k is None:
        return _("No slice view shows a slice of this volume.")
    if verb == "cancel":
        return "" if requests.busy else _("Nothing is running.")
    if verb == "undo":
        return "" if session.history.can_undo else _("There is nothing to undo.")
    if verb == "redo":
        return "" if session.history.can_redo else _("There is nothing to redo.")
    if verb == "export":
        return "" if state.has_masks else _("There is nothing to export yet: segment a study first.")
    if verb in _ACTIONS and requests.busy:
        return _("Wait until the running step has ended, or cancel it.")
    if verb == "report" and not state.has_masks and not state.ventricle.has_wall:
        return _("There is nothing to report yet: segment the study first.")
    if verb == "segment" and not (state.models or state.proposals or asks(state.prompts)):
        return _("There is no box and no + point yet: propose boxes, or draw one.")
    if verb == "suggest" and (k not in state.confirmed or not state.of(k).drawn):
        return _("Accept or correct the scar of this slice first: what you confirmed is looked for on its neighbors.")
    if verb == "propose_wall" and requests.engine.status().knows_tissue is False:
        return _("The chosen segmenter answers boxes and points only; it does not see the wall.")
    if verb == "suggest" and requests.engine.status().knows_tissue is False:
        return _("The chosen segmenter answers boxes and points only; it does not look at neighboring slices.")
    return ""


def next_step(session: StudySession | None, *, engine: str = "ready", doing: str = "", others: int = 0) -> str:
    """One or two sentences: where the work stands, and what to do next.

    Args:
        session: of the study in hand; None without one.
        engine: state of the engine.
        doing: the running action's own sentence; empty if none runs.
        others: number of volumes in the scene, while none is chosen and none is likely to be an LGE stack.
    """
    if engine == "failed":
        return _("The segmentation process does not start. See the message above; Retry starts it again.")
    if session is None:
        if others:
            return _("Choose an LGE volume: no volume of the scene ({n}) looks like one by its name and shape.").format(n=others)
        return _("Choose an LGE volume, or load the sample data.")
    if doing:
        return doing
    state = session.state
    if session.stale_slices:
        return _("Boxes or points changed on {slices}: press Segment all to bring the masks up to date.").format(
            slices=slice_list(session.stale_slices)
        )
    if state.segmented:
        advice = _("Look through the slices and correct what is wrong; then write the report, and save the scene.")
        return " ".join(part for part in (_found(session), _faint(state), advice) if part)
    boxes = [row.box for row in state.boxes if row.box.counts]
    if boxes:
        if any(box.state is BoxState.PROPOSED and not box.by_reader for box in boxes):
            then = _("Look through them, then press Segment all.")
        else:
            then = _("Press Segment all.")
        return _boxes(len(boxes), len({box.slice for box in boxes})) + " " + then
    if faint := _faint(state):
        return faint + " " + _("Look at them, and accept those that you take for scar; then press Segment all.")
    if state.proposals:
        return _(
            "All {slices} slices were looked at, and no scar was proposed. If you see some, draw a box around it in a slice "
            "view; then press Segment all."
        ).format(slices=session.study.slices)
    return _("Press Propose boxes, or draw a box around scar in a slice view.")


def _boxes(boxes: int, slices: int) -> str:
    if boxes == 1:
        return _("1 box.")
    if slices == 1:
        return _("{boxes} boxes on 1 slice.").format(boxes=boxes)
    return _("{boxes} boxes on {slices} slices.").format(boxes=boxes, slices=slices)


def _faint(state: StudyState) -> str:
    """The places that the program rejected as too faint; empty if there are none."""
    faint = [row.box for row in state.boxes if row.box.faint]
    if not faint:
        return ""
    places, slices = len(places_of(faint)), {box.slice for box in faint}
    said = _("1 faint place is not counted: {slices}.") if places == 1 else _("{n} faint places are not counted: {slices}.")
    return said.format(n=places, slices=slice_list(slices))


def _found(session: StudySession) -> str:
    burden, within, masks = session.burden, session.mass_interval, len(session.state.segmented)
    if burden.pixels == 0:
        if masks == 1:
            return _("No scar was found on the one slice that was segmented.")
        return _("No scar was found on the {n} slices that were segmented.").format(n=masks)
    if burden.volume_ml is None or burden.mass_g is None:
        return _("Scar: {pixels} pixels (the volume has no spacing).").format(pixels=burden.pixels)
    if within is None:
        return _("Scar: {ml:.1f} mL, {g:.1f} g.").format(ml=burden.volume_ml, g=burden.mass_g)
    low, high = within.ends
    return _("Scar: {ml:.1f} mL, {g:.1f} g ({low} to {high}).").format(ml=burden.volume_ml, g=burden.mass_g, low=low, high=high)
