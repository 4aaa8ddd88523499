"""What a model that sees the wall brings, over a worker without networks: boxes beside confirmed scar, a wall with the masks."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.engine.worker_process import EngineStatus
from MyoScarSegLib.prompts import BESIDE, Box, BoxState
from MyoScarSegLib.scene.guidance import why_not
from MyoScarSegLib.scene.prompt_steps import add_box, update_box
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.workflow import Workflow
from Testing.support.engine_factory import FaultyEngine
from Testing.support.session_factory import replace_segment
from Testing.support.volume_factory import add_volume
from Testing.support.workflow_factory import catch_up, finish, pump_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults are signals")
DRAWN = Box(2, 8, 8, 20, 24)


@pytest.fixture
def workflow(scene, tmp_path):
    """A study of five slices with scar on each, of which the reader drew a box round one."""
    engine = FaultyEngine(tmp_path)
    workflow = Workflow(scene, engine)
    voxels = np.random.default_rng(0).normal(100, 10, (5, 32, 32)).astype(np.float32)
    voxels[:, 10:20, 12:18] = 300
    workflow.select(add_volume(scene, voxels, np.diag([-1.5, -1.5, 10.0, 1.0]), "LGE"))
    add_box(workflow.session, DRAWN)
    catch_up(workflow)
    yield workflow
    workflow.close()
    engine.stop()


def test_suggested_boxes_are_an_offer_until_they_are_accepted(workflow):
    session = workflow.session
    before, mask = session.state, session.mask()
    assert finish(workflow, session.requests.suggest(2)) == [1, 3]
    assert workflow.note == "2 boxes suggested, on slices 1, 3. They count once you accept them."
    offered = [row for row in session.state.boxes if row not in before.boxes]
    assert [(row.box.slice, row.box.xyxy, row.box.state) for row in sorted(offered, key=lambda row: row.box.slice)] == [
        (1, (12, 10, 18, 20), BoxState.PROPOSED),
        (3, (12, 10, 18, 20), BoxState.PROPOSED),
    ]
    assert all(row.box.source.endswith(BESIDE) for row in offered)
    finish(workflow, session.requests.segment())
    assert np.array_equal(session.mask(), mask), "Segment all leaves offers alone"
    update_box(session, offered[0].id, state=BoxState.ACCEPTED)
    catch_up(workflow)
    assert [k for k in range(5) if session.mask()[k].any()] == sorted({2, offered[0].box.slice})


def test_where_nothing_continues_or_a_box_is_already_that_is_said_and_there_is_nothing_to_undo(workflow):
    session = workflow.session
    finish(workflow, session.requests.suggest(2))
    entries = len(session.history.labels)
    assert finish(workflow, session.requests.suggest(2)) == []
    assert workflow.note == "Nothing continues beside slice 2 where there is no box yet."
    assert len(session.history.labels) == entries
    session.undo()
    assert [row.box for row in session.state.boxes] == [DRAWN], "all suggestions were one step"


def test_suggesting_is_refused_where_the_reader_confirmed_nothing(workflow, monkeypatch):
    session = workflow.session
    for k, words in ((1, "Accept or correct"), (2, "")):
        assert words in why_not("suggest", session, k)
    refused = session.requests.suggest(1)
    assert refused.state == "failed" and "Accept or correct the scar of this slice first" in workflow.error
    known = EngineStatus("ready", "python", knows_tissue=False)
    monkeypatch.setattr(workflow.engine, "status", lambda: known)
    assert "does not look at neighboring slices" in why_not("suggest", session, 2)
    monkeypatch.setattr(workflow.engine, "status", lambda: replace(known, knows_tissue=True))
    assert why_not("suggest", session, 2) == ""


@pytest.mark.parametrize("end", ["cancel", "fault"])
def test_a_question_that_is_cancelled_or_fails_leaves_all_as_it_was(workflow, end):
    before = workflow.session.state
    workflow.engine.order("suggest", "sleep 0.5" if end == "cancel" else "unexpected")
    action = workflow.session.requests.suggest(2)
    assert workflow.busy == "suggest"
    if end == "cancel":
        workflow.cancel()
    pump_until(workflow, lambda: action.finished, "the end")
    assert action.state == ("cancelled" if end == "cancel" else "failed")
    assert end == "cancel" or "Suggesting boxes failed" in workflow.error
    assert workflow.session.state == before and workflow.busy == ""
    assert finish(workflow, workflow.session.requests.suggest(2)) == [1, 3]


def test_a_slice_that_the_reader_painted_gets_no_box(workflow):
    mask = workflow.session.mask()
    mask[3, 4:6, 4:6] = True
    replace_segment(workflow.session, mask)
    assert workflow.session.state.confirmed == [2, 3]
    assert finish(workflow, workflow.session.requests.suggest(2)) == [1, 4]
    assert workflow.attempt(StudySession.undo) == "Suggest boxes"


@pytest.mark.parametrize("fault", ["", "unexpected"], ids=["seen", "fails"])
def test_the_wall_comes_with_all_masks_as_one_step_and_costs_them_nothing_if_it_fails(workflow, monkeypatch, fault):
    session = workflow.session
    monkeypatch.setattr(workflow.engine, "status", lambda: EngineStatus("ready", "python", knows_tissue=True))
    if fault:
        workflow.engine.order("ventricle", fault)
    assert list(finish(workflow, session.requests.process())) == []
    assert session.mask().any() and session.state.ventricle.has_wall == (not fault)
    assert ("division by zero" in workflow.note) == bool(fault)
    assert session.provenance.get("wall") == (None if fault else "numpy")
    assert session.undo() and not session.state.ventricle.has_wall and len(session.state.boxes) == 1
