"""What a long session of work must not pile up: studies that live on, updates done many times over, scans of the scene."""

from __future__ import annotations

import gc

import pytest

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.study_nodes import StudyNodes
from MyoScarSegLib.scene.workflow import Workflow
from Testing.session_factory import add_transform, add_volume, random_matrix

slicer = pytest.importorskip("slicer")

BOX = Box(2, 10, 8, 30, 30)
STEPS = 30


@pytest.fixture
def workflow(scene):
    workflow = Workflow(scene, Engine())
    workflow.waits = True  # nothing is asked of a worker
    yield workflow
    workflow.close()


@pytest.fixture
def volume(scene):
    return add_volume(scene, (6, 40, 48), random_matrix(2, (1.4, 1.4, 10.0)))


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, StudySession) for one in gc.get_objects())


def test_a_volume_that_is_moved_many_times_has_one_study_and_an_edit_is_one_update(workflow, scene, volume, monkeypatch):
    before = alive()
    transform = add_transform(scene, 1)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert workflow.select(volume)
    workflow.pump()
    for step in range(STEPS):
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(random_matrix(step, (1.0, 1.0, 1.0))))
        workflow.pump()
        assert workflow.session.is_current()
    updates = []
    monkeypatch.setattr(StudyNodes, "settle", lambda *_: updates.append(1))
    workflow.add_box(BOX)
    assert len(updates) == 1
    box_id = workflow.session.boxes.rows()[0].id
    updates.clear()
    slicer.util.arrayFromVolumeModified(volume)  # what is not moved stays as it is
    workflow.pump()
    workflow.session.boxes.update(box_id, x0=12.0)  # from outside of the workflow: noticed by whoever observes
    assert len(updates) == 1
    assert alive() - before == 1


def test_a_study_that_nobody_holds_any_more_is_freed_without_a_word(volume):
    before = alive()
    session = StudySession.open(volume)
    session.add_box(BOX)
    del session
    assert alive() == before
