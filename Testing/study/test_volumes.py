"""Reading NIfTI, NRRD and MetaImage studies."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import Reconstruction, list_series, read_study
from MyoScarSegLib.study.names import case_name, case_names

FORMATS = ("nii", "nii.gz", "nrrd", "mha")


def voxels(shape=(6, 20, 24), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)


def write(
    path: Path, array: np.ndarray, spacing=(1.4, 1.3, 10.0), direction=None, origin=(5.0, -6.0, 7.5), compress=False
) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(np.eye(3).ravel().tolist() if direction is None else np.asarray(direction).ravel().tolist())
    sitk.WriteImage(image, str(path), compress)
    return path


def world(geometry, index_kji) -> np.ndarray:
    k, j, i = index_kji
    return np.asarray(geometry.origin_mm) + geometry.direction @ (np.asarray(geometry.spacing_mm) * (i, j, k))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 3)] * 2, st.floats(4, 15)),
    slice_axis=st.sampled_from("ijk"),
    extension=st.sampled_from(FORMATS),
    flip=st.booleans(),
)
def test_every_voxel_keeps_its_place_whatever_the_slice_axis(tmp_path, angles, spacing, slice_axis, extension, flip):
    array = voxels((5, 6, 7))
    direction = Rotation.from_euler("xyz", angles).as_matrix() @ np.diag([1, -1 if flip else 1, 1])
    file_spacing = {"i": spacing[::-1], "j": (spacing[0], spacing[2], spacing[1]), "k": spacing}[slice_axis]
    path = write(tmp_path / f"case.{extension}", array, file_spacing, direction)
    study = read_study(path)
    image = sitk.ReadImage(str(path))
    assert study.file_axes[0] == "kji".index(slice_axis) and study.case == "case" and not study.problems
    assert study.geometry.spacing_mm[2] == pytest.approx(spacing[2], rel=1e-6)
    assert np.array_equal(study.file_array(study.voxels), array)
    for index in ((0, 0, 0), (3, 1, 2), (4, 4, 4)):
        file_index = np.empty(3, dtype=int)
        file_index[list(study.file_axes)] = index
        expected = image.TransformIndexToPhysicalPoint([int(v) for v in file_index[::-1]])
        assert world(study.geometry, index) == pytest.approx(expected, abs=1e-4)
        assert study.voxels[index] == array[tuple(file_index)]


def test_slice_axis_is_k_and_said_to_be_ambiguous_in_isotropic_volumes(tmp_path):
    study = read_study(write(tmp_path / "iso.nrrd", voxels((9, 10, 11)), (1.3, 1.3, 1.3)))
    assert study.file_axes == (0, 1, 2)
    assert any("--axis" in note for note in study.notes)


def test_axis_chosen_by_the_user_overrides_the_spacing(tmp_path):
    array = voxels((5, 6, 7))
    study = read_study(write(tmp_path / "a.nrrd", array), axis="i")
    assert study.voxels.shape == (7, 5, 6)
    assert study.geometry.spacing_mm == pytest.approx((1.3, 10.0, 1.4))
    with pytest.raises(StudyError, match="axis"):
        read_study(tmp_path / "a.nrrd", axis="z")


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.float32, np.float64])
def test_integer_and_float_types_keep_their_values(tmp_path, dtype):
    array = (voxels() % 100).astype(dtype) - (40 if np.issubdtype(dtype, np.signedinteger) else 0)
    array = array.astype(dtype)
    assert np.array_equal(read_study(write(tmp_path / "a.nrrd", array)).voxels, array)


def test_negative_values_mean_psir_and_none_magnitude(tmp_path):
    psir = read_study(write(tmp_path / "p.nrrd", (voxels() - 500).astype(np.int16)))
    assert psir.reconstruction is Reconstruction.PSIR and "negative" in psir.reconstruction_reason
    magnitude = read_study(write(tmp_path / "m.nrrd", voxels()))
    assert magnitude.reconstruction is Reconstruction.MAGNITUDE and "offset" in magnitude.reconstruction_reason


def _without_nrrd_spacing(data: bytes) -> bytes:
    header, rest = data.split(b"\n\n", 1)
    return b"\n".join(line for line in header.split(b"\n") if not line.startswith(b"space")) + b"\n\n" + rest


def _pixdim(data: bytes, value: float) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<f", changed, 76 + 12, value)
    struct.pack_into("<h", changed, 254, 0)  # without an sform, which would have the spacing too
    return bytes(changed)


BROKEN_SPACING = {
    "nrrd without": ("nrrd", _without_nrrd_spacing),
    "nrrd zero": ("nrrd", lambda d: d.replace(b"(0,0,10)", b"(0,0,0)")),
    "nrrd nan": ("nrrd", lambda d: d.replace(b"(0,0,10)", b"(nan,nan,nan)")),
    "mha without": ("mha", lambda d: re.sub(rb"ElementSpacing[^\n]*\n", b"", d)),
    "mha zero": ("mha", lambda d: re.sub(rb"ElementSpacing[^\n]*\n", b"ElementSpacing = 1 1 0\n", d)),
    "mha negative": ("mha", lambda d: re.sub(rb"ElementSpacing[^\n]*\n", b"ElementSpacing = 1 1 -2\n", d)),
    "mha nan": ("mha", lambda d: re.sub(rb"ElementSpacing[^\n]*\n", b"ElementSpacing = nan 1 1\n", d)),
    "nifti zero": ("nii", lambda d: _pixdim(d, 0.0)),
    "nifti negative": ("nii", lambda d: _pixdim(d, -3.0)),
    "nifti nan": ("nii", lambda d: _pixdim(d, float("nan"))),
}


@pytest.mark.parametrize("name", BROKEN_SPACING)
def test_missing_or_absurd_spacing_is_a_problem_but_the_study_is_read(tmp_path, name):
    extension, damage = BROKEN_SPACING[name]
    array = voxels()
    path = write(tmp_path / f"case.{extension}", array)
    path.write_bytes(damage(path.read_bytes()))
    study = read_study(path)
    assert np.array_equal(study.voxels, array)
    assert study.geometry.spacing_mm is None
    assert len(study.problems) == 1 and "--spacing" in study.problems[0]
    given = read_study(path, spacing_mm=(1.5, 1.5, 8.0))
    assert given.geometry.spacing_mm == (1.5, 1.5, 8.0) and not given.problems


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 3.0), (1.0, float("nan"), 3.0)])
def test_absurd_spacing_from_the_user_is_refused(tmp_path, spacing):
    path = write(tmp_path / "a.nrrd", voxels())
    with pytest.raises(StudyError, match="positive"):
        read_study(path, spacing_mm=spacing)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("extension", FORMATS)
def test_truncated_file_is_refused_in_a_plain_sentence(tmp_path, extension, compress):
    path = write(tmp_path / f"case.{extension}", voxels(), compress=compress)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert "case" in str(error.value) and "cut short" in str(error.value)
    assert "\n" not in str(error.value) and "0x" not in str(error.value) and "itk" not in str(error.value).lower()


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("content", [b"", b"this is no image at all\n" * 30])
def test_garbage_is_refused(tmp_path, extension, content):
    path = tmp_path / f"case.{extension}"
    path.write_bytes(content)
    with pytest.raises(StudyError, match="case"):
        read_study(path)


def test_one_slice_is_refused(tmp_path):
    with pytest.raises(StudyError, match="only one slice"):
        read_study(write(tmp_path / "a.nrrd", voxels((1, 20, 24))))
    sitk.WriteImage(sitk.GetImageFromArray(voxels()[0]), str(tmp_path / "b.nrrd"))
    with pytest.raises(StudyError, match="only one slice"):
        read_study(tmp_path / "b.nrrd")


def test_4d_and_vector_volumes_are_refused_naming_their_size(tmp_path):
    series = sitk.JoinSeries([sitk.GetImageFromArray(voxels()), sitk.GetImageFromArray(voxels())])
    sitk.WriteImage(series, str(tmp_path / "a.nii.gz"))
    with pytest.raises(StudyError, match=r"4D.*24 x 20 x 6 x 2"):
        read_study(tmp_path / "a.nii.gz")
    color = sitk.GetImageFromArray(np.zeros((4, 20, 24, 3), dtype=np.uint8), isVector=True)
    for name in ("b.nrrd", "b.mha", "b.nii.gz"):
        sitk.WriteImage(color, str(tmp_path / name))
        with pytest.raises(StudyError, match="3 values per voxel"):
            read_study(tmp_path / name)


def test_4d_with_a_single_volume_is_read(tmp_path):
    series = sitk.JoinSeries([sitk.GetImageFromArray(voxels())])
    sitk.WriteImage(series, str(tmp_path / "a.nii.gz"))
    assert np.array_equal(read_study(tmp_path / "a.nii.gz").voxels, voxels())


def test_complex_numbers_are_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(voxels().astype(np.complex64)), str(tmp_path / "a.mha"))
    with pytest.raises(StudyError, match="2 values per voxel"):
        read_study(tmp_path / "a.mha")


def test_slices_with_nan_or_infinity_become_zero_and_are_listed(tmp_path):
    array = voxels().astype(np.float32)
    array[2, 3, 4], array[4, 0, 0] = np.nan, np.inf
    study = read_study(write(tmp_path / "a.nrrd", array))
    assert set(study.bad_slices) == {2, 4} and "NaN" in study.bad_slices[2]
    assert np.isfinite(study.voxels).all() and not study.voxels[[2, 4]].any()
    assert np.array_equal(study.voxels[3], array[3])
    assert any("2, 4" in note for note in study.notes)
    array[:, 0, 0] = np.nan
    with pytest.raises(StudyError, match="none of its 6 slices"):
        read_study(write(tmp_path / "b.nrrd", array))


def test_constant_image_is_refused_and_a_constant_slice_noted(tmp_path):
    with pytest.raises(StudyError, match="same value"):
        read_study(write(tmp_path / "a.nrrd", np.full((4, 8, 8), 7, dtype=np.int16)))
    array = voxels()
    array[1] = 5
    study = read_study(write(tmp_path / "b.nrrd", array))
    assert any("Slice 1" in note for note in study.notes) and not study.bad_slices


def test_label_map_given_by_mistake_is_noted(tmp_path):
    study = read_study(write(tmp_path / "labels.nrrd", (voxels() % 5).astype(np.uint8)))
    assert any("label map" in note for note in study.notes)


def test_missing_empty_and_unknown_inputs_are_refused(tmp_path):
    with pytest.raises(StudyError, match="no file or folder"):
        read_study(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="is empty"):
        read_study(tmp_path / "empty")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "report.txt").write_bytes(b"hello")
    with pytest.raises(StudyError, match=r"no DICOM file .*report\.txt.* batch does all studies"):
        read_study(tmp_path / "others")
    (tmp_path / "a.docx").write_bytes(b"PK" * 100)
    with pytest.raises(StudyError, match="no format"):
        read_study(tmp_path / "a.docx")
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "a.nii.gz", voxels())
    with pytest.raises(StudyError, match=r"a\.nii\.gz"):
        read_study(tmp_path / "folder")
    with pytest.raises(StudyError, match="no series"):
        read_study(tmp_path / "folder" / "a.nii.gz", series="3")


def test_case_names():
    assert case_name("x/a.nii.gz") == "a"
    assert case_name("x/a.seg.nrrd") == "a"
    assert case_name("A.B.MHA") == "A.B"
    assert case_name("patient 7/é?.nrrd") == "é"
    assert case_name("1.2.840.113") == "1.2.840.113"
    assert case_name("...") == "case" and case_name("???.nii") == "case"
    assert case_name("con.nii") == "case_con"
    assert case_name("..") != "" and case_name(".") != "" and case_name("/") == "case"
    assert "/" not in case_name("a\\b:c*.nii") and ":" not in case_name("a\\b:c*.nii")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x.nii", "b/x.nrrd", "c/x.mha"], ["x", "x-2", "x-3"]),
        (["x.nii", "x-2.nii", "b/x.nii"], ["x", "x-2", "x-3"]),
        (["x.nii", "X.nii"], ["x", "X-2"]),
        (["x.nii", "x.nii"], ["x", "x-2"]),
        (["b/x.nii", "x-2.nii"], ["x", "x-2"]),
    ],
)
def test_names_of_cases_are_unique(paths, names):
    assert case_names([Path(path) for path in paths]) == names


def test_folder_keeps_its_whole_name_as_case(tmp_path):
    (tmp_path / "p01.nii.gz").mkdir()
    assert case_name(tmp_path / "p01.nii.gz") == "p01.nii.gz"


@pytest.mark.data
def test_emidec_volumes_are_read_with_the_spacing_of_pixdim_and_no_warning(emidec_volumes_folder):
    script = (
        "import sys; from MyoScarSegLib.study import read_study; s = read_study(sys.argv[1]);"
        "print(*s.geometry.spacing_mm, *s.voxels.shape); print(s.notes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(emidec_volumes_folder / "samplePositive_lge.nii.gz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("1.40625 1.40625 13.0 7 258 248")
    assert "sform" in done.stdout and done.stderr == ""


def test_series_of_a_volume_is_one_entry(tmp_path):
    (only,) = list_series(write(tmp_path / "a.nrrd", voxels()))
    assert (only.slices, only.rows, only.columns, only.chosen) == (6, 20, 24, True)
    (tmp_path / "b.nrrd").write_bytes(b"no")
    assert list_series(tmp_path / "b.nrrd")[0].unreadable


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_nan_and_infinite_values_are_seen_in_every_format(tmp_path, extension, kind):
    """ITK's NIfTI reader would give zeros for them."""
    array = voxels().astype(kind)
    array[1, 2, 3], array[4, 5, 6] = np.nan, -np.inf
    study = read_study(write(tmp_path / f"case.{extension}", array))
    assert list(study.bad_slices) == [1, 4] and "1 of its 480 pixels" in study.bad_slices[1]
    assert not study.voxels[[1, 4]].any() and np.array_equal(study.voxels[0], array[0].astype(np.float32))


