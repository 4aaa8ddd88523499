"""The first use on a fresh installation, without packages: an invitation, no error; and what other modules show of ours.

Named by ``make test-application``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Testing.application.driver import HERE, running


def test_a_fresh_installation_invites_and_reports_no_error(tmp_path):
    pictures = Path(os.environ.get("PICTURES", "out/application"))
    with running(Path(os.environ["SLICER"]), tmp_path / "home", pictures, PYTHONPATH=str(HERE / "without_packages")) as slicer:
        if not slicer.ask("panel().segment.packages.missing"):
            pytest.skip("the packages are in this Slicer's own folder")
        slicer.press("sampleButton")
        slicer.until("panel().workflow.session is not None")
        slicer.ask("panel().segment.boxes.draw(__import__('MyoScarSegLib.prompts', fromlist=['x']).Box(5, 90, 90, 120, 120))")
        slicer.rest()
        slicer.shot("first-use")
        assert slicer.ask("panel().segment.status.error") == ""
        assert "packages" in slicer.ask("panel().segment.ui.errorLabel.text")
        assert slicer.ask("[panel().segment.ui.installButton.visible, panel().segment.ui.copyLogButton.visible]") == [True, False]
        assert slicer.ask("panel().engine.state") == "stopped"
        slicer.press("proposeButton")
        slicer.until("panel().segment.packages._dialog is not None and panel().segment.packages._dialog.dialog.visible")
        slicer.until("'torch' in panel().segment.packages._dialog.ui.installText.text", 60)
        slicer.shot("first-use-install")
        assert slicer.ask("panel().segment.status.error") == ""
        assert slicer.tracebacks() == ""


TREE = "next(w for w in slicer.util.mainWindow().findChildren('qMRMLSubjectHierarchyTreeView') if w.visible)"
MENU = "slicer.app.activePopupWidget()"


def test_a_volume_in_the_tree_of_data_leads_to_the_module_and_its_folder_is_ours(tmp_path):
    pictures = Path(os.environ.get("PICTURES", "out/application"))
    with running(Path(os.environ["SLICER"]), tmp_path / "home", pictures, PYTHONPATH=str(HERE / "without_packages")) as slicer:
        slicer.press("sampleButton")
        slicer.until("panel().workflow.session is not None")
        slicer.ask("panel().segment.boxes.draw(__import__('MyoScarSegLib.prompts', fromlist=['x']).Box(5, 90, 90, 120, 120))")
        slicer.rest()
        slicer.ask("panel().workflow.select(None)")
        slicer.ask("slicer.util.selectModule('Data')")
        slicer.until(f"{TREE}.visible")
        items = "slicer.mrmlScene.GetSubjectHierarchyNode()"
        volume = f"{items}.GetItemByDataNode(slicer.util.getNodesByClass('vtkMRMLScalarVolumeNode')[0])"
        folder = f"{items}.GetItemParent({items}.GetItemByDataNode(slicer.util.getNodesByClass('vtkMRMLMarkupsROINode')[0]))"
        assert slicer.ask(f"{items}.GetItemOwnerPluginName({folder})") == "MyoScarSeg"
        slicer.click_at(*slicer.ask(f"row({TREE}, {volume})"), button=3)
        slicer.until(f"{MENU} is not None")
        slicer.shot("data-tree")
        slicer.click_at(*slicer.ask(f"entry({MENU}, 'segmentScarAction')"))
        slicer.until("slicer.util.selectedModule() == 'MyoScarSeg' and panel().workflow.session is not None")
        assert slicer.tracebacks() == ""
