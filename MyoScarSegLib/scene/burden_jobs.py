"""A study of the scene as what the engine draws and reports of its scar burden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from MyoScarSegLib.engine.burden_messages import BurdenJob
from MyoScarSegLib.scene.dicom_database import image_files
from MyoScarSegLib.scene.exam import exam_of
from MyoScarSegLib.scene.study_numbers import insertion_points

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession


def burden_job(
    session: StudySession, *, with_name: bool = False, dicom: bool = False, pseudonym: str | bool = False
) -> BurdenJob:
    """The study as it is.

    Args:
        session: of the study.
        with_name: whether what the scene says of the patient goes along.
        dicom: whether the paths of the volume's DICOM images go along, for a report with DICOM files.
        pseudonym: as of :class:`~MyoScarSegLib.engine.burden_messages.BurdenJob`.
    """
    state, shape = session.state, session.geometry.shape
    patient = {}
    if with_name:
        exam = exam_of(session.volume_node)
        patient = {name: getattr(exam, name) for name in ("name", "number", "birth_date", "study_date")}
    return BurdenJob(
        session.to_result(),
        state.ventricle.ventricle(shape),
        state.ventricle.no_reflow(shape),
        insertion_points(session.geometry, state.ventricle.landmarks),
        session.numbers.levels(state),
        patient,
        session.nodes.reader.seconds,
        image_files(session.volume_node) if dicom else None,
        pseudonym,
        state.ventricle.remote(shape),
    )
