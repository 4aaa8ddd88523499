"""The script of the page on scripting does what it says: a DICOM folder in ten lines, and scar as a share of the ventricle."""

import re
import runpy
import sys

from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from Testing.conftest import REPOSITORY
from Testing.docs.pages import blocks
from Testing.support.dicom_factory import write_series


def test_a_dicom_folder_gives_its_share_of_the_left_ventricle_in_ten_lines(tmp_path, monkeypatch, capsys):
    script = next(block.text for block in blocks(REPOSITORY / "docs" / "scripting.md") if block.language == "python")
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    phantom = make_phantom(11, settings=PhantomSettings(slices=5, slice_spacing_mm=14.0))
    geometry = phantom.study.geometry
    write_series(
        tmp_path / "patient",
        (phantom.study.voxels - phantom.study.voxels.min()).astype("uint16"),
        spacing=geometry.spacing_mm,
        origin=geometry.origin_mm,
        direction=geometry.direction,
    )
    (tmp_path / "ten_lines.py").write_text(script, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ten_lines.py", "patient"])
    runpy.run_path("ten_lines.py", run_name="__main__")
    out = capsys.readouterr().out
    said = re.fullmatch(r"patient: (\d+\.\d) g of scar, (\d+\.\d)% of the left ventricle\n", out)
    assert said, out
    assert 0 < float(said[2]) < 60
