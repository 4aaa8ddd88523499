"""What the worker draws and writes of scar burden: the application has no matplotlib."""

from __future__ import annotations

from pathlib import Path

from MyoScarSegLib.engine.burden_messages import BurdenJob
from MyoScarSegLib.study.names import case_name

PANEL_INCHES = {"bullseye": (2.7, 5.4), "slices": (5.4, 4.4), "bars": (3.4, 2.6), "wall": (3.4, 2.0), "intensities": (3.4, 2.2)}
"""Width and height of the pictures in a panel, which is narrow: their letters have a size of their own."""


def draw_picture(job: BurdenJob, name: str, width_px: int) -> bytes:
    """One picture for a panel as a PNG file.

    Args:
        job: what to show.
        name: of :data:`PANEL_INCHES`.
        width_px: of the picture.

    Raises:
        StudyError: the masks do not fit the study.
    """
    from MyoScarSegLib.outputs.burden_pictures import PICTURES, Pictured, picture
    from MyoScarSegLib.quantification.measurements import measure

    study, scar = job.result.study, job.result.mask
    measured = measure(
        scar,
        study.geometry,
        ventricle=job.ventricle,
        no_reflow=job.no_reflow,
        insertions=job.insertions,
        levels=job.levels,
        voxels=study.voxels,
    )
    thresholds: dict[str, float] = {}
    if name == "intensities" and job.ventricle is not None:
        import numpy as np

        from MyoScarSegLib.quantification.reference import reference_masks

        found = reference_masks(study.voxels, job.ventricle.myocardium, job.ventricle.cavity, scar=scar, no_reflow=job.no_reflow)
        thresholds = {
            method: float(np.nanmedian(found[method].thresholds))
            for method in ("2 SD", "5 SD", "FWHM", "Otsu")
            if method in found and found[method].mask is not None
        }
    shown = scar if job.no_reflow is None else scar | job.no_reflow
    width, height = PANEL_INCHES[name]
    pictured = Pictured(study, measured, shown, job.ventricle, job.no_reflow, thresholds)
    return picture(PICTURES[name][0], pictured, width, height, round(width_px / width))


def write_report_of(job: BurdenJob, folder: Path) -> Path:
    """Write the report of a study into a folder of its own, and the tables over all reports beside it.

    Returns:
        The study's folder.

    Raises:
        StudyError: the masks do not fit the study.
        OutputError: the folder cannot be written, or the disk is full.
    """
    from MyoScarSegLib.outputs.measurement_files import write_burden_tables
    from MyoScarSegLib.outputs.report import Patient, make_report
    from MyoScarSegLib.outputs.report_files import write_report

    report = make_report(
        job.result,
        job.ventricle,
        job.no_reflow,
        insertions=job.insertions,
        levels=job.levels,
        reader_minutes=None if job.reader_s is None else job.reader_s / 60,
        patient=Patient(**job.patient) if job.patient else None,
    )
    place = folder / case_name(Path(report.name))
    write_report(place, report)
    write_burden_tables(folder)
    return place
