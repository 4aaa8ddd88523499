"""The field's thresholds, scored like a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.phantom import Infarct, PhantomSettings, make_phantom
from MyoScarSegLib.quantification.reference import METHODS
from MyoScarSegLib.training.datasets.labeled import CAVITY, LabeledSlice
from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_thresholds


@pytest.fixture(scope="module")
def phantom_slices() -> list[LabeledSlice]:
    infarct = Infarct("LAD", transmurality=0.8, half_width_deg=45)
    settings = PhantomSettings(slices=4, rows=160, columns=160, infarcts=(infarct,), noise=0.03, bias=0.0)
    phantom = make_phantom(3, settings=settings)
    return [
        LabeledSlice("P1", k, image, labels, (1.4, 1.4), 10.0)
        for k, (image, labels) in enumerate(zip(phantom.study.voxels, phantom.labels, strict=True))
    ]


def test_a_phantoms_scar_is_found_and_scored_with_the_method_as_the_setting(phantom_slices):
    found = evaluate_thresholds(phantom_slices)
    assert list(found.settings) == list(METHODS)
    for method in ("5 SD", "FWHM from remote", "Otsu"):
        (case,) = found.settings[method]
        assert case.dice_3d > 0.7, method
        assert case.wall_mass_g > case.truth_mass_g > 0
        assert not case.spacing_assumed
    assert "expert's myocardium" in found.notes[0]


def test_cases_without_a_drawn_wall_are_reported(phantom_slices):
    bare = [
        replace(s, patient="P2", wall_known=False, labels=np.where(s.labels > CAVITY + 1, s.labels, 0)) for s in phantom_slices
    ]
    found = evaluate_thresholds([*phantom_slices, *bare])
    assert [c.case for c in found.settings["Otsu"]] == ["P1"]
    assert found.failures == {"thresholds, P2": "its left-ventricular wall was not drawn"}


def test_a_method_without_an_answer_is_reported_and_not_scored(phantom_slices):
    even = [replace(s, image=np.where(s.labels > CAVITY, 100.0, s.image)) for s in phantom_slices]
    found = evaluate_thresholds(even)
    assert not found.settings["Otsu"] and not found.settings["5 SD"]
    assert "one value throughout" in found.failures["Otsu, P1"]
