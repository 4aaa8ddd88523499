"""What the worker draws and writes of scar burden: the application has no matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from MyoScarSegLib.engine.burden_messages import BurdenJob
from MyoScarSegLib.errors import MyoScarSegError, OutputError, StudyError
from MyoScarSegLib.study.names import case_name

if TYPE_CHECKING:
    from MyoScarSegLib.outputs.report_content import Report


def draw_picture(job: BurdenJob, name: str, width_px: int) -> bytes:
    """One picture for a panel as a PNG file.

    Args:
        job: what to show.
        name: of :data:`~MyoScarSegLib.outputs.burden_pictures.PICTURES`.
        width_px: of the picture.

    Raises:
        StudyError: the masks do not fit the study.
    """
    from MyoScarSegLib.outputs.burden_pictures import PICTURES, picture
    from MyoScarSegLib.outputs.report_content import Report
    from MyoScarSegLib.quantification.measurements import measure

    study, known = job.result.study, job.anatomy
    measured = measure(
        job.result.mask, study.geometry, ventricle=known.ventricle, no_reflow=known.no_reflow, insertions=known.insertions,
        levels=known.levels, voxels=study.voxels,
    )  # fmt: skip
    draw, width, height = PICTURES[name]
    report = Report(study.case, job.result, measured, known)
    return picture(draw, report, width, height, round(width_px / width))


def write_report_of(job: BurdenJob, folder: Path) -> Path:
    """Write the report of a study into a folder of its own, and the tables over all reports beside it.

    The folder is the one that belongs to the study's image, see :class:`~MyoScarSegLib.outputs.case_folders.CaseFolders`: two
    studies of one name have two.

    Returns:
        The study's folder.

    Raises:
        StudyError: the masks do not fit the study.
        OutputError: the folder cannot be written, or the disk is full; or the DICOM files that were asked for cannot be written,
            and everything else is.
    """
    from MyoScarSegLib.outputs.case_folders import CaseFolders, content_of
    from MyoScarSegLib.outputs.measurement_files import write_burden_tables
    from MyoScarSegLib.outputs.report_content import make_report
    from MyoScarSegLib.outputs.report_files import remove_report_dicom, write_report

    study, named = job.result.study, job.pseudonym if isinstance(job.pseudonym, str) else ""
    wanted = case_name(Path(named or study.case))
    problem: MyoScarSegError | None = None
    with CaseFolders(folder).writing(wanted, None, content_of(study)) as place:
        # A folder of before may have a name that the study has no more, and which a pseudonym was to replace.
        numbered = place.name == wanted or place.name.startswith(f"{wanted}-")
        name = named or (place.name if numbered else wanted)
        report = make_report(
            job.result,
            job.anatomy,
            name=name,
            reader_minutes=None if job.reader_s is None else job.reader_s / 60,
            patient=job.patient,
        )
        write_report(place, report)
        remove_report_dicom(place)
        if job.images is not None:
            try:
                _write_dicom(place, report, job.images, name if job.pseudonym else "")
            except MyoScarSegError as error:
                problem = error
    write_burden_tables(folder)
    if problem is not None:
        raise OutputError(f"The report is in {place}, but without its DICOM files: {problem}") from problem
    return place


def _write_dicom(place: Path, report: Report, images: Sequence[str], pseudonym: str) -> None:
    from MyoScarSegLib.outputs.report_files import write_report_dicom
    from MyoScarSegLib.study.dicom_sources import with_files

    study = report.result.study
    if not images:
        raise StudyError(f"{study.case} did not come from Slicer's DICOM database.")
    if not all(path and Path(path).is_file() for path in images):
        raise StudyError(
            f"Images of {study.case} are not where Slicer's DICOM database has them. Import the series there again, load it, and "
            "take that volume."
        )
    try:
        study = with_files(study, [Path(path) for path in images])
    except StudyError as error:
        raise StudyError(f"{error} In 3D Slicer: take the volume as it was loaded, neither moved nor resampled.") from error
    write_report_dicom(place, report, study, pseudonym=pseudonym)
