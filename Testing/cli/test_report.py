"""``myoscarseg report``, and ``segment --report``: from cases, masks and labels, edited ones too."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.batch.reviews import write_review
from MyoScarSegLib.batch.study_record import Basis, StudyRecord, write_study_record
from MyoScarSegLib.outputs.case_files import write_case
from MyoScarSegLib.outputs.case_folders import CaseFolders, content_of
from MyoScarSegLib.outputs.case_walls import read_case
from MyoScarSegLib.outputs.edited import Edited, Marks
from MyoScarSegLib.outputs.landmarks import read_landmarks, write_landmarks
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import write_volume
from MyoScarSegLib.study.tissue import BLOOD_POOL, REMOTE, SCAR, WALL
from MyoScarSegLib.study.writer import write_layers
from Testing.support.command import array_of, table
from Testing.support.dicom_factory import write_series
from Testing.support.ventricle_factory import round_ventricle

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture
def case(tmp_path):
    """A case folder as ``segment --report`` writes it, its study as a file, and what was written."""
    study, ventricle, scar, insertions = round_ventricle()
    result = Result(
        study, scar * np.float32(0.9), 0.5, provenance={"segmenter": "m", "segmenter_sha256": "ab", "threshold": "0.5"}
    )
    with CaseFolders(tmp_path / "out").writing("round", None, content_of(study)) as folder:
        write_case(folder, result, picture=False, walls=Anatomy(ventricle, None, insertions))
    write_volume(tmp_path / "round.nrrd", study.voxels, study)
    return folder


def measured(folder) -> dict:
    return json.loads((folder / "measurements.json").read_text())


def test_a_case_is_reported_from_its_folder_alone(case, command, drawn, tmp_path):
    _, ventricle, scar, _ = round_ventricle()
    ran = command("report", case, "-o", tmp_path / "reports")
    assert ran.status == 0, ran.err
    folder = tmp_path / "reports" / "round"
    assert {file.name for file in folder.iterdir()} == {"report.html", "report.pdf", "measurements.json"}
    found = measured(folder)
    assert found["scar"]["pixels"] == scar.sum() and found["myocardium"]["pixels"] == ventricle.myocardium.sum()
    assert found["myocardium_source"] == "labels" and found["edited_by_hand"] == "insertion points"
    assert found["insertion_points"]["source"] == "reader"
    assert [row["case"] for row in table(tmp_path / "reports" / "burden.csv")] == ["round"]
    assert f"{found['scar']['mass_g']:.1f} g" in ran.out


@pytest.mark.slow
def test_levels_that_are_given_replace_the_rules(case, command, tmp_path):
    ran = command("report", case, "-o", tmp_path / "reports", "--levels", "base=0-2 mid=3,4 apex=5-6")
    assert ran.status == 0, ran.err
    found = measured(tmp_path / "reports" / "round")
    levels = {row["slice"]: row["level"] for row in found["slices"] if row["level"]}
    assert levels.items() <= {0: "base", 1: "base", 2: "base", 3: "mid", 4: "mid", 5: "apex", 6: "apex"}.items() and levels
    for wrong, words in (
        ("base=0-2 mid=2", "slice 2 has two levels"),
        ("top=1", "'top=1' must be one of base"),
        ("", "names no slice"),
    ):
        ran = command("report", case, "-o", tmp_path / "reports", "--levels", wrong)
        assert ran.status == 2 and words in ran.err


def test_insertion_points_by_an_angle_turn_the_segments(case, command, tmp_path):
    masses = {}
    for degrees in (0, 60):
        ran = command("report", case, "-o", tmp_path / str(degrees), "--rotation", degrees, "--format", "html")
        assert ran.status == 0, ran.err
        found = measured(tmp_path / str(degrees) / "round")
        assert found["insertion_points"]["source"] == "rotation"
        assert found["septum_turned_deg"] == pytest.approx(degrees, abs=0.1)
        page = (tmp_path / str(degrees) / "round" / "report.html").read_text(encoding="utf-8")
        assert f"the septum {degrees}° from where the patient" in page
        masses[degrees] = [row["scar"]["pixels"] for row in found["segments"]]
    # The septum lies a segment farther on, so each piece of the mid ring has the number before.
    mid = {degrees: np.array(pixels[6:12]) for degrees, pixels in masses.items()}
    assert mid[0].any() and np.array_equal(np.roll(mid[0], -1), mid[60]) and not np.array_equal(mid[0], mid[60])
    for wrong in ("nan", "inf", "left"):
        ran = command("report", case, "-o", tmp_path / "wrong", "--rotation", wrong)
        assert ran.status == 2 and "invalid number of degrees" in ran.err
    both = command("report", case, "-o", tmp_path / "both", "--rotation", 0, "--landmarks", case / "landmarks.mrk.json")
    assert both.status == 2 and "not allowed with" in both.err
    labels = ("--mask", case / "scar.nii.gz")
    ran = command("report", tmp_path / "round.nrrd", *labels, "--rotation", 10, "-o", tmp_path / "none")
    assert ran.status == 1 and "has none" in ran.err


def test_a_wall_and_scar_that_were_edited_are_read_again_and_said(case, command, tmp_path):
    image = sitk.ReadImage(str(case / "scar.seg.nrrd"))
    layers = sitk.GetArrayFromImage(image)
    layers[4, 36, 57, 0] = 1 - layers[4, 36, 57, 0]
    layers[2, 36, 59, 1] = 1  # one pixel more of wall
    edited = sitk.GetImageFromArray(layers, isVector=True)
    edited.CopyInformation(image)
    for key in image.GetMetaDataKeys():
        if not key.startswith("ITK_"):
            edited.SetMetaData(key, image.GetMetaData(key))
    sitk.WriteImage(edited, str(case / "scar.seg.nrrd"))
    result, walls = read_case(case)
    _, ventricle, _, _ = round_ventricle()
    assert result.painted == (4,)
    assert walls.ventricle.source == "edited" and walls.ventricle.myocardium.sum() == ventricle.myocardium.sum() + 1
    assert command("report", case, "-o", tmp_path / "reports", "--format", "html").status == 0
    assert measured(tmp_path / "reports" / "round")["edited_by_hand"] == "scar in slice 4, myocardium, insertion points"


def test_a_case_is_reported_as_a_reader_left_it(case, command, tmp_path):
    study, ventricle, scar, insertions = round_ventricle()
    record = StudyRecord("round", "done", "", "", "", "", "", Basis("", {}, {}, 1), "", 1.0, results={"scar_mass_g": 1.0})
    write_study_record(case, record)
    no_reflow, less = np.zeros_like(scar), scar.copy()
    k = int(np.flatnonzero(scar.any(axis=(1, 2)))[0])
    less[k], no_reflow[k] = False, scar[k]
    remote = ventricle.myocardium & ~scar
    marks = Marks(replace(insertions, anterior_mm=insertions.inferior_mm, inferior_mm=insertions.anterior_mm), {3: "none"})
    edited = Edited(study, less, None, no_reflow, remote, marks)
    assert write_review(case, record, "ann", "edit", edited=edited).mass_g == scar_burden(scar, study.geometry).mass_g
    write_review(case, record, "bob", "reject", comment="motion")
    write_review(case, record, "cy", "accept")
    found = {}
    for reader in ("ann", "cy"):
        ran = command("report", case, "--reader", reader, "--format", "html", "-o", tmp_path / reader)
        assert ran.status == 0, ran.err
        found[reader] = measured(tmp_path / reader / "round")
    assert found["ann"]["scar"] == found["cy"]["scar"] and found["ann"]["no_reflow"]["pixels"] == scar[k].sum()
    assert found["ann"]["insertion_points"]["anterior_mm"] == pytest.approx(
        found["cy"]["insertion_points"]["inferior_mm"], abs=1e-3
    )
    levels = [{row["slice"]: row["level"] for row in found[reader]["slices"]} for reader in ("ann", "cy")]
    assert levels[0][3] is None and levels[1][3] is not None
    assert {n: of for n, of in levels[0].items() if n != 3} == {n: of for n, of in levels[1].items() if n != 3}
    assert found["ann"]["methods"] != found["cy"]["methods"], "of the remote region that was drawn"
    assert found["ann"]["edited_by_hand"] == f"scar in slice {k}, remote myocardium, insertion points"
    for reader, words in (("bob", "rejected by bob: motion"), ("dee", "dee has not reviewed")):
        ran = command("report", case, "--reader", reader, "-o", tmp_path / reader)
        assert ran.status == 1 and words in ran.err
    mask = ("--mask", case / "scar.nii.gz")
    (case / "review-cy.json").write_text("{")
    ran = command("report", case, "--reader", "cy", "-o", tmp_path / "cy")
    assert ran.status == 1 and "What cy said of the study is damaged" in ran.err and "has not reviewed" not in ran.err
    ran = command("report", tmp_path / "round.nrrd", *mask, "--reader", "ann", "-o", tmp_path / "none")
    assert ran.status == 1 and "needs a case folder" in ran.err


def test_a_remote_region_that_a_reader_drew_sets_the_thresholds(case, command, tmp_path):
    study, ventricle, scar, _ = round_ventricle()
    remote = ventricle.myocardium & ~scar & (np.arange(80) > 45)
    dark = replace(study, voxels=np.where(remote, study.voxels - 40, study.voxels).astype(np.float32))
    write_volume(tmp_path / "dark.nrrd", dark.voxels, dark)
    anatomy = np.where(ventricle.myocardium, 1, np.where(ventricle.cavity, 2, 0)).astype(np.uint8)
    layers = [(scar.astype(np.uint8), {1: SCAR}), (anatomy, {1: WALL, 2: BLOOD_POOL}), (remote.astype(np.uint8), {1: REMOTE})]
    thresholds = []
    for name, drawn in (("with", layers), ("without", layers[:2])):
        write_layers(tmp_path / f"{name}.seg.nrrd", drawn, dark, {})
        mask = ("--mask", tmp_path / f"{name}.seg.nrrd")
        ran = command("report", tmp_path / "dark.nrrd", *mask, "-o", tmp_path / name, "--format", "html")
        assert ran.status == 0, ran.err
        rows = {row["method"]: row for row in table(tmp_path / name / "burden_methods.csv")}
        thresholds.append(float(rows["2 SD"]["threshold_low_intensity"]))
    in_region = [dark.voxels[k][remote[k]] for k in range(study.slices) if remote[k].any()]
    assert thresholds[0] == pytest.approx(min(v.mean() + 2 * v.std() for v in in_region), rel=0.05)
    assert thresholds[0] != pytest.approx(thresholds[1], rel=1e-3)


def test_scar_outside_the_wall_does_not_become_wall_on_the_way_through_the_files(tmp_path):
    study, ventricle, scar, insertions = round_ventricle()
    scar[4, :3, :3] = True
    folder = tmp_path / "case"
    write_case(folder, Result(study, scar.astype(np.float32), 0.5), picture=False, walls=Anatomy(ventricle, None, insertions))
    for removed in ("", "scar.seg.nrrd"):
        if removed:
            (folder / removed).unlink()
        result, walls = read_case(folder)
        assert np.array_equal(result.mask, scar)
        assert np.array_equal(walls.ventricle.myocardium, ventricle.myocardium)
        assert np.array_equal(walls.ventricle.cavity, ventricle.cavity)


def test_labels_hold_the_tissues_on_the_images_grid(case):
    _, ventricle, scar, _ = round_ventricle()
    labels = array_of(case / "labels.nii.gz")
    assert np.array_equal(labels == 3, scar) and np.array_equal(labels == 1, ventricle.cavity)
    assert np.array_equal(labels >= 2, ventricle.myocardium)


@pytest.mark.slow
def test_a_study_with_labels_gives_the_same_numbers_as_its_case(case, command, tmp_path):
    assert command("report", case, "-o", tmp_path / "a", "--format", "html").status == 0
    options = ("--landmarks", case / "landmarks.mrk.json", "--format", "html")
    for number, mask in enumerate(((case / "labels.nii.gz", "--labels", "emidec"), (case / "scar.seg.nrrd",), (case,))):
        ran = command("report", tmp_path / "round.nrrd", "--mask", *mask, *options, "-o", tmp_path / f"b{number}")
        assert ran.status == 0, ran.err
        one, other = measured(tmp_path / "a" / "round"), measured(tmp_path / f"b{number}" / "round")
        for name in ("scar", "myocardium", "cavity", "segments", "slices", "transmurality", "lesions"):
            assert one[name] == other[name], name


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.seg.nrrd"])
def test_a_cavity_that_nobody_drew_is_what_the_wall_encloses(command, tmp_path, name):
    study, ventricle, scar, _ = round_ventricle()
    write_volume(tmp_path / "round.nrrd", study.voxels, study)
    labels = np.where(scar, 2, ventricle.myocardium).astype(np.uint8)
    if name.endswith(".seg.nrrd"):
        write_layers(tmp_path / name, [(labels, {1: WALL, 2: SCAR})], study, {})
        meaning = ()
    else:
        write_volume(tmp_path / name, labels, study)
        meaning = ("--labels", "myocardium=1 scar=2")
    mask = ("--mask", tmp_path / name, *meaning)
    ran = command("report", tmp_path / "round.nrrd", *mask, "-o", tmp_path / "out", "--format", "html")
    assert ran.status == 0, ran.err
    found = measured(tmp_path / "out" / "round")
    assert found["cavity"]["pixels"] == ventricle.cavity.sum()
    assert found["scar_percent_of_myocardium"] == pytest.approx(100 * scar.sum() / ventricle.myocardium.sum())
    assert found["segments"] is not None


def test_an_epicardium_that_was_drawn_as_a_whole_leaves_the_blood_pool(command, tmp_path):
    study, ventricle, scar, _ = round_ventricle()
    write_volume(tmp_path / "round.nrrd", study.voxels, study)
    heart = ventricle.myocardium | ventricle.cavity
    drawn = [
        (mask.astype(np.uint8), {1: tissue}) for mask, tissue in ((scar, SCAR), (heart, WALL), (ventricle.cavity, BLOOD_POOL))
    ]
    write_layers(tmp_path / "theirs.seg.nrrd", drawn, study, {})
    mask = ("--mask", tmp_path / "theirs.seg.nrrd", "--format", "html")
    assert command("report", tmp_path / "round.nrrd", *mask, "-o", tmp_path / "out").status == 0
    found = measured(tmp_path / "out" / "round")
    assert (found["cavity"]["pixels"], found["myocardium"]["pixels"]) == (ventricle.cavity.sum(), ventricle.myocardium.sum())


def test_a_mask_alone_has_no_percentage(command, tmp_path):
    study, _, scar, _ = round_ventricle()
    write_volume(tmp_path / "round.nrrd", study.voxels, study)
    write_volume(tmp_path / "scar.nii.gz", scar, study)
    mask = ("--mask", tmp_path / "scar.nii.gz")
    ran = command("report", tmp_path / "round.nrrd", *mask, "-o", tmp_path / "out", "--format", "html", "--minutes", "2.5")
    assert ran.status == 0, ran.err
    found = measured(tmp_path / "out" / "round")
    assert found["scar_percent_of_myocardium"] is None and "not segmented" in found["missing"]["percent_of_myocardium"]
    assert found["mask_source"] == "read from scar.nii.gz" and found["reader_minutes"] == 2.5
    assert "– of the myocardium" in ran.out


def test_what_does_not_fit_fails_with_a_reason_and_the_others_are_written(case, command, tmp_path):
    study, _, scar, _ = round_ventricle()
    write_volume(tmp_path / "plain.nrrd", study.voxels, study)
    ran = command("report", tmp_path / "plain.nrrd", case, "-o", tmp_path / "reports", "--format", "html")
    assert ran.status == 1 and "--mask" in ran.err
    assert (tmp_path / "reports" / "round" / "report.html").is_file()
    other = replace(study, geometry=replace(study.geometry, origin_mm=(500.0, 0.0, 0.0)))
    write_volume(tmp_path / "other.nii.gz", scar, other)
    ran = command("report", tmp_path / "plain.nrrd", "--mask", tmp_path / "other.nii.gz", "-o", tmp_path / "reports")
    assert ran.status == 1 and "another grid" in ran.err
    write_volume(tmp_path / "noise.nrrd", study.voxels + 1, study)
    ran = command("report", tmp_path / "noise.nrrd", "--mask", case, "-o", tmp_path / "reports")
    assert ran.status == 1 and "another image" in ran.err
    for option in (("--spacing", "1,1,8"), ("--labels", "emidec"), ("--axis", "i"), ("--dicom",)):
        ran = command("report", case, *option, "-o", tmp_path / "reports")
        assert ran.status == 1 and f"so {option[0]} cannot be heeded" in ran.err
    (case / "image.nrrd").unlink()
    ran = command("report", case, "-o", tmp_path / "reports")
    assert ran.status == 1 and "--mask" in ran.err and "--report" in ran.err


def test_landmarks_are_read_in_either_frame_and_missing_ones_are_named(tmp_path):
    from MyoScarSegLib.errors import StudyError

    _, _, _, points = round_ventricle()
    file = tmp_path / "landmarks.mrk.json"
    write_landmarks(file, points)
    assert np.allclose(read_landmarks(file).anterior_mm, points.anterior_mm)
    document = json.loads(file.read_text())
    document["markups"][0]["coordinateSystem"] = "RAS"
    file.write_text(json.dumps(document))
    assert np.allclose(read_landmarks(file).inferior_mm, np.multiply(points.inferior_mm, (-1, -1, 1)))
    document["markups"][0]["controlPoints"].pop()
    file.write_text(json.dumps(document))
    with pytest.raises(StudyError, match="inferior insertion"):
        read_landmarks(file)
    file.write_text("{}")
    with pytest.raises(StudyError, match="no file of markups"):
        read_landmarks(file)


def test_names_come_from_dicom_on_demand_alone_and_a_pseudonym_replaces_them(command, tmp_path):
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    _, _, scar, _ = round_ventricle()
    voxels = np.clip(round_ventricle()[0].voxels, 0, None).astype(np.uint16)
    folder = write_series(tmp_path / "exam", voxels, spacing=(1.5, 1.5, 10.0), PatientName="Doe^Jane", PatientID="4711",
                          FrameOfReferenceUID="1.2.3.4.5")  # fmt: skip
    from MyoScarSegLib.study import read_study

    study = read_study(folder)
    write_volume(tmp_path / "mask.nii.gz", scar, study)
    base = ("report", folder, "--mask", tmp_path / "mask.nii.gz", "--format", "html", "-o")
    assert command(*base, tmp_path / "a").status == 0
    assert command(*base, tmp_path / "b", "--with-patient-name").status == 0
    ran = command(*base, tmp_path / "c", "--pseudonym", "P-17", "--dicom")
    assert ran.status == 0, ran.err

    def header(out, name) -> str:
        page = (out / name / "report.html").read_text()
        return page[page.index("<header>") : page.index("</header>")]

    assert "Doe" not in header(tmp_path / "a", "exam") and "4711" not in header(tmp_path / "a", "exam")
    assert "Doe Jane" in header(tmp_path / "b", "exam") and "4711" in header(tmp_path / "b", "exam")
    assert "P-17" in header(tmp_path / "c", "P-17")
    for name in ("segmentation.dcm", "report.dcm"):
        written = pydicom.dcmread(tmp_path / "c" / "P-17" / name)
        assert written.PatientName == "P-17" and written.PatientID == "P-17"
    assert command(*base, tmp_path / "d", "--pseudonym", "../x").status == 2
    assert command(*base, tmp_path / "d", "--pseudonym", "x", "--with-patient-name").status == 2


@pytest.mark.parametrize("option", ["--dicom", "--with-patient-name"])
def test_what_only_dicom_has_is_refused_before_anything_is_written(case, command, tmp_path, option):
    mask = ("--mask", case / "scar.nii.gz", option)
    ran = command("report", tmp_path / "round.nrrd", *mask, "-o", tmp_path / "reports", "--format", "html")
    assert ran.status == 1 and "did not come from DICOM" in ran.err and f"Leave out {option}" in ran.err
    assert not list(tmp_path.glob("reports/round/*"))


def test_segment_writes_a_report_also_with_a_model_that_sees_no_wall(segment, tmp_path):
    study, _, _, _ = round_ventricle()
    write_volume(tmp_path / "round.nrrd", study.voxels, study)
    ran = segment(tmp_path / "round.nrrd", "--report")
    assert ran.status == 0, ran.err
    folder = tmp_path / "out" / "round"
    assert (folder / "report.html").is_file() and (folder / "report.pdf").is_file()
    assert measured(folder)["scar_percent_of_myocardium"] is None
    assert "The report has no wall." in ran.err
    assert table(tmp_path / "out" / "burden.csv")[0]["case"] == "round"
    result, walls = read_case(folder)
    assert walls.ventricle is None and not result.painted
