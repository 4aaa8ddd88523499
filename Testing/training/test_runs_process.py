"""The process of a run: it trains, compares, is paused, killed or moved, goes on to the same result, and outlives its parent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from MyoScarSegLib.segmentation import load_segmenter
from MyoScarSegLib.training.runs.comparison_files import read_comparison
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_process import carry_out
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.runs.transfer import import_run
from Testing.conftest import REPOSITORY
from Testing.support.run_factory import SPLIT, assert_same_result, copy_of, environment, log_entries, settings, write_library
from Testing.support.tiny_training import tensors_of, write_start
from Testing.support.until import until


def test_a_run_trains_looks_compares_and_says_so(whole, told):
    run, ended = whole, whole.status()
    assert ended.state is RunState.FINISHED and not run.alive()
    assert all(status.state is RunState.RUNNING for status in told)
    assert list(dict.fromkeys(status.stage for status in told)) == [
        "reading",
        "steps",  # of the context network, which has no embeddings
        "embedding",
        "validation",
        "comparing",
    ]
    assert (ended.epoch, ended.epochs, ended.device, ended.error, ended.notes) == (2, 2, "cpu", "", ())
    assert ended.best["segmenter"]["end_to_end_dice"] > 0 and ended.best["segmenter"]["oracle_dice"] > 0
    epochs = [e for e in log_entries(run) if e["event"] == "epoch" and e["phase"] == "prompts"]
    assert all(e["validation_end_to_end_dice"] >= 0 and e["validation_oracle_dice"] >= 0 for e in epochs) and len(epochs) == 2
    assert {p.name.split("-")[1] for p in run.examples()} == {"001", "002"}
    comparison = read_comparison(run.comparison)
    assert {case["patient"] for case in comparison["cases"]} == {"N004", "P005"}
    card = json.loads((run.part("segmenter") / "segmenter.json").read_text())
    model = run.models()["segmenter"]
    assert load_segmenter(model, device="cpu").checkpoint.sha256 == card["sha256"]
    assert card["metrics"] and not any("stopped" in limit for limit in card["limits"])
    assert str(run.folder) not in json.dumps(card)
    assert not list(run.part("segmenter").glob("*.checkpoint"))


def test_what_is_finished_is_not_done_again(whole):
    run = whole
    before = run.models()["segmenter"].stat().st_mtime_ns
    assert "finished" in run.why_not("start")
    with pytest.raises(Exception, match="Repeat it as a new run"):
        carry_out(run)
    assert run.models()["segmenter"].stat().st_mtime_ns == before


@pytest.mark.slow
def test_run_outlives_its_parent_is_killed_goes_on_is_paused_and_ends_the_same(planned, whole, run_cache, own, tmp_path):
    run = copy_of(planned, tmp_path)
    surroundings = {**environment(tmp_path), "MYOSCARSEG_CACHE": str(run_cache)}
    starter = "import sys\nfrom MyoScarSegLib.training.runs.run import Run\nRun.open(sys.argv[1]).start()\n"
    subprocess.run([sys.executable, "-c", starter, str(run.folder)], env=surroundings, cwd=REPOSITORY, check=True)
    assert run.status().state is RunState.RUNNING
    with pytest.raises(Exception, match="running already"):
        run.start()
    until(lambda: run.status().epoch == 2)
    pid = run.status().pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.status().state is RunState.INTERRUPTED)
    assert not run.alive()
    card = json.loads((run.part("segmenter") / "segmenter.json").read_text())
    assert card["best_epoch"] == 1 and any("stopped" in limit for limit in card["limits"])

    run.start(environment=surroundings)
    until(lambda: run.status().pid not in (0, pid) and run.status().stage in ("steps", "validation"))
    run.send("pause")
    until(lambda: run.status().state is not RunState.RUNNING)
    assert run.status().state is RunState.PAUSED
    until(lambda: not run.alive())

    assert carry_out(run).state is RunState.FINISHED
    assert_same_result(run, whole)


@pytest.mark.slow
def test_two_processes_elsewhere_train_what_one_here_would_and_it_comes_back(tmp_path):
    """Its folder with its data goes to another computer and comes back."""
    library = write_library(tmp_path / "library")
    write_start(tmp_path / "start.safetensors")
    run = Run.create(library.folder, settings(tmp_path / "start.safetensors"), SPLIT, name="run", with_data=True)
    alone = Run.create(library.folder, settings(tmp_path / "start.safetensors"), SPLIT, name="alone")
    (tmp_path / "there").mkdir()
    there = Run.open(shutil.copytree(run.folder, tmp_path / "there" / "run"))
    hidden = tmp_path / "not-there"
    library.folder.rename(hidden)  # the other computer has neither library nor start model
    (tmp_path / "start.safetensors").rename(tmp_path / "kept.safetensors")

    there.start(python=sys.executable, environment=environment(tmp_path), processes=2)
    until(lambda: there.status().state is not RunState.RUNNING, timeout_s=280)
    status = there.status()
    output = (there.folder / "output.txt").read_text()
    assert status.state is RunState.FINISHED, (status, output)
    assert "Traceback" not in output
    assert there.comparison.is_file() and status.notes == ()
    until(lambda: not there.alive())

    hidden.rename(library.folder)
    (tmp_path / "kept.safetensors").rename(tmp_path / "start.safetensors")
    back = import_run(there.folder, library.folder)
    assert (back.name, back.status().state) == ("run", RunState.FINISHED)
    assert load_segmenter(back.models()["segmenter"], device="cpu")
    alone.start(python=sys.executable, environment=environment(tmp_path))
    until(lambda: alone.status().state is not RunState.RUNNING, timeout_s=280)
    ours, theirs = (tensors_of(one.models()["segmenter"]) for one in (back, alone))
    assert all(bool(((ours[name] - theirs[name]).float().abs() < 2e-3).all()) for name in ours)
    assert [e["step"] for e in log_entries(back)] == [e["step"] for e in log_entries(alone)]
