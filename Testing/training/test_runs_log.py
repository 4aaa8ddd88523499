"""A log is read while it is written."""

from __future__ import annotations

import json

from MyoScarSegLib.training.runs.logreader import LogReader
from MyoScarSegLib.training.step_log import StepLog


def test_only_what_is_new_is_given(tmp_path):
    reader = LogReader(tmp_path / "log.jsonl")
    assert reader.new() == [] and not reader.restarted
    log = StepLog(tmp_path / "log.jsonl", keep=False)
    log.step("prompts", 1, 2, 1, {"loss": 1.0}, rate=1.0, seconds_left=1, epochs=1)
    assert [e["step"] for e in reader.new()] == [1]
    assert reader.new() == []
    log.step("prompts", 2, 2, 1, {"loss": 0.5}, rate=1.0, seconds_left=0)
    assert [e["step"] for e in reader.new()] == [2]
    assert not reader.restarted


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
        log.step("prompts", step, 3, 1, {"loss": 1.0}, rate=1.0, seconds_left=1)
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
