"""What goes wrong while a run works: killed or stopped at any stage, a full disk, no memory, data that changes or goes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

from MyoScarSegLib.segmentation import load_segmenter
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_process import carry_out
from MyoScarSegLib.training.runs.run_status import RunState
from Testing.support.run_factory import QUICK, add_case, assert_same_result, copy_of, run_process, tiny_run
from Testing.support.until import until

pytestmark = pytest.mark.slow

_SLOW = """
import os, pathlib, time
def hang():
    pathlib.Path(os.environ["HANGS"]).touch()
    time.sleep(60)
import MyoScarSegLib.training.runs.run_commands as commands
commands.SAFE_PLACE_S = 1.5
"""
STAGES = {
    "reading": "from MyoScarSegLib.training.datasets.training_library import Library\nLibrary.load = lambda *_: hang()",
    "embedding": (
        "from MyoScarSegLib.training.finetune.cached_windows import CachedWindows\nCachedWindows._make = lambda *_: hang()"
    ),
    "steps": (
        "from MyoScarSegLib.training.loop.gradients import Stepper\n_do = Stepper.gradients\n_steps = []\n"
        "def gradients(*a):\n    _steps.append(1)\n    return hang() if len(_steps) == AT else _do(*a)\n"
        "Stepper.gradients = gradients"
    ),
    "validation": (
        "from MyoScarSegLib.training.evaluation.model_evaluation import _Work\n_do = _Work.evaluated\n_done = []\n"
        "def evaluated(*a):\n    _done.append(1)\n    return hang() if len(_done) == AT else _do(*a)\n"
        "_Work.evaluated = evaluated"
    ),
    "comparing": "import MyoScarSegLib.training.runs.model_comparison as c\nc.compare_models = lambda *a, **k: hang()",
}
"""What makes each stage last, from its ``AT``-th piece on."""


def hanging(run: Run, folder: Path, stage: str, at: int = 1, **more: str):
    """The run's process, which hangs in a stage."""
    mark = folder / "hangs"
    code = _SLOW + STAGES[stage].replace("AT", str(at))
    process = run_process(run, folder, "--launched", code=code, HANGS=str(mark), **more)
    until(mark.is_file)
    assert run.alive() and run.status().stage == stage
    return process


# Steps: the first is of the context network, the second of its twin. Validation: the third piece is of the second look, the fifth
# and seventh are of the figures of both models.
PLACES = [
    ("reading", 1), ("steps", 1), ("embedding", 1), ("steps", 2), ("validation", 1), ("steps", 6), ("validation", 3),
    ("validation", 5), ("validation", 7), ("comparing", 1),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "at"), PLACES)
def test_killed_at_any_stage_it_goes_on_to_the_same_result(planned, whole, run_cache, own, tmp_path, stage, at):
    run = copy_of(planned, tmp_path)
    process = hanging(run, tmp_path, stage, at, MYOSCARSEG_CACHE=str(run_cache))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert run.status().state is RunState.INTERRUPTED
    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


COMMANDS = [(stage, at, "stop") for stage, at in PLACES] + [
    ("steps", 5, "pause"),
    ("validation", 7, "pause"),
    ("steps", 5, "cancel"),
]


def test_pause_waits_for_the_step_in_hand_and_says_so(planned, whole, run_cache, own, tmp_path):
    """Nothing is lost: it goes on with the very next step."""
    run = copy_of(planned, tmp_path)
    long_step = _SLOW.replace("time.sleep(60)", "time.sleep(4)").replace("1.5", "60") + STAGES["steps"].replace(
        "return hang() if len(_steps) == AT else _do(*a)", "len(_steps) == 5 and hang(); return _do(*a)"
    )
    process = run_process(
        run, tmp_path, "--launched", code=long_step, HANGS=str(tmp_path / "hangs"), MYOSCARSEG_CACHE=str(run_cache)
    )
    until((tmp_path / "hangs").is_file)
    run.send("pause")
    until(lambda: "Pausing" in run.status().message)
    assert run.status().state is RunState.RUNNING
    process.communicate(timeout=30)
    steps = [json.loads(line) for line in (run.part("segmenter") / "log.jsonl").read_text().splitlines()]
    assert run.status().state is RunState.PAUSED
    last = [line for line in steps if line["event"] == "step"][-1]
    assert (last["phase"], last["step"]) == ("prompts", 3), "the fifth, after one of the context network and one of its twin"
    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


