"""Several workers by Dask: what they are allowed to listen on, a death in the middle, cancel, and a scheduler that is given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from MyoScarSegLib.batch.cluster import WORKER_ENDED, ClusterChoice, _client, _outcome_of, _outcomes, segment_on_cluster
from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.job import CANCELLED, FAILED, NOT_BEGUN, Item, Job, Outcome
from MyoScarSegLib.batch.runner import segment_all
from MyoScarSegLib.batch.study_work import StudyWork
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.outputs.case_folders import CaseFolders, place_of
from MyoScarSegLib.utils.memory import HEAP_ENVIRONMENT
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.command import REPOSITORY, array_of, table, voxels, write_image
from Testing.support.until import until


@pytest.fixture
def networks(tiny_detector, tiny_segmenter) -> EngineSettings:
    return EngineSettings(detector=tiny_detector, segmenter=tiny_segmenter, device="cpu", threads=1)


def studies(folder: Path, number: int) -> list[Path]:
    return [write_image(folder / f"P{n}.nii.gz", voxels(n, (3, 64, 64))) for n in range(number)]


def test_without_dask_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"myoscarseg\[cluster\]"):
        segment_on_cluster(Job([], tmp_path), EngineSettings(), ClusterChoice(2))


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"scheduler": "tls://host:1"}, "all three"),
        ({"scheduler": "tls://host:1", "tls_ca": Path(__file__)}, "all three"),
        (
            {"scheduler": "tls://host:1", **dict.fromkeys(("tls_ca", "tls_cert", "tls_key"), Path("no.pem"))},
            "no file",
        ),
        ({"tls_ca": Path(__file__)}, "for a --scheduler"),
    ],
)
def test_tls_files_that_do_not_fit_are_named(tmp_path, where, words):
    with pytest.raises(EngineError, match=words):
        segment_on_cluster(Job((), tmp_path), EngineSettings(), ClusterChoice(**where))


def test_a_given_scheduler_without_tls_is_warned_of():
    assert "not encrypted" in ClusterChoice(scheduler="tcp://host:8786").warning
    assert ClusterChoice(scheduler="tls://host:8786", tls_ca=Path("ca.pem")).warning == ClusterChoice(2).warning == ""


def test_a_worker_that_is_killed_as_it_starts_is_a_sentence(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def killed(**_options):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(distributed, "LocalCluster", killed)
    with pytest.raises(EngineError, match=r"Nanny failed to start\. Try fewer --workers"):
        segment_on_cluster(Job([], tmp_path), EngineSettings(), ClusterChoice(2))


@pytest.mark.slow
def test_a_worker_keeps_no_profile_and_has_one_heap_that_keeps_its_memory():
    """Both grew with every study, or cleared the same pages for each; see research/cohort."""
    with _client(ClusterChoice(1), 1) as client:
        (told,) = client.run(_told_in_worker).values()
    assert told == {"profile": False, **{name: str(value) for name, value in HEAP_ENVIRONMENT.items()}}


def test_a_cancel_ends_also_where_no_worker_is_left_to_end_the_studies_in_hand(monkeypatch):
    """A second Ctrl-C, or a lack of memory, may have ended all of them."""
    distributed = pytest.importorskip("distributed")
    cancel, items = CancelToken(), [Item(n, Path(f"P{n}"), f"P{n}") for n in range(5)]
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        submit = client.submit

        def submit_and_interrupt(*arguments, **options):
            cancel.cancel()
            return submit(*arguments, **options)

        monkeypatch.setattr(client, "submit", submit_and_interrupt)
        ended = {
            outcome.case: (outcome.status, outcome.message)
            for outcome in _outcomes(client, "studies", items, pytest.fail, cancel)
        }
    assert set(ended) == {item.wanted_name for item in items}
    assert {status for status, _ in ended.values()} == {CANCELLED}
    assert {message for _, message in ended.values()} == {WORKER_ENDED, NOT_BEGUN}


def test_two_runs_on_a_given_cluster_have_their_own_results_and_leave_no_networks_there(tmp_path, networks):
    """Nor does a run whose client was killed, from the next one on."""
    distributed = pytest.importorskip("distributed")
    from MyoScarSegLib.batch.dask_worker import StudyPlugin

    one, two = (Job(studies(tmp_path / name, 4), tmp_path / f"out-{name}", cohort=True) for name in ("one", "two"))
    other: list[Outcome] = []

    with distributed.LocalCluster(1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=None) as cluster:
        where = ClusterChoice(scheduler=cluster.scheduler_address)
        (worker,) = cluster.workers.values()

        def run_another(_outcome):
            if not other:
                other.extend(segment_on_cluster(two, networks, where))

        with distributed.Client(cluster) as killed:
            killed.register_plugin(StudyPlugin("killed", one, networks))
            assert len(ours(worker)) == 1
        assert [o.status for o in segment_on_cluster(one, networks, where, ended=run_another)] == ["done"] * 4
        assert ours(worker) == []
    assert [o.status for o in other] == ["done"] * 4
    for job in (one, two):
        places = {place_of(path) for path in job.inputs}
        assert {record.place_sha256 for record in Cohort(job.out).records()} == places


def ours(worker) -> list[str]:
    return [name for name in worker.plugins if name.startswith("myoscarseg")]


@pytest.mark.parametrize("cohort", [True, False])
def test_a_study_that_ends_its_worker_each_time_fails_and_has_a_record_that_is_tried_again(tmp_path, networks, cohort):
    pytest.importorskip("distributed")
    from distributed.scheduler import KilledWorker

    job = Job(tuple(studies(tmp_path, 1)), tmp_path / "out", cohort=cohort)
    with CaseFolders(job.out).locked():
        pass  # as a run of a cohort has it before the first study
    (item,) = job.items()
    work = StudyWork(job, networks.pipeline())
    killed = SimpleNamespace(status="error", exception=lambda: KilledWorker("study-0", None, 3))
    outcome = _outcome_of(killed, item, work.gave_up)
    assert (outcome.case, outcome.status, outcome.number) == ("P0", FAILED, 0) and "more memory" in outcome.message
    records = Cohort(job.out).records()
    assert [(r.case, r.state, r.cause) for r in records] == ([("P0", FAILED, "KilledWorker")] if cohort else [])
    again = StudyWork(replace(job, resume=cohort), networks.pipeline()).read(item)
    assert again.outcome is None and again.study is not None


def _told_in_worker() -> dict:
    import os

    import dask

    heap = {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}
    return {"profile": dask.config.get("distributed.worker.profile.enabled"), **heap}


@pytest.mark.slow
def test_two_workers_give_what_one_gives_and_a_killed_one_costs_nothing(tmp_path, networks):
    inputs = studies(tmp_path / "in", 10)
    segment_all(Job(inputs, tmp_path / "one"), networks.pipeline())
    killed: list[int] = []
    listening: set[str] = set()

    def look(_outcome):
        ours = psutil.Process().children(recursive=True)
        for process in (psutil.Process(), *ours):
            with suppress(psutil.NoSuchProcess):  # the one that was killed, as long as nobody has looked for its end
                listening.update(c.laddr.ip for c in process.net_connections("inet") if c.status == "LISTEN")
        if not killed:
            alive = [process for process in ours if process.status() != psutil.STATUS_ZOMBIE]  # as another test may have left
            workers = [process for process in alive if "spawn_main" in " ".join(process.cmdline())]
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    outcomes = segment_on_cluster(Job(inputs, tmp_path / "two", cohort=True), networks, ClusterChoice(2), ended=look)
    assert killed and listening == {"127.0.0.1"}
    assert [(o.case, o.status) for o in outcomes] == [(f"P{n}", "done") for n in range(10)]
    for n in range(10):
        for name in ("scar.nii.gz", "probability.nii.gz"):
            assert (array_of(tmp_path / f"one/P{n}" / name) == array_of(tmp_path / f"two/P{n}" / name)).all()
    assert len(table(tmp_path / "two/results.csv")) == 10 == len(list((tmp_path / "two").glob("*/record.json")))


@pytest.mark.slow
def test_a_cancel_ends_within_a_study_and_the_rest_is_resumed(tmp_path, networks):
    inputs, cancel = studies(tmp_path / "in", 12), CancelToken()
    outcomes = segment_on_cluster(
        Job(inputs, tmp_path / "out", cohort=True), networks, ClusterChoice(2), cancel=cancel, ended=lambda _: cancel.cancel()
    )
    done = [o.case for o in outcomes if o.status == "done"]
    assert 1 <= len(done) <= 6 and len(outcomes) == 12 and {o.status for o in outcomes} == {"done", "cancelled"}
    again = segment_all(Job(inputs, tmp_path / "out", cohort=True, resume=True), networks.pipeline())
    assert {o.case for o in again if o.before} == set(done) and all(o.status == "done" for o in again)


class GivenCluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        self.address_file = folder / "scheduler.json"
        common = ["--scheduler-file", self.address_file]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": folder}
        run = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        self.scheduler = subprocess.Popen([*run, *common, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], **quiet)
        run = [sys.executable, "-m", "distributed.cli.dask_worker"]
        options = ["--nthreads", "2", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", folder]
        self.workers = [subprocess.Popen([*run, *common, *options], **quiet) for _ in range(2)]
        until(self._address, "the scheduler has not started")
        self.address = self._address()

    def _address(self) -> str:
        try:
            return str(json.loads(self.address_file.read_text())["address"])
        except (OSError, ValueError):  # not there yet, or just being written
            return ""

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_a_scheduler_that_is_given_and_then_killed_loses_nothing_that_was_finished(tmp_path, networks):
    (tmp_path / "dask").mkdir()
    cluster = GivenCluster(tmp_path / "dask")
    try:
        where = ClusterChoice(scheduler=cluster.address)
        few = studies(tmp_path / "few", 4)
        outcomes = segment_on_cluster(Job(few, tmp_path / "first", cohort=True), networks, where)
        assert [o.status for o in outcomes] == ["done"] * 4
        many = studies(tmp_path / "in", 12)
        job = Job(many, tmp_path / "out", cohort=True)

        def kill_later() -> None:
            while len(Cohort(job.out).records()) < 3:
                time.sleep(0.05)
            cluster.scheduler.kill()

        threading.Thread(target=kill_later, daemon=True).start()
        with pytest.raises(EngineError, match="--resume"):
            segment_on_cluster(job, networks, where)
    finally:
        cluster.end()
    finished = {record.case for record in Cohort(job.out).records()}
    assert 3 <= len(finished) < 12
    again = segment_all(Job(many, job.out, cohort=True, resume=True), networks.pipeline())
    assert {o.case for o in again if o.before} >= finished and len(list(job.out.glob("*/case.json"))) == 12
