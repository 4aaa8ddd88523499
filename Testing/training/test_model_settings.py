"""Which settings a fine-tuning job means."""

from __future__ import annotations

import math
import re

import pytest

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.finetune.segmenter_job import segmenter_settings
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.train_job import TrainJob, with_options
from Testing.conftest import REPOSITORY


def job(**more) -> TrainJob:
    return TrainJob("segmenter", "data", "out", **more)


def test_a_start_that_knows_scar_is_trained_gently():
    new, further = segmenter_settings(job(), further=False), segmenter_settings(job(), further=True)
    assert further.decoder_rate < new.decoder_rate and further.context_rate < new.context_rate
    assert further.prompting.empty < new.prompting.empty and further.prompting.ventricle == 0
    assert further.epochs < new.epochs and further.context_epochs < new.context_epochs


def test_what_the_job_says_goes_before_what_is_usual():
    settings = segmenter_settings(job(epochs=9, seed=4, options={"decoder_rate": 1e-3, "prompting.empty": 0.3}), further=True)
    assert (settings.epochs, settings.seed, settings.decoder_rate, settings.prompting.empty) == (9, 4, 1e-3, 0.3)


@pytest.mark.parametrize(("name", "value"), [("mode", "half"), ("start_share", 1.1), ("batch", 0), ("decoder_rate", math.nan)])
def test_a_value_outside_its_range_is_refused_by_name(name, value):
    with pytest.raises(ModelError, match=name):
        SegmenterSettings(**{name: value})


def test_the_shipped_recipe_sets_what_can_be_set():
    said = dict(re.findall(r"--set ([\w.]+)=(\S+)", (REPOSITORY / "Makefile").read_text()))
    assert said and with_options(SegmenterSettings(), said) != SegmenterSettings()
