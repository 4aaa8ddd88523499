"""While nobody asks for anything the module does nothing: no timer after it was left, one turn a second while it is seen."""

from __future__ import annotations

import threading

import pytest

from MyoScarSegLib.scene.mask_steps import set_threshold
from MyoScarSegLib.scene.training import library_watch
from Testing.support.panel_kit import add_volume, open_module


@pytest.fixture(scope="module")
def opened(application):
    with open_module(application, enter=False) as module:
        module.workflow.set_automatic(waits=True)  # no worker: that it says nothing at rest is tested with the engine
        yield module


@pytest.fixture
def module(opened):
    opened.scene.Clear(0)
    opened.panel.show_tab(0)
    opened.widget.enter()
    return opened


@pytest.fixture
def backend(module):
    return module.panel.backend


def rests(module, interval_ms: int) -> None:
    module.until(lambda: module.panel.backend.interval_ms == interval_ms, 20.0, what=f"{interval_ms} ms between two turns")


def test_one_turn_a_second_while_the_module_is_seen_and_none_after_it_was_left(module, backend):
    rests(module, 1000)
    module.workflow.select(add_volume(module.scene))
    assert backend.interval_ms == 10
    rests(module, 1000)
    module.widget.exit()
    rests(module, 0)
    assert not backend._timer.active
    module.widget.enter()
    assert backend.interval_ms == 10
    rests(module, 1000)


def test_what_is_done_from_elsewhere_wakes_a_module_that_was_left(module, backend):
    module.workflow.select(add_volume(module.scene))
    module.workflow.session.segmentation.write_slices({1: module.workflow.session.mask()[1] | True})
    rests(module, 1000)
    module.widget.exit()
    rests(module, 0)
    edited = module.workflow.session.state.edited
    assert edited == [1]
    module.workflow.session.segmentation.write_slices({2: module.workflow.session.mask()[1]})
    assert backend.interval_ms == 10
    rests(module, 0)
    assert module.workflow.session.state.edited == [1, 2]
    assert "2" in module.workflow.session.history.undo_label


def test_the_files_of_library_and_trainings_are_looked_at_only_while_the_training_tab_is_seen(module, backend, monkeypatch):
    looks = []
    monkeypatch.setattr(module.training.library, "look", lambda **_: looks.append("library") or True)
    monkeypatch.setattr(module.training.run_files, "look", lambda **_: looks.append("runs"))
    backend.wake()
    module.settle()
    assert not looks
    module.show_train()
    assert set(looks) == {"library", "runs"}
    module.panel.show_tab(0)
    looks.clear()
    module.settle()
    assert not looks
    module.show_train()
    module.widget.exit()
    looks.clear()
    module.settle()
    assert not looks


def test_the_library_of_the_last_time_is_not_touched_before_it_is_seen(module, backend, tmp_path, monkeypatch):
    opened = []
    module.training.kept_folder = tmp_path
    monkeypatch.setattr(module.training, "open_library", opened.append)
    module.panel.enter()
    module.settle()
    assert not opened
    module.show_train()
    assert opened == [tmp_path]


def test_of_a_slider_the_first_value_is_applied_at_once_and_then_one_at_each_turn(module, backend, monkeypatch):
    module.workflow.select(add_volume(module.scene))
    module.settle()
    applied = []
    verb = set_threshold

    def counted(session, threshold, **named):
        applied.append(round(threshold, 2))
        return verb(session, threshold, **named)

    monkeypatch.setattr("MyoScarSegLib.widgets.scar_section.set_threshold", counted)
    for percent in range(51, 71):
        module.ui.thresholdSlider.value = percent / 100
    assert applied == [0.51]
    module.settle()
    assert applied == [0.51, 0.7] and module.session.state.threshold == pytest.approx(0.7)
    assert module.ui.thresholdSlider.value == pytest.approx(0.7)
    assert module.session.history.labels == ["Threshold"], "a drag is one step to undo"


def test_a_library_that_does_not_answer_holds_nothing_up_and_is_asked_once(module, backend, tmp_path, monkeypatch):
    module.training.open_library(tmp_path / "library", create=True)
    hangs, asked, training = threading.Event(), [], module.training
    now = [training.library._clock() + 10]
    monkeypatch.setattr(training.library, "_clock", lambda: now[0])
    monkeypatch.setattr(
        library_watch, "signature", lambda library: asked.append(threading.current_thread()) or hangs.wait(60) or ()
    )
    looks = []
    monkeypatch.setattr(training.run_files, "look", lambda **_: looks.append(1))
    module.training.watching = True
    try:
        for _ in range(20):
            module.training.pump()
            now[0] += 1
        assert len(asked) == 1 and asked[0] is not threading.main_thread()
        assert not looks, "nor are its trainings looked at, which lie on the same disk"
        assert not training.library.looking, "and there is no hurry to ask again"
    finally:
        hangs.set()
        module.training.watching = False
