"""What ought to be a slice and cannot be read is counted and named; what lies beside the slices by chance is not."""

from __future__ import annotations

import gzip
import zipfile

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import list_series, read_study
from Testing.support.dicom_factory import voxels, write_series


def stack(folder, name="IM{}.dcm", slices=6, **attributes):
    array = voxels(slices)
    return array, write_series(folder, array, names=[name.format(k) for k in range(slices)], **attributes)


def cut_after(data, tag):
    return data[: data.index(tag) + 6]


DAMAGE = {
    "empty": (lambda data: b"", "empty"),
    "zeros": (lambda data: bytes(len(data)), "zeros"),
    "cut in preamble": (lambda data: data[:100], "zeros"),
    "cut in meta": (lambda data: data[:200], "cut short"),
    "cut before the matrix": (lambda data: cut_after(data, b"\x20\x00\x32\x00"), "cut short"),
    "cut after the matrix": (lambda data: cut_after(data, b"\x28\x00\x30\x00"), "before its pixels"),
    "no pixels": (lambda data: data[: data.index(b"\xe0\x7f\x10\x00")], "before its pixels"),
    "overwritten": (lambda data: b"<html>error 404</html>", "does not begin"),
    "packed": (gzip.compress, "does not begin"),
}


@pytest.mark.parametrize(
    ("damage", "index", "name"),
    [
        *[(damage, index, "IM{}.dcm") for damage in DAMAGE for index in (0, 5)],
        *[("zeros", 3, name) for name in ("IM{}", "MR.1.2.840.{}", "0000000{}.IMA", "{}", "1F0{}BC7A9", "q{}xz17")],
    ],
)
def test_unreadable_slice_is_named_and_leaves_the_study_incomplete(tmp_path, damage, index, name):
    array, folder = stack(tmp_path, name)
    file = folder / name.format(index)
    change, words = DAMAGE[damage]
    file.write_bytes(change(file.read_bytes()))
    study = read_study(folder)
    assert np.array_equal(study.voxels, np.delete(array, index, axis=0))
    (problem,) = study.problems
    assert problem.startswith("1 file cannot be read: ") and file.name in problem and words in problem
    assert "incomplete" in problem and str(tmp_path) not in problem


@pytest.mark.parametrize("rows", [4, 12])
def test_slices_whose_end_was_filled_up_leave_the_study_incomplete(tmp_path, rows):
    array, folder = stack(tmp_path, "IM{}")
    blank = array.shape[1] * rows // 12
    for index in (0, 5):
        file = folder / f"IM{index}"
        size = 2 * array[0, :blank].size
        file.write_bytes(file.read_bytes()[:-size] + bytes(size))
    study = read_study(folder)
    assert set(study.bad_slices) == {0, 5} and "rows hold one value" in study.bad_slices[5]


def test_junk_beside_the_slices_is_not_counted(tmp_path):
    array, folder = stack(tmp_path, "IM{}")
    for name in (
        "Thumbs.db",
        "._IM0",
        ".DS_Store",
        "VERSION",
        "DICOMDIR",
        "report1.pdf",
        "notes1.txt",
        "lge.nii.gz",
        "autorun.inf",
    ):
        (folder / name).write_bytes(b"something")
    (folder / "LOCKFILE").write_bytes(b"")
    study = read_study(folder)
    assert np.array_equal(study.voxels, array) and not study.problems


def test_damaged_file_of_another_series_is_a_note_only(tmp_path):
    array, _ = stack(tmp_path / "lge")
    _, other = stack(tmp_path / "cine", description="cine", number=2)
    (other / "IM5.dcm").write_bytes(b"")
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, array) and not study.problems
    assert any("IM5.dcm" in note for note in study.notes)


def test_damaged_slice_in_a_folder_of_its_own_counts(tmp_path):
    for k in range(6):
        stack(tmp_path / f"SE{k}", f"IM{k}", 1, offsets=[10 * k], number=k)
    (tmp_path / "SE6").mkdir()
    (tmp_path / "SE6" / "IM0.dcm").write_bytes(b"")
    assert "IM0.dcm" in read_study(tmp_path).problems[0]


def test_packed_slices_are_named_or_refused(tmp_path):
    _, folder = stack(tmp_path)
    for k in (4, 5):
        file = folder / f"IM{k}.dcm"
        (folder / f"IM{k}.dcm.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert "IM4.dcm.gz (it is packed" in read_study(folder).problems[0]
    for file in folder.glob("*.dcm"):
        file.unlink()
    with pytest.raises(StudyError, match=r"IM4\.dcm\.gz.*unpack"):
        read_study(folder)


def test_folder_of_empty_slices_is_refused_with_their_names(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.dcm").write_bytes(b"")
    for read in (read_study, list_series):
        with pytest.raises(StudyError, match=r"3 files cannot be read: 0.dcm \(it is empty\)"):
            read(tmp_path)


def test_archive_is_refused_by_name(tmp_path):
    _, folder = stack(tmp_path / "exam")
    with zipfile.ZipFile(tmp_path / "exam.zip", "w") as archive:
        archive.write(folder / "IM0.dcm")
    with pytest.raises(StudyError, match=r"exam.zip is an archive: unpack"):
        read_study(tmp_path / "exam.zip")


def test_files_without_preamble_are_read(tmp_path):
    array, folder = stack(tmp_path, "IM{}")
    for k, file in enumerate(sorted(folder.iterdir())):
        data = file.read_bytes()
        # With the meta information of group 0002, and without it.
        file.write_bytes(data[132:] if k % 2 else data[data.index(b"\x08\x00\x08\x00CS") :])
    study = read_study(folder)
    assert np.array_equal(study.voxels, array) and not study.problems
