"""The first use on a fresh installation, without packages: an invitation, no error. Named by ``make test-application``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Testing.application.driver import HERE, running


def test_a_fresh_installation_invites_and_reports_no_error(tmp_path):
    pictures = Path(os.environ.get("PICTURES", "out/application"))
    with running(Path(os.environ["SLICER"]), tmp_path / "home", pictures, PYTHONPATH=str(HERE / "without_packages")) as slicer:
        if not slicer.ask("panel().advanced.something_missing"):
            pytest.skip("the packages are in this Slicer's own folder")
        slicer.press("sampleButton")
        slicer.until("panel().workflow.session is not None")
        slicer.ask("panel().boxes.draw(__import__('MyoScarSegLib.prompts', fromlist=['x']).Box(5, 90, 90, 120, 120))")
        slicer.rest()
        slicer.shot("first-use")
        assert slicer.ask("panel().status.error") == ""
        assert "packages" in slicer.ask("panel().ui.errorLabel.text")
        assert slicer.ask("[panel().ui.installButton.visible, panel().ui.copyLogButton.visible]") == [True, False]
        assert slicer.ask("panel().engine.state") == "stopped"
        slicer.press("proposeButton")
        slicer.until("panel().advanced._dialog is not None and panel().advanced._dialog.dialog.visible")
        slicer.until("'torch' in panel().advanced._dialog.text.text", 60)
        slicer.shot("first-use-install")
        assert slicer.ask("panel().status.error") == ""
        assert slicer.tracebacks() == ""
