"""Reading DICOM examinations: order, geometry, intensities, and the choice of the short-axis LGE stack."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless
from scipy.spatial.transform import Rotation

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import Reconstruction, describe, list_series, read_study
from Testing.support.dicom_factory import new_dataset, voxels, write_dataset, write_enhanced, write_series

#: Columns i, j, k of a usual short axis: the normal points to the apex.
NORMAL = np.array([0.66, -0.59, -0.47]) / np.linalg.norm([0.66, -0.59, -0.47])
I_AXIS = np.cross([0.0, 0.0, 1.0], NORMAL) / np.linalg.norm(np.cross([0.0, 0.0, 1.0], NORMAL))
SHORT_AXIS = np.stack([I_AXIS, np.cross(NORMAL, I_AXIS), NORMAL], axis=1)
LONG_AXIS = SHORT_AXIS[:, [1, 2, 0]]


def test_slices_are_ordered_by_position_not_by_name_or_number(tmp_path):
    array = voxels()
    for seed in range(3):
        folder = write_series(tmp_path / str(seed), array, direction=SHORT_AXIS, origin=(10, -20, 30), seed=seed)
        study = read_study(folder)
        assert np.array_equal(study.voxels, array)
        assert study.geometry.spacing_mm == pytest.approx((1.4, 1.4, 10.0))
        assert study.geometry.origin_mm == pytest.approx((10, -20, 30))
        assert np.allclose(study.geometry.direction, SHORT_AXIS)
        assert study.geometry.slice_positions_mm is None and not study.problems


def test_oblong_pixels_are_not_transposed(tmp_path):
    study = read_study(write_series(tmp_path / "a", voxels(), spacing=(1.2, 1.7, 8.0)))
    assert study.geometry.spacing_mm == pytest.approx((1.2, 1.7, 8.0))


def test_world_position_equals_that_of_simpleitk(tmp_path):
    direction = Rotation.from_euler("xyz", [0.5, -0.4, 2.0]).as_matrix()
    names = [f"{k:03d}" for k in range(8)]
    folder = write_series(tmp_path / "a", voxels(), direction=direction, origin=(1, 2, 3), names=names)
    study = read_study(folder)
    image = sitk.ReadImage([str(folder / name) for name in names])
    assert np.allclose(np.reshape(image.GetDirection(), (3, 3)), study.geometry.direction, atol=1e-6)
    assert np.allclose(image.GetSpacing(), study.geometry.spacing_mm)
    assert np.array_equal(sitk.GetArrayFromImage(image), study.voxels)


def test_gap_is_kept_and_reported(tmp_path):
    offsets = [0, 10, 20, 30, 40, 60, 70, 80]
    study = read_study(write_series(tmp_path / "a", voxels(), direction=SHORT_AXIS, offsets=offsets))
    geometry = study.geometry
    assert geometry.spacing_mm[2] == pytest.approx(10)
    assert np.allclose(geometry.slice_positions_mm - geometry.slice_positions_mm[0], offsets)
    assert np.allclose(geometry.slice_origins_mm[5], SHORT_AXIS[:, 2] * 60)
    assert any("slices 4 and 5 are 20 mm apart, the others 10 mm" in note for note in study.notes)
    assert geometry.slice_extents_mm(8).sum() == pytest.approx(90)


def test_sheared_stack_has_the_distance_of_its_planes(tmp_path):
    def shifted(index):
        return {"ImagePositionPatient": [3.0 * index, 0.0, 10.0 * index]}

    study = read_study(write_series(tmp_path / "a", voxels(), per_slice=shifted))
    assert study.geometry.slice_distance_mm == pytest.approx(10)
    assert study.geometry.spacing_mm[2] == pytest.approx(np.hypot(3, 10))
    assert np.allclose(study.geometry.direction[:, 2] * study.geometry.spacing_mm[2], [3, 0, 10])
    assert any("shifted" in note for note in study.notes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_stored_types_and_rescale(tmp_path, dtype):
    array = (voxels() % 100).astype(dtype)
    if np.issubdtype(dtype, np.signedinteger):
        array = (array.astype(int) - 50).astype(dtype)
    plain = read_study(write_series(tmp_path / "plain", array))
    assert np.array_equal(plain.voxels, array)
    rescaled = read_study(write_series(tmp_path / "rescaled", array, RescaleSlope=0.5, RescaleIntercept=-20))
    assert np.allclose(rescaled.voxels, array * 0.5 - 20.0)


def test_each_slice_has_its_own_rescale(tmp_path):
    array = voxels()
    folder = write_series(tmp_path / "a", array, per_slice=lambda k: {"RescaleSlope": 1 + k / 4, "RescaleIntercept": -k})
    k = np.arange(8)[:, None, None]
    assert np.allclose(read_study(folder).voxels, array * (1 + k / 4) - k)


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16), (np.uint16, 12), (np.int16, 16), (np.int16, 12)])
def test_monochrome1_is_inverted_alike_in_every_slice(tmp_path, dtype, bits):
    array = (voxels() % 100).astype(dtype)
    stored = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": bits, "HighBit": bits - 1}
    study = read_study(write_series(tmp_path / "a", array, **stored, RescaleSlope=2, RescaleIntercept=-7))
    highest = (1 << (bits - 1)) - 1 if dtype is np.int16 else (1 << bits) - 1
    lowest = -(1 << (bits - 1)) if dtype is np.int16 else 0
    assert np.array_equal(study.voxels, 2 * (highest + lowest - array.astype(int)) - 7)


def test_multi_frame_file_with_shuffled_frames_and_a_rescale_each(tmp_path):
    array = voxels()
    slopes, intercepts = np.linspace(0.5, 2, 8), np.arange(8) - 4.0
    path = write_enhanced(
        tmp_path / "IM1",
        array,
        direction=SHORT_AXIS,
        slopes=list(slopes),
        intercepts=list(intercepts),
        order=np.random.default_rng(1).permutation(8),
        component="REAL",
    )
    for source in (path, path.parent):
        study = read_study(source)
        assert np.allclose(study.voxels, array * slopes[:, None, None] + intercepts[:, None, None], atol=1e-3)
        assert study.geometry.spacing_mm == pytest.approx((1.4, 1.4, 10.0))
        assert np.allclose(study.geometry.direction, SHORT_AXIS)
        assert study.reconstruction is Reconstruction.PSIR


def test_multi_frame_monochrome1(tmp_path):
    array = voxels()
    study = read_study(write_enhanced(tmp_path / "a.dcm", array, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(study.voxels, 65535 - array.astype(int))


def examination(folder, sax=None, **lge):
    """An examination as a scanner makes it, in nested folders, with junk beside."""
    sax = voxels() if sax is None else sax
    write_series(folder / "A" / "1", voxels(3, 1), number=1, description="localizer_multi", direction=SHORT_AXIS)
    write_series(
        folder / "A" / "2",
        np.concatenate([voxels(5, 2)] * 5),
        number=2,
        description="trufi_sax",
        offsets=[10 * k for k in range(5)] * 5,
        per_slice=lambda n: {"TriggerTime": 40 * (n // 5)},
        direction=SHORT_AXIS,
        names=[f"{n:03d}" for n in range(25)],
    )
    write_series(folder / "B" / "3", voxels(3, 3), number=3, description="LGE_4ch", direction=LONG_AXIS)
    write_series(folder / "B" / "4", voxels(8, 4), number=4, description="T1_MOLLI_map_sax", direction=SHORT_AXIS)
    write_series(folder / "B" / "5", voxels(8, 5), number=5, description="TI_scout", direction=SHORT_AXIS)
    write_series(folder / "C", sax, **{"number": 6, "description": "de_tfi_sax", "direction": SHORT_AXIS, **lge})
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    (folder / "notes.txt").write_text("hello")
    (folder / "C" / ".hidden").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "damaged").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 60)
    return folder


def test_short_axis_lge_stack_is_picked_and_why(tmp_path):
    sax = voxels(seed=9)
    study = read_study(examination(tmp_path, sax))
    assert np.array_equal(study.voxels, sax)
    assert study.source["series"] == "6" and "short axis" in study.source["why_this_series"]
    entries = {entry.key: entry for entry in list_series(tmp_path)}
    assert [key for key, entry in entries.items() if entry.chosen] == ["6"]
    assert "localizer" in entries["1"].rejected
    assert "images at each position" in entries["2"].rejected and (entries["2"].slices, entries["2"].images) == (5, 25)
    assert "long-axis" in entries["3"].rejected
    assert "map" in entries["4"].rejected and "scout" in entries["5"].rejected


def test_series_chosen_by_the_user_is_read_whatever_it_looks_like(tmp_path):
    study = read_study(examination(tmp_path), series="4")
    assert np.array_equal(study.voxels, voxels(8, 4))
    assert any("does not look like" in note for note in study.notes)
    by_name = read_study(tmp_path, series="t1_molli_MAP_sax")
    assert by_name.source["series"] == "4"
    cine = read_study(tmp_path, series="2")
    assert np.array_equal(cine.voxels, voxels(5, 2)) and any("first" in note for note in cine.notes)
    with pytest.raises(StudyError, match=r"no series '99'.*(?s:.*)localizer_multi"):
        read_study(tmp_path, series="99")


def test_no_lge_series_lists_what_there_is_and_suggests_series(tmp_path):
    write_series(tmp_path / "1", voxels(3), number=1, description="localizer")
    write_series(tmp_path / "2", voxels(8), number=2, description="cine_sax")
    write_series(tmp_path / "3", voxels(8), number=3, description="CT CHEST", Modality="CT")
    with pytest.raises(StudyError, match="no LGE series") as error:
        read_study(tmp_path)
    assert "--series" in str(error.value) and "localizer" in str(error.value) and "cine_sax" in str(error.value)
    assert "its modality is CT, not MR" in str(error.value)


def test_cine_is_known_by_its_phases_even_with_an_lge_name(tmp_path):
    write_series(tmp_path, voxels(), description="LGE_SAX", CardiacNumberOfImages=25)
    with pytest.raises(StudyError, match="25 cardiac phases"):
        read_study(tmp_path)


def test_only_stack_without_any_evidence_is_refused_with_the_command_that_takes_it(tmp_path):
    folder = write_series(tmp_path / "an exam", voxels(), description=None, number=4)
    with pytest.raises(StudyError, match="nothing in the headers says LGE") as error:
        read_study(folder)
    assert f"myoscarseg segment '{folder}' --series 4 -o OUT" in str(error.value)
    study = read_study(folder, series="4")
    assert any("chosen by the user" in note for note in study.notes)


def test_stack_without_a_name_is_taken_by_its_inversion_time_and_that_is_said(tmp_path):
    timing = {"ScanningSequence": ["GR", "IR"], "InversionTime": 280.0}
    study = read_study(write_series(tmp_path, voxels(), description=None, number=4, direction=SHORT_AXIS, **timing))
    assert any("taken for LGE by inversion time 280 ms" in note and "its name does not say so" in note for note in study.notes)


def test_the_other_lge_stacks_are_named(tmp_path):
    for number, name in ((3, "LGE SAX"), (4, "LGE SAX repeat"), (5, "LGE 4ch")):
        write_series(tmp_path / name, voxels(seed=number), number=number, description=name, direction=SHORT_AXIS)
    study = read_study(tmp_path)
    assert study.source["series"] == "4"
    assert any("series 3 would do nearly as well" in note for note in study.notes)


def test_psir_and_magnitude_series_are_apart_and_psir_preferred(tmp_path):
    psir, magnitude = voxels(seed=1, dtype=np.int16) - np.int16(500), voxels(seed=2)
    write_series(tmp_path / "m", magnitude, number=1, description="PSIR_sax_MAG", direction=SHORT_AXIS)
    write_series(tmp_path / "p", psir, number=2, description="PSIR_sax_PSIR", direction=SHORT_AXIS)
    study = read_study(tmp_path)
    assert study.reconstruction is Reconstruction.PSIR and np.array_equal(study.voxels, psir)
    other = read_study(tmp_path, series="1")
    assert other.reconstruction is Reconstruction.MAGNITUDE and np.array_equal(other.voxels, magnitude)
    assert "magnitude" in other.reconstruction_reason


@pytest.mark.parametrize("same_type", [False, True])
def test_psir_and_magnitude_in_one_series_are_never_mixed(tmp_path, same_type):
    psir, magnitude = voxels(seed=1, dtype=np.int16) - np.int16(500), voxels(seed=2)
    common = {"number": 5, "description": "LGE sax", "series_uid": "1.2.3.4", "direction": SHORT_AXIS}
    types = (("ORIGINAL", "PRIMARY", "OTHER"),) * 2 if same_type else (("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "R"))
    write_series(tmp_path / "m", magnitude, image_type=types[0], **common)
    write_series(tmp_path / "p", psir, image_type=types[1], **common)
    assert [(entry.slices, entry.images) for entry in list_series(tmp_path)] == [(8, 8), (8, 8)]
    found = {entry.key: read_study(tmp_path, series=entry.key) for entry in list_series(tmp_path)}
    assert set(found) == {"5.1", "5.2"}
    by_kind = {study.reconstruction: study for study in found.values()}
    assert np.array_equal(by_kind[Reconstruction.PSIR].voxels, psir)
    assert np.array_equal(by_kind[Reconstruction.MAGNITUDE].voxels, magnitude)


def test_psir_and_magnitude_frames_of_one_file_are_never_mixed(tmp_path):
    array = voxels(16)
    components, positions = ["REAL", "MAGNITUDE"] * 8, [n // 2 for n in range(16)]
    write_enhanced(
        tmp_path / "a", array, component=components, positions=positions, order=np.random.default_rng(0).permutation(16)
    )
    found = {entry.reconstruction: read_study(tmp_path, series=entry.key) for entry in list_series(tmp_path)}
    assert np.array_equal(found["PSIR"].voxels, array[::2]) and np.array_equal(found["magnitude"].voxels, array[1::2])
    assert np.array_equal(read_study(tmp_path).voxels, array[::2])


def test_multi_frame_cine_is_not_taken(tmp_path):
    write_enhanced(tmp_path / "a", voxels(20), positions=[n // 5 for n in range(20)], description="LGE SAX")
    with pytest.raises(StudyError, match="5 images at each position"):
        read_study(tmp_path)


def test_psir_stored_with_an_offset_is_known_by_its_description(tmp_path):
    study = read_study(write_series(tmp_path, voxels() + np.uint16(2048), description="tfi_psir_sax"))
    assert study.reconstruction is Reconstruction.PSIR and "description" in study.reconstruction_reason


def test_repeated_slice_takes_the_last_acquisition_and_says_so(tmp_path):
    array = voxels()
    write_series(tmp_path / "a", array, series_uid="1.2.9", AcquisitionTime="100000")
    again = voxels(1, seed=7)
    write_series(tmp_path / "b", again, series_uid="1.2.9", offsets=[30], AcquisitionTime="101500", names=["again"])
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels[3], again[0]) and np.array_equal(study.voxels[4], array[4])
    assert any("Slice 3" in note for note in study.notes) and study.slices == 8


def test_mixed_matrices_and_orientations_in_one_series_are_split_and_reported(tmp_path):
    write_series(tmp_path / "a", voxels(), series_uid="1.2.9", direction=SHORT_AXIS)
    write_series(tmp_path / "b", voxels(3)[:, :10], series_uid="1.2.9", direction=SHORT_AXIS)
    write_series(tmp_path / "c", voxels(3, 3), series_uid="1.2.9", direction=LONG_AXIS)
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, voxels())
    assert any("matrix size" in note and "orientation" in note for note in study.notes)
    assert len(list_series(tmp_path)) == 3


def test_one_series_per_breath_hold_is_put_together(tmp_path):
    array = voxels()
    for k in range(8):
        write_series(tmp_path, array[k : k + 1], offsets=[10 * k], number=20 + k, description="LGE sax", names=[f"{k}"])
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, array) and study.source["series"] == "20-27"
    assert any("8 series" in note for note in study.notes)


@pytest.mark.parametrize("missing", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_missing_geometry_is_a_problem_but_the_study_is_read(tmp_path, missing):
    array = voxels()
    ordered = {"per_slice": lambda k: {"InstanceNumber": k + 1}}
    study = read_study(write_series(tmp_path, array, **{missing: None}, **({} if missing == "PixelSpacing" else ordered)))
    assert np.array_equal(study.voxels, array)
    assert study.geometry.spacing_mm is None and "--spacing" in study.problems[0]
    assert read_study(tmp_path, spacing_mm=(1, 1, 9)).geometry.spacing_mm == (1, 1, 9)


def test_zero_pixel_spacing_is_a_problem(tmp_path):
    assert read_study(write_series(tmp_path, voxels(), PixelSpacing=[0, 0])).problems


@pytest.mark.parametrize("mm", [0.01, 200.0])
def test_field_of_view_that_is_no_hearts_is_said(tmp_path, mm):
    array = np.random.default_rng(0).integers(0, 1000, (4, 64, 64)).astype(np.uint16)
    folder = write_series(tmp_path, array, spacing=(mm, mm, 10.0))
    try:
        said = " ".join(read_study(folder).problems)
    except StudyError as error:
        said = str(error)
    assert "field of view" in said


def test_damaged_slice_is_reported_and_the_others_read(tmp_path):
    folder = write_series(tmp_path, voxels(), names=[f"{k}" for k in range(8)])
    data = (folder / "3").read_bytes()
    (folder / "3").write_bytes(data[:-200])
    study = read_study(folder)
    assert set(study.bad_slices) == {3} and not study.voxels[3].any()
    assert np.array_equal(study.voxels[4], voxels()[4])
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(StudyError, match="decoded"):
        read_study(folder)


def test_several_patients_in_one_folder_are_refused(tmp_path):
    write_series(tmp_path / "a", voxels())
    write_series(tmp_path / "b", voxels(), number=2, PatientID="OTHER", PatientName="Other")
    with pytest.raises(StudyError, match="2 patients") as error:
        read_study(tmp_path)
    assert "OTHER" not in str(error.value) and "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("compressor", "multi_frame"), [("RLE", False), ("RLE", True), ("JPEG", False), ("JPEG2000", False), ("JPEGLS", False)]
)
def test_compressed_files_are_read(tmp_path, compressor, multi_frame):
    array = voxels()
    if multi_frame:
        write_enhanced(tmp_path / "a", array)
    else:
        write_series(tmp_path, array, RescaleSlope=2, RescaleIntercept=-3)
    for file in list(tmp_path.iterdir()):
        dataset = pydicom.dcmread(file)
        if compressor == "RLE":
            dataset.compress(RLELossless, generate_instance_uid=False)
        else:
            _compress(dataset, compressor, tmp_path.parent / "compressed.dcm")
        dataset.save_as(file)
    assert np.array_equal(read_study(tmp_path).voxels, array if multi_frame else 2.0 * array - 3)


def _compress(dataset, compressor, scratch):
    """Put pixels that SimpleITK compressed, without loss, in the place of the dataset's."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(scratch))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
    packed = pydicom.dcmread(scratch)
    scratch.unlink()
    assert packed.file_meta.TransferSyntaxUID.is_compressed
    dataset.PixelData = packed.PixelData
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID


