"""Help opens pages that come with the program, without internet; answers to what people do wrong are sentences with a way on."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QPushButton

from MyoScarSegLib.utils.resources import resources_folder
from Testing.support.standins.pythonqt import unwrap


def test_every_page_of_the_help_is_as_its_source():
    from docs.write_help import HELP, PAGES, help_page

    assert sorted(path.stem for path in HELP.iterdir()) == sorted(PAGES)
    for name in PAGES:
        assert (HELP / f"{name}.html").read_text(encoding="utf-8") == help_page(name), "write it anew: make pages"


@pytest.mark.parametrize("button", ["errorHelpButton", "trainErrorHelpButton"])
def test_an_error_leads_to_troubleshooting(opened, button):
    tab = opened.tab if button.startswith("train") else opened.panel.segment
    opened.panel.show_tab(int(button.startswith("train")))
    opened.settle()
    assert not opened.named(button).visible
    tab.status.say_error("The volume has one slice only.")
    opened.settle()
    opened.click(button)
    browser = unwrap(opened.panel.help.browser)
    assert "an entry" not in browser.toPlainText()
    assert "StudyError" in browser.toPlainText()
    assert browser.source().toLocalFile() == str(resources_folder() / "Help" / "troubleshooting.html")
    opened.panel.help.dialog.close()
    tab.status.say_error("")
    opened.panel.show_tab(0)


def test_the_window_of_the_keys_leads_to_the_pages_and_they_to_each_other(opened):
    opened.panel.segment.shortcuts.show_help()
    window = unwrap(opened.panel.segment.shortcuts._help)
    window.findChild(QPushButton, "quickStartButton").click()
    browser = unwrap(opened.panel.help.browser)
    assert "Propose boxes" in browser.toPlainText()
    browser.setSource(browser.source().resolved(QUrl("numbers.html")))
    assert "1.05 g/mL" in browser.toPlainText()
    window.close()
    opened.panel.help.dialog.close()
