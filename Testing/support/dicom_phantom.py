"""Writes the phantom as a DICOM series, for what needs DICOM: ``python -m Testing.support.dicom_phantom OUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from MyoScarSegLib.phantom import make_phantom
from Testing.support.dicom_factory import write_series

SEED = 11
"""Of the phantom that ``myoscarseg demo`` makes."""


def write_dicom_phantom(folder: Path) -> Path:
    """A file per slice, in whole intensities; patient ``Phantom``. Returns the folder."""
    study = make_phantom(SEED).study
    geometry = study.geometry
    return write_series(
        folder, np.round(study.voxels).astype(np.int16), spacing=geometry.spacing_mm, origin=geometry.origin_mm,
        direction=geometry.direction, study_uid=generate_uid(), FrameOfReferenceUID=generate_uid(),
        PatientName="Phantom", PatientID="phantom", PatientBirthDate="",
    )  # fmt: skip


if __name__ == "__main__":
    write_dicom_phantom(Path(sys.argv[1]))
