"""Nothing that names a patient lies in a temporary file, not even for a moment."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK

from MyoScarSegLib.study import dicom_pixels
from MyoScarSegLib.training.datasets import scenes
from Testing.support.dicom_factory import write_enhanced
from Testing.training.datasets.test_library_import import write_mrb


def test_copy_that_dicom_pixels_are_decoded_from_holds_pixels_alone(tmp_path, monkeypatch):
    volume = np.arange(4 * 16 * 16, dtype=np.uint16).reshape(4, 16, 16)
    write_enhanced(tmp_path / "a.dcm", volume, PatientName="Mueller^Hans", PatientID="H-77", InstitutionName="St. Mueller")
    read, copies = SimpleITK.ReadImage, []

    def looked(file, **options):
        copies.append(Path(file).read_bytes())
        return read(file, **options)

    monkeypatch.setattr(SimpleITK, "ReadImage", looked)
    assert np.array_equal(dicom_pixels._decompressed(pydicom.dcmread(tmp_path / "a.dcm")), volume)
    assert len(copies) == 1
    assert b"Mueller" not in copies[0] and b"H-77" not in copies[0]


def test_scene_is_unpacked_under_numbers(tmp_path):
    path = write_mrb(tmp_path / "Jane Doe.mrb")
    with zipfile.ZipFile(path) as archive:
        assert any("Jane Doe" in name for name in archive.namelist())
    with scenes.opened_scene(path) as cases:
        (case,) = cases
        assert not case.problem
        folder = case.volume.parent
        assert case.segmentation.is_file() and not [file for file in folder.rglob("*") if "Jane" in file.name]
    assert not folder.exists()
