"""DICOM segmentations and structured reports, read back by highdicom, pydicom and SimpleITK."""

from __future__ import annotations

import sys
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.outputs.dicom_report import own_code, write_structured_report
from MyoScarSegLib.outputs.dicom_segmentation import coded, write_dicom_seg
from MyoScarSegLib.outputs.report_content import make_report
from MyoScarSegLib.outputs.report_files import write_report_dicom
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.burden import Extent
from MyoScarSegLib.quantification.measurements import Measurements, SegmentMeasurement, SliceMeasurement
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.quantification.wall import Transmurality
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.dicom_sources import with_files
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.tissue import AHA_SITES, BLOOD_POOL, MVO, SCAR, WALL
from Testing.support.dicom_factory import write_enhanced, write_series
from Testing.support.dicom_phantom import SEED, write_dicom_phantom

FRAME = "1.2.826.0.1.3680043.8.498.1"
SHAPE = (5, 24, 20)
PROVENANCE = {"segmenter": "myoscarseg-sam", "segmenter_sha256": "ab" * 32, "threshold": "0.5", "program": "MyoScarSeg"}
rng = np.random.default_rng(7)
VOXELS = rng.integers(0, 900, SHAPE).astype(np.int16)
OBLIQUE = np.linalg.qr(rng.normal(size=(3, 3)))[0]
OBLIQUE[:, 2] *= np.sign(np.linalg.det(OBLIQUE))


def masks():
    """Nested as in a heart: scar in the wall, which keeps it; a slice without scar, and no no-reflow at all."""
    j, i = np.mgrid[:24, :20]
    radius = np.hypot(j - 11.3, i - 9.1)
    wall = np.broadcast_to((radius > 4) & (radius < 8), SHAPE)
    scar = wall & (i > 9) & (np.arange(5) != 2)[:, None, None] & (np.arange(5)[:, None, None] + j > 10)
    return {SCAR: scar, WALL: wall, BLOOD_POOL: np.broadcast_to(radius <= 4, SHAPE), MVO: np.zeros(SHAPE, bool)}


@pytest.fixture
def study(tmp_path):
    return read_study(
        write_series(tmp_path / "series", VOXELS, direction=OBLIQUE, origin=(-30, 40, 12), FrameOfReferenceUID=FRAME)
    )


def on_study(segmentation, number, study):
    """The mask of a segment on the study's grid, each pixel through the frame's own affine: world of its center to [k, j, i]."""
    found = np.zeros(study.voxels.shape, bool)
    places, direction = study.geometry.origins_mm(study.slices), study.geometry.direction
    pixels = segmentation.pixel_array
    for frame, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        shared = segmentation.SharedFunctionalGroupsSequence[0]
        cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
        spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
        j, i = np.nonzero(pixels[frame])
        world = origin + np.outer(i * spacing[1], cosines[0]) + np.outer(j * spacing[0], cosines[1])
        for point in world:
            k = int(np.argmin(np.abs((places - point) @ direction[:, 2])))
            x, y = (point - places[k]) @ direction[:, 0] / spacing[1], (point - places[k]) @ direction[:, 1] / spacing[0]
            assert abs(x - round(x)) < 1e-3 and abs(y - round(y)) < 1e-3
            found[k, round(y), round(x)] = True
    return found


def test_every_pixel_of_an_oblique_stack_comes_back_at_its_place(study, tmp_path):
    drawn = masks()
    path = tmp_path / "masks.dcm"
    write_dicom_seg(path, study, drawn, provenance=PROVENANCE)
    read = highdicom.seg.segread(path)
    assert [str(item.SegmentLabel) for item in read.SegmentSequence] == ["Scar", "LV myocardium", "LV blood pool", "No-reflow"]
    for number, mask in enumerate(drawn.values(), start=1):
        assert np.array_equal(on_study(read, number, study), mask), number
    # And by highdicom's own sampling, slice by slice, through the images that it refers to.
    uids = [str(pydicom.dcmread(file.path, stop_before_pixels=True).SOPInstanceUID) for file in study.files]
    pixels = read.get_pixels_by_source_instance(uids)
    assert np.array_equal(pixels, np.stack(list(drawn.values()), axis=-1))
    assert read.FrameOfReferenceUID == FRAME and read.SegmentsOverlap == "YES" and read.NumberOfFrames == 20


