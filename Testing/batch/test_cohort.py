"""A cohort in a results folder: what its records say, what is run again, what a kill leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MyoScarSegLib.batch import study_work
from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.images import images_of
from MyoScarSegLib.batch.job import Job
from MyoScarSegLib.batch.runner import segment_all
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.result import ProposedVentricle
from MyoScarSegLib.study import read_study
from MyoScarSegLib.utils import files
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.command import REPOSITORY, table, write_pictures
from Testing.support.quick_pipeline import Quick, small_study
from Testing.support.until import until

HEADER = b"NRRD0004\nbroken"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda *_: None)


@pytest.fixture
def studies(tmp_path) -> Path:
    for number in range(3):
        small_study(tmp_path / f"in/P{number}/study{number}.nrrd", number)
    return tmp_path / "in"


def run(root: Path, out: Path, pipeline: Quick | None = None, *, resume: bool = True, cancel=None, **options) -> dict[str, str]:
    cohort, pipeline = Cohort(out), pipeline or Quick()
    with cohort.alone():
        found = cohort.find([root], resume=resume)
        outcomes = cohort.run(
            found,
            Job((), out, resume=resume, **options),
            lambda job, ended: segment_all(job, pipeline, ended=ended, cancel=cancel),
            lambda _outcome: None,
        )
    return {outcome.case: outcome.status for outcome in outcomes}


def again(root: Path, out: Path, **options) -> list[str]:
    """Names of the studies that a further run segments."""
    pipeline = options.pop("pipeline", Quick())
    run(root, out, pipeline, **options)
    return sorted(pipeline.runs)


ALL = ["study0", "study1", "study2"]


def test_a_record_says_what_was_made_of_what(studies, tmp_path):
    assert run(studies, tmp_path / "out") == dict.fromkeys(ALL, "done")
    records = Cohort(tmp_path / "out").records()
    assert [record.case for record in records] == ALL
    one = records[0]
    assert (one.state, one.basis.models, one.basis.settings["threshold"]) == ("done", {"detector": "a", "segmenter": "a"}, 0.5)
    assert one.results["scar_pixels"] == 40 and one.seconds >= 0 and {"result.json", "log.txt"} <= set(one.files)
    assert len({record.basis.image_sha256 for record in records}) == 3
    assert [row["case"] for row in table(tmp_path / "out/inputs.csv")] == ALL


def test_only_what_changed_is_run_again(studies, tmp_path):
    out = tmp_path / "out"
    assert again(studies, out) == ALL and again(studies, out) == []
    os.utime(studies / "P0/study0.nrrd", (1, 1))
    assert again(studies, out) == [], "touched, but of the same content"
    assert again(studies, out) == []
    small_study(studies / "P1/study1.nrrd", 7)
    assert again(studies, out) == ["study1-2"], "another image is another case"
    assert again(studies, out, threshold=0.6) == ["study0", "study1-2", "study2"]
    assert again(studies, out, threshold=0.6) == []
    assert again(studies, out, threshold=0.6, pipeline=Quick(models="b")) == ["study0", "study1-2", "study2"]


def test_images_that_exchange_their_names_keep_their_cases(studies, tmp_path):
    """As where a cohort is numbered anew; a copy, whose original is still there, gets no case of another's."""
    out = tmp_path / "out"
    run(studies, out)
    told = (out / "results.csv").read_text()
    names = [study.relative_to(studies) for study in sorted(studies.rglob("*.nrrd"))]
    assert len(names) == 3
    for name in names:
        (studies / name).rename(tmp_path / name.name)
    for old, new in zip(names, [*names[1:], names[0]], strict=True):
        (tmp_path / old.name).rename(studies / new)
    assert again(studies, out) == [] and (out / "results.csv").read_text() == told
    assert [row["case"] for row in table(out / "inputs.csv")] == ["study2", "study0", "study1"]
    assert again(studies, out) == []
    assert again(studies, out, pipeline=Quick(models="b")) == ALL and len(Cohort(out).records()) == 3
    os.utime(studies / names[0])
    shutil.copy(studies / names[0], studies / "a-copy.nrrd")
    assert again(studies, out, pipeline=Quick(models="b")) == ["a-copy"]


def test_another_spacing_of_the_same_voxels_is_a_change(studies, tmp_path):
    from Testing.support.command import voxels, write_image
    from Testing.support.quick_pipeline import SHAPE

    out = tmp_path / "out"
    run(studies, out)
    write_image(studies / "P2/study2.nrrd", voxels(2, SHAPE), spacing=(1.0, 1.0, 8.0))
    assert again(studies, out) == ["study2"]


