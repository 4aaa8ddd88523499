"""What the panel says of a model's figures, wherever they come from."""

from __future__ import annotations

import pytest

from MyoScarSegLib.models import registry
from Testing.training.test_model_import import keep, trained  # noqa: F401 (a fixture)


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


def test_file_dialog_offers_what_can_be_loaded(module):
    advanced = module.panel.segment.advanced
    assert advanced.segmenter.file_filter == "Checkpoints (*.safetensors *.pt *.pth *.ckpt *.bin);;All files (*)"
    assert advanced.detector.file_filter == "Checkpoints (*.safetensors *.pt *.pth);;All files (*)"


def test_panel_tells_the_size_of_the_cache_and_empties_that_of_trainings_too(module):
    from MyoScarSegLib.utils.files import cache_folder

    for name in ("embeddings", "training-embeddings"):
        (cache_folder() / name).mkdir(parents=True, exist_ok=True)
        (cache_folder() / name / "one.safetensors").write_bytes(bytes(100_000_000))
    module.ui.advancedSection.collapsed = False
    module.settle()
    assert module.ui.clearCacheButton.text == "Empty (0.2 GB)"
    module.click("clearCacheButton")
    assert module.ui.clearCacheButton.text == "Empty (0.0 GB)"
    assert not list(cache_folder().glob("*embeddings/*"))


def test_users_own_detector_shows_its_figures(words):
    found = {"data": "3 validation patients", "lesions_found": 0.571, "false_boxes_per_slice": 0.36}
    assert words(found) == ["finds 57% of the lesions", "0.4 false boxes per slice"]
    assert words({"lesions_found": None, "per_patient_dice": {"oracle": "?"}}) == []
