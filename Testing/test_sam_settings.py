"""Which settings a fine-tuning job means."""

from __future__ import annotations

from MyoScarSegLib.training.finetune.job import sam_settings
from MyoScarSegLib.training.jobs import TrainJob


def job(**more) -> TrainJob:
    return TrainJob("sam", "data", "out", **more)


def test_a_start_that_knows_scar_is_trained_gently():
    new, further = sam_settings(job(), further=False), sam_settings(job(), further=True)
    assert further.decoder_rate < new.decoder_rate and further.detail_rate < new.detail_rate
    assert further.prompting.empty < new.prompting.empty and further.prompting.ventricle == 0
    assert further.epochs < new.epochs


def test_what_the_job_says_goes_before_what_is_usual():
    settings = sam_settings(job(epochs=9, seed=4, options={"decoder_rate": 1e-3, "prompting.empty": 0.3}), further=True)
    assert (settings.epochs, settings.seed, settings.decoder_rate, settings.prompting.empty) == (9, 4, 1e-3, 0.3)
