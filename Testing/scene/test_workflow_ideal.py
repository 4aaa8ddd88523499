"""The ideal workflow on a phantom and on a patient's study, with a real worker and tiny models."""

from __future__ import annotations

import pytest

from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.study import read_study
from Testing.support.ideal_workflow import IdealWorkflow

pytest.importorskip("slicer", reason="slicer-core is not installed")

SMALL = PhantomSettings(slices=5, rows=96, columns=80, pixel_spacing_mm=(2.0, 2.0), orientation="random")


def run(workflow, study, path) -> IdealWorkflow:
    from MyoScarSegLib.scene.lge_volumes import add_study

    ideal = IdealWorkflow(workflow, add_study(workflow.scene, study, "LGE"))
    ideal.run_to_undo()
    ideal.save(path)
    ideal.reload(path)
    ideal.continue_work()
    return ideal


def test_ideal_workflow_on_a_phantom(workflow, tmp_path):
    run(workflow, make_phantom(3, settings=SMALL).study, tmp_path / "phantom.mrb")
    assert workflow.session.pending.latencies_ms  # how long they take is for the benchmark


def test_ideal_workflow_on_a_patients_study(workflow, tmp_path, emidec_volumes_folder):
    run(workflow, read_study(emidec_volumes_folder / "samplePositive_lge.nii.gz"), tmp_path / "patient.mrb")
