"""Which studies a tree of folders holds, and why everything else is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from MyoScarSegLib.batch.finding import Found, find_studies, study_inputs
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import read_study
from Testing.support.command import voxels, write_pictures
from Testing.support.dicom_factory import write_series
from Testing.support.quick_pipeline import SHAPE, small_study


def found(root: Path, out: Path | None = None) -> dict[str, Found]:
    return {one.path.relative_to(root).as_posix(): one for one in find_studies([root], out)}


def taken(root: Path) -> list[str]:
    return [name for name, one in found(root).items() if one.taken]


def test_every_kind_of_study_is_found_at_any_depth(tmp_path):
    small_study(tmp_path / "a/b/c/lge.nii.gz")
    small_study(tmp_path / "a/lge.nrrd")
    write_pictures(tmp_path / "z/pictures", voxels(0, SHAPE))
    write_series(tmp_path / "p10/exam/lge", voxels(0, SHAPE), StudyInstanceUID="1.2.1")
    assert taken(tmp_path) == ["a/b/c/lge.nii.gz", "a/lge.nrrd", "p10/exam/lge", "z/pictures"]


def test_series_of_one_examination_are_one_study_and_those_of_two_are_two(tmp_path):
    for patient in (1, 2):
        for series in ("cine", "lge"):
            write_series(tmp_path / f"P{patient}/{series}", voxels(0, SHAPE), StudyInstanceUID=f"1.2.{patient}")
        (tmp_path / f"P{patient}/letter.docx").write_bytes(b"")
    assert taken(tmp_path) == ["P1", "P2"]
    assert "2 folders" in found(tmp_path)["P1"].why


def test_series_of_several_examinations_side_by_side_are_read_one_by_one(tmp_path):
    for number, series in enumerate(("a", "b", "c")):
        write_series(tmp_path / series, voxels(0, SHAPE), StudyInstanceUID=f"1.2.{number % 2}")
    assert taken(tmp_path) == ["a", "b", "c"]


def test_copies_of_an_examination_are_a_study_each_with_all_its_series(tmp_path):
    for place in ("exams/P1", "backup/old/P1"):
        for series in ("slice1", "slice2"):
            write_series(tmp_path / f"{place}/{series}", voxels(0, SHAPE), StudyInstanceUID="1.2.1")
    for place in ("exams/P2", "backup/P3"):
        write_series(tmp_path / f"{place}/lge", voxels(0, SHAPE), StudyInstanceUID=f"1.2.{place[-1]}")
    assert taken(tmp_path) == ["backup/old/P1", "backup/P3/lge", "exams/P1", "exams/P2/lge"]
    assert "2 folders" in found(tmp_path)["exams/P1"].why


def test_a_folder_above_another_examination_is_read_once(tmp_path):
    for place, number in (("P1", 1), ("P1/more/a", 1), ("P1/more/b", 1), ("P1/other", 2)):
        write_series(tmp_path / place, voxels(0, SHAPE), StudyInstanceUID=f"1.2.{number}")
    assert taken(tmp_path) == ["P1", "P1/other"]


def test_what_is_left_is_named_with_the_reason(tmp_path):
    small_study(tmp_path / "lge.nrrd")
    (tmp_path / ".hidden.nrrd").write_bytes(b"")
    (tmp_path / "exams.zip").write_bytes(b"PK")
    (tmp_path / "scar.seg.nrrd").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("")
    write_pictures(tmp_path / "mixed", voxels(0, SHAPE))
    small_study(tmp_path / "mixed/lge.nrrd")
    (tmp_path / "link").symlink_to(tmp_path / "mixed", target_is_directory=True)
    left = {name: one.why for name, one in found(tmp_path).items() if not one.taken}
    assert set(left) == {"exams.zip", "scar.seg.nrrd", "empty", "notes", "mixed", "link"} and "link" in left["link"]
    assert "unpack" in left["exams.zip"] and "segmentation" in left["scar.seg.nrrd"] and left["empty"] == "empty"
    assert ".txt" in left["notes"] and "beside volume files" in left["mixed"]


def test_files_beside_studies_and_folders_are_named_too(tmp_path):
    write_series(tmp_path / "P1/lge", voxels(0, SHAPE), StudyInstanceUID="1.2.1")
    (tmp_path / "P1/letter.docx").write_bytes(b"")
    (tmp_path / "P1/lge/cine.zip").write_bytes(b"PK")
    (tmp_path / "gone.nrrd").symlink_to(tmp_path / "nowhere")
    left = {name: one.why for name, one in found(tmp_path).items() if not one.taken}
    assert set(left) == {"P1", "P1/lge/cine.zip", "gone.nrrd"} and taken(tmp_path) == ["P1/lge"]
    assert "1 .docx" in left["P1"] and "unpack" in left["P1/lge/cine.zip"] and "link to nothing" in left["gone.nrrd"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.nrrd")
    assert {name: one.why for name, one in found(tmp_path).items()} == {"pipe.nrrd": "neither a file nor a folder"}
    assert [one.taken for one in find_studies([tmp_path / "pipe.nrrd"])] == [False]
    with pytest.raises(StudyError, match="neither a file nor a folder"):
        read_study(tmp_path / "pipe.nrrd")


def test_results_are_no_inputs(tmp_path):
    small_study(tmp_path / "lge.nrrd")
    small_study(tmp_path / "out/lge/image.nrrd")
    (tmp_path / "out/lge/case.json").write_text("{}")
    small_study(tmp_path / "out/summary/image.nrrd")
    found_inside = find_studies([tmp_path], tmp_path / "out")
    assert [one.path.name for one in found_inside if one.taken] == ["lge.nrrd"]


def test_a_study_below_two_roots_is_taken_once(tmp_path):
    small_study(tmp_path / "a/lge.nrrd")
    assert len([one for one in find_studies([tmp_path, tmp_path / "a", tmp_path / "a/lge.nrrd"]) if one.taken]) == 1


def test_a_damaged_dicom_folder_is_taken_so_that_its_failure_is_told(tmp_path):
    (tmp_path / "exam").mkdir()
    (tmp_path / "exam/IM1.dcm").write_bytes(b"\0" * 200)
    assert taken(tmp_path) == ["exam"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    """Also where the tests may read everything: the system's answer to others is played."""
    small_study(tmp_path / "closed/lge.nrrd")
    small_study(tmp_path / "open/lge.nrrd")

    def closed(real):
        def call(path, *arguments, **options):
            if "closed" in (path.parent.name, path.name if real is iterdir else ""):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *arguments, **options)

        return call

    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "stat", closed(Path.stat))
    monkeypatch.setattr(Path, "iterdir", closed(iterdir))
    looked_at = found(tmp_path)
    assert "cannot be read (Permission denied)" in looked_at["closed"].why and looked_at["open/lge.nrrd"].taken


def test_a_missing_root_is_an_error(tmp_path):
    with pytest.raises(StudyError, match="no file or folder"):
        find_studies([tmp_path / "nowhere"])


def test_a_folder_without_a_study_says_so(tmp_path):
    with pytest.raises(StudyError, match="empty"):
        study_inputs(tmp_path)
    with pytest.raises(StudyError, match="no folder"):
        study_inputs(tmp_path / "nowhere")
    small_study(tmp_path / "b10.nrrd")
    small_study(tmp_path / "b2.nii.gz")
    assert [path.name for path in study_inputs(tmp_path)] == ["b2.nii.gz", "b10.nrrd"]
