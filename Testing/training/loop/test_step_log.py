"""The log of a training: one line per step and epoch, whole whatever happens, and read while it is written."""

from __future__ import annotations

import json

import pytest

from MyoScarSegLib.errors import Cancelled, OutputError
from MyoScarSegLib.training.loop.step_log import LogReader, StepLog
from Testing.support.tiny_training import TinyPhase, entries


def test_one_line_for_every_step_and_epoch(tmp_path):
    tiny = TinyPhase(tmp_path, epochs=2)
    tiny.run()
    lines = [json.loads(line) for line in tiny.log.read_text().splitlines()]
    assert [(e["event"], e["epoch"], e["step"]) for e in lines] == [
        ("step", 1, 1), ("step", 1, 2), ("step", 1, 3), ("epoch", 1, 3),
        ("step", 2, 4), ("step", 2, 5), ("step", 2, 6), ("epoch", 2, 6),
    ]  # fmt: skip
    steps = [e for e in lines if e["event"] == "step"]
    assert all(e["phase"] == "context" and e["steps"] == 6 and e["loss"] > 0 and e["tissue"] > 0 and e["rate"] > 0 for e in steps)
    assert steps[-1]["seconds_left"] == 0 and steps[0]["seconds_left"] > 0
    assert [e["time"] for e in lines] == sorted(e["time"] for e in lines)
    for n, epoch in enumerate(e for e in lines if e["event"] == "epoch"):
        assert epoch["loss"] == pytest.approx(sum(e["loss"] for e in steps[3 * n : 3 * n + 3]) / 3, rel=1e-4)
    assert tiny.messages[-1].startswith("6/6 context: epoch 2 of 2, loss ")


@pytest.mark.parametrize("torn", [b'{"event": "step", "phase": "con', b"\xff\xfe\x00\x00", b"[1, 2", b"17\n"])
def test_a_torn_last_line_is_dropped_when_the_training_goes_on(tmp_path, torn):
    whole = TinyPhase(tmp_path / "whole", epochs=2)
    whole.run()
    tiny = TinyPhase(tmp_path / "torn", epochs=2)
    with pytest.raises(Cancelled):
        tiny.run(stop_at=4)
    with tiny.log.open("ab") as log:
        log.write(torn)
    tiny.run(resume=True)
    assert entries(tiny.log) == entries(whole.log)
    assert len(tiny.log.read_text().splitlines()) == 8


def test_what_will_be_done_again_is_dropped(tmp_path):
    """After a crash the log may be ahead of the checkpoint."""
    whole = TinyPhase(tmp_path / "whole")
    whole.run()
    tiny = TinyPhase(tmp_path / "crashed")
    with pytest.raises(Cancelled):
        tiny.run(stop_at=4)
    tiny.log.write_bytes(whole.log.read_bytes())
    tiny.run(resume=True)
    assert entries(tiny.log) == entries(whole.log)


def test_events_of_other_phases_are_kept(tmp_path):
    log = StepLog(tmp_path / "log", keep=False)
    log.event(event="embeddings", made=3)
    log.step("context", 7, 7, 1, 1, {"loss": 0.5}, rate=1.0)
    log.epoch("context", 1, {"loss": 0.5})
    log.step("prompts", 1, 7, 1, 1, {"loss": 0.25}, rate=1.0)
    again = StepLog(tmp_path / "log", keep=True)
    again.continue_at("prompts", 0, 0)
    assert [e["phase"] for e in entries(tmp_path / "log")] == ["context", "context"]
    assert '"made": 3' in (tmp_path / "log").read_text()
    assert again.epochs() == [{"phase": "context", "epoch": 1, "loss": 0.5}]


def test_a_new_training_begins_a_new_log(tmp_path):
    StepLog(tmp_path / "log", keep=False).event(event="old")
    StepLog(tmp_path / "log", keep=False)
    assert (tmp_path / "log").read_text() == ""


def test_figures_that_are_no_numbers_are_null(tmp_path):
    log = StepLog(tmp_path / "log", keep=False)
    log.epoch("context", 1, {"loss": float("nan"), "score": float("inf")})
    assert entries(tmp_path / "log") == [
        {"event": "epoch", "phase": "context", "epoch": 1, "step": 0, "loss": None, "score": None}
    ]


def test_a_log_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Choose another folder"):
        StepLog(tmp_path / "file" / "log", keep=False)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="Choose another folder"):
        StepLog(tmp_path / "folder", keep=True)


# ---- read while it is written


def test_a_torn_line_is_given_when_it_is_whole_and_a_broken_one_never(tmp_path):
    path = tmp_path / "log.jsonl"
    reader = LogReader(path)
    path.write_text('{"a": 1}\n{"b"')
    assert reader.new() == [{"a": 1}]
    with path.open("a") as file:
        file.write(': 2}\nbroken\n[1]\n{"c": 3}\n')
    assert reader.new() == [{"b": 2}, {"c": 3}]


def test_a_log_that_was_written_anew_is_given_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = StepLog(path, keep=False)
    for step in (1, 2, 3):
        log.step("prompts", step, 3, 1, 1, {"loss": 1.0}, rate=1.0)
    reader = LogReader(path)
    assert len(reader.new()) == 3
    StepLog(path, keep=True).continue_at("prompts", 1)
    assert [e["step"] for e in reader.new()] == [1]
    assert reader.restarted
    with path.open("a") as file:
        file.write(json.dumps({"step": 9}) + "\n")
    assert reader.new() == [{"step": 9}] and not reader.restarted
    path.write_text(json.dumps({"other": 1}) + "\n" + json.dumps({"more": "x" * 600}) + "\n")
    assert reader.new()[0] == {"other": 1} and reader.restarted
    path.unlink()
    assert reader.new() == [] and reader.restarted
