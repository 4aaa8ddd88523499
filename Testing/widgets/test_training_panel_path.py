"""The whole way on the real form: studies corrected in the scene, added, trained, compared, and the model switched.

Scene, worker, background tasks and training are real, each in its process; only the networks are tiny.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.scene.study_session import StudySession

pytest.importorskip("accelerate")

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.train_settings import TrainSettings
from Testing.support.panel_kit import open_module
from Testing.support.run_factory import QUICK
from Testing.support.standins.pythonqt import unwrap
from Testing.support.tiny_training import write_start
from Testing.support.training_workflow_factory import add_ring_study

PATIENCE_S = 240.0


@pytest.fixture
def opened(application, tiny_detector, tmp_path, monkeypatch):
    """The module with a segmenter that has learned nothing, at its second tab; a folder chooser that gives ``library``."""
    start = write_start(tmp_path / "start.safetensors")
    with open_module(application, detector=tiny_detector, segmenter=start) as module:
        from MyoScarSegLib.widgets.training import library_section

        chosen = tmp_path / "library"
        monkeypatch.setattr(library_section.qt.QFileDialog._class, "getExistingDirectory", lambda *_: str(chosen), raising=False)
        module.start_model = start
        module.show_train()
        yield module
        application.scene.Clear(0)
        module.settle()


def add_study(module, number: int) -> None:
    """Correct a study in the scene, and add it with the button."""
    volume, _labels = add_ring_study(module.scene, number, scar=number != 2)
    module.ui.volumeSelector.setCurrentNode(volume)
    module.settle()
    module.click("addStudyButton")
    dialog = module.tab.library.dialog
    dialog.ui.addReaderEdit.text = "AB"
    dialog.add_button.click()
    module.until(lambda: len(module.training.state.rows) == number + 1 and not module.training.state.busy, what=f"study {number}")
    assert module.training.state.error == ""


def segmented(module, number: int) -> float:
    """Segment a study that nobody has trained on, with a box on each of its slices. Returns its Dice."""
    volume, labels = add_ring_study(module.scene, number)
    return segmented_with_boxes(module, volume, labels >= 3)


def segmented_with_boxes(module, volume, scar: np.ndarray) -> float:
    """Segment a volume with a reader's box around the scar of each slice. Returns the Dice."""
    session_node = module.ui.volumeSelector
    module.panel.show_tab(0)
    session_node.setCurrentNode(volume)
    module.until(lambda: module.workflow.volume_node is volume, what="the study")
    module.workflow.set_automatic(live=False)
    for k in np.flatnonzero(scar.any(axis=(1, 2))):
        rows, columns = np.nonzero(scar[k])
        module.panel.segment.boxes.draw(Box(int(k), columns.min() - 1.0, rows.min() - 1.0, columns.max() + 2.0, rows.max() + 2.0))
    module.settle()
    module.ui.overwriteCheckBox.checked = True
    module.click("segmentAllButton")
    module.until(lambda: not module.workflow.busy, PATIENCE_S, what="masks")
    assert module.workflow.error == ""
    found = module.session.mask()
    module.show_train()
    return dice(found, scar)


@pytest.mark.slow
def test_studies_from_the_scene_make_a_model_that_the_first_tab_uses(opened):
    module, ui = opened, opened.tab.ui
    assert not ui.addStudyButton.enabled
    module.click("chooseLibraryButton")
    for number in range(3):
        add_study(module, number)
    assert ui.caseTable.rowCount == 3
    segmented(module, 7)
    module.tab.train.fill(
        TrainSettings(start_segmenter=str(module.start_model), device="cpu", epochs=2, augmentation="none", options=QUICK)
    )
    module.click("startTrainButton")  # without a split: one is drawn
    module.until(lambda: module.training.state.run is not None, PATIENCE_S, what="start")
    module.until(lambda: module.training.state.status.state is not RunState.RUNNING, PATIENCE_S, what="end")
    assert module.training.state.status.state is RunState.FINISHED, module.training.state.status.error
    module.until(lambda: ui.patientTable.rowCount >= 1, what="comparison")
    assert ui.runStateLabel.text == "finished"
    assert ui.curvePicture.visible
    assert ui.example0.visible
    assert ui.verdictLabel.text
    unwrap(ui.patientTable).cellClicked.emit(0, 0)
    module.until(lambda: "blue the reader" in module.training.state.note, what="the worst slice")
    module.click("useModelButton")
    module.until(lambda: "start" not in str(module.workflow.settings.segmenter), PATIENCE_S, what="switch")
    name = str(module.workflow.settings.segmenter)
    assert module.ui.segmenterCombo.currentText == name, "the first tab shows it"
    assert name in ui.modelInUseLabel.text
    module.settle(0.3)
    assert str(module.workflow.settings.segmenter) == name, "the first tab's widgets do not take it back"
    segmented(module, 8)  # by the new model, which so tiny a network makes no better: the slow test below measures that
    assert str(module.workflow.settings.segmenter) == name