@pytest.mark.parametrize(("stage", "at", "command"), COMMANDS)
def test_command_is_carried_out_in_the_end_though_the_step_in_hand_never_ends(
    planned, whole, run_cache, own, tmp_path, stage, at, command
):
    run = copy_of(planned, tmp_path)
    process = hanging(run, tmp_path, stage, at, MYOSCARSEG_CACHE=str(run_cache))
    run.send(command)
    process.communicate(timeout=50)  # it would hang for 60 s
    assert process.returncode == 0
    status = run.status()
    assert status.state is {"pause": RunState.PAUSED, "stop": RunState.STOPPED, "cancel": RunState.CANCELLED}[command]
    epoch_done = (stage, at) not in [("reading", 1), ("steps", 1)]
    assert bool(run.models()) == (epoch_done and command != "cancel")
    if command == "stop" and epoch_done:
        card = json.loads((run.part("segmenter") / "segmenter.json").read_text())
        assert load_segmenter(run.models()["segmenter"], device="cpu").checkpoint.sha256 == card["sha256"]
        assert any("stopped" in limit for limit in card["limits"]) == (stage != "comparing")
    if command == "pause" or stage == "comparing":
        assert carry_out(run).state is RunState.FINISHED
        assert_same_result(run, whole)


def test_two_starts_at_once_make_one_training(planned, run_cache, tmp_path):
    run = copy_of(planned, tmp_path)
    first = hanging(run, tmp_path, "steps", 2, MYOSCARSEG_CACHE=str(run_cache))
    second = run_process(run, tmp_path, "--launched", MYOSCARSEG_CACHE=str(run_cache))
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1 and "Another process works on the run" in said
    assert run.status().state is RunState.RUNNING and run.status().pid == first.pid
    first.kill()
    first.communicate()


def test_sigterm_pauses(planned, whole, run_cache, own, tmp_path):
    run = copy_of(planned, tmp_path)
    process = run_process(run, tmp_path, MYOSCARSEG_CACHE=str(run_cache))
    until(lambda: run.status().stage == "steps")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert run.status().state is RunState.PAUSED
    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


