"""What the panel says of a model's figures, wherever they come from."""

from __future__ import annotations

import pytest

from MyoScarSegLib.models import registry
from Testing.test_own_models import keep, trained  # noqa: F401 (a fixture)


@pytest.fixture
def words(application):
    from MyoScarSegLib.widgets.model_choice import metrics_in_words

    return metrics_in_words


def test_users_own_model_shows_its_figures(words, trained):  # noqa: F811
    assert words(keep(trained).metrics) == ["Dice 0.80 with experts' boxes", "Dice 0.70 on its own"]


def test_models_that_come_with_the_program_show_theirs(words):
    for entry in registry().entries("segment"):
        if entry.name.startswith("myoscarseg"):
            assert any("on its own" in text for text in words(entry.metrics)), entry.name
    assert any("of scar" in text for text in words(registry().entry("myoscarseg-yolo-2").metrics))


def test_users_own_detector_shows_its_figures(words):
    found = {"data": "3 validation patients", "lesions_found": 0.571, "false_boxes_per_slice": 0.36}
    assert words(found) == ["finds 57% of the lesions", "0.4 false boxes per slice"]
    assert words({"lesions_found": None, "per_patient_dice": {"oracle": "?"}}) == []