def test_color_series_is_not_readable(tmp_path):
    for k in range(4):
        pixels = np.zeros((12, 14), dtype=np.uint8)
        dataset = new_dataset(pixels, SeriesInstanceUID="1.2.5", SeriesNumber=1, SeriesDescription="LGE sax")
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.PixelData = pixels.tobytes() * 3
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 10 * k], [1, 0, 0, 0, 1, 0]
        write_dataset(tmp_path / f"{k}", dataset)
    with pytest.raises(StudyError, match="is in color"):
        read_study(tmp_path, series="1")


def test_nothing_of_the_patient_comes_out(tmp_path):
    write_series(tmp_path / "case7", voxels(), description="LGE Jonathan Doe sax SECRET4711")
    study = read_study(tmp_path / "case7")
    everything = json.dumps(describe(tmp_path / "case7")) + repr(study) + repr(list_series(tmp_path / "case7"))
    for personal in ("Jonathan", "Doe", "SECRET4711", "19500607"):
        assert personal not in everything
    assert study.case == "case7" and "LGE sax" in everything


def test_same_stack_is_identical_whatever_the_format(tmp_path):
    array = voxels(dtype=np.int16)
    write_series(tmp_path / "case", array, direction=SHORT_AXIS, origin=(1, 2, 3), spacing=(1.4, 1.3, 9.5))
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.4, 1.3, 9.5))
    image.SetOrigin((1, 2, 3))
    image.SetDirection(SHORT_AXIS.ravel().tolist())
    studies = [read_study(tmp_path / "case")]
    for extension in ("nii.gz", "nrrd", "mha"):
        sitk.WriteImage(image, str(tmp_path / f"case.{extension}"))
        studies.append(read_study(tmp_path / f"case.{extension}"))
    write_enhanced(tmp_path / "e" / "case.dcm", array, direction=SHORT_AXIS, spacing=(1.4, 1.3, 9.5))
    studies.append(read_study(tmp_path / "e" / "case.dcm"))
    for study in studies:
        assert study.case == "case"
        assert np.array_equal(study.voxels, array)
        assert study.geometry.slice_distance_mm == pytest.approx(9.5, abs=1e-5)
        assert study.geometry.pixel_area_mm2 == pytest.approx(1.4 * 1.3, rel=1e-6)
        assert np.allclose(study.geometry.direction, SHORT_AXIS, atol=1e-6)
