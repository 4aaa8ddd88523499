"""What travels for pictures and reports of scar burden comes out as it went in."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.engine.burden_messages import BurdenJob, burden_job_of, burden_message
from MyoScarSegLib.engine.burden_work import draw_picture, write_report_of
from MyoScarSegLib.engine.messages import read_message, study_message
from MyoScarSegLib.engine.protocol import FrameReader, pack
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.burden_pictures import PICTURES
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.quantification.reference import reference_masks
from MyoScarSegLib.result import ProposedVentricle, Result
from MyoScarSegLib.study.patient import Patient
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.json_fields import to_json
from Testing.support.dicom_factory import write_series
from Testing.support.scene_ventricle_factory import ring_wall

SHAPE = (6, 40, 48)
INSERTIONS = InsertionPoints((5.0, -20.0, 40.0), (12.0, 18.0, 40.0), "image")


def sent(fields):
    (came,) = FrameReader().feed(pack(fields))
    return came


@pytest.fixture
def job() -> BurdenJob:
    voxels = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)
    geometry = Geometry((1.4, 1.4, 8.0), (10.0, -20.0, 30.0), np.eye(3))
    study = Study("case 7", voxels, geometry, Reconstruction.PSIR, notes=("a note",))
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[2, 15:25, 35:39] = 0.9
    result = Result(
        study, probability, 0.5, (Box(2, 30, 10, 40, 30),), (), {2: 0.8}, {5: "no memory"}, provenance={"segmenter": "s"}
    )
    dark = np.zeros(SHAPE, dtype=bool)
    dark[2, 20, 36] = True
    return BurdenJob(result, Anatomy(ring_wall(), dark, INSERTIONS, {1: "base", 2: "mid"}), Patient("A^B"), 90.0)


def test_a_job_comes_out_as_it_went_in_on_the_workers_study(job):
    turned = replace(job.result.study, file_axes=(2, 0, 1))
    job = replace(job, images=("a.dcm", ""), pseudonym="P-17", result=replace(job.result, study=turned))
    of_worker = read_message(Study, sent(study_message("k", job.result.study)))
    came = burden_job_of(sent(burden_message(job)), of_worker)
    before, after = job.result, came.result
    assert np.array_equal(after.mask, before.mask) and np.array_equal(after.probability, before.probability)
    assert (after.boxes, after.scores, after.failed_slices, after.provenance) == (
        before.boxes, before.scores, before.failed_slices, before.provenance,
    )  # fmt: skip
    assert (after.study.case, after.study.notes) == ("case 7", ("a note",))
    assert (came.images, came.pseudonym, came.result.study.file_axes) == (("a.dcm", ""), "P-17", (2, 0, 1))
    assert burden_job_of(sent(burden_message(BurdenJob(job.result))), of_worker).images is None
    known, read = job.anatomy, came.anatomy
    assert (read.insertions, read.levels, came.patient, came.reader_s) == (
        INSERTIONS,
        {1: "base", 2: "mid"},
        Patient("A^B"),
        90.0,
    )
    more = {"insertions": INSERTIONS, "levels": known.levels}
    one = measure(before.mask, before.study.geometry, ventricle=known.ventricle, no_reflow=known.no_reflow, **more)
    other = measure(after.mask, after.study.geometry, ventricle=read.ventricle, no_reflow=read.no_reflow, **more)
    assert [s.burden_percent for s in one.segments] == [s.burden_percent for s in other.segments]


def test_a_proposed_wall_comes_out_as_it_went_in():
    found = replace(ring_wall(), failed_slices={3: "why"})
    came = read_message(ProposedVentricle, sent(to_json(found)))
    assert np.array_equal(came.myocardium, found.myocardium) and np.array_equal(came.cavity, found.cavity)
    assert (came.source, came.failed_slices, came.provenance) == ("model", {3: "why"}, found.provenance)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn_with_a_wall_and_without(job, name):
    for one in (job, BurdenJob(job.result)):
        assert draw_picture(one, name, 240).startswith(b"\x89PNG")


@pytest.mark.usefixtures("without_pictures")
def test_a_report_is_written_beside_the_others_and_names_the_patient_only_where_asked(job, tmp_path):
    place = write_report_of(replace(job, patient=None), tmp_path)
    assert {"report.html", "report.pdf", "measurements.json"} <= {file.name for file in place.iterdir()}
    assert (tmp_path / "burden.csv").is_file()
    assert "A^B" not in (place / "report.html").read_text()
    write_report_of(job, tmp_path)
    assert "A^B" in (place / "report.html").read_text()


@pytest.mark.usefixtures("without_pictures")
def test_the_report_measures_by_the_remote_region_that_the_reader_drew_as_the_panel_does(job, tmp_path):
    known = job.anatomy
    wall, cavity = known.ventricle.myocardium, known.ventricle.cavity
    drawn = np.zeros(SHAPE, dtype=bool)
    drawn[2] = wall[2]
    drawn[2, :, 24:] = False
    job.result.study.voxels[drawn] += 100
    job = replace(job, anatomy=replace(known, remote=drawn))
    came = burden_job_of(sent(burden_message(job)), read_message(Study, sent(study_message("k", job.result.study))))
    place = write_report_of(came, tmp_path)
    told = {one["method"]: one for one in json.loads((place / "measurements.json").read_text())["methods"]}
    found = reference_masks(job.result.study.voxels, wall, cavity, drawn, scar=job.result.mask, no_reflow=known.no_reflow)["2 SD"]
    other = reference_masks(job.result.study.voxels, wall, cavity, scar=job.result.mask, no_reflow=known.no_reflow)["2 SD"]
    assert np.count_nonzero(found.mask) != np.count_nonzero(other.mask)
    assert told["2 SD"]["pixels"] == np.count_nonzero(found.mask)


@pytest.mark.usefixtures("without_pictures")
def test_a_renamed_study_stays_in_its_folder_and_nothing_in_it_has_the_old_name(job, tmp_path):
    study = job.result.study
    before = write_report_of(replace(job, result=replace(job.result, study=replace(study, case="Doe"))), tmp_path)
    renamed = replace(job, result=replace(job.result, study=replace(study, case="P-17")), pseudonym=True, patient=None)
    place = write_report_of(renamed, tmp_path)
    assert place == before
    for name in ("report.html", "measurements.json"):
        assert "P-17" in (place / name).read_text() and "Doe" not in (place / name).read_text()


@pytest.fixture
def job_of_dicom(job, tmp_path) -> BurdenJob:
    """The job on images that lie as DICOM files in a folder, of which the study knows nothing itself."""
    voxels = np.clip(job.result.study.voxels, 0, 400).astype(np.int16)
    series = write_series(tmp_path / "series", voxels, spacing=(1.4, 1.4, 8.0), FrameOfReferenceUID="1.2.3.4.5")
    read = read_study(series)
    study = replace(read, case="LGE", files=())
    images = tuple(str(file.path) for file in read.files)
    return replace(job, result=replace(job.result, study=study), patient=None, images=images)


@pytest.mark.slow
def test_what_stands_in_the_way_of_dicom_files_is_said_and_the_rest_is_written(job_of_dicom, tmp_path, monkeypatch):
    out = tmp_path / "out"
    moved = replace(job_of_dicom.result.study.geometry, origin_mm=(0.0, 300.0, 0.0))
    study = replace(job_of_dicom.result.study, geometry=moved)
    for number, (why, job) in enumerate(
        {
            "did not come from": replace(job_of_dicom, images=()),
            "not where Slicer's": replace(job_of_dicom, images=("", *job_of_dicom.images[1:])),
            "are not where": replace(job_of_dicom, images=(str(tmp_path / "gone.dcm"), *job_of_dicom.images[1:])),
            "no image lies where slice 0 is.*neither moved": replace(
                job_of_dicom, result=replace(job_of_dicom.result, study=study)
            ),
        }.items()
    ):
        with pytest.raises(OutputError, match=f"report is in .*LGE, but without its DICOM files: .*{why}"):
            write_report_of(job, out / str(number))
        assert (out / str(number) / "LGE" / "report.pdf").is_file() and (out / str(number) / "burden.csv").is_file()
        assert not list((out / str(number)).rglob("*.dcm"))
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(OutputError, match="highdicom, which is not installed"):
        write_report_of(job_of_dicom, out / "none")
    assert (out / "none" / "LGE" / "report.html").is_file()


@pytest.mark.slow
def test_two_studies_of_one_name_have_two_folders_and_each_comes_to_its_own_again(job, tmp_path):
    study = job.result.study
    other = replace(job, result=replace(job.result, study=replace(study, voxels=study.voxels + 1)))
    places = [write_report_of(one, tmp_path) for one in (job, other, job, other)]
    assert [place.name for place in places] == ["case_7", "case_7-2"] * 2
    rows = (tmp_path / "burden.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["case", "case_7", "case_7-2"]
    named = write_report_of(replace(other, pseudonym="P-17"), tmp_path)
    assert "P-17" in (named / "report.html").read_text()
