"""The threshold that is chosen on validation patients and put into the model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.segmentation import SegmenterImage, load_segmenter
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.training.evaluation.scores import CaseScore, Grid, score_case
from MyoScarSegLib.training.finetune.calibration import (
    FEWEST_PATIENTS,
    Calibration,
    bias_of,
    choose_threshold,
    shift_threshold,
)
from Testing.support.tiny_training import tensors_of, write_start


def patient(number: int, *, border: float, scar: bool = True) -> CaseScore:
    """Sure of the scar's middle; its border has this probability, and what lies around it half of that."""
    truth = np.zeros((2, 20, 20), dtype=bool)
    probability = np.zeros(truth.shape)
    if scar:
        truth[0, 5:13, 5:13] = True
        probability[0, 4:14, 4:14] = border / 2
        probability[0, 5:13, 5:13] = border
        probability[0, 7:11, 7:11] = 0.95
    grid = Grid.of(Geometry((1.0, 1.0, 10.0)), 2)
    return score_case(probability >= 0.5, truth, grid, case=f"p{number}", probability=probability)


def test_a_shy_model_gets_a_lower_threshold():
    chosen = choose_threshold([patient(n, border=0.3) for n in range(6)])
    assert chosen is not None
    assert chosen.threshold == pytest.approx(0.3)
    assert chosen.dice_after == chosen.dice_left_out == 1.0
    assert chosen.dice_before == pytest.approx(2 * 16 / (16 + 64), abs=1e-4)
    assert chosen.patients == 6


def test_a_model_whose_half_is_right_keeps_it():
    chosen = choose_threshold([patient(n, border=0.8) for n in range(6)])
    assert chosen is not None
    assert chosen.threshold == 0.5


def test_a_patient_that_alone_speaks_for_a_threshold_does_not_count_for_itself():
    chosen = choose_threshold([patient(0, border=0.3), *(patient(n, border=0.8) for n in range(1, 6))])
    assert chosen is not None
    assert chosen.dice_left_out <= chosen.dice_after


def test_few_patients_with_scar_choose_nothing():
    scarred = [patient(n, border=0.3) for n in range(FEWEST_PATIENTS - 1)]
    assert choose_threshold([*scarred, *(patient(9 + n, border=0.3, scar=False) for n in range(5))]) is None


def test_what_had_the_chosen_probability_gets_a_half_and_nothing_else_changes(tmp_path):
    path = write_start(tmp_path / "model.safetensors")
    image = SegmenterImage(np.random.default_rng(0).integers(0, 900, (48, 40)).astype(np.int16), (1.0, 1.0))
    box = [Box(0, 9.0, 12.0, 25.0, 30.0)]

    def logits() -> np.ndarray:
        return load_segmenter(path, device="cpu", precision="float32").predict(image, box).logits

    assert bias_of(path)
    before, weights = logits(), tensors_of(path)
    shift_threshold(path, 0.2)
    after, now = logits(), tensors_of(path)
    drawn = np.abs(before) < 15  # not what lies outside the window
    assert drawn.any()
    assert after[drawn] - before[drawn] == pytest.approx(np.log(0.8 / 0.2), abs=2e-2)
    assert [key for key in weights if not torch.equal(weights[key], now[key])] == ["refiner.leave.bias"]


def test_a_model_without_refiner_is_left_as_it_is(tmp_path):
    assert not bias_of(write_start(tmp_path / "bare.safetensors", branch=False))


def test_a_calibration_that_was_chosen_is_applied_once_whenever_the_training_was_interrupted(tmp_path):
    model = write_start(tmp_path / "model.safetensors")
    chosen = Calibration(0.3, 6, 0.5, 0.6, 0.55, bias_of(model))
    chosen.write(tmp_path / "calibration.json")
    again = Calibration.read(tmp_path / "calibration.json")
    assert again == chosen
    before = bias_of(model)
    again.apply(model)
    moved = bias_of(model)
    again.apply(model)
    assert bias_of(model) == moved
    assert moved[0] - before[0] == pytest.approx(math.log(0.7 / 0.3), rel=1e-3)
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(ModelError, match="lacks 'threshold'"):
        Calibration.read(tmp_path / "calibration.json")
