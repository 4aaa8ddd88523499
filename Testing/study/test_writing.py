"""Writing masks, maps and segmentations, and reading masks back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.study import Geometry, Reconstruction, Study, read_mask, read_study, write_segmentation, write_volume
from Testing.study.test_volumes import voxels, write
from Testing.support.dicom_factory import write_series


def volume(path, shape=(6, 20, 24), origin=(5.25, -6.5, 7.125), **how):
    return write(path, voxels(shape), origin=origin, **how)


def some_mask(study, seed=1):
    return np.random.default_rng(seed).random(study.voxels.shape) > 0.9


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.permutations([1.4, 1.25, 9.7]),
    flips=st.tuples(*[st.sampled_from([1, -1])] * 3),
    extension=st.sampled_from(["nii.gz", "nrrd", "mha"]),
    axis=st.sampled_from(["auto", "i", "j", "k"]),
)
def test_written_geometry_and_voxels_equal_the_inputs(tmp_path, angles, spacing, flips, extension, axis):
    direction = Rotation.from_euler("xyz", angles).as_matrix() @ np.diag(flips)
    path = volume(tmp_path / f"in.{extension}", spacing=spacing, direction=direction)
    study = read_study(path, axis=axis)
    write_volume(tmp_path / f"out.{extension}", study.voxels.astype(np.int16), study)
    before, after = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / f"out.{extension}"))
    assert before.GetSize() == after.GetSize() and before.GetPixelID() == after.GetPixelID()
    assert np.array_equal(sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(after))
    # A micrometre: NIfTI keeps spacing, quaternion and origin in single precision, the others in double.
    tolerance = 1e-6 if extension == "nii.gz" else 1e-12
    assert np.allclose(before.GetOrigin(), after.GetOrigin(), atol=tolerance, rtol=0)
    assert np.allclose(before.GetSpacing(), after.GetSpacing(), atol=tolerance, rtol=0)
    assert np.allclose(before.GetDirection(), after.GetDirection(), atol=tolerance, rtol=0)
    mask = some_mask(study)
    write_segmentation(tmp_path / "out.seg.nrrd", mask, study)
    assert np.array_equal(read_mask(tmp_path / "out.seg.nrrd", study), mask)
    write_volume(tmp_path / "mask.nii.gz", mask, study)
    assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", study), mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int16, bool])
def test_type_is_kept(tmp_path, dtype):
    study = read_study(volume(tmp_path / "in.nrrd"))
    write_volume(tmp_path / "out.nii.gz", np.ones(study.voxels.shape, dtype=dtype), study)
    expected = np.uint8 if dtype is bool else dtype
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nii.gz"))).dtype == expected


@pytest.mark.parametrize("handed", [1, -1])
def test_both_forms_of_a_written_nifti_agree_with_nibabel(tmp_path, handed):
    import nibabel

    direction = Rotation.from_euler("xyz", [0.3, -0.7, 1.1]).as_matrix() * (1, 1, handed)
    noise = np.random.default_rng(0).random((4, 30, 40)).astype(np.float32)
    study = Study("a", noise, Geometry((1.5, 1.4, 9.0), (-12.0, 34.0, 56.0), direction), Reconstruction.MAGNITUDE, "", (0, 1, 2))
    write_volume(tmp_path / "a.nii.gz", noise, study)
    written = nibabel.load(tmp_path / "a.nii.gz")
    affine = np.diag([-1, -1, 1, 1]) @ np.vstack([np.column_stack([direction * (1.5, 1.4, 9.0), (-12, 34, 56)]), (0, 0, 0, 1)])
    assert np.array_equal(written.get_fdata().T, noise)
    assert np.allclose(written.get_sform(), affine, atol=1e-4) and np.allclose(written.get_qform(), affine, atol=1e-3)
    assert [int(written.header[f"{form}form_code"]) for form in "qs"] == [1, 1]
    assert written.header.get_xyzt_units()[0] == "mm"


def test_mask_of_a_dicom_study_lies_on_the_dicom_slices(tmp_path):
    direction = Rotation.from_euler("xyz", [0.5, -0.4, 2.0]).as_matrix()
    array = np.random.default_rng(0).integers(0, 900, (6, 20, 24)).astype(np.uint16)
    names = [f"{k}" for k in range(6)]
    study = read_study(write_series(tmp_path / "d", array, direction=direction, origin=(10, 20, 30), names=names))
    write_volume(tmp_path / "out.nii.gz", study.voxels, study)
    written = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    original = sitk.ReadImage([str(tmp_path / "d" / name) for name in names])
    for index in ((0, 0, 0), (23, 0, 5), (3, 19, 2)):
        assert np.allclose(written.TransformIndexToPhysicalPoint(index), original.TransformIndexToPhysicalPoint(index), atol=1e-4)


def test_segmentation_has_what_slicer_reads(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd"))
    mask = np.zeros(study.voxels.shape, dtype=bool)
    mask[2:4, 5:8, 10:16] = True
    write_segmentation(tmp_path / "scar.seg.nrrd", mask, study, {"model": "nano | v1", "threshold": "0.5\nx"})
    image = sitk.ReadImage(str(tmp_path / "scar.seg.nrrd"))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert fields["Segment0_Name"] == "Scar" and fields["Segment0_NameAutoGenerated"] == "0"
    assert fields["Segment0_Extent"] == "10 15 5 7 2 3"
    assert fields["Segment0_LabelValue"] == "1" and fields["Segment0_Layer"] == "0"
    assert "Segmentation.Status:inprogress|TerminologyEntry:" in fields["Segment0_Tags"]
    assert "~SCT^12402003^Scar tissue~^^~" in fields["Segment0_Tags"] and "SCT^87878005^" in fields["Segment0_Tags"]
    assert fields["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert fields["Segmentation_ConversionParameters"].startswith(
        "Reference image geometry|-1.4;0;0;-5.25;0;-1.3;0;6.5;0;0;10;7.125;"
    )
    assert fields["MyoScarSeg_model"] == "nano | v1" and fields["MyoScarSeg_threshold"] == "0.5 x"
    assert fields["Segment0_Tags"].endswith("|MyoScarSeg.model:nano / v1|MyoScarSeg.threshold:0.5 x|")
    assert image.GetPixelID() == sitk.sitkUInt8


def test_empty_mask_can_be_written_and_read(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd"))
    write_segmentation(tmp_path / "scar.seg.nrrd", np.zeros(study.voxels.shape), study)
    assert not read_mask(tmp_path / "scar.seg.nrrd", study).any()


def test_study_without_spacing_can_be_written(tmp_path):
    study = Study("a", np.random.default_rng(0).random((3, 8, 9)).astype(np.float32), Geometry(None), Reconstruction.MAGNITUDE)
    mask = some_mask(study)
    for name in ("a.seg.nrrd", "a.nii.gz"):
        write_volume(tmp_path / name, mask, study)
        assert np.array_equal(read_mask(tmp_path / name, study), mask)


def test_mask_on_another_grid_is_refused(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd"))
    others = {
        "shape": {"shape": (6, 20, 25)},
        "spacing": {"spacing": (1.4, 1.4, 10.0)},
        "origin": {"origin": (5.25, -6.0, 7.125)},
        "direction": {"direction": Rotation.from_euler("x", 0.05).as_matrix()},
    }
    for name, change in others.items():
        with pytest.raises(StudyError, match="another grid"):
            read_mask(volume(tmp_path / f"{name}.nrrd", **change), study)
        with pytest.raises(StudyError, match="another grid"):
            read_mask(volume(tmp_path / f"{name}.nii.gz", **change), study)
    with pytest.raises(StudyError, match="no mask file"):
        read_mask(tmp_path / "nothing.nrrd", study)


def test_segmentation_cropped_by_slicer_is_put_in_its_place(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd", direction=Rotation.from_euler("xyz", [0.5, 0.2, -1]).as_matrix()))
    mask = np.zeros(study.voxels.shape, dtype=bool)
    mask[2:4, 5:8, 10:16] = True
    write_segmentation(tmp_path / "whole.seg.nrrd", mask, study)
    whole = sitk.ReadImage(str(tmp_path / "whole.seg.nrrd"))
    sitk.WriteImage(whole[9:17, 4:9, 1:5], str(tmp_path / "cropped.seg.nrrd"))
    assert np.array_equal(read_mask(tmp_path / "cropped.seg.nrrd", study), mask)


def test_segmentation_of_a_left_handed_image_is_right_handed_as_slicer_loads_it(tmp_path):
    direction = Rotation.from_euler("xyz", [0.5, 0.2, -1]).as_matrix() @ np.diag([1, -1, 1])
    study = read_study(volume(tmp_path / "in.nii.gz", direction=direction))
    mask = some_mask(study)
    write_segmentation(tmp_path / "scar.seg.nrrd", mask, study)
    write_volume(tmp_path / "mask.nii.gz", mask, study)
    turned, plain = sitk.ReadImage(str(tmp_path / "scar.seg.nrrd")), sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
    assert np.linalg.det(np.reshape(turned.GetDirection(), (3, 3))) > 0
    for index in ((0, 0, 0), (5, 7, 2), (23, 19, 5)):
        point = plain.TransformIndexToPhysicalPoint(index)
        assert turned[turned.TransformPhysicalPointToIndex(point)] == plain[index]
    assert np.array_equal(read_mask(tmp_path / "scar.seg.nrrd", study), mask)


def test_of_several_segments_the_one_named_scar_is_read(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd"))
    labels = np.zeros(study.voxels.shape, dtype=np.uint8)
    labels[1, 2:5, 2:5], labels[3, 2:5, 2:5] = 1, 2
    write_volume(tmp_path / "plain.nrrd", labels, study)
    image = sitk.ReadImage(str(tmp_path / "plain.nrrd"))
    for index, name in enumerate(("Myocardium", "scar")):
        image.SetMetaData(f"Segment{index}_ID", f"Segment_{index}")
        image.SetMetaData(f"Segment{index}_Name", name)
        image.SetMetaData(f"Segment{index}_LabelValue", str(index + 1))
        image.SetMetaData(f"Segment{index}_Layer", "0")
    sitk.WriteImage(image, str(tmp_path / "two.seg.nrrd"))
    assert np.array_equal(read_mask(tmp_path / "two.seg.nrrd", study), labels == 2)
    image.SetMetaData("Segment1_Name", "Segment_2")
    sitk.WriteImage(image, str(tmp_path / "none.seg.nrrd"))
    with pytest.raises(StudyError, match="Myocardium, Segment_2"):
        read_mask(tmp_path / "none.seg.nrrd", study)


def test_unwritable_folder_is_an_output_error(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="Cannot write"):
        write_volume(tmp_path / "file" / "out.nii.gz", study.voxels, study)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_full_disk_is_an_output_error_and_leaves_nothing(tmp_path):
    path, out = volume(tmp_path / "in.nrrd", (12, 64, 64)), tmp_path / "o"
    script = f"""
import resource, signal
import numpy as np
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.study import read_study, write_segmentation, write_volume
study = read_study({str(path)!r})
noise = np.random.default_rng(0).random(study.voxels.shape).astype(np.float32)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for name in ("out.nii.gz", "out.nii", "out.nrrd", "out.seg.nrrd", "out.mha"):
    try:
        write = write_segmentation if "seg" in name else write_volume
        write({str(out)!r} + "/" + name, noise > 0.5 if "seg" in name else noise, study)
    except OutputError as error:
        print(name, "refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.count("refused: Cannot write") == 5, done.stdout + done.stderr
    assert not list(out.iterdir())


def test_wrong_shape_is_a_programming_error(tmp_path):
    study = read_study(volume(tmp_path / "in.nrrd"))
    with pytest.raises(ValueError, match="shape"):
        write_volume(tmp_path / "out.nrrd", np.zeros((1, 2, 3)), study)
