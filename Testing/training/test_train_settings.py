"""What a user chooses for a training, and the jobs that it means."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.training.finetune.segmenter_job import segmenter_settings
from MyoScarSegLib.training.train_settings import CHOICES, TrainSettings
from MyoScarSegLib.training.yolo.detector_job import detector_settings
from MyoScarSegLib.utils.json_fields import field_types
from Testing.support.tiny_models import write_segmenter


def jobs_of(settings: TrainSettings, folder: Path, patients: int = 4) -> list:
    places = (folder / "library", folder / "run", folder / "split.json")
    return [settings.job(part, *places, patients) for part in settings.parts]


def test_who_changes_nothing_continues_the_programs_own_segmenter_gently(tmp_path):
    (job,) = jobs_of(TrainSettings(), tmp_path)
    assert (job.kind, job.start, job.mode, job.augmentation) == ("segmenter", None, "decoder", "standard")
    settings = segmenter_settings(job, further=True)
    assert (settings.decoder_rate, settings.context_rate, settings.context_epochs) == (5e-5, 3e-4, 10)
    assert settings.evaluate_every == 1 and settings.patience > 0


@pytest.mark.parametrize("preset", ["quick", "balanced", "best"])
def test_more_patients_mean_fewer_epochs_within_bounds_and_never_fewer_steps(preset):
    settings = TrainSettings(preset=preset)
    epochs = [settings.planned_epochs("segmenter", patients) for patients in (1, 4, 8, 16, 40, 200)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] > epochs[-1] >= 3
    steps = [e * n for e, n in zip(epochs, (1, 4, 8, 16, 40, 200), strict=True)]
    assert steps == sorted(steps)


def test_better_presets_do_more(tmp_path):
    quick, balanced, best = (jobs_of(TrainSettings(preset=name), tmp_path)[0] for name in ("quick", "balanced", "best"))
    assert quick.epochs < balanced.epochs < best.epochs
    assert quick.options["copies"] < balanced.options["copies"] < best.options["copies"]


def test_model_that_knows_no_scar_gets_more_epochs_and_the_rates_of_a_beginner(tmp_path):
    (job,) = jobs_of(TrainSettings(start_segmenter="litemedsam"), tmp_path)
    assert job.epochs == 2 * jobs_of(TrainSettings(), tmp_path)[0].epochs
    assert job.options["scar_free_share"] < 0.2 and job.options["context_epochs"] == 0
    assert "scar_free_share" not in jobs_of(TrainSettings(), tmp_path)[0].options
    thorough = TrainSettings(start_segmenter="litemedsam", mode="full")
    assert "encoder_rate" not in jobs_of(thorough, tmp_path)[0].options
    assert jobs_of(TrainSettings(mode="full"), tmp_path)[0].options["encoder_rate"] < 1e-4


def test_file_to_start_from_tells_itself_whether_it_knows_scar(tmp_path):
    own = write_segmenter(tmp_path / "own.safetensors")
    foreign = write_segmenter(tmp_path / "foreign.pth")
    epochs = [TrainSettings(start_segmenter=str(path)).planned_epochs("segmenter", 4) for path in (own, foreign)]
    assert epochs[1] == 2 * epochs[0]


def test_both_are_two_trainings_with_options_of_their_own(tmp_path):
    settings = TrainSettings(what="both", name="ward-3", options={"batch": 4, "detector.rate": 1e-4}, divergence=0.5, blur_px=2.0)
    segmenter, detector = jobs_of(settings, tmp_path)
    assert (segmenter.kind, detector.kind) == ("segmenter", "detector")
    assert (segmenter.name, detector.name) == ("ward-3", "ward-3-detector")
    made = segmenter_settings(segmenter, further=True)
    assert (made.batch, made.loss.divergence, made.loss.blur_px, made.loss.dice) == (4, 0.5, 2.0, 0.6)
    assert dict(detector.options) == {"rate": 1e-4}
    assert detector_settings(detector, None).rate == 1e-4


def test_chosen_epochs_patience_and_device_are_kept(tmp_path):
    (job,) = jobs_of(TrainSettings(epochs=7, patience=0, device="cuda:1", seed=3, augmentation="heavy"), tmp_path)
    assert (job.epochs, job.options["patience"], job.device, job.seed, job.augmentation) == (7, 0, "cuda:1", 3, "heavy")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"what": "all"}, "what"),
        ({"preset": "fast"}, "preset"),
        ({"epochs": 0}, "epochs"),
        ({"dice": float("nan")}, "dice"),
        ({"device": "gpu"}, "device must be"),
        ({"name": "Mine"}, "lower-case"),
        ({"start_segmenter": "fresh"}, "fresh"),
        ({"start_segmenter": ""}, "start_segmenter"),
        ({"options": {"copies": [1]}}, "copies"),
    ],
)
def test_value_that_makes_no_sense_is_named(wrong, told):
    with pytest.raises(ModelError, match=told):
        TrainSettings(**wrong)


def test_wrong_option_and_missing_start_model_are_known_before_anything_begins(tmp_path):
    with pytest.raises(ModelError, match="no setting 'copys'"):
        jobs_of(TrainSettings(options={"copys": 3}), tmp_path)
    with pytest.raises(ModelError, match="no model called"):
        jobs_of(TrainSettings(start_segmenter="nobody"), tmp_path)
    with pytest.raises(ModelError, match="is a detector"):
        jobs_of(TrainSettings(start_segmenter="myoscarseg-yolo-3"), tmp_path)
    with pytest.raises(ModelError, match="There is no model"):
        jobs_of(TrainSettings(start_segmenter=str(tmp_path / "gone.safetensors")), tmp_path)
    with pytest.raises(ModelError, match="All weights of the loss are 0"):
        jobs_of(TrainSettings(dice=0, cross_entropy=0, divergence=0), tmp_path)


def test_settings_survive_a_file():
    settings = TrainSettings(what="both", epochs=3, divergence=0.0, options={"copies": 2, "detector.rate": 0.001}, name="a-1")
    assert TrainSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert TrainSettings.from_json({}) == TrainSettings()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "object"),
        ({"version": 9}, "version 9"),
        ({"version": 1}, "version 1"),
        ({"speed": 3, "version": 2}, "speed"),
        ({"seed": "1"}, "seed"),
    ],
)
def test_strange_file_of_settings_is_refused_with_a_sentence(document, told):
    with pytest.raises(ModelError, match=told):
        TrainSettings.from_json(document)


def test_line_says_what_will_be_done():
    assert TrainSettings().explain(4) == (
        f"Trains the segmenter from {DEFAULT_SEGMENTER}, quick, at most 20 epochs; preset balanced, augmentation standard, "
        "on the best device here, seed 0."
    )
    line = TrainSettings(what="both", start_segmenter="/somewhere/mine.safetensors", start_detector="fresh", epochs=2).explain()
    assert "mine.safetensors" in line and "/somewhere" not in line and "fresh weights" in line


def test_every_choice_has_a_line_and_can_be_chosen():
    for setting, choices in CHOICES.items():
        assert tuple(one.name for one in choices) == get_args(field_types(TrainSettings)[setting])
        assert all(one.title and one.line.endswith(".") for one in choices)


def test_application_can_read_settings_and_plan_without_torch():
    script = (
        "import sys; from pathlib import Path; from MyoScarSegLib.training.train_settings import TrainSettings;"
        "from MyoScarSegLib.models import own; from MyoScarSegLib.training import model_import;"
        "from MyoScarSegLib.training.runs import comparison_files, estimate, model_comparison, validation_pictures;"
        "[TrainSettings(what='both').job(part, Path('x'), Path('y'), Path('z'), 3) for part in ('segmenter', 'detector')];"
        "print([m for m in ('torch', 'monai', 'ultralytics', 'accelerate', 'matplotlib', 'PIL', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_epoch_is_said_in_the_singular():
    assert "at most 1 epoch;" in TrainSettings(epochs=1).explain(5)
    assert "at most 2 epochs;" in TrainSettings(epochs=2).explain(5)
