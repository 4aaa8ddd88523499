"""What becomes of a study's left ventricle: wall, remote region, landmarks and levels. Each is one undo entry."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import SceneError, StudyError
from MyoScarSegLib.quantification.aha import BY_HAND, ReadersLevel
from MyoScarSegLib.result import ProposedVentricle
from MyoScarSegLib.scene.drawn_walls import curves_of_scene, labels_of_node
from MyoScarSegLib.scene.study_numbers import landmarks_of
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_state import VentricleState
from MyoScarSegLib.study.tissue import NO_REFLOW

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession


def apply_ventricle(session: StudySession, found: ProposedVentricle, *, with_latest: bool = False) -> list[int]:
    """Show the wall that a model proposed, and propose the insertion points with it.

    With ``with_latest`` it belongs to the latest action, and is undone together with it.

    Returns:
        The slices that were left as they are, because their wall is the reader's.
    """
    kept = session.state.ventricle.edited
    session.change(
        _("Propose the wall"),
        lambda state: replace(state, ventricle=_with_landmarks(session, state.ventricle.proposed(found, found.provenance))),
        with_latest=with_latest,
    )
    return kept


def take_wall(session: StudySession, node: Any) -> None:
    """Take the wall of a segmentation or a label map, with blood pool and no-reflow, in place of the one that is there.

    Raises:
        SceneError: it has none, or it is the study's own.
        StudyError: as of :func:`~MyoScarSegLib.scene.drawn_walls.labels_of_node`.
    """
    from MyoScarSegLib.quantification.ventricle import ventricle_of_labels

    if node is None:
        raise SceneError(_("Choose a segmentation or a label map with the wall."))
    if node is session.segmentation.node:
        raise SceneError(_("{name} is the study's own segmentation: its wall counts already.").format(name=node.GetName()))
    labels = labels_of_node(node, session.volume_node, session.geometry)
    ventricle, no_reflow = ventricle_of_labels(labels), labels == NO_REFLOW
    session.change(
        _("Take the wall of {name}").format(name=node.GetName()),
        lambda state: replace(
            state,
            ventricle=_with_landmarks(session, state.ventricle.taken(ventricle, no_reflow if no_reflow.any() else None)),
        ),
    )


def take_curves(session: StudySession) -> None:
    """Make the wall of the closed curves that are drawn in the slices; slices between drawn ones are interpolated.

    Raises:
        SceneError: as of :func:`~MyoScarSegLib.scene.drawn_walls.curves_of_scene`.
        StudyError: they make no wall.
    """
    from MyoScarSegLib.quantification.contours import ventricle_of_contours

    endo, epi = curves_of_scene(session.volume_node.GetScene(), session.geometry)
    ventricle = ventricle_of_contours(endo, epi, session.geometry.shape, session.study.geometry)
    session.change(
        _("Make the wall of curves"),
        lambda state: replace(state, ventricle=_with_landmarks(session, state.ventricle.taken(ventricle))),
    )


def set_level(session: StudySession, k: int, level: ReadersLevel | None) -> None:
    """Say which third of the ventricle slice ``k`` belongs to, as of :attr:`VentricleState.levels`; None: the rules do."""
    levels = {n: of for n, of in session.state.ventricle.levels.items() if n != k}
    if level:
        levels[k] = level
    session.change(
        _("Level of slice {slice}").format(slice=k),
        lambda state: replace(state, ventricle=replace(state.ventricle, levels=dict(sorted(levels.items())))),
    )


def turn_septum(session: StudySession, degrees: float, *, join: bool = False) -> None:
    """Set the insertion points by an angle, as :func:`~MyoScarSegLib.quantification.insertions.insertions_at` has it.

    ``degrees`` count from where the patient's axes have the septum, positive ones towards the inferior wall. With ``join`` it is
    another value of the box that gave the one before: both are one step.

    Raises:
        SceneError: there is no wall, or ``degrees`` is no angle.
        StudyError: no slice's wall is whole, or the image carries no spacing.
    """
    from MyoScarSegLib.quantification.insertions import insertions_at

    wall = session.state.ventricle.ventricle(session.geometry.shape)
    if wall is None:
        raise SceneError(_("The insertion points lie on the wall: propose that first."))
    if not math.isfinite(degrees):
        raise SceneError(_("An angle is a number of degrees, not {degrees}.").format(degrees=degrees))
    landmarks = landmarks_of(session.geometry, insertions_at(degrees, wall, session.study.geometry))
    session.change(
        _("Turn the insertion points"),
        lambda state: replace(state, ventricle=replace(state.ventricle, landmarks=landmarks)),
        key="rotation",
        join=join,
    )


def draw_remote(session: StudySession) -> None:
    """Put the remote region that the reference methods propose into a segment, to be corrected: it counts from then on.

    Raises:
        SceneError: there is no wall, or the region is there already.
    """
    from MyoScarSegLib.quantification.remote import remote_myocardium

    wall = session.state.ventricle.ventricle(session.geometry.shape)
    if wall is None:
        raise SceneError(_("The remote region is a part of the wall: propose that first."))
    if session.state.ventricle.remote(session.geometry.shape) is not None:
        raise SceneError(_("The remote region is drawn already: correct its segment, or delete that for a new proposal."))
    remote = remote_myocardium(session.study.voxels, wall.myocardium, wall.cavity)
    session.change(_("Draw the remote region"), lambda state: replace(state, ventricle=state.ventricle.with_remote(remote)))


def _with_landmarks(session: StudySession, ventricle: VentricleState) -> VentricleState:
    """With insertion points proposed, unless the reader has set them."""
    from MyoScarSegLib.quantification.insertions import propose_insertions

    of_study = ventricle.ventricle(session.geometry.shape)
    if of_study is None or (ventricle.landmarks is not None and ventricle.landmarks.source in BY_HAND):
        return ventricle
    try:
        points = propose_insertions(session.study.voxels, of_study, session.study.geometry)
    except StudyError:  # nothing to go by: the measurements say that they are missing
        return ventricle
    return replace(ventricle, landmarks=landmarks_of(session.geometry, points))