@pytest.mark.slow
@pytest.mark.weights
def test_five_phantoms_teach_a_general_model(application, real_cache, tmp_path, monkeypatch, capsys):
    """With the real networks: LiteMedSAM, which knows no scar, learns from five corrected studies, and draws the next one better.

    Quick mode and balanced preset, as a user starts them. Minutes on two cores; the figures are printed (``-s``).
    """
    from MyoScarSegLib.scene.lge_volumes import add_study as add_volume
    from MyoScarSegLib.widgets.training import library_section

    chosen = str(tmp_path / "library")
    monkeypatch.setattr(library_section.qt.QFileDialog._class, "getExistingDirectory", lambda *_: chosen, raising=False)
    with open_module(application, segmenter="litemedsam") as module:
        ui = module.tab.ui
        small = PhantomSettings(slices=6, slice_spacing_mm=14.0)
        phantoms = [p for p in (make_phantom(seed, settings=small) for seed in range(40, 70)) if p.scar.sum() > 200][:8]
        unseen = phantoms[5:]
        volumes = [add_volume(module.scene, phantom.study, f"unseen {n}") for n, phantom in enumerate(unseen)]
        before = [segmented_with_boxes(module, v, p.scar) for v, p in zip(volumes, unseen, strict=True)]
        module.show_train()
        module.click("chooseLibraryButton")
        for number in range(5):
            phantom = phantoms[number]
            volume = add_volume(module.scene, phantom.study, f"LGE {number}")
            session = StudySession.open(volume)
            session.segmentation.write_slices({k: phantom.scar[k] for k in range(6)})
            session.refresh()
            module.ui.volumeSelector.setCurrentNode(volume)
            module.until(lambda v=volume: module.workflow.volume_node is v, what="the study")
            module.settle()
            module.click("addStudyButton")
            module.tab.library.dialog.add_button.click()
            module.until(
                lambda n=number: len(module.training.state.rows) == n + 1 and not module.training.state.busy, what="adding"
            )
        module.tab.train.fill(TrainSettings(start_segmenter="litemedsam"))
        began = time.monotonic()
        module.click("startTrainButton")
        module.until(lambda: module.training.state.run is not None, PATIENCE_S, what="start")
        module.until(lambda: module.training.state.status.state is not RunState.RUNNING, 1800, what="end")
        seconds = time.monotonic() - began
        assert module.training.state.status.state is RunState.FINISHED, module.training.state.status.error
        module.until(lambda: ui.patientTable.rowCount >= 1, what="comparison")
        module.click("useModelButton")
        module.until(lambda: str(module.workflow.settings.segmenter) != "litemedsam", PATIENCE_S, what="switch")
        after = [segmented_with_boxes(module, v, p.scar) for v, p in zip(volumes, unseen, strict=True)]
        told = f"five phantoms, {seconds:.0f} s: Dice of unseen ones {np.round(before, 3)} before, {np.round(after, 3)} after"
        with capsys.disabled():
            sys.stdout.write(f"\n{told}\n")
        assert np.mean(after) > np.mean(before) + 0.1, told
        application.scene.Clear(0)
        module.settle()
