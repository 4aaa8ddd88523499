"""What travels for pictures and reports of scar burden comes out as it went in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.engine.burden_messages import BurdenJob, burden_job_of, burden_message
from MyoScarSegLib.engine.burden_work import PANEL_INCHES, draw_picture, write_report_of
from MyoScarSegLib.engine.messages import study_message, study_of, ventricle_message, ventricle_of
from MyoScarSegLib.engine.protocol import FrameReader, pack
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.scene_ventricle_factory import ring_wall

SHAPE = (6, 40, 48)
INSERTIONS = InsertionPoints((5.0, -20.0, 40.0), (12.0, 18.0, 40.0), "image")


def sent(fields, arrays):
    (message,) = FrameReader().feed(pack({"type": "t", **fields}, arrays))
    return message


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
    return BurdenJob(result, ring_wall(), dark, INSERTIONS, {1: "base", 2: "mid"}, {"name": "A^B"}, 90.0)


def test_a_job_comes_out_as_it_went_in_on_the_workers_study(job):
    message = sent(*study_message("k", job.result.study))
    of_worker = study_of(message)
    came = burden_job_of(*((m := sent(*burden_message(job))).fields, m.arrays), of_worker)
    before, after = job.result, came.result
    assert np.array_equal(after.mask, before.mask) and np.array_equal(after.probability, before.probability)
    assert (after.boxes, after.scores, after.failed_slices, after.provenance) == (
        before.boxes, before.scores, before.failed_slices, before.provenance,
    )  # fmt: skip
    assert (after.study.case, after.study.notes) == ("case 7", ("a note",))
    assert (came.insertions, came.levels, came.patient, came.reader_s) == (
        INSERTIONS,
        {1: "base", 2: "mid"},
        {"name": "A^B"},
        90.0,
    )
    more = {"insertions": INSERTIONS, "levels": job.levels, "no_reflow": job.no_reflow}
    one = measure(before.mask, before.study.geometry, ventricle=job.ventricle, **more)
    other = measure(after.mask, after.study.geometry, ventricle=came.ventricle, **{**more, "no_reflow": came.no_reflow})
    assert [s.burden_percent for s in one.segments] == [s.burden_percent for s in other.segments]


def test_a_proposed_wall_comes_out_as_it_went_in():
    found = replace(ring_wall(), failed_slices={3: "why"})
    came = ventricle_of(sent(*ventricle_message(found)))
    assert np.array_equal(came.myocardium, found.myocardium) and np.array_equal(came.cavity, found.cavity)
    assert (came.source, came.failed_slices, came.provenance) == ("model", {3: "why"}, found.provenance)


@pytest.mark.parametrize("name", PANEL_INCHES)
def test_every_picture_is_drawn_with_a_wall_and_without(job, name):
    for one in (job, BurdenJob(job.result)):
        assert draw_picture(one, name, 240).startswith(b"\x89PNG")


def test_a_report_is_written_beside_the_others_and_names_the_patient_only_where_asked(job, tmp_path):
    place = write_report_of(replace(job, patient={}), tmp_path)
    assert {"report.html", "report.pdf", "measurements.json"} <= {file.name for file in place.iterdir()}
    assert (tmp_path / "burden.csv").is_file()
    assert "A^B" not in (place / "report.html").read_text()
    write_report_of(job, tmp_path)
    assert "A^B" in (place / "report.html").read_text()
