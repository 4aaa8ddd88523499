"""How the panel looks, narrow, light and dark, and what it says of models. No volume is chosen: the networks are not needed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QPalette

from MyoScarSegLib.models import DEFAULT_SEGMENTER, registry
from MyoScarSegLib.utils.files import cache_folder
from Testing.support.standins.pythonqt import unwrap
from Testing.training.test_model_import import keep, trained  # noqa: F401 (a fixture)

FORMS = sorted((Path(__file__).resolve().parents[2] / "Resources" / "UI").glob("*.ui"))
NARROW_PX = 260


def test_sections_are_in_the_order_of_the_work(opened):
    form = unwrap(opened.panel.form)
    names = ["studySection", "boxesSection", "scarSection", "numbersSection", "burdenSection", "advancedSection"]
    tops = [unwrap(getattr(opened.ui, name)).mapTo(form, unwrap(getattr(opened.ui, name)).rect().topLeft()).y() for name in names]
    assert tops == sorted(tops)
    assert opened.ui.advancedSection.collapsed


def test_panel_fits_into_a_narrow_dock(opened):
    opened.ui.advancedSection.collapsed = False
    opened.settle()
    sections = ("studySection", "boxesSection", "scarSection", "numbersSection", "burdenSection", "advancedSection")
    for name in ("statusFrame", *sections):
        assert unwrap(getattr(opened.ui, name)).minimumSizeHint().width() <= NARROW_PX, name
    opened.ui.advancedSection.collapsed = True


@pytest.mark.parametrize("dark", [False, True])
def test_small_print_and_errors_are_readable_in_both_themes(opened, dark):
    from MyoScarSegLib.widgets import style

    palette = QPalette()
    ground, text = ("#353535", "#ffffff") if dark else ("#efefef", "#000000")
    palette.setColor(QPalette.ColorRole.Window, QColor(ground))
    palette.setColor(QPalette.ColorRole.WindowText, QColor(text))
    opened.application.app.setPalette(palette)
    opened.settle()
    assert style.is_dark(opened.ui.statusFrame) is dark
    muted = QColor(style.muted(opened.ui.statusFrame))
    assert contrast(muted, QColor(ground)) > 4.0
    ground, _edge, text = style.error_colors(dark)
    assert contrast(QColor(text), QColor(ground)) > 4.5
    opened.application.app.setPalette(QPalette())


def contrast(one, other) -> float:
    """Contrast of two colors, 1 to 21, as WCAG 2 defines it."""

    def luminance(color) -> float:
        parts = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (color.redF(), color.greenF(), color.blueF())
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_control_has_a_tooltip_and_names_are_those_of_one_form_only():
    controls = (
        "QPushButton", "QToolButton", "QCheckBox", "QSpinBox", "QDoubleSpinBox", "QComboBox", "QLineEdit", "QListWidget",
        "ctkSliderWidget", "qMRMLNodeComboBox", "QSlider",
    )  # fmt: skip
    names: list[str] = []
    for form in FORMS:
        widgets = list(ElementTree.parse(form).iter("widget"))  # noqa: S314 (our own form)
        names += {widget.get("name") for widget in widgets}
        for widget in widgets:
            if widget.get("class") in controls:
                assert any(prop.get("name") == "toolTip" for prop in widget.findall("property")), widget.get("name")
    assert len(FORMS) == 4 and len(names) == len(set(names))


def test_keys_are_said_in_the_tooltips(opened):
    for name, key in {
        "proposeButton": "Shift+P", "segmentAllButton": "Ctrl+Shift+Enter", "segmentSliceButton": "Ctrl+Enter",
        "drawBoxButton": "(D)", "acceptBoxButton": "Enter", "deleteBoxButton": "Delete", "copyBoxButton": "(C)",
        "suggestButton": "(Shift+C)",
        "addPositiveButton": "(A)", "addNegativeButton": "(X)", "thresholdSlider": "J and K", "undoButton": "Ctrl+Z",
    }.items():  # fmt: skip
        assert key in getattr(opened.ui, name).toolTip, name


def test_only_the_next_step_stands_out(opened):
    assert opened.ui.proposeButton.styleSheet == ""
    assert opened.ui.segmentAllButton.styleSheet == ""


@pytest.fixture
def words(application):
    from MyoScarSegLib.scene.model_words import metrics_in_words

    return metrics_in_words


def test_users_own_model_shows_its_figures(words, trained):  # noqa: F811
    assert words(keep(trained).metrics) == ["Dice 0.80 with experts' boxes", "Dice 0.70 on its own"]


def test_models_that_come_with_the_program_show_theirs(words):
    for entry in registry().entries("segment"):
        if entry.name.startswith("myoscarseg"):
            assert any("on its own" in text for text in words(entry.metrics)), entry.name
    assert any("of scar" in text for text in words(registry().entry("myoscarseg-yolo-3").metrics))


def test_file_dialog_offers_what_can_be_loaded(opened):
    advanced = opened.panel.segment.advanced
    assert advanced.segmenter.file_filter == "Checkpoints (*.safetensors *.pt *.pth *.ckpt *.bin);;All files (*)"
    assert advanced.detector.file_filter == "Checkpoints (*.safetensors *.pt *.pth);;All files (*)"


def test_panel_tells_the_size_of_the_cache_and_empties_that_of_trainings_too(opened):
    for name in ("embeddings", "training-embeddings"):
        (cache_folder() / name).mkdir(parents=True, exist_ok=True)
        (cache_folder() / name / "one.safetensors").write_bytes(bytes(100_000_000))
    opened.ui.advancedSection.collapsed = False
    opened.settle()
    assert opened.ui.clearCacheButton.text == "Empty (0.2 GB)"
    opened.click("clearCacheButton")
    assert opened.ui.clearCacheButton.text == "Empty (0.0 GB)"
    assert not list(cache_folder().glob("*embeddings/*"))


def test_users_own_detector_shows_its_figures(words):
    found = {"data": "3 validation patients", "lesions_found": 0.571, "false_boxes_per_slice": 0.36}
    assert words(found) == ["finds 57% of the lesions", "0.4 false boxes per slice"]
    assert words({"lesions_found": None, "per_patient_dice": {"oracle": "?"}}) == []


def test_model_that_a_script_takes_into_use_is_the_one_that_the_panel_shows(opened, trained):  # noqa: F811
    entry, console = keep(trained, "ward-4"), opened.panel.backend.training_console
    assert console.useModel(entry.name) == entry.name
    opened.settle()
    assert opened.workflow.settings.segmenter == entry.name == opened.ui.segmenterCombo.currentText
    assert opened.panel.settings.text("segmenter") == entry.name
    assert console.useModel(DEFAULT_SEGMENTER) == DEFAULT_SEGMENTER
    opened.settle()
    assert opened.panel.settings.text("segmenter") == "none"
