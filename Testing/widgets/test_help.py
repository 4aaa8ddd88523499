"""Help opens pages that come with the program, without internet; answers to what people do wrong are sentences with a way on."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QPushButton

from MyoScarSegLib.errors import Cancelled, InstallationError, PromptError, StudyError
from MyoScarSegLib.utils.resources import resources_folder
from Testing.support.standins.pythonqt import unwrap


def test_every_page_of_the_help_is_as_its_source():
    from docs.write_help import HELP, PAGES, help_page

    assert sorted(path.stem for path in HELP.iterdir()) == sorted(PAGES)
    for name in PAGES:
        assert (HELP / f"{name}.html").read_text(encoding="utf-8") == help_page(name), "write it anew: make pages"


def test_what_troubleshooting_sends_to_is_there_without_internet():
    page = (resources_folder() / "Help" / "troubleshooting.html").read_text(encoding="utf-8")
    assert "make wheels" in (resources_folder() / "Help" / "it.html").read_text(encoding="utf-8")
    assert page.count('href="it.html#without-network"') == 2


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


@pytest.mark.parametrize("error", [StudyError("One slice only."), InstallationError("The disk is full."), Cancelled()])
@pytest.mark.parametrize("tab_of", [lambda panel: panel.segment, lambda panel: panel.training], ids=["segment", "train"])
def test_help_opens_at_the_entry_of_the_error_that_is_shown(opened, error, tab_of):
    tab = tab_of(opened.panel)
    tab.status.say_error(str(error))
    tab.status.explain()
    opened.settle()
    browser = unwrap(opened.panel.help.browser)
    marked = browser.textCursor()
    assert marked.selectedText() == marked.block().text() == type(error).__name__
    assert 0 <= browser.cursorRect().top() < browser.viewport().height() - 30
    opened.panel.help.dialog.close()
    tab.status.say_error("")


def test_what_a_step_says_of_an_error_and_what_is_of_no_class_lead_to_their_entries(opened):
    status = opened.panel.segment.status
    opened.panel.workflow.notices.say(error=str(PromptError("The box is empty.")))
    status.explain()
    assert unwrap(opened.panel.help.browser).source().fragment() == "prompterror"
    opened.panel.workflow.notices.say(error="")
    opened.panel._say_unexpected("KeyError")
    status.explain()
    assert unwrap(opened.panel.help.browser).source().fragment() == "myoscarsegerror"
    status.say_error("There is no volume.")
    status.explain()
    assert unwrap(opened.panel.help.browser).source().fragment() == "", "no class of error: what people ask first"
    opened.panel.help.dialog.close()
    status.say_error("")


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
