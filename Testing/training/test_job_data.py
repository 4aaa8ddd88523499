"""The data of a training job and its split, down to a handful of patients."""

from __future__ import annotations

import pytest

from MyoScarSegLib.training.job_data import JobCard, read_job_data
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_job import NO_HOOKS, TrainJob
from Testing.support.ring_factory import rings, write_rings
from Testing.support.tiny_training import write_start


@pytest.mark.parametrize(("count", "training", "validation"), [(1, 1, 0), (2, 1, 1), (4, 3, 1), (5, 4, 1), (10, 8, 2)])
def test_a_few_patients_are_split_as_well_as_they_can_be(tmp_path, count, training, validation):
    job = TrainJob("segmenter", write_rings(tmp_path, rings(count)), tmp_path / "out")
    used = read_job_data(job, NO_HOOKS)
    assert (len(used.split.training), len(used.split.validation)) == (training, validation)
    assert Split.read(tmp_path / "out" / "split.json") == used.split
    assert {s.patient for s in used.training}.isdisjoint(s.patient for s in used.validation)
    assert bool(used.notes) == (count < 5), "what is unusual is said"


@pytest.mark.parametrize(
    ("start", "said", "license"),
    [
        (None, "CC0-1.0", "CC0-1.0; CC-BY-NC-SA-4.0, that of the start model"),
        (None, None, "CC-BY-NC-SA-4.0"),
        ("litemedsam", "CC0-1.0", "CC0-1.0; Apache-2.0, that of the start model"),
        ("litemedsam", "Apache-2.0", "Apache-2.0"),
        ("own.safetensors", "CC0-1.0", "CC0-1.0; CC-BY-4.0, that of the start model"),
    ],
)
def test_the_license_of_the_start_model_goes_on(tmp_path, monkeypatch, start, said, license):
    monkeypatch.chdir(tmp_path)
    write_start(tmp_path / "own.safetensors", licence="CC-BY-4.0")
    job = TrainJob("segmenter", write_rings(tmp_path / "data", rings(5)), tmp_path / "out", start=start, licence=said)
    used = read_job_data(job, NO_HOOKS)
    assert JobCard(job, used, None, NO_HOOKS, (), "").license == license
