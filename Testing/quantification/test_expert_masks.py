"""Our numbers from experts' masks are those that SimpleITK computes on its own from the files."""

from __future__ import annotations

import pytest
import SimpleITK as sitk

from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.quantification.ventricle import ventricle_of_labels
from MyoScarSegLib.study.masks import read_labels
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW


@pytest.mark.data
@pytest.mark.parametrize("case", ["Case_P001", "Case_P100", "Case_N006"])
def test_volume_mass_and_percent_of_every_tissue_are_simpleitks(emidec_folder, case):
    study = read_study(emidec_folder / case / "Images" / f"{case}.nii.gz")
    file = emidec_folder / case / "Contours" / f"{case}.nii.gz"
    labels = read_labels(file, study).values
    found = measure(labels == INFARCT, study.geometry, ventricle=ventricle_of_labels(labels), no_reflow=labels == NO_REFLOW)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.ReadImage(str(file)))
    ml = {number: statistics.GetPhysicalSize(number) / 1000 for number in statistics.GetLabels()}
    scar = ml.get(INFARCT, 0.0) + ml.get(NO_REFLOW, 0.0)
    wall = ml[MYOCARDIUM] + scar
    for ours, theirs in (
        (found.scar, scar), (found.no_reflow, ml.get(NO_REFLOW, 0.0)), (found.myocardium, wall), (found.cavity, ml[CAVITY])
    ):  # fmt: skip
        assert ours.volume_ml == pytest.approx(theirs, rel=1e-6)
        assert ours.mass_g == pytest.approx(1.05 * theirs, rel=1e-6)
    assert found.percent_of_myocardium == pytest.approx(100 * scar / wall, rel=1e-6)
