"""Reload, as developers do it: the library is taken up anew, and what was connected before is gone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from Testing.support.panel_kit import add_volume, open_module


@pytest.fixture
def library_put_back():
    """The modules as the tests before and after know them: reload makes other classes of the same names."""

    def ours() -> dict:
        return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "MyoScarSegLib"}

    before = ours()
    yield
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)


def test_reload_takes_up_the_library_anew_and_goes_on(application, library_put_back):
    with open_module(application) as opened:
        before = opened.panel
        opened.widget.onReload()
        opened.widget = application.widget("MyoScarSeg")
        opened.settle()
        assert type(opened.panel) is not type(before)
        assert not before.entered
        add_volume(opened.scene)
        opened.panel.segment.study.choose_likely()
        opened.settle()
        assert "4 slices" in opened.ui.factsLabel.text
        opened.key("D")
        assert opened.panel.segment.mouse.tool == "box"
        opened.key("Esc")
        opened.widget.exit()
        opened.widget.enter()


def test_model_of_the_last_time_that_is_gone_is_said_at_the_start(application):
    settings = application.app.settings()
    try:
        with open_module(application, segmenter=Path("removed-model")) as opened:
            assert "removed-model is not there any more" in opened.ui.errorLabel.text
            assert opened.ui.errorLabel.visible
            assert opened.panel.segment.advanced.segmenter.value is None, "the usual one is used"
            assert settings.value("MyoScarSeg/segmenter") == "removed-model", "it may come back, with its disk"
    finally:
        settings.remove("MyoScarSeg/segmenter")
