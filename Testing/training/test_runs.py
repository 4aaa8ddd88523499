"""Runs on disk: planned, read again, commanded, taken elsewhere and back; without any network."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs import run_status
from MyoScarSegLib.training.runs.record import read_cases
from MyoScarSegLib.training.runs.run import Run, runs_of
from MyoScarSegLib.training.runs.run_commands import CommandWatch, read_command, write_command
from MyoScarSegLib.training.runs.run_report import RunReport
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus, read_status, write_status
from MyoScarSegLib.training.runs.transfer import import_run
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.utils.locks import locked
from Testing.support.run_factory import SPLIT, add_case, settings, write_library
from Testing.support.tiny_training import write_start
from Testing.support.until import until


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_library(folder / "library")
    write_start(folder / "start.safetensors")
    return folder


@pytest.fixture
def library(made, tmp_path):
    return Library.open(shutil.copytree(made / "library", tmp_path / "library"))


@pytest.fixture
def start(made):
    return made / "start.safetensors"


@pytest.fixture
def run(library, start):
    return Run.create(library.folder, settings(start), SPLIT, name="run")


def finished(run, state=RunState.FINISHED, **more):
    """As if it had been worked on."""
    from MyoScarSegLib.utils.files import sha256_of

    for part in run.parts:
        model = run.part(part) / f"{part}.safetensors"
        model.parent.mkdir(exist_ok=True)
        model.write_bytes(b"weights")
        model.with_suffix(".json").write_text(json.dumps({"sha256": sha256_of(model)}))
    write_status(run.folder, RunStatus(state, seconds=9.0, **more))
    return run


def test_a_run_is_read_back_as_it_was_planned(run, library, start):
    again = Run.open(run.folder)
    assert again.record == run.record
    assert (again.split, again.name) == (SPLIT, "run")
    assert again.settings == settings(start)
    assert again.status() == RunStatus()
    assert set(again.record.cases) == {"P001", "P002", "P003", "P005", "N004"}
    assert again.data() == library.folder.resolve()
    assert not any(p.name.startswith(".") for p in (library.folder / "runs").iterdir())


def test_paths_in_a_run_hold_wherever_its_folder_is(run, library, tmp_path):
    assert str(library.folder) not in (run.folder / "run.json").read_text()
    moved = Run.open(shutil.move(run.folder, tmp_path / "elsewhere"))
    with pytest.raises(StudyError, match="--data"):
        moved.data()
    assert moved.data(library.folder) == library.folder


def test_runs_are_named_by_date_and_never_replace_each_other(library, start):
    runs = [Run.create(library.folder, settings(start), SPLIT) for _ in range(3)]
    assert len({run.name for run in runs}) == 3
    assert all("segmenter" in run.name for run in runs)
    Run.create(library.folder, settings(start), SPLIT, name="mine")
    with pytest.raises(StudyError, match="mine"):
        Run.create(library.folder, settings(start), SPLIT, name="mine")
    with pytest.raises(StudyError, match="no name"):
        Run.create(library.folder, settings(start), SPLIT, name="../up")
    assert len(runs_of(library.folder)[0]) == 4


def test_a_split_that_does_not_fit_the_library_is_refused_and_leaves_nothing(library, start):
    for split in (Split((), ("P001",)), Split(("P001", "X1"), ("P002",))):
        with pytest.raises(StudyError):
            Run.create(library.folder, settings(start), split)
    assert not list((library.folder / "runs").glob("*"))


def test_damaged_runs_are_told_and_hide_no_other(run, library):
    for name, text in {"a": "{", "b": "{}", "c": json.dumps({"format": "MyoScarSeg training run", "version": 9})}.items():
        (library.folder / "runs" / name).mkdir()
        (library.folder / "runs" / name / "run.json").write_text(text)
    document = json.loads((run.folder / "run.json").read_text())
    (library.folder / "runs" / "d").mkdir()
    (library.folder / "runs" / "d" / "run.json").write_text(json.dumps(document | {"settings": {"what": "nothing"}}))
    runs, damaged = runs_of(library.folder)
    assert [one.name for one in runs] == ["run"]
    assert set(damaged) == {"a", "b", "c", "d"}
    assert "Update" in damaged["c"]


# ---- where it stands


def test_status_is_read_back_and_a_later_version_adds_fields(tmp_path):
    told = RunStatus(RunState.PAUSED, "steps", "segmenter", 3, 9, "x", best={"segmenter": {"score": 0.5}}, notes=("a",))
    write_status(tmp_path, told)
    assert read_status(tmp_path) == told
    document = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps(document | {"new": 1}))
    assert read_status(tmp_path) == told


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "flying"}', '{"best": 3}'])
def test_a_status_that_a_power_cut_damaged_means_interrupted(run, text):
    (run.folder / "status.json").write_text(text)
    assert run.status().state is RunState.INTERRUPTED


def test_running_is_who_holds_the_lock_and_nobody_else(run):
    write_status(run.folder, RunStatus(RunState.RUNNING, "steps", pid=1, updated=time.time()))
    assert run.status().state is RunState.INTERRUPTED
    with locked(run.lock):
        assert run.alive() and run.status().state is RunState.RUNNING
        assert "running already" in run.why_not("start")
        with pytest.raises(StudyError, match="running"):
            run.remove()
        with pytest.raises(StudyError, match="running already"):
            run.start()
    assert run.status().state is RunState.INTERRUPTED
    assert run.why_not("start") == ""


def test_a_process_has_a_while_to_start_and_not_longer(run):
    write_status(run.folder, RunStatus(RunState.RUNNING, "starting", updated=time.time()))
    assert run.status().state is RunState.RUNNING
    write_status(run.folder, RunStatus(RunState.RUNNING, "starting", updated=time.time() - 60))
    (run.folder / "output.txt").write_text("Traceback\nModuleNotFoundError: No module named 'torch'\n")
    assert run.status().state is RunState.INTERRUPTED
    assert "torch" in run.status().error


def test_an_interpreter_that_cannot_be_started_or_ends_at_once_is_told(run, tmp_path):
    from MyoScarSegLib.errors import EngineError

    with pytest.raises(EngineError, match="Python cannot be started"):
        run.start(python=str(tmp_path / "none"))
    assert run.status().state is RunState.PLANNED
    run.start(python=shutil.which("false"))
    until(lambda: run.status().state is RunState.INTERRUPTED)
    assert run.why_not("start") == ""


def test_status_on_a_full_disk_is_written_where_the_old_one_was(run, monkeypatch):
    write_status(run.folder, RunStatus(RunState.RUNNING, message="a long one " * 9))

    def full(*_):
        raise OutputError("Cannot write: No space left on device.")

    monkeypatch.setattr(run_status, "write_json", full)
    write_status(run.folder, RunStatus(RunState.FAILED, error="full"))
    assert read_status(run.folder).error == "full"
    (run.folder / "status.json").unlink()
    with pytest.raises(OutputError, match="No space"):
        write_status(run.folder, RunStatus())


def test_status_never_makes_a_removed_folder_anew(tmp_path):
    writer = RunReport(tmp_path / "gone")
    writer.update(now=True, message="x")
    with pytest.raises(OutputError, match="gone"):
        writer.close(state=RunState.FAILED)
    assert not (tmp_path / "gone").exists()


def test_status_is_not_written_for_each_step(run):
    writer = RunReport(run.folder)
    writer.update(now=True)
    first = (run.folder / "status.json").stat().st_mtime_ns
    for step in range(100):
        writer.update(done=step)
    assert (run.folder / "status.json").stat().st_mtime_ns == first
    writer.close(state=RunState.PAUSED)
    writer.update(now=True, state=RunState.RUNNING)
    assert (read_status(run.folder).state, read_status(run.folder).done) == (RunState.PAUSED, 99)


def log_entry(event: str, phase: str, **more: float) -> dict[str, object]:
    return {"event": event, "phase": phase, "epoch": 1, "epochs": 4, "step": 1, "steps": 8, "seconds_left": 30.0, **more}


def test_what_the_context_network_learns_first_is_not_all_that_is_left(run):
    """The steps of the prompts come after it; how long they take is known from the estimate alone."""
    expected = {"embedding": 100.0, "steps": 500.0, "validation": 40.0, "comparing": 8.0}
    told = RunReport(run.folder, expected)
    told.stage("steps")
    for phase, left in (("anatomy", 648), ("context", 648), ("prompts", 78)):
        told.logged("segmenter", log_entry("step", phase))
        assert told.status.seconds_left == pytest.approx(left, abs=5)
    told.logged("segmenter", log_entry("step", "context", seconds_left=900.0))
    assert told.status.seconds_left == pytest.approx(948, abs=5), "slower than was estimated"
    unknown = RunReport(run.folder)
    unknown.stage("steps")
    unknown.logged("segmenter", log_entry("step", "context"))
    assert unknown.status.seconds_left is None


def test_the_best_figures_are_those_of_the_last_phase(run):
    told = RunReport(run.folder)
    told.logged("segmenter", log_entry("epoch", "context", epoch=3, loss=0.4, validation_score=0.9))
    assert told.status.best == {}
    for epoch, score in ((1, 0.5), (4, 0.6), (5, 0.55)):
        told.logged("segmenter", log_entry("epoch", "prompts", epoch=epoch, validation_score=score))
    assert told.status.best == {"segmenter": {"epoch": 4, "score": 0.6}}


# ---- commands


def test_command_reaches_the_process_and_a_stronger_one_goes_before(run):
    received = []
    watch = CommandWatch(run.folder, lambda _: None, timeout_s=lambda _: 60, received=received.append)
    watch.start()
    write_command(run.folder, "pause")
    until(lambda: watch.cancel.cancelled)
    assert watch.command == "pause"
    write_command(run.folder, "cancel")
    until(lambda: watch.command == "cancel")
    write_command(run.folder, "stop")
    time.sleep(0.5)
    assert watch.command == "cancel" and received == ["pause", "cancel"]
    watch.close()


def test_a_training_that_does_not_end_in_time_is_ended(run):
    ended = threading.Event()
    watch = CommandWatch(run.folder, lambda _: ended.set(), timeout_s=lambda _: 0.3)
    watch.start()
    write_command(run.folder, "stop")
    assert ended.wait(30)
    watch.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"command": "fly"}', '{"command": 3}'])
def test_a_command_that_makes_no_sense_is_none(run, text):
    (run.folder / "control.json").write_text(text)
    assert read_command(run.folder) is None


def test_what_does_not_run_is_stopped_or_cancelled_here_and_now(run):
    with pytest.raises(StudyError, match="does not run"):
        run.send("pause")
    with pytest.raises(StudyError, match="no model"):
        run.send("stop")
    finished(run, RunState.PAUSED)
    run.send("stop")
    assert run.status().state is RunState.STOPPED and run.models()
    (run.part("segmenter") / "log.jsonl").write_text("{}\n")
    run.send("cancel")
    assert run.status().state is RunState.CANCELLED and not run.models()
    assert [p.name for p in run.part("segmenter").iterdir()] == ["log.jsonl"]
    assert "Repeat it" in run.why_not("start")
    with pytest.raises(StudyError, match="cancelled already"):
        run.send("stop")
    with pytest.raises(StudyError, match="cancelled"):
        run.start()


def test_stopping_an_interrupted_run_mends_the_card_of_a_model_that_was_just_replaced(run):
    finished(run, RunState.RUNNING)
    model = run.models()["segmenter"]
    card = {
        "name": "segmenter", "task": "segment", "architecture": "a", "preprocessing": "p", "licence": "l", "citation": "c",
        "settings": {}, "split": SPLIT.to_json(), "metrics": {}, "sha256": "of another",
    }  # fmt: skip
    model.with_suffix(".json").write_text(json.dumps(card))
    time.sleep(0.02)
    model.write_bytes(b"better weights")
    run.send("stop")
    from MyoScarSegLib.utils.files import sha256_of

    assert json.loads(model.with_suffix(".json").read_text())["sha256"] == sha256_of(model)


def test_a_run_is_removed_with_all_that_is_in_it(run, library):
    finished(run)
    run.remove()
    assert not list((library.folder / "runs").iterdir())


# ---- its cases


def test_only_the_cases_of_the_run_are_read(run, library):
    add_case(library, "P009", 9)
    add_case(library, "P001", 8, case="P001-later")
    data = read_cases(run)
    assert {s.stack for s in data.slices} == set(run.record.cases)
    assert data.patients == ("N004", "P001", "P002", "P003", "P005")


def test_a_changed_case_is_named_and_nothing_is_trained(run, library):
    add_case(library, "P003", 3, replace=True)
    with pytest.raises(StudyError, match=r"P003 was changed since the run .*; start a new run, or put it back"):
        read_cases(run, begun=False)


def test_a_case_that_cannot_be_read_is_left_out_before_the_start_and_for_good(run, library):
    (library.folder / "cases" / "P002" / "volume.nrrd").write_bytes(b"nothing")
    data = read_cases(run, begun=False)
    assert "P002" not in data.patients and "P002" in data.skipped
    again = Run.open(run.folder)
    assert set(again.record.left_out) == {"P002"}
    assert read_cases(again, begun=True).patients == data.patients


def test_a_case_that_was_trained_on_cannot_be_left_out(run, library):
    library.remove("P002")
    with pytest.raises(StudyError, match="P002 cannot be read any more"):
        read_cases(run, begun=True)


def test_somebody_must_be_left_on_each_side(run, library):
    library.remove("P005")
    library.remove("N004")
    with pytest.raises(StudyError, match="Nobody is left to validate"):
        read_cases(run, begun=False)
    assert not Run.open(run.folder).record.left_out


# ---- elsewhere and back


def test_a_run_with_its_data_needs_nothing_else(library, start, tmp_path):
    run = Run.create(library.folder, settings(start), Split(("P001",), ("N004",)), name="away", with_data=True)
    moved = Run.open(shutil.move(run.folder, tmp_path / "away"))
    shutil.rmtree(library.folder)
    assert read_cases(moved).patients == ("N004", "P001")
    assert moved.settings.start_segmenter == str(tmp_path / "away" / "start" / "start.safetensors")
    assert Path(moved.settings.start_segmenter).is_file()


def test_a_run_that_was_done_elsewhere_takes_the_place_of_the_planned_one(run, library, tmp_path):
    away = finished(Run.open(shutil.copytree(run.folder, tmp_path / "away")))
    (away.folder / "data").mkdir()
    (away.folder / "secret.pem").write_text("not part of a run")
    back = import_run(away.folder, library.folder)
    assert (back.name, back.status().state) == ("run", RunState.FINISHED)
    assert back.models() and not (back.folder / "data").exists() and not (back.folder / "secret.pem").exists()
    assert [one.name for one in runs_of(library.folder)[0]] == ["run"]
    with pytest.raises(StudyError, match="already"):
        import_run(away.folder, library.folder)


def test_a_strange_run_comes_beside_the_others_and_says_what_differs(run, library, start, tmp_path):
    other = write_library(tmp_path / "other")
    add_case(other, "P007", 7)
    away = finished(Run.create(other.folder, settings(start), replace(SPLIT, training=("P001", "P007")), name="run"))
    add_case(library, "P001", 7, replace=True)
    back = import_run(away.folder, library.folder)
    assert back.name == "run_2"
    assert len(back.status().notes) == 2 and "P007" in back.status().notes[0] and "P001" in back.status().notes[1]


def test_a_run_that_came_back_damaged_is_refused(run, library, tmp_path):
    away = finished(Run.open(shutil.copytree(run.folder, tmp_path / "away")))
    away.models()["segmenter"].write_bytes(b"half")
    with pytest.raises(StudyError, match="copy the run again"):
        import_run(away.folder, library.folder)
    assert run.status().state is RunState.PLANNED
