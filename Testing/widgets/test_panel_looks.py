"""How the panel looks: narrow, light and dark. no volume is chosen, so the networks are not needed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from Testing.support.panel_kit import open_module
from Testing.support.standins.pythonqt import unwrap

FORM = Path(__file__).resolve().parents[2] / "Resources" / "UI" / "MyoScarSeg.ui"
NARROW_PX = 260


@pytest.fixture(scope="module")
def opened(application):
    with open_module(application) as module:
        yield module


def test_sections_are_in_the_order_of_the_work(opened):
    form = unwrap(opened.panel.form)
    names = ["studySection", "boxesSection", "scarSection", "numbersSection", "advancedSection"]
    tops = [unwrap(getattr(opened.ui, name)).mapTo(form, unwrap(getattr(opened.ui, name)).rect().topLeft()).y() for name in names]
    assert tops == sorted(tops)
    assert opened.ui.advancedSection.collapsed


def test_panel_fits_into_a_narrow_dock(opened):
    opened.ui.advancedSection.collapsed = False
    opened.settle()
    for name in ("statusFrame", "studySection", "boxesSection", "scarSection", "numbersSection", "advancedSection"):
        assert unwrap(getattr(opened.ui, name)).minimumSizeHint().width() <= NARROW_PX, name
    opened.ui.advancedSection.collapsed = True


@pytest.mark.parametrize("dark", [False, True])
def test_small_print_and_errors_are_readable_in_both_themes(opened, dark):
    from PySide6.QtGui import QColor, QPalette

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


def test_every_control_has_a_tooltip(opened):
    controls = ("QPushButton", "QToolButton", "QCheckBox", "QSpinBox", "QComboBox", "ctkSliderWidget", "qMRMLNodeComboBox")
    for widget in ElementTree.parse(FORM).iter("widget"):  # noqa: S314 (our own form)
        if widget.get("class") in controls:
            assert any(prop.get("name") == "toolTip" for prop in widget.findall("property")), widget.get("name")


def test_keys_are_said_in_the_tooltips(opened):
    for name, key in {
        "proposeButton": "Shift+P", "segmentAllButton": "Ctrl+Shift+Enter", "segmentSliceButton": "Ctrl+Enter",
        "drawBoxButton": "(D)", "acceptBoxButton": "Enter", "deleteBoxButton": "Delete", "copyBoxButton": "(C)",
        "addPositiveButton": "(A)", "addNegativeButton": "(X)", "thresholdSlider": "J and K", "undoButton": "Ctrl+Z",
    }.items():  # fmt: skip
        assert key in getattr(opened.ui, name).toolTip, name


def test_only_the_next_step_stands_out(opened):
    assert opened.ui.proposeButton.styleSheet == ""
    assert opened.ui.segmentAllButton.styleSheet == ""
