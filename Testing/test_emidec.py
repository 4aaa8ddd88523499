"""Real patients, through the command line with the models that users get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.training.datasets.emidec import read_emidec
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from Testing.command import in_subprocess, table, write_image

# What the data's provenance says to assume where a number is needed.
ASSUMED_SPACING_MM = (1.4, 1.4, 10.0)


def stacks(folder: Path) -> dict[str, list[LabelledSlice]]:
    patients: dict[str, list[LabelledSlice]] = {}
    for labelled in read_emidec(folder):
        patients.setdefault(labelled.patient, []).append(labelled)
    return patients


def write_stack(path: Path, stack: list[LabelledSlice]) -> Path:
    return write_image(path, np.stack([s.image for s in stack]), spacing=ASSUMED_SPACING_MM)


def check(out: Path, case: str, source: Path) -> None:
    image, mask = sitk.ReadImage(str(source)), sitk.ReadImage(str(out / case / "scar.nii.gz"))
    assert mask.GetSize() == image.GetSize()
    assert mask.GetSpacing() == pytest.approx(image.GetSpacing(), rel=1e-5)
    assert (out / case / "overlay.png").stat().st_size > 10_000


@pytest.mark.data
@pytest.mark.weights
def test_both_sample_exams_are_segmented(emidec_volumes_folder, real_cache, tmp_path):
    inputs = [emidec_volumes_folder / f"sample{kind}_lge.nii.gz" for kind in ("Positive", "Negative")]
    ran = in_subprocess(["segment", *inputs, "-o", tmp_path / "out"])
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
    patients = stacks(emidec_folder)
    assert sum(len(s) for s in patients.values()) == 505
    inputs = [write_stack(tmp_path / f"{patient}.nii.gz", stack) for patient, stack in patients.items()]
    ran = in_subprocess(["segment", *inputs, "-o", tmp_path / "out"], timeout_s=3000)
    assert ran.status == 0, ran.err
    rows = table(tmp_path / "out" / "results.csv")
    assert len(rows) == 70
    assert {row["status"] for row in rows} == {"done"}
    assert len(table(tmp_path / "out" / "slices.csv")) == 505
