"""What the tests of the scene layer share: a training workflow on a real scene, and a library of rings."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.run_status import RunState
from Testing.support.run_factory import environment, write_library
from Testing.support.training_workflow_factory import Pumped, idle_workflow


@pytest.fixture(autouse=True)
def no_error_in_an_observer(capsys):
    """An error within one of MRML's callbacks is printed and lost: no test may leave one."""
    yield
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture
def session(volume):
    """The study of a test file's ``volume``."""
    session = StudySession.open(volume)
    yield session
    session.close()


@pytest.fixture
def training(scene, tmp_path, monkeypatch):
    """A training workflow whose first tab's engine does nothing."""
    models = str(tmp_path / "models")
    monkeypatch.setenv("MYOSCARSEG_MODELS", models)
    workflow = idle_workflow(scene)
    made = TrainingWorkflow(scene, workflow, environment=environment(tmp_path, MYOSCARSEG_MODELS=models))
    yield made
    run = made.state.run
    if run is not None and run.status().state is RunState.RUNNING and run.status().pid:
        os.kill(run.status().pid, signal.SIGKILL)
    made.close()
    workflow.close()


@pytest.fixture
def pumped(training):
    """What pumps it until something is so."""
    return Pumped(training)


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """The folder of a library of five patients, not to be written into."""
    return write_library(tmp_path_factory.mktemp("filled") / "library").folder


@pytest.fixture
def library(filled, tmp_path):
    """A library of five patients of one's own."""
    return Library.open(shutil.copytree(filled, tmp_path / "library"))
