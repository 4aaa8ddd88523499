"""A tiny run, planned and done, for all tests of runs."""

from __future__ import annotations

import pytest

from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_process import carry_out
from MyoScarSegLib.training.runs.run_status import RunStatus, read_status
from Testing.support.run_factory import copy_of, tiny_run


@pytest.fixture(scope="session")
def planned(tmp_path_factory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("planned"))


@pytest.fixture(scope="session")
def run_cache(tmp_path_factory):
    """The cache of all runs, so that embeddings are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def told() -> list[RunStatus]:
    """What the status of the whole run said on the way."""
    return []


@pytest.fixture(scope="session")
def whole(planned, run_cache, told, tmp_path_factory) -> Run:
    """Done in one go."""
    run = copy_of(planned, tmp_path_factory.mktemp("whole"))

    def progress(done: int, total: int, message: str) -> None:
        assert run.alive()
        told.append(read_status(run.folder))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYOSCARSEG_CACHE", str(run_cache))
        carry_out(run, progress=progress)
    return run


@pytest.fixture
def own(run_cache, monkeypatch) -> None:
    """Runs of this process use the cache of all runs."""
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(run_cache))
