"""``myoscarseg train``: what it prints, writes and returns."""

from __future__ import annotations

import json
import sys

import pytest

from Testing.support.command import Started
from Testing.support.ring_factory import rings, write_rings
from Testing.support.until import until

SMALL = ["--start", "fresh", "--device", "cpu", "--folds", "3", "--batch", "2"]
SMALL += [word for name in ("size=64", "window=64", "phantoms=0") for word in ("--set", name)]


@pytest.fixture
def data(tmp_path):
    return write_rings(tmp_path / "data", rings(6))


@pytest.mark.slow
def test_detector_is_trained_and_measured_and_used_for_segmenting(command, data, tmp_path, tiny_segmenter):
    from Testing.support.command import write_image

    out = tmp_path / "out"
    ran = command("train", "detector", "--data", data, "-o", out, *SMALL, "--epochs", "1", "--name", "mine")
    assert ran.status == 0, ran.err
    assert f"Model: {out / 'mine.safetensors'}" in ran.out and "--detector" in ran.out
    assert "epoch 1 of 1, loss " in ran.err
    card = json.loads((out / "mine.json").read_text())
    assert card["command"].startswith("myoscarseg train detector --data DATA -o OUT --start fresh")
    assert (out / "split.json").is_file() and (out / "log.jsonl").is_file()

    boxes = ["train", "boxes", "--data", data, "--split", out / "mine.json", "--detector", out / "mine.safetensors", "--json"]
    ran = command(*boxes)
    assert ran.status == 0, ran.err
    assert ran.json == card["metrics"]
    assert "| recall iou 0.3 |" in command(*boxes[:-1]).out

    again = tmp_path / "again"
    ran = command("train", "detector", "--data", data, "-o", again, "--recipe", out / "mine.json", "--device", "cpu", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["version"] == 1 and ran.json["model"].endswith("detector.safetensors") and "validation" in ran.json["metrics"]
    repeated = json.loads((again / "detector.json").read_text())
    same = ("settings", "split", "metrics", "confidence")
    assert {key: repeated[key] for key in same} == {key: card[key] for key in same}

    image = write_image(tmp_path / "one.nii.gz")
    used = ["--detector", out / "mine.safetensors", "--segmenter", tiny_segmenter, "--device", "cpu"]
    assert command("segment", image, "-o", tmp_path / "result", *used).status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--folds", "1"], "folds must be a whole number from 2 up"),
        (["--held-out", "7"], "cannot be held out"),
        (["--epochs", "0"], "epochs must be a whole number from 1 up"),
        (["--name", "No Name"], "lower-case letters"),
        (["--device", "tpu"], "no device"),
        (["--set", "rate"], "is not NAME=VALUE"),
        (["--preset", "wild"], "invalid choice"),
        (["--mode", "full"], "unrecognized arguments"),
    ],
    ids=str,
)
def test_bad_arguments_have_status_2(command, tmp_path, arguments, said):
    ran = command("train", "detector", "--data", tmp_path, "-o", tmp_path / "out", *arguments)
    assert ran.status == 2 and said in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "no folder nowhere"),
        (["--start", "myoscarseg-yolo-9"], "Did you mean"),
        (["--set", "speed=2"], "no setting 'speed'"),
        (["--set", "rate=quick"], "rate must be"),
        (["--split", "nowhere.json"], "Cannot read nowhere.json"),
        (["--resume"], "no stopped training"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_in_a_sentence(command, data, tmp_path, arguments, said):
    ran = command("train", "detector", "--data", data, "-o", tmp_path / "out", *SMALL, *arguments)
    assert ran.status == 1 and said in ran.err, ran.err
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_augmentation_is_shown_as_a_picture(command, data, tmp_path):
    picture = tmp_path / "preview.png"
    ran = command("train", "preview", "--data", data, "--preset", "light", "--seed", "2", "-o", picture)
    assert ran.status == 0 and str(picture) in ran.out, ran.err
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000


def test_missing_extra_is_named(command, data, tmp_path, monkeypatch):
    """As if accelerate were not installed."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] == "accelerate"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    ran = command("train", "segmenter", "-o", "out", "--data", data)
    assert ran.status == 1 and "pip install" in ran.err and "train" in ran.err, ran.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_interrupt_keeps_the_epochs_done_and_says_where(data, tmp_path):
    out = tmp_path / "out"
    with Started("train", "detector", "--data", data, "-o", out, *SMALL, "--epochs", "500") as started:
        until(lambda: (out / "boxes.checkpoint").exists() or started.process.poll() is not None, timeout_s=200)
        assert started.process.poll() is None, started.end().err
        started.interrupt()
        ran = started.end()
    assert ran.status == 1, ran.err
    assert f"{out / 'detector.safetensors'} is the best model so far" in ran.err and "can be resumed" in ran.err
    assert (out / "detector.safetensors").is_file()
