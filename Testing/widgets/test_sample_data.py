"""Slicer's module Sample Data offers the phantom, made here, and the way to EMIDEC with its license."""

from __future__ import annotations

import sys
import types

import pytest


@pytest.fixture
def offered(opened, monkeypatch):
    """The entries by name, as the module Sample Data would be told of them."""
    from MyoScarSegLib.widgets import sample_data

    found = {}

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            category, sampleName, uris, fileNames, nodeNames, customDownloader, thumbnailFileName
        ):  # fmt: skip
            assert all(isinstance(text, str) for text in (uris, fileNames, nodeNames)), "Slicer makes lists of texts only"
            found[sampleName] = (category, customDownloader, thumbnailFileName)

    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=SampleDataLogic))
    sample_data.register()
    return found


def test_the_phantom_comes_into_the_scene_as_a_study(opened, offered):
    category, get, thumbnail = offered["LGEPhantom"]
    assert (category, thumbnail.endswith("MyoScarSeg.png")) == ("MyoScarSeg", True)
    (node,) = get(None)
    assert node.GetScene() is opened.scene
    opened.panel.segment.study.choose_likely()
    assert opened.workflow.volume_node is node
    opened.scene.Clear(0)
    opened.settle()


@pytest.mark.parametrize("agrees", [True, False])
def test_emidec_is_named_with_address_and_license_and_opened_only_if_the_user_agrees(offered, monkeypatch, agrees):
    import qt
    import slicer

    asked, opened_pages = [], []
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda text: asked.append(text) or agrees, raising=False)
    monkeypatch.setattr(
        qt, "QDesktopServices", types.SimpleNamespace(openUrl=lambda url: opened_pages.append(url)), raising=False
    )
    assert offered["LGEEmidec"][1](None) == []
    assert "https://emidec.com/dataset" in asked[0]
    assert "CC BY-NC-SA 4.0" in asked[0]
    assert len(opened_pages) == agrees
