"""Cancelling at every stage keeps what was finished, and ends with status 1."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from MyoScarSegLib.batch.runner import Job, detect_all, segment_all
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.command import BOX, Started, array_of, table, voxels, write_image, write_prompts

STEPS = 2 * 2 * 5
"""Two cases of four slices: before each slice of detecting and of segmenting, and at the end of both."""


@pytest.fixture(scope="module")
def pipeline(tiny_segmenter, tiny_detector):
    return Pipeline(detector=tiny_detector, segmenter=tiny_segmenter, device="cpu")


def studies(folder):
    return [write_image(folder / "a.nii.gz", voxels(1)), write_image(folder / "b.nii.gz", voxels(2))]


@pytest.fixture
def images(tmp_path):
    return studies(tmp_path)


@pytest.fixture(scope="module")
def whole(pipeline, tmp_path_factory):
    """What both studies give if nobody cancels."""
    folder = tmp_path_factory.mktemp("whole")
    outcomes = segment_all(Job(studies(folder), folder / "out"), pipeline)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    return folder / "out"


class CancelAt:
    """A progress callback that cancels at its n-th call, and counts how many follow."""

    def __init__(self, step):
        self.token, self.step, self.calls, self.after, self.messages = CancelToken(), step, 0, 0, []

    def __call__(self, done, total, message):
        self.calls += 1
        self.after += self.token.cancelled
        self.messages.append(message)
        if self.calls == self.step:
            self.token.cancel()


def test_steps_are_as_many_as_these_tests_cancel_at(images, pipeline, tmp_path):
    counter = CancelAt(0)
    segment_all(Job(images, tmp_path / "out"), pipeline, progress=counter, cancel=counter.token)
    assert counter.calls == STEPS


@pytest.mark.parametrize("step", [1, 3, 6, 10, 11, 14, 20])
def test_cancelling_segment_at_any_step_keeps_what_was_done(whole, images, pipeline, tmp_path, step):
    at = CancelAt(step)
    outcomes = segment_all(Job(images, tmp_path / "out"), pipeline, progress=at, cancel=at.token)
    assert at.after <= 1, at.messages
    # From before a case's last slice on, finishing that slice finishes the case; the case after it is not begun.
    expected = ["done" if step >= 9 else "cancelled", "done" if step >= 19 else "cancelled"]
    assert [outcome.status for outcome in outcomes] == expected
    rows = table(tmp_path / "out" / "results.csv")
    assert [row["status"] for row in rows] == expected and [row["case"] for row in rows] == ["a", "b"]
    for outcome in outcomes:
        if not outcome.summary:
            assert not (tmp_path / "out" / outcome.case).exists()
            continue
        done = [entry["slice"] for entry in outcome.summary["slices"] if entry["score"] is not None]
        partly = array_of(tmp_path / "out" / outcome.case / "probability.nii.gz")
        complete = array_of(whole / outcome.case / "probability.nii.gz")
        for k in range(4):
            assert np.array_equal(partly[k], complete[k] if k in done else np.zeros_like(complete[k]))
    first = [entry["slice"] for entry in outcomes[0].summary["slices"] if entry["score"] is not None]
    assert len(first) == max(0, min(4, step - 5))


@pytest.mark.parametrize("step", [1, 3, 5])
def test_cancelling_detect_keeps_the_boxes_of_the_slices_done(images, pipeline, tmp_path, step):
    at = CancelAt(step)
    outcomes = detect_all(Job(images, tmp_path / "out"), pipeline, progress=at, cancel=at.token)
    assert [outcome.status for outcome in outcomes] == ["done" if step >= 4 else "cancelled", "cancelled"]
    boxes = json.loads((tmp_path / "out/a/boxes.json").read_text())["boxes"]
    assert {box["slice"] for box in boxes} <= set(range(step)) and (step < 3 or boxes)


def test_cancelling_before_the_first_case_writes_the_tables_alone(images, pipeline, tmp_path):
    token = CancelToken()
    token.cancel()
    outcomes = segment_all(Job(images, tmp_path / "out"), pipeline, cancel=token)
    assert [outcome.status for outcome in outcomes] == ["cancelled", "cancelled"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [".lock", "results.csv", "slices.csv"]


def test_cancelling_while_reading_leaves_no_half_case(images, pipeline, tmp_path, monkeypatch):
    from MyoScarSegLib.batch import study_work

    token, read = CancelToken(), study_work.read_study

    def slow(path, **options):
        token.cancel()
        return read(path, **options)

    monkeypatch.setattr(study_work, "read_study", slow)
    outcomes = segment_all(Job(images, tmp_path / "out"), pipeline, cancel=token)
    assert [outcome.status for outcome in outcomes] == ["cancelled", "cancelled"]
    assert table(tmp_path / "out/results.csv")[0]["scar_mass_g"] in ("", "0")


def test_cancelling_while_writing_lets_the_case_be_written_whole(images, pipeline, tmp_path, monkeypatch):
    from MyoScarSegLib.batch import study_work

    token, write = CancelToken(), study_work.write_case

    def interrupted(*arguments, **options):
        token.cancel()
        return write(*arguments, **options)

    monkeypatch.setattr(study_work, "write_case", interrupted)
    outcomes = segment_all(Job(images, tmp_path / "out"), pipeline, cancel=token)
    assert [outcome.status for outcome in outcomes] == ["done", "cancelled"]
    assert (tmp_path / "out/a/overlay.png").exists()


@pytest.fixture
def long_run(tmp_path, tiny_segmenter):
    """``segment`` of a study of many slices."""
    write_image(tmp_path / "long.nrrd", voxels(shape=(150, 48, 40)))
    boxes = write_prompts(tmp_path / "boxes.json", "boxes", [{**BOX, "slice": k} for k in range(150)])
    with Started(
        "segment", tmp_path / "long.nrrd", "-o", tmp_path / "out", "--boxes", boxes, "--segmenter", tiny_segmenter
    ) as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_within_one_slice_and_keeps_the_finished_slices(long_run, tmp_path, number, monkeypatch):
    long_run.wait_for("slice 2\n")
    long_run.interrupt(number)
    long_run.wait_for("Cancelling")
    ran = long_run.end()
    assert ran.status == 1 and "long: cancelled" in ran.err
    assert table(tmp_path / "out/results.csv")[0]["status"] == "cancelled"
    assert array_of(tmp_path / "out/long/probability.nii.gz")[0].any()
    assert "slice 149\n" not in ran.err


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(long_run, tmp_path):
    long_run.wait_for("slice 2\n")
    long_run.interrupt()
    long_run.wait_for("Cancelling")
    long_run.interrupt()
    ran = long_run.end()
    assert ran.status == 1 and "slice 149\n" not in ran.err
    assert "myoscarseg: stopped." in ran.err
    assert not (tmp_path / "out/results.csv").exists()