def test_a_report_is_made_where_it_is_missing_and_kept_where_it_is_not_asked_for(studies, tmp_path, monkeypatch):

    reports = []
    monkeypatch.setattr(study_work.StudyWork, "_walls", lambda *_: (Anatomy(), ""))
    monkeypatch.setattr(study_work, "write_report", lambda folder, _report: reports.append(folder.name))
    out = tmp_path / "out"
    assert again(studies, out) == ALL and reports == []
    assert again(studies, out, report=True) == ALL == sorted(reports)
    assert again(studies, out) == [] == again(studies, out, report=True)


def test_a_result_says_which_model_saw_the_wall(studies, tmp_path, monkeypatch):
    monkeypatch.setattr(study_work, "write_report", lambda *_: None)
    monkeypatch.setattr(Quick, "ventricle", wall_of_quick, raising=False)
    run(studies, tmp_path / "out", report=True)
    made = json.loads((tmp_path / "out/study0/result.json").read_text())["provenance"]
    assert (made["segmenter"], made["wall"], made["wall_sha256"]) == ("quick", "mapper", "cd" * 32)


def wall_of_quick(_self, study, **_options) -> ProposedVentricle:
    wall = np.zeros(study.voxels.shape, bool)
    wall[:, 2:9, 2:9], wall[:, 4:7, 4:7] = True, False
    made = {"wall": "mapper", "wall_sha256": "cd" * 32}
    return ProposedVentricle(wall, np.zeros_like(wall), "model", {}, made)


def test_a_program_with_other_numbers_runs_all_again(studies, tmp_path, monkeypatch):
    run(studies, tmp_path / "out")
    monkeypatch.setattr(study_work, "NUMBERS_VERSION", study_work.NUMBERS_VERSION + 1)
    assert again(studies, tmp_path / "out") == ALL


@pytest.mark.parametrize(
    "damage",
    [
        lambda case: (case / "record.json").write_text("{"),
        lambda case: (case / "record.json").write_bytes(b""),
        lambda case: (case / "record.json").unlink(),
        lambda case: (case / "result.json").unlink(),
        lambda case: (case / "scar.nii.gz").write_bytes(b""),
        lambda case: (case / "record.json").write_text('{"version": 99}'),
    ],
)
def test_a_damaged_case_is_made_again(studies, tmp_path, damage):
    out = tmp_path / "out"
    run(studies, out)
    damage(out / "study1")
    assert again(studies, out) == ["study1"] and again(studies, out) == []


def test_edited_boxes_do_not_make_a_study_run_again(studies, tmp_path):
    out = tmp_path / "out"
    run(studies, out)
    boxes = json.loads((out / "study1/boxes.json").read_text())
    boxes["boxes"][0]["x1"] = 9
    (out / "study1/boxes.json").write_text(json.dumps(boxes))
    assert again(studies, out) == []
    assert again(studies, out, boxes=out) == ALL, "now they are asked for"
    assert again(studies, out, boxes=out) == []


def test_failures_and_what_is_left_have_records_and_are_not_tried_in_vain(studies, tmp_path, monkeypatch):
    from Testing.support.command import voxels, write_image

    out = tmp_path / "out"
    (studies / "bad.nrrd").write_bytes(HEADER)
    write_image(studies / "labels.nii.gz", (voxels() > 500).astype("uint8"))
    ended = run(studies, out)
    assert (ended["bad"], ended["labels"], ended["study0"]) == ("failed", "left", "done")
    states = {record.case: record.state for record in Cohort(out).records()}
    assert states == {case: state for case, state in ended.items() if case != "labels"} and not (out / "labels").exists()
    tried = []
    monkeypatch.setattr(study_work, "read_study", lambda path, **_options: tried.append(path.name))
    assert run(studies, out) == ended and tried == []
    monkeypatch.undo()
    small_study(studies / "bad.nrrd", 9)
    assert again(studies, out) == ["bad"], "in the folder that it had"


def test_the_label_map_beside_an_image_does_not_take_its_name(tmp_path):
    from Testing.support.command import voxels, write_image

    small_study(tmp_path / "in/image/P1.nii.gz")
    write_image(tmp_path / "in/a_label/P1.nii.gz", (voxels() > 500).astype("uint8"))
    run(tmp_path / "in", tmp_path / "out")
    assert [(row["case"], row["status"]) for row in table(tmp_path / "out/inputs.csv")] == [("P1", "left"), ("P1", "done")]
    assert [row["case"] for row in table(tmp_path / "out/results.csv")] == ["P1"]


