"""Bad moments: the panel says a plain sentence, the scene stays as it was, and the work goes on."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.engine import process_folder
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.installation.requirements import wanted
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.prompt_steps import apply_proposals
from MyoScarSegLib.utils.files import EMBEDDINGS, cache_folder
from Testing.support.panel_kit import add_volume
from Testing.support.standins.pythonqt import slot_errors, unwrap


@pytest.fixture
def study(module):
    """The module with a fresh study of many slices, so that work on it takes a while."""
    module.panel.segment.status.say_error("")
    for choice, name in (
        (module.panel.segment.advanced.detector, "detect"),
        (module.panel.segment.advanced.segmenter, "segment"),
    ):
        choice.add_file(module.models[name])
    module.begin(live=True, slices=12)
    module.until(lambda: module.engine.state in ("ready", "working"), what="worker")
    module.show_slice(1)
    return module


def boxed(module) -> None:
    """Boxes on every slice, without the detector."""
    apply_proposals(module.session, [Box(k, 12, 12, 50, 50, confidence=0.9, source="detector") for k in range(12)], {})
    module.settle()


def slow_worker(command, environment):
    """A worker that takes half a second longer over each slice."""
    from MyoScarSegLib.widgets.process import QProcessTransport

    program = (
        "import sys, time\n"
        "from MyoScarSegLib.detection.yolo import YoloDetector\n"
        "from MyoScarSegLib.segmentation.segmenter import Segmenter\n"
        "def slower(usual):\n"
        "    return lambda *a, **n: (time.sleep(0.5), usual(*a, **n))[1]\n"
        "Segmenter.predict, YoloDetector.detect_many = slower(Segmenter.predict), slower(YoloDetector.detect_many)\n"
        "import runpy\n"
        "sys.argv = ['worker'] + sys.argv[1:]\n"
        "runpy.run_module('MyoScarSegLib.engine.worker', run_name='__main__')\n"
    )
    return QProcessTransport([command[0], "-c", program, *command[3:]], environment)


@contextmanager
def slowly(study):
    """The work in this block is done by a slow worker, so that what comes in mid work finds it there."""
    process = study.engine._process
    factory, process._factory = process._factory, slow_worker
    try:
        study.engine.stop()
        study.engine.start()
        study.until(lambda: study.engine.state in ("ready", "working"), what="slow worker")
        yield lambda: setattr(process, "_factory", factory)
    finally:
        process._factory = factory


def test_without_a_volume_nothing_can_be_started_and_the_tooltips_say_why(module):
    module.scene.Clear(0)
    module.settle()
    for name in ("proposeButton", "segmentAllButton", "segmentSliceButton", "clearButton", "undoButton"):
        button = getattr(module.ui, name)
        assert not button.enabled
        assert "Choose an LGE volume first." in button.toolTip
    assert "Choose an LGE volume" in module.ui.statusLabel.text
    assert module.ui.volumeMlLabel.text == "–"


def test_cancel_stops_within_a_second_and_leaves_the_scene_as_it_was(study):
    with slowly(study):
        study.click("proposeButton")
        study.until(lambda: study.ui.progressPanel.visible and study.workflow.session.requests.progress[1], what="progress")
        study.click("cancelButton")
        assert study.workflow.busy == ""
    assert not study.ui.progressPanel.visible
    assert study.session.state.boxes == ()
    study.until(lambda: study.engine.state in ("ready", "working"), 5.0, what="worker after cancel")
    study.engine.stop()  # the slow worker
    study.engine.start()


def test_deleting_the_volume_while_segmenting_says_so(study):
    boxed(study)
    study.click("segmentAllButton")
    study.scene.RemoveNode(study.workflow.volume_node)
    study.settle(0.2)
    assert "deleted" in study.ui.errorLabel.text
    assert study.ui.errorFrame.visible
    assert study.session is None


@pytest.mark.slow
def test_killed_worker_is_said_and_asked_again(study):
    boxed(study)
    with slowly(study) as quick_again:
        study.click("segmentAllButton")
        study.until(
            lambda: study.workflow.session.requests.progress[1] == 12 and study.workflow.session.requests.progress[0] >= 1,
            what="progress of segmenting",
        )
        quick_again()
        os.kill(study.engine.status().pid, signal.SIGKILL)
        study.until(lambda: not study.workflow.busy, what="end of the action")
    assert "asked again" in study.ui.noteLabel.text
    assert not study.ui.errorFrame.visible
    assert len(study.session.state.boxes) == 12
    assert study.session.state.segmented == list(range(12))


def test_unusable_volume_is_said_and_its_name_stays(study):
    import slicer

    node = study.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "one slice")
    slicer.util.updateVolumeFromArray(node, np.zeros((1, 32, 32), dtype=np.float32))
    study.ui.volumeSelector.setCurrentNode(node)
    study.settle()
    assert study.ui.errorFrame.visible
    assert study.ui.errorLabel.text.endswith(".")
    assert study.ui.volumeSelector.currentNode() is node
    assert study.session is None


def test_packages_that_are_missing_bring_up_the_dialog_instead_of_an_error(study, monkeypatch):
    from MyoScarSegLib.widgets import packages

    asked = []
    monkeypatch.setattr(packages, "missing_now", lambda training: list(wanted()[:1]))
    own = study.panel.segment.packages
    monkeypatch.setattr(own, "show", lambda: asked.append(own._then[0]))
    study.click("proposeButton")
    study.settle()
    assert asked == ["propose"]
    assert study.workflow.busy == ""
    assert study.panel.segment.status.error == ""
    assert "not installed" in study.ui.errorLabel.text, "an invitation"
    assert study.ui.installButton.visible
    assert not study.ui.copyLogButton.visible
    monkeypatch.undo()
    assert study.panel.segment.advanced.ready()
    study.panel.segment.changed(Change.STATUS)
    study.settle()
    assert not study.ui.errorFrame.visible


def test_what_nobody_asked_for_waits_for_the_packages_and_then_goes_on(study, monkeypatch):
    from MyoScarSegLib.widgets import packages

    monkeypatch.setattr(packages, "missing_now", lambda training: ["torch"])
    monkeypatch.setattr(study.panel.segment.packages, "show", lambda: None)
    assert not study.panel.segment.advanced.ready()
    study.scene.Clear(0)
    study.settle()
    add_volume(study.scene, slices=3, seed=5)
    study.panel.segment.study.choose_likely()
    study.panel.segment.boxes.draw(Box(1, 12, 12, 50, 50))
    study.settle()
    assert study.workflow.session.requests.encoded == (0, 0)
    assert study.workflow.session.pending.slices == [1]
    assert study.engine.state == "ready", "nothing is asked of the worker"
    assert study.panel.segment.status.error == ""
    monkeypatch.undo()
    study.panel.segment.advanced.packages_changed()
    study.until(lambda: not study.workflow.session.pending.slices, what="the box's mask")
    study.until(lambda: study.workflow.session.requests.encoded[0] == 3, what="encoding")


def test_an_unexpected_error_is_told_with_its_log(study):
    def broken() -> None:
        remove()
        raise KeyError("k")

    remove = study.panel.backend.after_tick(broken)
    study.until(lambda: "KeyError" in study.ui.errorLabel.text, what="the sentence")
    assert slot_errors and "KeyError" in slot_errors.pop()
    assert study.ui.copyLogButton.visible
    study.click("copyLogButton")
    import qt

    assert "Traceback" in qt.QApplication.clipboard().text()
    study.panel.segment.status.say_error("")


def test_locked_segmentation_is_said_and_nothing_changes(study):
    boxed(study)
    study.click("segmentAllButton")
    study.until(lambda: not study.workflow.busy, what="masks")
    before = study.session.mask()
    node = study.session.segmentation.node
    node.SetSelectable(False)
    study.ui.thresholdSlider.value = 0.6
    study.settle()
    assert "locked" in study.ui.errorLabel.text
    assert study.ui.thresholdSlider.value == pytest.approx(0.5), "the slider shows what holds"
    assert np.array_equal(study.session.mask(), before)
    node.SetSelectable(True)


def test_what_was_chosen_is_there_after_a_restart(study):
    from MyoScarSegLib.widgets.panel_settings import Settings, ViewSettings

    study.ui.confidenceSlider.value = 0.4
    study.ui.opacitySlider.value = 0.3
    study.ui.liveCheckBox.checked = False
    study.ui.numbersSection.collapsed = True
    study.settle()
    assert Settings().load(EngineSettings).confidence == pytest.approx(0.4)
    assert Settings().load(ViewSettings) == ViewSettings(live=False, opacity=0.3)
    assert Settings().flag("numbersCollapsed", False)
    study.click("confidenceResetButton")
    assert study.panel.segment.advanced.engine_settings().confidence is None
    assert Settings().load(EngineSettings).confidence is None
    study.ui.liveCheckBox.checked = True
    study.ui.numbersSection.collapsed = False
    study.ui.opacitySlider.value = 0.5


def test_settings_of_the_form_reach_the_worker_the_folder_and_the_next_start(study, tmp_path, monkeypatch):
    from MyoScarSegLib.widgets.panel_settings import ENGINE_WIDGETS, Settings, fill_form

    given = []

    class Begun(Exception):
        pass

    def folder_task(_inputs, _output, settings, **_named):
        given.append(settings)
        raise Begun

    monkeypatch.setattr(process_folder, "folder_task", folder_task)
    (tmp_path / "study.nrrd").touch()
    before = study.panel.segment.advanced.engine_settings()
    chosen = replace(
        before, threads=2, prompts_at_once=5, cache_mib=128, cache_folder=str(cache_folder() / EMBEDDINGS), trust=True
    )
    fill_form(study.ui, ENGINE_WIDGETS, chosen)
    study.settle()
    assert study.workflow.settings == chosen
    with pytest.raises(Begun):
        study.panel.backend.console.processFolder(tmp_path, tmp_path / "out")
    assert given == [chosen]
    assert Settings().load(EngineSettings) == chosen
    assert (study.ui.threadsSpinBox.minimum, study.ui.batchSpinBox.maximum, study.ui.cacheSpinBox.minimum) == (0, 64, 64)
    fill_form(study.ui, ENGINE_WIDGETS, before)
    study.settle()
    assert study.workflow.settings == before


def test_the_reason_for_the_choice_follows_the_name_of_the_volume(study):
    name = study.session.volume_node.GetName()
    assert study.ui.reasonLabel.text.startswith(f"{name}: ")
    study.session.volume_node.SetName("P07 LGE SAX")
    assert study.ui.reasonLabel.text.startswith("P07 LGE SAX: ") and "its name says short axis" in study.ui.reasonLabel.text


def test_sample_data_is_a_study_to_try(study):
    study.click("sampleButton")
    study.until(lambda: "phantom" in study.ui.reasonLabel.text, what="phantom")
    assert "10 slices" in study.ui.factsLabel.text
    assert study.ui.sampleButton.enabled


def test_chosen_model_that_is_gone_is_said(study):
    before = study.workflow.settings
    study.workflow.configure(replace(before, detector="removed-detector", segmenter="removed-model"))
    study.panel.segment.advanced.follow_models()
    study.settle()
    for gone in ("removed-detector", "removed-model"):
        assert f"{gone} is not there any more" in study.ui.errorLabel.text
    assert study.workflow.settings.segmenter is study.workflow.settings.detector is None, "what is used is what is said"
    study.workflow.configure(before)
    study.panel.segment.advanced.follow_models()
    study.panel.segment.status.say_error("")


def test_the_panel_waits_for_nothing_while_the_worker_works_or_crashes(study):
    """During background encoding, proposing, segmenting, cancelling and a crash of the worker."""
    with study.watched() as waits:
        study.click("proposeButton")
        study.until(lambda: not study.workflow.busy, what="proposals")
        study.click("segmentAllButton")
        study.until(lambda: not study.workflow.busy, what="masks")
        study.click("segmentAllButton")
        study.click("cancelButton") if study.workflow.busy else None
        study.until(lambda: study.engine.state in ("ready", "working"), what="worker after cancel")
        os.kill(study.engine.status().pid, signal.SIGKILL)
        study.until(lambda: study.engine.state in ("ready", "working") and study.engine.status().pid, what="a new worker")
    assert waits == []


def test_the_panel_is_never_lower_than_its_wrapped_texts_need(study):
    form = unwrap(study.panel.form)
    study.panel.segment.status.say_error("A sentence that takes several lines of a narrow panel, one after the other. " * 4)
    study.settle()
    label = unwrap(study.ui.errorLabel)
    assert form.minimumHeight() == form.heightForWidth(form.width()) > form.minimumSizeHint().height()
    form.resize(form.width(), 10)
    study.settle()
    assert label.height() >= label.heightForWidth(label.width())
    study.panel.segment.status.say_error("")
    study.settle()
    assert form.minimumHeight() == form.heightForWidth(form.width())