def test_segments_have_dicoms_codes_and_tell_the_model_with_its_checksum(study, tmp_path):
    path = tmp_path / "masks.dcm"
    write_dicom_seg(path, study, masks(), provenance=PROVENANCE, drawn={WALL})
    scar, wall, pool, no_reflow = highdicom.seg.segread(path).SegmentSequence
    assert (scar.segmented_property_category.value, scar.segmented_property_type.value) == ("85756007", "12402003")
    assert (wall.segmented_property_category.value, wall.segmented_property_type.value) == ("91723000", "49848007")
    assert pool.segmented_property_type.value == "87612001" and no_reflow.segmented_property_type.value == "26036001"
    assert {item.anatomic_regions[0].value for item in (scar, wall, pool, no_reflow)} == {"87878005"}
    algorithm = scar.algorithm_identification[0]
    assert algorithm.AlgorithmName == "myoscarseg-sam" and "ab" * 32 in algorithm.AlgorithmParameters
    assert (scar.SegmentAlgorithmType, wall.SegmentAlgorithmType) == ("SEMIAUTOMATIC", "MANUAL")


def test_a_wall_tells_its_own_model_and_scar_that_no_model_made_tells_the_program(study, tmp_path):
    made = {"segmenter": "not used: nothing was prompted", "wall": "mapper", "wall_sha256": "cd" * 32}
    write_dicom_seg(tmp_path / "masks.dcm", study, masks(), provenance=made)
    scar, wall, pool, _ = highdicom.seg.segread(tmp_path / "masks.dcm").SegmentSequence
    assert (scar.SegmentAlgorithmName, wall.SegmentAlgorithmName, pool.SegmentAlgorithmName) == ("MyoScarSeg", "mapper", "mapper")


def test_it_carries_the_sources_patient_and_study_and_refers_to_its_images(study, tmp_path):
    path = tmp_path / "masks.dcm"
    write_dicom_seg(path, study, masks(), provenance=PROVENANCE)
    read, source = pydicom.dcmread(path), pydicom.dcmread(study.files[0].path)
    for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID"):
        assert read[name].value == source[name].value
    referred = {str(item.ReferencedSOPInstanceUID) for item in read.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {str(pydicom.dcmread(file.path).SOPInstanceUID) for file in study.files}
    assert read.SeriesInstanceUID != source.SeriesInstanceUID and "PatientIdentityRemoved" not in read


def test_a_pseudonym_leaves_nothing_of_the_patient_in_either_file(tmp_path):
    secrets = {
        "OtherPatientIDs": "SECRET4712",
        "AccessionNumber": "ACC99",
        "InstitutionName": "Secret Hospital",
        "StudyDate": "20210304",
        "StudyDescription": "Heart of Jonathan",
        "ReferringPhysicianName": "Secret^Doc",
        "StudyID": "S77",
        "PatientComments": "Doe",
    }
    study = read_study(write_series(tmp_path / "series", VOXELS, FrameOfReferenceUID=FRAME, PatientSex="F", **secrets))
    write_dicom_seg(tmp_path / "a.dcm", study, masks(), provenance=PROVENANCE, pseudonym="P007")
    write_structured_report(
        tmp_path / "r.dcm", study, measurements(), tmp_path / "a.dcm", provenance=PROVENANCE, pseudonym="P007"
    )
    for name in ("a.dcm", "r.dcm"):
        data = (tmp_path / name).read_bytes()
        for secret in ("Doe", "SECRET", "19500607", *secrets.values()):
            assert secret.encode() not in data, (name, secret)
        read = pydicom.dcmread(tmp_path / name)
        assert (read.PatientName, read.PatientID, read.PatientIdentityRemoved) == ("P007", "P007", "YES")
        assert read.StudyInstanceUID == "1.2.3" and "UIDs kept" in read.DeidentificationMethod
    with pytest.raises(OutputError, match="names another patient"):
        write_structured_report(tmp_path / "n.dcm", study, measurements(), tmp_path / "a.dcm", provenance=PROVENANCE)


def test_a_multi_frame_source_with_shuffled_frames_is_referred_to_frame_by_frame(tmp_path):
    order = [3, 0, 4, 1, 2]
    file = write_enhanced(tmp_path / "a.dcm", VOXELS, order=order, direction=OBLIQUE, FrameOfReferenceUID=FRAME)
    study = read_study(file)
    assert [order[file.frame] for file in study.files] in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])
    drawn = masks()
    write_dicom_seg(tmp_path / "m.dcm", study, drawn, provenance=PROVENANCE)
    read = highdicom.seg.segread(tmp_path / "m.dcm")
    for number, mask in enumerate(drawn.values(), start=1):
        assert np.array_equal(on_study(read, number, study), mask)
    groups = pydicom.dcmread(file).PerFrameFunctionalGroupsSequence
    for group in read.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        there = groups[int(source.ReferencedFrameNumber) - 1].PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(group.PlanePositionSequence[0].ImagePositionPatient, there)


