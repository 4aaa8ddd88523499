"""A round left ventricle as a model proposes it, and as the scene shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.result import ProposedVentricle
from Testing.support.workflow_factory import paint_in_scene, scar_in_scene

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession
    from MyoScarSegLib.scene.ventricle_state import Landmarks

PROVENANCE = {"wall": "tiny", "wall_sha256": "1" * 64}


def ring_wall(
    shape: tuple[int, int, int] = (6, 40, 48), slices: tuple[int, ...] = (1, 2, 3, 4), radius: float = 10.0, wall: float = 5.0
) -> ProposedVentricle:
    """A ring of wall around a blood pool of ``radius`` pixels on these slices, in the middle of the image."""
    rows, columns = np.mgrid[: shape[1], : shape[2]] + 0.5
    distance = np.hypot(columns - shape[2] / 2, rows - shape[1] / 2)
    myocardium, cavity = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for k in slices:
        cavity[k], myocardium[k] = distance < radius, (distance >= radius) & (distance < radius + wall)
    return ProposedVentricle(myocardium, cavity, "model", provenance=PROVENANCE)


def segment_mask(session: StudySession, name: str) -> np.ndarray:
    """bool ``[k, row, column]``: a segment of the study's node as any other module reads it."""
    return session.geometry.to_study(scar_in_scene(session.volume_node, session.segmentation.node, name))


def paint_segment(session: StudySession, name: str, mask: np.ndarray) -> None:
    """Replace a segment of the study's node as the Segment Editor does, and have the session take it up."""
    paint_in_scene(session.volume_node, session.segmentation.node, session.geometry.to_volume(mask), name)
    session.pump()


def set_landmarks(session: StudySession, landmarks: Landmarks) -> None:
    """Set the insertion points, as one step."""
    session.change(
        "Set the insertion points", lambda state: replace(state, ventricle=replace(state.ventricle, landmarks=landmarks))
    )
