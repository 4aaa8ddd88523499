"""Training jobs: their JSON, what is checked in them, and what they run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.training.train_job import TrainJob, run
from MyoScarSegLib.training.yolo.job import detector_settings
from MyoScarSegLib.training.yolo.settings import DetectorSettings
from Testing.support.ring_factory import rings, write_rings

FULL = {
    "kind": "sam",
    "data": "data",
    "out": "out",
    "start": "litemedsam",
    "mode": "full",
    "preset": "heavy",
    "epochs": 3,
    "seed": 4,
    "split": "split.json",
    "folds": 4,
    "held_out": 3,
    "resume": True,
    "device": "cuda:1",
    "batch": 2,
    "name": "mine-2",
    "options": {"rate": 1e-3, "detail": False, "patience": 2, "side": 128},
    "data_kind": "volumes",
    "labels": "scar=1",
    "patients": "P[0-9]+",
    "licence": "CC0-1.0",
    "citation": "us",
}


def test_job_goes_through_json_and_back():
    job = TrainJob.from_json(FULL)
    assert json.loads(json.dumps(job.to_json())) == {"version": 1, **FULL}
    assert TrainJob.from_json(job.to_json()) == job
    least = TrainJob.from_json({"kind": "yolo", "data": "d", "out": "o"})
    assert (least.name, least.data, least.epochs, dict(least.options)) == ("detector", Path("d"), None, {})
    assert TrainJob.from_json(json.loads(json.dumps(least.to_json()))) == least


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "unet"}, "sam or yolo"),
        ({"kind": 3}, "'kind' must be a text"),
        ({"data": None}, "'data' must be a text"),
        ({"out": 1}, "'out' must be"),
        ({"start": 1}, "'start' must be a text or null"),
        ({"start": "fresh"}, "cannot start with fresh weights"),
        ({"mode": "half"}, "one of decoder, full"),
        ({"preset": None}, "'preset' must be"),
        ({"epochs": 0}, "epochs is at least 1"),
        ({"epochs": 2.5}, "'epochs' must be a whole number or null"),
        ({"epochs": True}, "'epochs' must be"),
        ({"seed": -1}, "seed is at least 0"),
        ({"seed": None}, "'seed' must be a whole number"),
        ({"split": 5}, "'split' must be"),
        ({"folds": 1}, "folds is at least 2"),
        ({"held_out": 4}, "cannot be held out"),
        ({"resume": "yes"}, "'resume' must be true or false"),
        ({"device": "tpu"}, "no device"),
        ({"batch": 0}, "batch is at least 1"),
        ({"name": "Mine Own"}, "lower-case letters"),
        ({"name": "../up"}, "lower-case letters"),
        ({"options": [1]}, "'options' must be an object"),
        ({"options": {"a": [1]}}, "'options' must be an object"),
        ({"options": {"a": None}}, "'options' must be an object"),
        ({"labels": 1}, "'labels' must be"),
        ({"version": 2}, "version 2"),
        ({"speed": 1}, "has no speed"),
    ],
    ids=str,
)
def test_bad_field_is_named(changes, said):
    with pytest.raises(ModelError, match=said):
        TrainJob.from_json({**FULL, **changes})


@pytest.mark.parametrize("name", ["kind", "data", "out"])
def test_missing_field_is_named(name):
    with pytest.raises(ModelError, match=f"lacks {name}"):
        TrainJob.from_json({key: value for key, value in FULL.items() if key != name})


@pytest.mark.parametrize("document", [None, [], "job", 3])
def test_what_is_no_object_is_no_job(document):
    with pytest.raises(ModelError, match="JSON object"):
        TrainJob.from_json(document)


def test_command_of_a_job_repeats_it_without_telling_of_the_computer():
    from MyoScarSegLib.cli import train

    job = TrainJob.from_json(
        {**FULL, "data": "/home/me/data", "split": "/home/me/split.json", "start": "/home/me/old.safetensors"}
    )
    command = job.command()
    assert "/home" not in command
    assert command.startswith("myoscarseg train sam --data DATA -o OUT --split SPLIT --start old.safetensors --mode full")
    for part in ("--epochs 3", "--held-out 3", "--name mine-2", "--set rate=0.001", "--set detail=False", "--labels scar=1"):
        assert part in command
    assert TrainJob("yolo", Path("d"), Path("o")).command() == "myoscarseg train yolo --data DATA -o OUT"
    import argparse
    import shlex

    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers())
    args = parser.parse_args(shlex.split(command)[1:])
    assert (args.epochs, args.held_out, dict(args.options)["side"]) == (3, 3, "128")


def yolo(tmp_path, **more) -> TrainJob:
    small = {"size": 64, "window": 64, "phantoms": 0, "batch": 2}
    options = {**small, **more.pop("options", {})}
    given = {"start": "fresh", "epochs": 1, "device": "cpu", "folds": 3, "options": options, **more}
    return TrainJob("yolo", tmp_path / "data", tmp_path / "out", **given)


def test_a_detectors_settings_are_the_jobs_and_those_of_the_model_it_starts_from(tmp_path, tiny_detector):
    fresh = detector_settings(
        TrainJob("yolo", tmp_path, tmp_path, preset="light", seed=3, batch=4, options={"rate": "1e-3"}), None
    )
    assert (fresh.seed, fresh.batch, fresh.rate, fresh.epochs) == (3, 4, 1e-3, DetectorSettings().epochs)
    assert fresh.variation.rotation_degrees == 15
    further = detector_settings(TrainJob("yolo", tmp_path, tmp_path), tiny_detector)
    assert further.size == 64 and further.epochs < DetectorSettings().epochs and further.rate < DetectorSettings().rate
    with pytest.raises(ModelError, match="no setting 'mode'"):
        detector_settings(TrainJob("yolo", tmp_path, tmp_path, options={"mode": 1}), None)
    with pytest.raises(ModelError, match="augmentation preset"):
        detector_settings(TrainJob("yolo", tmp_path, tmp_path, preset="wild"), None)


def test_start_model_must_be_a_detector_of_ours(tmp_path, tiny_segmenter):
    write_rings(tmp_path / "data", rings(6))
    for start, said in [
        ("myoscarseg-yolo-9", "Did you mean"),
        ("litemedsam", "is a segmenter"),
        (str(tiny_segmenter), "not a detector of MyoScarSeg"),
        (str(tmp_path / "none.safetensors"), "no detector checkpoint"),
        ("yolosam-yolo", "not installed|not a detector of MyoScarSeg|fetch"),
    ]:
        with pytest.raises(ModelError, match=said):
            run(yolo(tmp_path, start=start))
    (tmp_path / "foreign.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match="not a detector of MyoScarSeg"):
        run(yolo(tmp_path, start=str(tmp_path / "foreign.pt")))


def test_job_trains_with_the_split_that_it_is_given_and_its_result_is_used_by_path(tmp_path):
    from MyoScarSegLib.detection import load_detector

    write_rings(tmp_path / "data", rings(6))
    split = {"seed": 0, "folds": 3, "held_out": 0, "training": ["P001", "N002"], "validation": ["P003"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    result = run(yolo(tmp_path, split=tmp_path / "split.json", name="mine"))
    json.dumps(result, allow_nan=False)
    card = json.loads(Path(result["card"]).read_text())
    assert (card["split"]["training"], card["metrics"]["validation"]["slices"]) == (["P001", "N002"], 2)
    assert card["licence"] == "CC-BY-NC-SA-4.0" and "Lalande" in card["citation"] and "AGPL" in card["licence_note"]
    assert card["data"]["patients"] == 6 and "3 patients of the data" in card["data"]["notes"][0]
    assert Path(result["model"]).name == "mine.safetensors"
    assert load_detector(result["model"], device="cpu").checksum == result["sha256"] == card["sha256"]
    again = run(yolo(tmp_path, start=result["model"], split=tmp_path / "split.json", name="further"))
    card = json.loads(Path(again["card"]).read_text())
    assert card["started_from"] == {"name": "mine", "sha256": result["sha256"]}
    assert str(tmp_path) not in json.dumps(card), "the card tells where on this computer things were"
    with pytest.raises(StudyError, match="none of the split's"):
        (tmp_path / "other.json").write_text(json.dumps({**split, "training": ["X1"], "validation": ["X2"]}))
        run(yolo(tmp_path, split=tmp_path / "other.json"))