def test_an_uneven_stack_keeps_the_place_of_each_slice(tmp_path):
    offsets = [0.0, 10.0, 20.0, 38.0, 48.0]
    study = read_study(write_series(tmp_path / "series", VOXELS, direction=OBLIQUE, offsets=offsets, FrameOfReferenceUID=FRAME))
    assert study.geometry.slice_positions_mm is not None
    write_dicom_seg(tmp_path / "m.dcm", study, masks(), provenance=PROVENANCE)
    assert np.array_equal(on_study(highdicom.seg.segread(tmp_path / "m.dcm"), 1, study), masks()[SCAR])


def test_a_stack_joined_of_two_series_refers_to_both(study, tmp_path):
    for file in study.files[3:]:
        image = pydicom.dcmread(file.path)
        image.SeriesInstanceUID = "1.2.3.99"
        image.save_as(file.path)
    write_dicom_seg(tmp_path / "m.dcm", study, masks(), provenance=PROVENANCE)
    read = highdicom.seg.segread(tmp_path / "m.dcm")
    assert np.array_equal(on_study(read, 1, study), masks()[SCAR])
    assert sorted(len(item.ReferencedInstanceSequence) for item in read.ReferencedSeriesSequence) == [2, 3]


def measurements():
    def extent(pixels):
        return Extent(pixels, pixels * 0.02, pixels * 0.021)

    segments = tuple(
        SegmentMeasurement(n, True, extent(100), extent(n), float(n), n + 0.5, None if n == 1 else 40.0, 80.0, 1)
        if n < 17
        else SegmentMeasurement(17, False, None, None, None, None, None, None, None)
        for n in range(1, 18)
    )
    one = SliceMeasurement(0, 10.0, extent(1), None, extent(0), None, None, None, None, None, "")
    return Measurements(
        scar=extent(321),
        no_reflow=extent(0),
        slices=(one,) * 5,
        scar_outside_wall=extent(3),
        myocardium=extent(2000),
        cavity=extent(900),
        percent_of_myocardium=16.05,
        percent_low=11.5,
        segments=segments,
        transmurality=Transmurality(12.5, 48.25, 91.0, 20.0, 10.0, 5.0, 33.0, 8.2),
    )


@pytest.fixture
def report(study, tmp_path):
    write_dicom_seg(tmp_path / "masks.dcm", study, masks(), provenance=PROVENANCE)
    write_structured_report(tmp_path / "report.dcm", study, measurements(), tmp_path / "masks.dcm", provenance=PROVENANCE)
    return highdicom.sr.srread(tmp_path / "report.dcm")


def values(group):
    return {m.name.value: (m.value, m.unit.value) for m in group.get_measurements()}


def test_the_report_holds_each_segments_measurements_and_refers_to_the_segmentation(report, tmp_path):
    masks_read = pydicom.dcmread(tmp_path / "masks.dcm")
    groups = {g.tracking_identifier: g for g in report.content.get_volumetric_roi_measurement_groups()}
    assert set(groups) == {"Scar", "LV myocardium", "LV blood pool", "No-reflow"}
    scar = values(groups["Scar"])
    assert scar[coded("SCT^118565006^Volume").value] == (pytest.approx(6.42), "mL")
    assert scar["118538004"] == (pytest.approx(6.741), "g")
    assert scar["246206008"] == (0, "1") and scar["SCARPCT"] == (pytest.approx(16.05), "%")
    assert scar["SCARPCTLOW"][0] == pytest.approx(11.5) and "SCARPCTHIGH" not in scar  # what is not known is not there
    assert scar["SCAROUTSIDE"][0] == pytest.approx(0.063)
    assert set(values(groups["LV blood pool"])) == {"118565006"} and values(groups["No-reflow"])["118538004"][0] == 0
    for number, name in enumerate(("Scar", "LV myocardium", "LV blood pool", "No-reflow"), start=1):
        referred = groups[name].referenced_segment[0].ReferencedSOPSequence[0]
        assert referred.ReferencedSOPInstanceUID == masks_read.SOPInstanceUID
        assert referred.ReferencedSegmentNumber == number
        assert groups[name].tracking_uid == masks_read.SegmentSequence[number - 1].TrackingUID
    text = (tmp_path / "report.dcm").read_bytes()
    assert b"myoscarseg-sam" in text and b"segmenter_sha256=" + b"ab" * 32 in text
    assert report.ContentQualification == "RESEARCH" and report.PatientID == "SECRET4711"


def test_masks_beside_a_report_are_those_that_it_measured(study, tmp_path):
    """Scar at the border of a wall that the model proposed counts as wall: in the segmentation, too."""
    drawn = masks()
    scar = drawn[SCAR] | np.roll(drawn[SCAR], 1, axis=2)
    wall = Ventricle(drawn[WALL].copy(), drawn[BLOOD_POOL].copy(), "model")
    made = make_report(Result(study, scar.astype(np.float32), 0.5), Anatomy(wall))
    write_report_dicom(tmp_path, made, study)
    read = highdicom.seg.segread(tmp_path / "segmentation.dcm")
    pixels = {read.get_segment_description(n).segment_label: on_study(read, n, study).sum() for n in read.segment_numbers}
    measured = made.measurements
    assert measured.myocardium.pixels > drawn[WALL].sum()
    expected = {"Scar": measured.scar, "LV myocardium": measured.myocardium, "LV blood pool": measured.cavity}
    assert pixels == {name: extent.pixels for name, extent in expected.items()}


