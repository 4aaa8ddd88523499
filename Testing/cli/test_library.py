"""``myoscarseg library``: add, list, check, split, remove, and what is refused."""

from __future__ import annotations

import pytest

from MyoScarSegLib.study import write_segmentation, write_volume
from Testing.support.labeled_factory import labels, study
from Testing.training.datasets.test_library_import import write_mrb


def test_commands_add_list_check_split_and_remove(command, tmp_path):
    folder = tmp_path / "library"
    for n in range(3):
        made = study(n)
        write_volume(tmp_path / f"{n}.nrrd", made.voxels, made)
        write_segmentation(tmp_path / f"{n}.seg.nrrd", labels(n) >= 3, made)
        arguments = ["library", "add", folder, tmp_path / f"{n}.nrrd", tmp_path / f"{n}.seg.nrrd", "--patient", f"P{n}"]
        ran = command(*arguments, "--reviewer", "A. Reader")
        assert ran.status == 0, ran.err
        assert f"P{n}: scar on 3 of 4 slices" in ran.out
    listed = command("library", "list", folder)
    assert listed.status == 0 and "3 cases of 3 patients" in listed.out and "by A. Reader" in listed.out
    assert [case["case"] for case in command("library", "list", folder, "--json").json["cases"]] == ["P0", "P1", "P2"]
    split = command("library", "split", folder, "--folds", 3, "--json").json
    assert len(split["validation"]) == 1
    assert command("library", "split", folder).status == 1
    checked = command("library", "check", folder, "--json")
    assert checked.status == 0 and checked.json["findings"] == []
    (folder / "cases" / "P1" / "volume.nrrd").unlink()
    checked = command("library", "check", folder)
    assert checked.status == 1 and "error: P1:" in checked.out and "1 errors" in checked.out
    removed = command("library", "remove", folder, "P1", "P7")
    assert removed.status == 1 and "P1: removed" in removed.out and "no case 'P7'; it has P0, P2" in removed.err
    assert sorted(p.name for p in (folder / "cases").iterdir()) == ["P0", "P2"]


def test_cases_are_imported_edited_and_exported(command, tmp_path):
    write_mrb(tmp_path / "a.mrb")
    folder = tmp_path / "lib"
    ran = command("library", "import", folder, tmp_path / "a.mrb", tmp_path / "none.mrb", "--tags", "x, y")
    assert ran.status == 1 and "a.mrb: added as P001" in ran.out and "none.mrb: There is no scene" in ran.out
    assert "x, y" in command("library", "list", folder).out
    ran = command("library", "export", folder, "P001", "-o", tmp_path / "out")
    assert ran.status == 0 and command("library", "list", tmp_path / "out", "--json").json["cases"][0]["tags"] == ["x", "y"]
    assert command("library", "accept", folder, "P001").out == "P001: accepted\n"
    ran = command("library", "import", folder, tmp_path / "a.mrb", "--json")
    assert ran.json["same"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        ["add", "lib", "v.nrrd", "m.nrrd", "--patient", "P1", "--reviewed", "2-x"],
        ["add", "lib", "v.nrrd", "m.nrrd"],
        ["add", "lib", "v.nrrd", "m.nrrd", "--patient", "a/b"],
        ["add", "lib", "v.nrrd", "m.nrrd", "--patient", "P1", "--labels", "liver=3"],
        ["split", "lib", "--folds", "1"],
        ["split", "lib", "--folds", "3", "--held-out", "3"],
        ["grow", "lib"],
    ],
)
def test_bad_arguments_of_library_end_with_2(command, bad):
    ran = command("library", *bad)
    assert ran.status == 2 and ran.err


def test_missing_library_and_study_end_with_1(command, tmp_path):
    assert "no training library" in command("library", "list", tmp_path).err
    ran = command("library", "add", tmp_path / "new", tmp_path / "v.nrrd", tmp_path / "m.nrrd", "--patient", "P1")
    assert ran.status == 1 and "There is no file or folder" in ran.err
    assert not (tmp_path / "new").exists()
