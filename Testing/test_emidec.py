"""Real patients, through the command line with the models that users get."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from MyoScarSegLib.models import DEFAULT_SEGMENTER, registry
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_models
from MyoScarSegLib.training.splits import Split
from Testing.support.command import in_subprocess, table


def check(out: Path, case: str, source: Path) -> None:
    image, mask = sitk.ReadImage(str(source)), sitk.ReadImage(str(out / case / "scar.nii.gz"))
    assert mask.GetSize() == image.GetSize()
    assert mask.GetSpacing() == pytest.approx(image.GetSpacing(), rel=1e-5)
    assert (out / case / "overlay.png").stat().st_size > 10_000


@pytest.mark.data
@pytest.mark.weights
def test_both_sample_exams_are_segmented(emidec_volumes_folder, real_cache, command, tmp_path):
    inputs = [emidec_volumes_folder / f"sample{kind}_lge.nii.gz" for kind in ("Positive", "Negative")]
    ran = command("segment", *inputs, "-o", tmp_path / "out")
    assert ran.status == 0, ran.err
    rows = table(tmp_path / "out" / "results.csv")
    assert [row["status"] for row in rows] == ["done"] * 2
    for row, source in zip(rows, inputs, strict=True):
        check(tmp_path / "out", row["case"], source)
    positive, negative = (float(row["scar_mass_g"]) for row in rows)
    assert positive > negative, "more scar in the normal exam than in the infarct"


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
def test_all_70_patients_are_segmented(emidec_folder, real_cache, tmp_path):
    inputs = sorted(emidec_folder.glob("Case_*/Images/*.nii.gz"))
    ran = in_subprocess(["segment", *inputs, "-o", tmp_path / "out"], timeout_s=3000)
    assert ran.status == 0, ran.err
    rows = table(tmp_path / "out" / "results.csv")
    assert len(rows) == 70
    assert {row["status"] for row in rows} == {"done"}
    assert len(table(tmp_path / "out" / "slices.csv")) == 505


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
def test_the_shipped_models_are_as_good_as_the_registry_says(emidec_folder, real_cache):
    """On the patients that no shipped model has seen."""
    entry = registry().entry(DEFAULT_SEGMENTER)
    split = Split.read(registry().path(DEFAULT_SEGMENTER).with_suffix(".json"))
    slices = [one for one in read_dataset(emidec_folder).slices if one.patient in split.validation]
    figures = evaluate_models(Pipeline(device="cpu"), slices).figures()
    for setting, told in entry.metrics["per_patient_dice"].items():
        assert figures[setting]["dice_mean"] == pytest.approx(told["dice_mean"], abs=0.02), setting
    assert figures["clicks_3"]["dice_mean"] > figures["jittered"]["dice_mean"] > figures["end_to_end"]["dice_mean"]