def test_the_report_has_the_17_segments_with_their_sites_and_says_which_are_not_imaged(report):
    groups = {g.tracking_identifier: g for g in report.content.get_image_measurement_groups()}
    whole = values(groups["Left ventricle"])
    assert (
        whole["TRANSMEANSCAR"] == (pytest.approx(48.25), "%") and whole["ENDOEXTENT"][0] == 33.0 and whole["TRANS25"][0] == 20.0
    )
    for n in range(1, 18):
        group = groups[f"Segment {n}"]
        assert [site.value.value for site in group.finding_sites] == [AHA_SITES[n - 1].split("^")[1]]
        told = [item.value.value for item in group.get_qualitative_evaluations()]
        assert told == [own_code("SHOWN" if n < 17 else "NOTIMAGED").value]
    assert values(groups["Segment 5"])["SEGBURDEN"] == (5.0, "%") and "TRANSMEANSCAR" not in values(groups["Segment 1"])
    assert values(groups["Segment 17"]) == {}  # not 0
    assert {code.CodingSchemeDesignator for code in report.CodingSchemeIdentificationSequence} == {"99MYOSCARSEG"}


def test_the_report_names_all_images_and_the_segmentation_as_evidence(report, study):
    referred = {
        str(item.ReferencedSOPInstanceUID)
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert len(referred) == study.slices + 1
    assert {str(pydicom.dcmread(file.path).SOPInstanceUID) for file in study.files} < referred


def test_what_cannot_be_exported_is_told(study, tmp_path, monkeypatch):
    with pytest.raises(StudyError, match="not known to come from DICOM"):
        write_dicom_seg(tmp_path / "a.dcm", replace(study, files=()), masks(), provenance=PROVENANCE)
    placeless = read_study(write_series(tmp_path / "placeless", VOXELS, direction=OBLIQUE))
    with pytest.raises(OutputError, match="lack the frame of reference"):
        write_dicom_seg(tmp_path / "a.dcm", placeless, masks(), provenance=PROVENANCE)
    study.files[2].path.unlink()
    with pytest.raises(StudyError, match="cannot be read"):
        write_dicom_seg(tmp_path / "a.dcm", study, masks(), provenance=PROVENANCE)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(OutputError, match="pip install highdicom"):
        write_dicom_seg(tmp_path / "a.dcm", study, masks(), provenance=PROVENANCE)
    assert not list(tmp_path.glob("*.dcm"))


def test_a_full_disk_leaves_the_former_file(study, tmp_path, monkeypatch):
    path = tmp_path / "masks.dcm"
    write_dicom_seg(path, study, masks(), provenance=PROVENANCE)
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pydicom.Dataset, "save_as", full)
    with pytest.raises(OutputError, match="No space left"):
        write_dicom_seg(path, study, masks(), provenance=PROVENANCE)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir() if p.is_file()] == ["masks.dcm"]


def test_the_images_of_a_study_from_a_copy_are_found_by_their_place(study, tmp_path):
    folder = study.files[0].path.parent
    turned = replace(
        study,
        files=(),
        geometry=replace(
            study.geometry,
            origin_mm=tuple(study.geometry.origins_mm(study.slices)[-1]),
            direction=study.geometry.direction * (1, 1, -1),
        ),
    )
    assert with_files(replace(study, files=()), folder).files == study.files
    assert with_files(turned, folder).files == study.files[::-1]
    moved = replace(turned, geometry=replace(turned.geometry, origin_mm=(0.0, 0.0, 0.0)))
    with pytest.raises(StudyError, match="no image lies where slice 0 is"):
        with_files(moved, folder)
    write_series(tmp_path / "series" / "again", VOXELS, direction=OBLIQUE, origin=(-30, 40, 12), FrameOfReferenceUID=FRAME)
    with pytest.raises(StudyError, match="2 images lie where slice 0 is"):
        with_files(turned, folder)


def test_the_phantom_as_dicom_is_the_phantom(tmp_path):
    study, phantom = read_study(write_dicom_phantom(tmp_path / "phantom")), make_phantom(SEED).study
    voxels = study.voxels if np.allclose(study.geometry.direction, phantom.geometry.direction) else study.voxels[::-1]
    assert np.abs(voxels - phantom.voxels).max() <= 0.5
    assert np.allclose(study.geometry.spacing_mm, phantom.geometry.spacing_mm)
    assert not study.problems
