"""The learning curve with a real SAM made tiny: fair draws, a curve that goes on, and its picture."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PIL import Image

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.training import learning_curve as module
from MyoScarSegLib.training.learning_curve import PICTURE, RESULTS, SETTINGS, Plan, drawn_patients, learning_curve, table
from MyoScarSegLib.training.splits import Split
from Testing.ring_factory import write_rings
from Testing.tiny_models import SEGMENTER_SIDE
from Testing.tiny_training import slices_of

pytest.importorskip("accelerate")
pytest.importorskip("monai")

SPLIT = Split(("P1", "P2", "P3", "N1"), ("P4", "N2"))
TINY = replace(SETTINGS, side=SEGMENTER_SIDE, window_mm=45.0, copies=1, batch=4, prompts=1, corrections=0)


@pytest.fixture(scope="module")
def slices():
    return [s for n, p in enumerate((*SPLIT.training, *SPLIT.validation)) for s in slices_of(p, n, 2, scar=p[0] == "P")]


@pytest.fixture
def plan(tiny_segmenter):
    return Plan(tiny_segmenter, (1, 3), 1, 2, TINY)


@pytest.fixture
def default_detector(monkeypatch, tiny_detector):
    import MyoScarSegLib.detection as detection

    load = detection.load_detector
    monkeypatch.setattr(detection, "load_detector", lambda device="cpu": load(tiny_detector, device=device))


def test_smaller_draws_are_part_of_larger_ones_and_draws_differ(slices):
    all_of = [drawn_patients(slices, SPLIT, 4, draw) for draw in range(6)]
    for draw, patients in enumerate(all_of):
        assert sorted(patients) == sorted(SPLIT.training)
        assert [drawn_patients(slices, SPLIT, n, draw) for n in (1, 2, 3)] == [patients[:n] for n in (1, 2, 3)]
    assert len({tuple(patients) for patients in all_of}) > 1


def test_draws_hold_patients_with_and_without_scar_in_proportion():
    names = tuple(f"P{n}" for n in range(30)) + tuple(f"N{n}" for n in range(15))
    slices = [s for n, p in enumerate(names) for s in slices_of(p, n, 1, scar=p[0] == "P")]
    # slices_of leaves the last slice free of scar
    slices += [s for n, p in enumerate(names) if p[0] == "P" for s in slices_of(p, n, 2)[:1]]
    for draw in range(5):
        chosen = drawn_patients(slices, Split(names, ("V",)), 9, draw)
        assert sum(p[0] == "P" for p in chosen) == 6


def test_too_few_patients_is_a_sentence(slices):
    with pytest.raises(ModelError, match="There are 4 training patients, not 5"):
        drawn_patients(slices, SPLIT, 5, 0)


def test_curve_goes_on_where_it_was_stopped(slices, plan, tmp_path, default_detector, monkeypatch):
    trained = []
    train = module._train

    def counted(*arguments):
        trained.append(arguments[3:5])
        return train(*arguments)

    monkeypatch.setattr(module, "_train", counted)
    cancel = CancelToken()

    def stop(done, _total, message):
        if done == 1 and "evaluating" in message:
            cancel.cancel()

    with pytest.raises(Cancelled):
        learning_curve(slices, SPLIT, tmp_path, plan, progress=stop, cancel=cancel)
    assert list(json.loads((tmp_path / RESULTS).read_text())["points"]) == ["start"]
    document = learning_curve(slices, SPLIT, tmp_path, plan)
    assert list(document["points"]) == ["start", "draw-0-patients-1", "draw-0-patients-3"]
    assert document["points"]["draw-0-patients-1"]["patients"] == document["points"]["draw-0-patients-3"]["patients"][:1]
    again = len(trained)
    assert learning_curve(slices, SPLIT, tmp_path, plan) == document
    assert len(trained) == again
    assert not (tmp_path / "running").exists()
    assert Image.open(tmp_path / PICTURE).size[0] > 500
    text = table(document)
    assert text.count("\n") == 5
    for point in document["points"].values():
        assert set(point["patient_dice"]["oracle"]) == {"P4"}
        assert f"{point['dice']['end_to_end']:.2f}" in text
    with pytest.raises(ModelError, match="another learning curve"):
        learning_curve(slices, SPLIT, tmp_path, replace(plan, steps=3))


def test_each_training_makes_the_steps_that_were_asked_for(slices, plan, tmp_path, default_detector, monkeypatch):
    from MyoScarSegLib.training.finetune import train

    epochs = {}

    def noted(start, patients, settings, out, **_others):
        epochs[out.name] = settings.epochs, len(patients.training)
        raise Cancelled

    monkeypatch.setattr(train, "fine_tune", noted)
    with pytest.raises(Cancelled):
        learning_curve(slices, SPLIT, tmp_path, replace(plan, counts=(1,), steps=10))
    # One patient with scar on one of two slices: two slices, one batch an epoch.
    assert epochs["draw-0-patients-1"] == (10, 2)


def test_command_draws_the_curve_with_other_settings(command, slices, tmp_path, tiny_segmenter, default_detector):
    write_rings(tmp_path / "data", [replace(s, image=s.image.clip(0, 255)) for s in slices])
    SPLIT.write(tmp_path / "split.json")
    arguments = [
        "curve",
        "--data",
        tmp_path / "data",
        "--split",
        tmp_path / "split.json",
        "--start",
        tiny_segmenter,
        "--device",
        "cpu",
    ]
    tiny = ("side=64", "window_mm=45", "copies=1", "prompts=1", "corrections=0")
    ran = command(*arguments, "-o", tmp_path / "out", "--counts", 1, "--steps", 1, *(word for s in tiny for word in ("--set", s)))
    assert ran.status == 0, ran.err
    document = json.loads((tmp_path / "out" / RESULTS).read_text())
    assert document["how"]["settings"]["corrections"] == 0 and document["how"]["steps"] == 1
    assert "| 1 |" in ran.out and (tmp_path / "out" / PICTURE).is_file()
    ran = command(*arguments, "-o", tmp_path / "none", "--set", "colour=blue")
    assert ran.status == 1 and "no setting 'colour'" in ran.err
    assert command(*arguments, "-o", tmp_path / "none", "--set", "colour").status == 2
