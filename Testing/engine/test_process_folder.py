"""A folder of studies in a process of its own: what comes back, resumed and cancelled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.images import images_of
from MyoScarSegLib.engine.process_folder import _segment_folder, folder_task
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.study import write_volume
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.until import until


def begin(inputs, out, *models) -> BackgroundTask:
    return folder_task(inputs, out, EngineSettings(*models, device="cpu", threads=1)).start()


def write_study(path: Path, slices: int = 3) -> Path:
    voxels = np.random.default_rng(1).normal(100, 20, (slices, 48, 40)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, voxels, Study("a", voxels, Geometry((1.5, 1.5, 10.0)), Reconstruction.MAGNITUDE))
    return path


def finish(run) -> None:
    until(run.poll, "the folder is not done", turn=run.poll)


def test_every_setting_of_the_panel_reaches_the_process_and_its_pipeline(tmp_path):
    chosen = EngineSettings("a", "b", "cpu", 0.25, True, 1, tmp_path / "embeddings", 128, 3, "float32")
    assert not [name for name in EngineSettings.__dataclass_fields__ if getattr(chosen, name) == getattr(EngineSettings(), name)]
    job = folder_task([], tmp_path, chosen, threshold=0.4, growth_mm=-1.0).job
    there = EngineSettings.from_json(json.loads(json.dumps(job["settings"])))
    assert there.to_json() == chosen.to_json()
    assert (job["job"]["threshold"], job["job"]["growth_mm"]) == (0.4, -1.0)
    pipeline = there.pipeline()
    assert (pipeline.confidence, pipeline.prompts_at_once) == (0.25, 3)
    cache = pipeline.networks._cache
    assert (cache.budget_bytes, cache.folder) == (128 << 20, tmp_path / "embeddings")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"device": "gpu"}, "device must be auto, cpu"),
        ({"confidence": 1}, "confidence"),
        ({"prompts_at_once": 0}, "prompts_at_once must be a whole number from 1 to 64"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_setting_out_of_bounds_is_named(wrong, words):
    with pytest.raises(EngineError, match=words):
        EngineSettings.from_json(wrong)


def test_every_study_is_written_and_a_bad_one_costs_the_others_nothing(tmp_path, tiny_segmenter, tiny_detector):
    good = write_study(tmp_path / "in" / "good.nrrd")
    bad = tmp_path / "in" / "bad.nrrd"
    bad.write_bytes(b"NRRD0004\nbroken")
    settings, told = EngineSettings(tiny_detector, tiny_segmenter, device="cpu", threads=1), []
    task = folder_task([bad, good], tmp_path / "out", settings)
    found = _segment_folder(task.job, lambda *step: told.append(step), CancelToken())
    assert {o["case"]: o["status"] for o in found} == {"bad": "failed", "good": "done"}
    assert "bad" in next(o["message"] for o in found if o["case"] == "bad")
    assert (tmp_path / "out" / "good" / "scar.seg.nrrd").is_file()
    assert (tmp_path / "out" / "results.csv").is_file()
    assert told[-1][1] == 3


@pytest.mark.slow
def test_a_folder_that_is_resumed_runs_only_what_is_new(tmp_path, tiny_segmenter, tiny_detector):
    models = EngineSettings(tiny_detector, tiny_segmenter, device="cpu", threads=1)
    made = []
    for name in ("a", "b"):
        write_study(tmp_path / f"in/{name}.nrrd", slices=2)
        run = folder_task([tmp_path / "in"], tmp_path / "out", models, resume=True).start()
        finish(run)
        assert run.error == "" and {o["status"] for o in run.result} == {"done"}
        made.append((tmp_path / "out/a/result.json").stat().st_mtime_ns)
    assert made[0] == made[-1]
    cohort = Cohort(tmp_path / "out")
    assert [images_of(cohort, record).slices for record in cohort.records()] == [2, 2], "a review finds the images again"


@pytest.mark.slow
def test_a_folder_is_shared_by_two_workers(tmp_path, tiny_segmenter, tiny_detector):
    inputs = [write_study(tmp_path / "in" / f"{n}.nrrd", slices=2 + n) for n in range(3)]
    models = EngineSettings(tiny_detector, tiny_segmenter, device="cpu", threads=1)
    run = folder_task(inputs, tmp_path / "out", models, workers=2).start()
    finish(run)
    assert run.error == "" and [(o["case"], o["status"]) for o in run.result] == [("0", "done"), ("1", "done"), ("2", "done")]
    assert run.progress.total == 3


@pytest.mark.slow
def test_cancel_ends_the_process_and_says_which_studies_were_not_begun(tmp_path, tiny_segmenter, tiny_detector):
    inputs = [write_study(tmp_path / "in" / f"{n}.nrrd", slices=40) for n in range(3)]
    run = begin(inputs, tmp_path / "out", tiny_detector, tiny_segmenter)
    until(lambda: run.progress.done >= 2, turn=run.poll)
    run.cancel()
    finish(run)
    assert run.error == ""
    assert [o["status"] for o in run.result] == ["cancelled"] * 3