def test_full_disk_ends_with_a_sentence_and_the_best_model_is_whole(planned, whole, own, tmp_path):
    """Files may not grow beyond what a model takes, less than a checkpoint does."""
    run = copy_of(planned, tmp_path)
    model = whole.models()["segmenter"].stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (model + 100_000, limits[1]))
    try:
        status = carry_out(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == run.status() and status.state is RunState.FAILED
    assert "Cannot write" in status.error and "space" in status.error
    card = json.loads((run.part("segmenter") / "segmenter.json").read_text())
    assert load_segmenter(run.models()["segmenter"], device="cpu").checkpoint.sha256 == card["sha256"]
    assert not list(run.folder.rglob(".writing-*"))
    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


def test_library_that_is_deleted_while_it_trains_is_not_made_anew(planned, own, tmp_path):
    run = copy_of(planned, tmp_path)
    library = run.folder.parent.parent

    def progress(done: int, total: int, message: str) -> None:
        if run.folder.is_dir() and run.status().stage == "steps":
            shutil.rmtree(library)

    status = carry_out(run, progress=progress)
    assert status.state is RunState.FAILED and "was removed while it trained" in status.error
    assert not library.exists()


def test_labels_that_change_while_it_trains_matter_when_it_goes_on(planned, whole, run_cache, own, tmp_path):
    from MyoScarSegLib.training.datasets.training_library import Library

    run = copy_of(planned, tmp_path)
    library = Library.open(run.folder.parent.parent)
    process = hanging(run, tmp_path, "steps", 5, MYOSCARSEG_CACHE=str(run_cache))
    shutil.copytree(library.folder / "cases", tmp_path / "before")
    add_case(library, "P003", 3, replace=True)
    run.send("pause")
    process.communicate(timeout=20)
    status = carry_out(run)
    assert status.state is RunState.FAILED and "P003 was changed" in status.error
    shutil.rmtree(library.folder / "cases")
    shutil.copytree(tmp_path / "before", library.folder / "cases")
    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


def test_labels_that_change_while_it_trains_do_not_change_what_it_learns(planned, whole, own, tmp_path):
    from MyoScarSegLib.training.datasets.training_library import Library
    from Testing.support.tiny_training import tensors_of

    run = copy_of(planned, tmp_path)
    library = Library.open(run.folder.parent.parent)
    changed: list[bool] = []

    def progress(done: int, total: int, message: str) -> None:
        if not changed and run.status().stage == "steps":
            changed.append(True)
            add_case(library, "P003", 3, replace=True)

    assert carry_out(run, progress=progress).state is RunState.FINISHED
    ours, theirs = (tensors_of(one.models()["segmenter"]) for one in (run, whole))
    assert all(bool((ours[name] == theirs[name]).all()) for name in ours)


def test_an_unreadable_case_is_left_out_and_said_so(planned, own, tmp_path):
    run = copy_of(planned, tmp_path)
    (run.folder.parent.parent / "cases" / "P002" / "volume.nrrd").write_bytes(b"nothing")
    status = carry_out(run)
    assert status.state is RunState.FINISHED
    assert any(note.startswith("P002 was left out") for note in status.notes)


def test_memory_that_runs_out_is_told_and_the_training_goes_on(planned, own, tmp_path, monkeypatch):
    from MyoScarSegLib.training.finetune import fine_tuning

    run = copy_of(planned, tmp_path)
    loss, short = fine_tuning.prompts_loss, []

    def short_of_memory(network, items, *more):
        if len(items) > 1:
            short.append(1)
            raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")
        return loss(network, items, *more)

    monkeypatch.setattr(fine_tuning, "prompts_loss", short_of_memory)
    status = carry_out(run)
    assert status.state is RunState.FINISHED and short
    assert any("Memory ran out" in note for note in status.notes)


def test_a_defect_is_a_failure_with_a_sentence_and_the_run_can_go_on(planned, whole, own, tmp_path, monkeypatch):
    from MyoScarSegLib.training.runs import run_process

    run = copy_of(planned, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(run_process, "draw", lambda *_: 1 / 0)
        status = carry_out(run)
    assert status.state is RunState.FAILED and "division by zero" in status.error
    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


def test_both_are_trained_one_after_the_other_and_the_detector_goes_on_too(tmp_path, own, monkeypatch):
    from MyoScarSegLib.training.yolo import detector_scores

    monkeypatch.setattr(detector_scores, "TEST_PHANTOMS", 2)
    small = {"detector.size": 64, "detector.window": 64, "detector.batch": 2, "detector.phantoms": 0, "detector.epochs": 3}
    run = tiny_run(tmp_path, what="both", start_detector="fresh", options={**QUICK, **small}, epochs=None, preset="quick")
    assert run.parts == ("segmenter", "detector")

    def pausing(done: int, total: int, message: str) -> None:
        status = run.status()
        # The file has each epoch's end at once, but not each step.
        if status.part == "detector" and "detector" in status.best:
            os.kill(os.getpid(), signal.SIGTERM)

    status = carry_out(run, progress=pausing, end=lambda _: None)  # it would be this process
    assert status.state is RunState.PAUSED and status.part == "detector"
    assert set(run.models()) == {"segmenter", "detector"}
    card = json.loads((run.part("detector") / "detector.json").read_text())
    assert any("stopped" in limit for limit in card["limits"])
    segmenter = run.models()["segmenter"].read_bytes()
    status = carry_out(run)
    assert status.state is RunState.FINISHED, status
    assert run.models()["segmenter"].read_bytes() == segmenter
    card = json.loads((run.part("detector") / "detector.json").read_text())
    assert card["metrics"] and not any("stopped" in limit for limit in card["limits"])
    assert not (run.part("detector") / "boxes.checkpoint").exists()