def test_only_the_list_of_inputs_tells_the_path_of_an_input(tmp_path):
    small_study(tmp_path / "in/Mueller_Hans/lge.nrrd")
    (tmp_path / "in/Mueller_Hans/bad.nrrd").write_bytes(HEADER)
    run(tmp_path / "in", tmp_path / "out")
    telling = [file.name for file in (tmp_path / "out").rglob("*") if file.is_file() and b"Mueller" in file.read_bytes()]
    assert telling == ["inputs.csv"]
    assert [row["message"].split()[0] for row in table(tmp_path / "out/results.csv") if row["message"]] == ["bad.nrrd:"]


def test_an_examination_in_the_current_folder_has_whole_sentences_in_record_and_log(tmp_path, monkeypatch):
    write_pictures(tmp_path / "lge", np.zeros((2, 12, 10), np.uint8))
    monkeypatch.chdir(tmp_path / "lge")
    run(Path(), tmp_path / "out")
    record = Cohort(tmp_path / "out").records()[0]
    assert record.message == "lge: every pixel has the same value (0); this is no image. Check the export."


def test_the_images_of_all_runs_are_found_again_from_any_folder(studies, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    run(Path("in/P0"), out)
    run(Path("in/P1"), out)
    (studies / "P0/study0.nrrd").rename(studies / "P2/moved.nrrd")
    run(Path("in/P2"), out)
    monkeypatch.chdir(studies)
    cohort = Cohort(out)
    assert [record.case for record in cohort.records() if images_of(cohort, record)] == ALL
    assert [Path(row["input"]).name for row in table(out / "inputs.csv")] == ["study1.nrrd", "moved.nrrd", "study2.nrrd"]


def test_an_earlier_run_is_not_written_over_without_resume(studies, tmp_path):
    run(studies, tmp_path / "out")
    with pytest.raises(OutputError, match="--resume"):
        run(studies, tmp_path / "out", resume=False)


def test_two_runs_on_one_folder_exclude_each_other(studies, tmp_path):
    with Cohort(tmp_path / "out").alone(), pytest.raises(OutputError, match="Another run"):
        run(studies, tmp_path / "out")
    assert run(studies, tmp_path / "out") == dict.fromkeys(ALL, "done")


def test_a_full_disk_fails_the_study_and_it_is_run_again(studies, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:

        def full(folder, result, *_arguments, **_options):
            if result.study.case == "study1":
                raise OutputError(f"Cannot write {folder}: No space left on device.")

        patch.setattr(study_work, "write_case", full)
        assert run(studies, out)["study1"] == "failed"
    assert "study1" in again(studies, out) and run(studies, out) == dict.fromkeys(ALL, "done")


def test_what_was_done_before_a_cancelled_run_is_still_told(studies, tmp_path):
    out, cancel = tmp_path / "out", CancelToken()
    run(studies / "P0", out)
    cancel.cancel()
    assert run(studies, out, cancel=cancel) == dict.fromkeys(ALL, "cancelled")
    inputs = {Path(row["input"]).stem: (row["case"], row["status"]) for row in table(out / "inputs.csv")}
    assert inputs == {"study0": ("study0", "done"), "study1": ("", "cancelled"), "study2": ("", "cancelled")}
    assert [(row["case"], row["status"]) for row in table(out / "results.csv")] == [("study0", "done")]


def test_a_run_that_finds_all_done_makes_the_tables_anew(studies, tmp_path):
    out = tmp_path / "out"
    run(studies, out)
    told = (out / "results.csv").read_text()
    for damaged in ("", told.replace("done,", "cancelled,")):
        (out / "results.csv").write_text(damaged)
        assert again(studies, out) == [] and (out / "results.csv").read_text() == told


def test_a_kill_at_the_start_of_a_run_leaves_what_the_list_of_inputs_said(studies, tmp_path):
    out = tmp_path / "out"
    run(studies, out)
    told = (out / "inputs.csv").read_text()
    Cohort(out).find([studies], resume=True)  # the run ends here
    assert (out / "inputs.csv").read_text() == told


class _Gone(Quick):
    """A folder is not to be reached any more from the second study on; one that a drive is mounted on stays, empty."""

    def __init__(self, folder: Path, mounted: bool) -> None:
        super().__init__()
        self.folder, self.mounted = folder, mounted

    def segment(self, study, *arguments, **options):
        if len(self.runs) == 1:
            self.folder.rename(self.folder.with_name("unreachable"))
            if self.mounted:
                self.folder.mkdir()
        return super().segment(study, *arguments, **options)


@pytest.mark.parametrize("mounted", [False, True])
@pytest.mark.parametrize("which", ["in", "out"])
def test_a_network_folder_that_is_gone_for_a_while_costs_nothing_but_time(studies, tmp_path, which, mounted):
    folder, out = tmp_path / which, tmp_path / "out"
    every = [*ALL, "study3", "study4"]  # of which one is read ahead
    for number in (3, 4):
        small_study(studies / f"study{number}.nrrd", number)
    if which == "in":
        assert set(run(studies, out, _Gone(folder, mounted)).values()) == {"done", "failed"}
    else:
        with pytest.raises(OutputError, match="is gone"):
            run(studies, out, _Gone(folder, mounted))
    if mounted:
        folder.rmdir()
    assert not folder.exists(), "nothing is written where the network's folder was"
    folder.with_name("unreachable").rename(folder)
    assert "study0" not in again(studies, out)
    assert run(studies, out) == dict.fromkeys(every, "done")
    assert [row["status"] for row in table(out / "results.csv")] == ["done"] * 5
    assert len(list(out.glob("*/record.json"))) == 5 and not list(out.glob("*/.writing-*"))


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_folder_that_goes_while_a_study_is_read_costs_it_nothing_but_time(studies, tmp_path, monkeypatch, comes_back):
    away = studies.with_name("away")

    def read_and_lose(path, **options):
        if path.name == "study1.nrrd":
            studies.rename(away)
            try:
                return read_study(path, **options)
            finally:
                if comes_back:
                    away.rename(studies)
        return read_study(path, **options)

    monkeypatch.setattr(study_work, "read_study", read_and_lose)
    assert run(studies, tmp_path / "out")["study1"] == "failed"
    if not comes_back:
        away.rename(studies)
    monkeypatch.setattr(study_work, "read_study", read_study)
    assert "study1" in again(studies, tmp_path / "out")
    assert again(studies, tmp_path / "out") == []


_LONG_RUN = """
import sys, time
from pathlib import Path
from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.job import Job
from MyoScarSegLib.batch.runner import segment_all
from MyoScarSegLib.outputs import case_files
from Testing.support.quick_pipeline import Quick
written = []
def overlay(*_):
    written.append(None)
    time.sleep(0 if len(written) <= int(sys.argv[3]) else 3600)
case_files.write_overlay = overlay
cohort = Cohort(Path(sys.argv[2]))
with cohort.alone():
    found = cohort.find([Path(sys.argv[1])], resume=True)
    cohort.run(found, Job((), cohort.out, resume=True), lambda job, ended: segment_all(job, Quick(), ended=ended), lambda o: None)
"""


def test_killing_the_process_in_the_middle_of_a_study_loses_that_study_alone(tmp_path):
    many, out = 12, tmp_path / "out"
    for number in range(many):
        small_study(tmp_path / f"in/study{number}.nrrd", number)
    done_before: set[str] = set()
    for wanted in (3, 7):
        command = [sys.executable, "-c", _LONG_RUN, tmp_path / "in", out, str(wanted - len(done_before))]
        process = subprocess.Popen(command, cwd=REPOSITORY)
        until(lambda wanted=wanted: len(list(out.glob("*/record.json"))) == wanted, "the studies are not done")
        process.send_signal(signal.SIGKILL)
        process.wait()
        whole = {record.case for record in Cohort(out).records() if record.files_are_whole(out / record.case)}
        assert done_before <= whole and len(whole) == wanted
        done_before = whole
    rest = again(tmp_path / "in", out)
    assert sorted(rest) == sorted({f"study{n}" for n in range(many)} - done_before), "nothing lost, nothing doubled"
    assert len(list(out.glob("*/case.json"))) == many == len(table(out / "results.csv"))
    assert not list(out.glob("*/.writing-*"))


def test_a_study_has_its_record_last(tmp_path, monkeypatch):
    """After it nothing is written in the study's folder, so a kill at any moment leaves no half of a finished study."""
    small_study(tmp_path / "in/study0.nrrd", 0)
    moved = []
    monkeypatch.setattr(files, "move", lambda source, target, move=files.move: (moved.append(target), move(source, target))[1])
    assert run(tmp_path / "in", tmp_path / "out") == {"study0": "done"}
    assert [path.name for path in moved if path.parent.name == "study0"][-1] == "record.json"
