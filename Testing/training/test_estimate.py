"""How long a training will take, measured on this device, against what it then takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.training import background_work
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs import pace
from MyoScarSegLib.training.runs.estimate import STAGES, Estimate, estimate
from MyoScarSegLib.training.runs.pace import Pace
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.progress import CancelToken, duration
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
        patch.setattr(pace, "ENOUGH_S", 0.5)
        patch.setenv("MYOSCARSEG_CACHE", str(folder / "cache"))
        told = background_work.estimate(arguments, lambda _done, _total, message: messages.append(message), CancelToken())
    return told, messages, folder


def test_steps_and_ends_of_epochs_are_told_apart_and_a_small_last_batch_counts_less(monkeypatch):
    clock = iter([0.0, 0.0, 1.0, 3.0, 17.0, 21.0])
    monkeypatch.setattr(pace.time, "monotonic", lambda: next(clock))
    watch = pace._Watch(9.0, ("prompts", "context", "Preparing"), 2, None)
    watch(1, 1, "Preparing the windows")
    for step in (1, 2, 3, 4):  # two epochs of five windows in batches of four
        watch(step, 4, f"prompts, step {step}")
    assert watch.steps("prompts", 4, epochs=2, windows=5) == pytest.approx((3.0, 2.0))
    assert watch.steps("context", 4, epochs=1, windows=5) == (0.0, 0.0)


@pytest.mark.slow
def test_every_stage_has_its_part(measured):
    told = Estimate.from_json(measured[0])
    assert set(told.parts) == set(STAGES) and all(s > 0 for s in told.parts.values())
    assert told.low < told.seconds < told.high and sum(told.parts.values()) == pytest.approx(told.seconds, abs=0.5)
    assert told.device == "cpu"
    assert len(set(measured[1])) >= 4


@pytest.mark.slow
def test_measurement_leaves_nothing_in_the_library_nor_among_temporary_files(measured, library):
    assert not list(measured[2].glob("myoscarseg-*"))
    assert sorted(p.name for p in library.iterdir() if not p.name.startswith(".")) == ["cases", "library.json"]


@pytest.fixture
def fixed(monkeypatch) -> Pace:
    """A device of which all is known."""
    known = Pace(loading=3, embedding=0.5, window=2, epoch=1, look=0.4, prompt=0.1)
    monkeypatch.setattr(pace, "pace_of_segmenter", lambda *_: known)
    return known


def test_times_are_multiplied_by_what_there_is(library, settings, fixed):
    # Two training patients have scar on 3 of 4 slices and one on none: 6 with scar, 6 without, all of them in an epoch.
    told = estimate(replace(settings, options={**settings.options, "phantoms": 0, "phantom_share": 0.0}), library, SPLIT).parts
    assert told["embedding"] == pytest.approx(12 * 2 * 0.5)
    assert told["steps"] == pytest.approx(2 * (12 * 2 + 1))
    assert told["validation"] == pytest.approx(2 * 4 * 0.4 + 2 * 4 * (0.4 + 4 * 0.1))
    assert told["comparing"] == pytest.approx(2 * 4 * 0.4)
    assert told["reading"] > 3


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


@pytest.mark.slow
def test_detector_is_measured_too(library, monkeypatch):
    monkeypatch.setattr(pace, "ENOUGH_S", 0.5)
    told = estimate(TrainSettings(what="detector", device="cpu"), library, SPLIT)
    assert told.parts["steps"] > 0 and told.parts["embedding"] == 0


def test_detectors_times_are_multiplied_by_what_there_is(library, monkeypatch):
    monkeypatch.setattr(pace, "pace_of_detector", lambda *_: Pace(loading=2, window=0.1, epoch=1, look=0.2))
    told = estimate(TrainSettings(what="detector", device="cpu", options={"phantoms": 0}), library, SPLIT).parts
    assert told["steps"] == pytest.approx(40 * (12 * 0.1 + 1))
    assert told["validation"] == pytest.approx((2 * 12 + 4 + 60) * 0.2)
    assert told["embedding"] == 0 and told["reading"] > 2


@pytest.mark.parametrize(
    "part", ["Reading", pytest.param("Loading", marks=pytest.mark.slow), pytest.param("look", marks=pytest.mark.slow), "steps"]
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


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "1 s"), (12.3, "12 s"), (44, "40 s"), (150, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_durations_are_said_as_people_do(seconds, told):
    assert duration(seconds) == told
