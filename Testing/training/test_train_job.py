"""Training jobs: what is checked in them, the command that repeats them, and what they run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.training.model_settings import DetectorSettings
from MyoScarSegLib.training.train_job import TrainJob, run
from MyoScarSegLib.training.yolo.detector_job import detector_settings
from MyoScarSegLib.utils.files import sha256_of
from Testing.support.ring_factory import rings, write_rings

FULL = TrainJob(
    "segmenter", Path("/home/me/data"), Path("out"), start="/home/me/old.safetensors", mode="full", augmentation="heavy",
    epochs=3, seed=4, split=Path("/home/me/split.json"), folds=4, held_out=3, device="cuda:1", batch=2, name="mine-2",
    options={"rate": 1e-3, "copies": 2, "side": 128}, data_kind="volumes", labels="scar=1", patients="P[0-9]+",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "unet"}, "kind must be one of segmenter, detector"),
        ({"data": None}, "data must be a path"),
        ({"start": "fresh"}, "cannot start with fresh weights"),
        ({"mode": "half"}, "mode must be one of decoder, full"),
        ({"epochs": 0}, "epochs must be a whole number from 1 up"),
        ({"folds": 1}, "folds must be a whole number from 2 up"),
        ({"held_out": 4}, "cannot be held out"),
        ({"device": "tpu"}, "device must be auto"),
        ({"name": "Mine Own"}, "lower-case letters"),
        ({"options": {"a": [1]}}, "options.a must be"),
    ],
    ids=str,
)
def test_bad_field_is_named(changes, said):
    with pytest.raises(ModelError, match=said):
        replace(FULL, **changes)


def test_model_is_called_after_what_it_does_unless_it_is_named():
    assert TrainJob("detector", Path("d"), Path("o")).name == "detector"
    assert FULL.name == "mine-2"


def test_former_words_for_segmenter_and_detector_are_understood(tmp_path):
    assert replace(FULL, kind="sam") == FULL
    assert TrainJob("yolo", tmp_path, tmp_path) == TrainJob("detector", tmp_path, tmp_path)


def test_command_of_a_job_repeats_it_without_telling_of_the_computer():
    from MyoScarSegLib.cli import train

    command = FULL.command()
    assert "/home" not in command
    assert command.startswith(
        "myoscarseg train segmenter --data DATA -o OUT --split SPLIT --start old.safetensors --mode full --augmentation heavy"
    )
    for part in ("--epochs 3", "--held-out 3", "--name mine-2", "--set rate=0.001", "--set copies=2", "--labels scar=1"):
        assert part in command
    assert TrainJob("detector", Path("d"), Path("o")).command() == "myoscarseg train detector --data DATA -o OUT"
    import argparse
    import shlex

    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers())
    args = parser.parse_args(shlex.split(command)[1:])
    assert (args.epochs, args.held_out, dict(args.options)["side"]) == (3, 3, "128")
    former = parser.parse_args(shlex.split(command.replace("segmenter", "sam"))[1:])
    assert former.kind == args.kind == "segmenter"


def yolo(tmp_path, **more) -> TrainJob:
    small = {"size": 64, "window": 64, "phantoms": 0, "batch": 2}
    options = {**small, **more.pop("options", {})}
    given = {"start": "fresh", "epochs": 1, "device": "cpu", "folds": 3, "options": options, **more}
    return TrainJob("detector", tmp_path / "data", tmp_path / "out", **given)


def test_a_detectors_settings_are_the_jobs_and_those_of_the_model_it_starts_from(tmp_path, tiny_detector):
    fresh = detector_settings(
        TrainJob("detector", tmp_path, tmp_path, augmentation="light", seed=3, batch=4, options={"rate": "1e-3"}), None
    )
    assert (fresh.seed, fresh.batch, fresh.rate, fresh.epochs) == (3, 4, 1e-3, DetectorSettings().epochs)
    assert fresh.augmentation == "light"
    further = detector_settings(TrainJob("detector", tmp_path, tmp_path), tiny_detector)
    assert further.size == 64 and further.epochs < DetectorSettings().epochs and further.rate < DetectorSettings().rate
    with pytest.raises(ModelError, match="no setting 'mode'"):
        detector_settings(TrainJob("detector", tmp_path, tmp_path, options={"mode": 1}), None)


def test_start_model_must_be_a_detector_of_ours(tmp_path, tiny_segmenter):
    write_rings(tmp_path / "data", rings(6))
    for start, said in [
        ("myoscarseg-yolo-9", "Did you mean"),
        ("litemedsam", "is a segmenter"),
        (str(tiny_segmenter), "not a detector of MyoScarSeg"),
        (str(tmp_path / "none.safetensors"), "no model"),
        ("yolosam-yolo", "not installed|not a detector of MyoScarSeg|fetch"),
    ]:
        with pytest.raises(ModelError, match=said):
            run(yolo(tmp_path, start=start))
    (tmp_path / "foreign.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match="not a detector of MyoScarSeg"):
        run(yolo(tmp_path, start=str(tmp_path / "foreign.pt")))


@pytest.mark.slow
def test_job_trains_with_the_split_that_it_is_given_and_its_result_is_used_by_path(tmp_path, tiny_detector):
    from MyoScarSegLib.detection import load_detector

    write_rings(tmp_path / "data", rings(6))
    split = {"seed": 0, "folds": 3, "held_out": 0, "training": ["P001", "N002"], "validation": ["P003"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    result = run(yolo(tmp_path, start=str(tiny_detector), split=tmp_path / "split.json", name="mine"))
    json.dumps(result, allow_nan=False)
    card = json.loads(Path(result["card"]).read_text())
    assert (card["split"]["training"], card["metrics"]["validation"]["slices"]) == (["P001", "N002"], 2)
    assert card["licence"] == "CC-BY-NC-SA-4.0" and "Lalande" in card["citation"] and "AGPL" in card["licence_note"]
    assert card["data"]["patients"] == 6 and "3 patients of the data" in card["data"]["notes"][0]
    assert Path(result["model"]).name == "mine.safetensors"
    assert load_detector(result["model"], device="cpu").checksum == result["sha256"] == card["sha256"]
    assert card["started_from"] == {"name": tiny_detector.stem, "sha256": sha256_of(tiny_detector)}
    assert str(tmp_path) not in json.dumps(card), "the card tells where on this computer things were"
    with pytest.raises(StudyError, match="none of the split's"):
        (tmp_path / "other.json").write_text(json.dumps({**split, "training": ["X1"], "validation": ["X2"]}))
        run(yolo(tmp_path, split=tmp_path / "other.json"))
