"""Writing a report: all of its files or none; and its DICOM files, the masks as a segmentation, the measurements as a structured
report that refers to that.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from MyoScarSegLib.outputs.dicom_report import write_structured_report
from MyoScarSegLib.outputs.dicom_segmentation import write_dicom_seg
from MyoScarSegLib.outputs.measurement_files import MEASUREMENTS, document_of
from MyoScarSegLib.outputs.report_content import Report
from MyoScarSegLib.outputs.report_html import html_page
from MyoScarSegLib.outputs.report_page import pdf_page
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import BLOOD_POOL, MVO, SCAR, WALL
from MyoScarSegLib.utils.files import atomic_path, remove

HTML, PDF = "report.html", "report.pdf"
SEGMENTATION, STRUCTURED_REPORT = "segmentation.dcm", "report.dcm"


def write_report(folder: Path, report: Report, formats: Collection[str] = ("html", "pdf")) -> list[Path]:
    """Write ``report.html``, ``report.pdf`` and ``measurements.json``.

    They are written beside their places, and moved there when all are whole: a disk that fills up leaves what was there before.

    Args:
        folder: made if it is not there.
        formats: of ``html`` and ``pdf``; an earlier file of the other is taken away, since it would show other numbers.

    Returns:
        The files.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    made: dict[str, bytes] = {MEASUREMENTS: (json.dumps(document_of(report), indent=2, allow_nan=False) + "\n").encode()}
    if "html" in formats:
        made[HTML] = html_page(report).encode()
    if "pdf" in formats:
        made[PDF] = pdf_page(report)
    with ExitStack() as stack:
        # Entered first, moved last: where measurements.json lies, the others do, too.
        for name, data in made.items():
            stack.enter_context(atomic_path(folder / name)).write_bytes(data)
    for name in {HTML, PDF} - set(made):
        remove(folder / name)
    return [folder / name for name in made]


def write_report_dicom(folder: Path, report: Report, study: Study, *, pseudonym: str = "") -> list[Path]:
    """Write ``segmentation.dcm`` (scar, wall, blood pool, no-reflow) and ``report.dcm``.

    Earlier ones are taken away first, so that what is there afterwards shows the report's numbers.

    Args:
        report: whose masks and measurements they show.
        study: the report's, with its ``files``.
        pseudonym: replaces the source's patient, as of :func:`~MyoScarSegLib.outputs.dicom_segmentation.write_dicom_seg`.

    Returns:
        The files.

    Raises:
        StudyError: the study did not come from DICOM, or its files are gone.
        OutputError: highdicom is not installed, the headers lack what is needed, or a file cannot be written.
    """
    remove_report_dicom(folder)
    segments, no_reflow = {SCAR: report.scar}, report.anatomy.no_reflow
    if no_reflow is not None and no_reflow.any():
        segments[MVO] = no_reflow
    ventricle = report.measurements.ventricle
    if ventricle is not None and ventricle.walls:
        segments |= {WALL: ventricle.myocardium, BLOOD_POOL: ventricle.cavity}
    provenance = report.result.provenance
    # What comes from a mask of elsewhere is no model's of ours, nor is no-reflow, which readers draw.
    drawn = set(segments) if report.mask_source else {MVO}
    if ventricle is not None and ventricle.source in ("labels", "contours"):
        drawn |= {WALL, BLOOD_POOL}
    segmentation, structured = folder / SEGMENTATION, folder / STRUCTURED_REPORT
    write_dicom_seg(segmentation, study, segments, provenance=provenance, drawn=drawn, pseudonym=pseudonym)
    write_structured_report(structured, study, report.measurements, segmentation, provenance=provenance, pseudonym=pseudonym)
    return [segmentation, structured]


def remove_report_dicom(folder: Path) -> None:
    """Take away the DICOM files of an earlier report, which show other numbers than one that is written without them.

    Raises:
        OutputError: one cannot be taken away.
    """
    for name in (SEGMENTATION, STRUCTURED_REPORT):
        remove(folder / name)