IMPOSSIBLE = {
    "cm taken for mm": ((6, 128, 112), (0.18, 0.18, 1.0), "field of view would be 20.2 x 23 mm"),
    "a field of two meters": ((6, 128, 112), (18.0, 18.0, 10.0), "field of view would be 2.02e"),
    "one coarse axis": ((6, 20, 24), (16.0, 1.4, 20.0), "pixels would be 16 x 1.4 mm"),
    "pixels of microns": ((6, 20, 640), (0.1, 1.4, 10.0), "pixels would be 0.1 x 1.4 mm"),
    "slices far apart": ((6, 20, 24), (1.4, 1.4, 100.0), "100 mm apart"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_size_that_no_heart_has_gives_no_mass_and_is_said(tmp_path, name):
    shape, spacing, said = IMPOSSIBLE[name]
    path = write(tmp_path / "a.nrrd", voxels(shape), spacing)
    study = read_study(path, axis="k")
    assert study.geometry.spacing_mm is None and len(study.problems) == 1
    assert said in study.problems[0] and "--spacing" in study.problems[0]
    assert not read_study(path, axis="k", spacing_mm=(1.5, 1.5, 8.0)).problems
    assert said in read_study(path, axis="k", spacing_mm=spacing).problems[0]


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (1.3, 1.3, 1.3), (2.9, 2.9, 15.0)])
def test_fine_isotropic_and_coarse_stacks_are_no_problem(tmp_path, spacing):
    assert not read_study(write(tmp_path / "a.nrrd", voxels((40, 48, 60)), spacing), axis="k").problems
