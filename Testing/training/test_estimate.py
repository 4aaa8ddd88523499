"""How long a training will take, measured on this device, against what it then takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.training import background_work
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs import estimate as estimate_module
from MyoScarSegLib.training.runs.estimate import STAGES, Estimate, estimate
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_job import TrainJob
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.progress import CancelToken, no_progress
from Testing.support.labeled_factory import labels, study
from Testing.support.tiny_training import write_start

pytest.importorskip("accelerate")

SPLIT = Split(("P1", "P2", "N1"), ("P3",))


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    made = Library.create(tmp_path_factory.mktemp("estimate") / "library")
    for n, patient in enumerate((*SPLIT.training, *SPLIT.validation)):
        made.add(study(n), labels(n, scar=patient[0] == "P"), patient=patient)
    SPLIT.write(made.folder.parent / "split.json")
    return made.folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> TrainSettings:
    start = write_start(tmp_path_factory.mktemp("start") / "start.safetensors")
    return TrainSettings(start_segmenter=str(start), device="cpu", epochs=2, patience=0, options={"batch": 4, "copies": 2})


@pytest.fixture(scope="module", autouse=True)
def default_detector(tiny_detector):
    import MyoScarSegLib.detection as detection

    load = detection.load_detector
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "load_detector", lambda name=None, device="cpu", **more: load(tiny_detector, device=device))
        yield


@pytest.fixture(scope="module")
def measured(library, settings, tmp_path_factory) -> tuple[dict, list[str], Path]:
    """An estimate, made as the application has it made; its messages; and the folder of its temporary files."""
    folder, messages = tmp_path_factory.mktemp("temporary"), []
    arguments = {"settings": settings.to_json(), "library": str(library), "split": SPLIT.to_json()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        patch.setenv("MYOSCARSEG_CACHE", str(folder / "cache"))
        told = background_work.estimate(
            **arguments, progress=lambda _done, _total, message: messages.append(message), cancel=CancelToken()
        )
    return told, messages, folder


@pytest.mark.slow
def test_every_stage_has_its_part_and_nothing_is_left_behind(measured, library):
    told, messages, folder = measured
    result = Estimate.from_json(told)
    assert set(result.parts) == set(STAGES) and all(s > 0 for s in result.parts.values())
    assert result.low < result.seconds < result.high and sum(result.parts.values()) == pytest.approx(result.seconds, abs=0.5)
    assert result.device == "cpu" and len(set(messages)) >= 4
    assert not list(folder.glob("myoscarseg-*"))
    assert sorted(p.name for p in library.iterdir() if not p.name.startswith(".")) == ["cases", "library.json"]


@pytest.fixture
def fixed(monkeypatch) -> list[TrainJob]:
    """A device of which all is known; and the small trainings that it was measured by."""
    seen: list[TrainJob] = []

    def run(watch, job, training, validation) -> None:
        seen.append(job)
        assert {s.patient for s in training} <= set(SPLIT.training) and len(training) == 12
        watch.loading, watch.embedding, watch.look = 3.0, 0.5, 0.4 * (len(validation) or 12)
        monkeypatch.setattr(watch, "pace", lambda phase, *_: (2.0, 1.0) if phase in ("prompts", "boxes") else (0.0, 0.0))

    monkeypatch.setattr(estimate_module._Watch, "run", run)
    return seen


def test_steps_and_ends_of_epochs_are_told_apart_and_a_small_last_batch_counts_less(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 20.0, 24.0])
    monkeypatch.setattr(estimate_module.time, "monotonic", lambda: next(clock))
    watch = estimate_module._Watch(no_progress, None)
    for epoch in (1, 1, 2, 2):  # of five windows in batches of four
        watch._logged({"event": "step", "phase": "prompts", "epoch": epoch})
    assert watch.pace("prompts", 5, 4) == pytest.approx((3.0, 5.0))
    assert watch.pace("context", 5, 4) == (0.0, 0.0)


def test_times_are_multiplied_by_what_there_is(library, settings, fixed):
    # Two training patients have scar on 3 of 4 slices and one on none: 6 with scar, 6 without, all of them in an epoch.
    told = estimate(replace(settings, options={**settings.options, "phantoms": 0, "phantom_share": 0.0}), library, SPLIT).parts
    assert told["embedding"] == pytest.approx(12 * 2 * 0.5)
    assert told["steps"] == pytest.approx(2 * (12 * 2 + 1))
    assert told["validation"] == pytest.approx((2 + 4) * 4 * 0.4)
    assert told["comparing"] == pytest.approx(2 * 4 * 0.4)
    assert told["reading"] > 3
    assert (fixed[0].said["epochs"], fixed[0].said["copies"]) == (2, 1), "a small one is what is measured"


def test_nobody_who_validates_means_no_looks(library, settings, fixed):
    told = estimate(settings, library, Split(SPLIT.training, ())).parts
    assert told["validation"] == told["comparing"] == 0


def test_phantoms_and_whole_networks_are_counted(library, settings, fixed):
    plain = estimate(replace(settings, options={**settings.options, "phantoms": 0}), library, SPLIT).parts
    more = estimate(settings, library, SPLIT).parts
    assert more["embedding"] > plain["embedding"] and more["steps"] > plain["steps"]
    assert estimate(replace(settings, mode="full"), library, SPLIT).parts["embedding"] == 0


def test_early_stopping_lowers_only_the_lower_bound(library, settings, fixed):
    patient, hasty = (estimate(replace(settings, epochs=40, patience=n), library, SPLIT) for n in (0, 2))
    assert hasty.low < 0.5 * patient.low and hasty.seconds == pytest.approx(patient.seconds, rel=0.01)
    assert hasty.high == pytest.approx(patient.high, rel=0.01)


def test_detectors_times_are_multiplied_by_what_there_is(library, fixed):
    told = estimate(TrainSettings(what="detector", device="cpu", options={"phantoms": 0}), library, SPLIT).parts
    assert told["steps"] == pytest.approx(40 * (12 * 2 + 1))
    assert told["validation"] == pytest.approx((2 * 12 + 4 + 60) * 0.4)
    assert told["embedding"] == 0 and told["reading"] > 2


@pytest.mark.slow
def test_detector_is_measured_too(library):
    told = estimate(TrainSettings(what="detector", device="cpu"), library, SPLIT)
    assert told.parts["steps"] > 0 and told.parts["validation"] > 0 and told.parts["embedding"] == 0


@pytest.mark.parametrize(
    "part", ["Reading", "Loading", *(pytest.param(part, marks=pytest.mark.slow) for part in ("prompts: epoch", "evaluating"))]
)
def test_measurement_can_be_cancelled_at_each_of_its_parts(library, settings, part):
    token = CancelToken()

    def stop(_done, _total, message):
        if part in message:
            token.cancel()

    with pytest.raises(Cancelled):
        estimate(settings, library, SPLIT, stop, token)


def test_what_cannot_be_trained_is_a_sentence(library, settings, tmp_path):
    with pytest.raises(ModelError, match="None of the training patients has scar"):
        estimate(settings, library, Split(("N1",), ("P1",)))
    with pytest.raises(StudyError, match="None of the split's"):
        estimate(settings, library, Split(("X",), ("P1",)))
    with pytest.raises(StudyError):
        estimate(settings, tmp_path, SPLIT)
    with pytest.raises(ModelError, match="no setting"):
        estimate(replace(settings, options={"speed": 2}), library, SPLIT)
