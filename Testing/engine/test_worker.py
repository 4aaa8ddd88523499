"""The worker with real networks made tiny: the same answers as in one process, from a process of its own."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import save_file

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.errors import ModelError, PromptError
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import Encoded
from Testing.support.engine_factory import bright_study, pump_until
from Testing.support.tiny_models import OWN_METADATA
from Testing.support.tiny_training import tensors_of, write_start

STUDY = bright_study(5, bad_slices={2: "not finite"})
BOXES = [Box(1, 8, 8, 30, 24), Box(3, 5, 5, 20, 28)]


@pytest.fixture(scope="module")
def running(tiny_settings):
    """One real worker for the tests of this file."""
    engine = Engine()
    engine.configure(tiny_settings)
    engine.open_study(STUDY)
    yield engine
    engine.stop()


@pytest.fixture
def engine(running, tiny_settings):
    if running.settings != tiny_settings:
        running.configure(tiny_settings)
    return running


def test_worker_answers_before_any_library_is_loaded(engine):
    engine.start()
    pump_until(engine, lambda: engine.state == "ready")
    found = engine.wait(engine.models(), timeout_s=20)
    assert {"name", "title", "task", "licence", "size", "metrics", "state", "default"} <= found[0].keys()
    assert any(model["default"] and model["task"] == "segment" for model in found)
    status = engine.status()
    assert status.torch == "" and status.device == ""
    assert status.python == sys.executable and status.python_version


@pytest.mark.parametrize("verb", ["encode", "propose", "suggest", "segment", "ventricle"])
def test_engine_takes_the_arguments_of_the_pipeline_but_for_progress_and_cancel_which_the_request_has(verb):
    pipeline, engine = (inspect.signature(getattr(cls, verb)).parameters for cls in (Pipeline, Engine))
    assert [*engine.values()] == [one for name, one in pipeline.items() if name not in ("progress", "cancel")]


def test_answers_are_those_of_the_pipeline(engine, tiny_detector, tiny_segmenter):
    pipeline = Pipeline(detector=tiny_detector, segmenter=tiny_segmenter, device="cpu")
    told = []
    request = engine.propose(STUDY)
    request.on_progress(lambda r: told.append(r.progress))
    found = engine.wait(request, timeout_s=60)
    expected = pipeline.propose(STUDY)
    assert expected and len(found) == len(expected)
    for box, other in zip(found, expected, strict=True):  # the worker's threads sum in another order
        assert box.xyxy == pytest.approx(other.xyxy, abs=0.01)
        assert replace(box, x0=0, y0=0, x1=1, y1=1) == replace(other, x0=0, y0=0, x1=1, y1=1, confidence=box.confidence)
        assert box.confidence == pytest.approx(other.confidence, abs=1e-3)
    assert found.provenance == expected.provenance
    assert {"Loading the models", "Proposing boxes"} <= {p.message.split(":")[0] for p in told}
    assert told[-1][:2] == (4, 4)

    points = [Point(3, 12.5, 14.5), Point(1, 9.5, 9.5, positive=False)]
    masks = engine.wait(engine.segment(STUDY, BOXES, points), timeout_s=60)
    result = pipeline.segment(STUDY, BOXES, points)
    assert sorted(masks.scores) == [1, 3] == sorted(result.scores)
    assert masks.probability.dtype == np.float32
    np.testing.assert_allclose(masks.probability, result.probability, atol=1e-5)
    assert masks.provenance == result.provenance
    assert (masks.boxes, masks.points, masks.threshold) == (result.boxes, result.points, result.threshold)
    assert masks.provenance["segmenter"] == "tiny-sam.safetensors"
    status = engine.status()
    assert status.torch and status.segmenter == "tiny-sam.safetensors" and "processor" in status.device


def test_suggestions_are_those_of_the_pipeline(engine, tiny_settings, tmp_path):
    model = write_start(tmp_path / "own.safetensors")
    state = tensors_of(model)
    state["context.tissue.bias"][-1] += 9  # the random network then sees scar everywhere
    save_file(state, model, {**OWN_METADATA, "input_side": "32", "window_mm": "45"})
    scar = np.zeros(STUDY.slice_shape, dtype=bool)
    scar[10:20, 12:24] = True
    engine.configure(replace(tiny_settings, segmenter=model))
    found = engine.wait(engine.suggest(STUDY, {3: scar}), timeout_s=60)
    expected = Pipeline(detector=tiny_settings.detector, segmenter=model, device="cpu").suggest(STUDY, {3: scar})
    assert {box.slice for box in expected} == {1, 4}, "slice 2 cannot be used, so 1 is the neighbor"
    assert [box.place for box in found] == [box.place for box in expected]
    assert found.provenance == expected.provenance
    assert engine.status().knows_tissue is True
    engine.configure(tiny_settings)
    engine.wait(engine.segment(STUDY, BOXES), timeout_s=60)
    assert engine.status().knows_tissue is False
    assert engine.wait(engine.suggest(STUDY, {3: scar}), timeout_s=60) == []


def test_only_the_slices_asked_for_are_segmented(engine):
    masks = engine.wait(engine.segment(STUDY, BOXES, [Point(0, 5, 5)], slices=[3]), timeout_s=60)
    assert list(masks.scores) == [3]
    nothing = engine.wait(engine.segment(STUDY, [replace(BOXES[0], state=BoxState.REJECTED)], slices=[1, 4]), timeout_s=60)
    assert nothing.scores == {} and nothing.failed_slices == {}


def test_encoded_slices_are_not_encoded_again_and_bad_ones_are_named(engine):
    result = engine.wait(engine.encode(STUDY), timeout_s=60)
    assert result == Encoded([0, 1, 3, 4], {2: "not finite"})
    before = engine.status()
    assert before.embeddings >= 4
    engine.wait(engine.propose(STUDY), timeout_s=60)
    engine.wait(engine.segment(STUDY, BOXES), timeout_s=60)
    assert engine.status().embeddings == before.embeddings


def test_wrong_prompt_is_a_sentence_of_its_kind(engine):
    with pytest.raises(PromptError, match="outside the image"):
        engine.wait(engine.segment(STUDY, [Box(1, 100, 100, 120, 120)]), timeout_s=60)
    with pytest.raises(PromptError, match="slices 0 to 4"):
        engine.segment(STUDY, BOXES, slices=[5])


def test_slice_that_cannot_be_used_fails_alone_and_all_failing_is_an_error(engine):
    masks = engine.wait(engine.segment(STUDY, [BOXES[0], Box(2, 5, 5, 20, 28)]), timeout_s=60)
    assert list(masks.scores) == [1]
    assert "not finite" in masks.failed_slices[2]
    with pytest.raises(ModelError, match="not finite"):
        engine.wait(engine.segment(STUDY, [Box(2, 5, 5, 20, 28)]), timeout_s=60)


def test_settings_hold_from_the_next_step_on(engine, tiny_settings, blind_detector, tmp_path):
    engine.configure(replace(engine.settings, detector=blind_detector))
    assert engine.wait(engine.propose(STUDY), timeout_s=60) == []
    embeddings = engine.status().embeddings
    engine.configure(replace(engine.settings, segmenter=tmp_path / "gone.safetensors"))
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        engine.wait(engine.segment(STUDY, BOXES), timeout_s=60)
    engine.configure(replace(tiny_settings, device="cuda:77"))
    with pytest.raises(ModelError, match="cuda:77"):
        engine.wait(engine.device_test(), timeout_s=60)
    assert engine.status().embeddings == embeddings


def test_confidence_is_changed_without_loading_anything_again(engine):
    engine.wait(engine.propose(STUDY), timeout_s=60)
    engine.configure(replace(engine.settings, confidence=0.125))
    request = engine.propose(STUDY)
    told = []
    request.on_progress(lambda r: told.append(r.progress.message))
    assert engine.wait(request, timeout_s=60).provenance["detector_confidence"] == "0.125"
    assert told and "Loading the models" not in told


def test_device_test_says_how_fast_the_device_is(engine):
    tested = engine.wait(engine.device_test(), timeout_s=60)
    assert tested["device"] == "cpu" and tested["encode_ms"] > 0
    assert "tiny-sam.safetensors encodes a slice in" in tested["sentence"]


@pytest.mark.slow
def test_killed_worker_is_replaced_by_one_that_knows_studies_and_settings(engine):
    expected = engine.wait(engine.segment(STUDY, BOXES), timeout_s=60)
    pid = engine.status().pid
    request = engine.encode(STUDY)
    os.kill(pid, signal.SIGTERM)
    again = engine.wait(engine.segment(STUDY, BOXES), timeout_s=60)
    assert engine.status().pid != pid
    np.testing.assert_allclose(again.probability, expected.probability, atol=1e-5)
    assert engine.wait(request, timeout_s=60).slices == [0, 1, 3, 4]


@pytest.mark.slow
def test_embeddings_on_disk_outlive_the_worker(engine, tmp_path):
    engine.configure(replace(engine.settings, cache_folder=tmp_path))
    engine.wait(engine.encode(STUDY), timeout_s=60)
    made = {file.name: file.stat().st_ino for file in tmp_path.glob("*.safetensors")}
    assert len(made) == 4
    os.kill(engine.status().pid, signal.SIGTERM)
    engine.wait(engine.encode(STUDY), timeout_s=60)
    assert engine.status().embeddings == 4
    assert {file.name: file.stat().st_ino for file in tmp_path.glob("*.safetensors")} == made, "none was made again"
