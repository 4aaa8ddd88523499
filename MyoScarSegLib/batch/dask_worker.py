"""What runs in a Dask worker: its networks are loaded once, and its studies take turns."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import cast

from distributed import Scheduler, Worker, WorkerPlugin, get_worker

from MyoScarSegLib.batch.job import CANCELLED, NOT_BEGUN, Item, Job, Outcome
from MyoScarSegLib.batch.study_work import StudyWork
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.utils.files import cache_folder
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.memory import keep_freed_memory
from MyoScarSegLib.utils.progress import CancelToken, no_progress

STUDIES_AT_ONCE = 2
"""Studies a worker has in hand: while one is worked on, the next is read."""
_PLUGIN = "myoscarseg-studies-"


class StudyPlugin(WorkerPlugin):  # type: ignore[misc,unused-ignore]  # Any where Dask is not installed
    """What a Dask worker keeps for a job: the networks, loaded once, and whose turn it is. Later workers get it, too.

    Attributes:
        name: of the job's client, since a given cluster may work for several runs at once.
    """

    def __init__(self, client: str, job: Job, networks: EngineSettings) -> None:
        self.name = f"{_PLUGIN}{client}"
        self._job, self._networks = job, networks

    def setup(self, worker: Worker) -> None:
        """Called by Dask on each worker."""
        self.cancel = CancelToken()
        self._in_hand = threading.BoundedSemaphore(STUDIES_AT_ONCE)
        self._alone = threading.Lock()
        self._work: StudyWork | None = None
        number = int(worker.name) if str(worker.name).isdigit() else 0
        self._number, self._threads = number, self._networks.threads or worker.state.nthreads

    def do(self, item: Item) -> Outcome:
        """Read a study, and when it is its turn segment it."""
        with self._in_hand:
            with self._alone:
                work = self._made()
            if self.cancel.cancelled:
                return Outcome(item.wanted_name, CANCELLED, NOT_BEGUN, number=item.number)
            read = work.read(item)
            with self._alone:
                if self.cancel.cancelled:
                    return Outcome(item.wanted_name, CANCELLED, NOT_BEGUN, number=item.number)
                return work.segment(read, no_progress, self.cancel)

    def _made(self) -> StudyWork:
        if self._work is None:
            keep_freed_memory()
            networks = replace(self._networks, device=_own_gpu(self._networks.device, self._number), threads=self._threads)
            self._work = StudyWork(self._job, networks.pipeline(), partial(_turn, networks.device))
        return self._work


def _own_gpu(device: str, number: int) -> str:
    """The device of one of several processes: where there are several GPUs they take them in turn."""
    import torch

    gpus = torch.cuda.device_count() if device in ("auto", "cuda") and torch.cuda.is_available() else 0
    return f"cuda:{number % gpus}" if gpus else device


@contextmanager
def _turn(device: str) -> Iterator[None]:
    """While a process works on a GPU, others of this computer that share it wait; reading and writing go on meanwhile."""
    with locked(cache_folder() / f"{device.replace(':', '-')}.lock") if device.startswith("cuda") else nullcontext():
        yield


def do_study(plugin: str, item: Item) -> Outcome:
    """The task that Dask gives to a worker."""
    return _plugin_of(get_worker(), plugin).do(item)


def dask_setup(_worker: Worker) -> None:
    """Run by Dask as a local worker starts: Ctrl-C in a terminal comes to every process, and the first tells the workers.

    Where signals can be held back, ``interrupt_waits`` does so from a worker's first moment on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def cancel_studies(plugin: str, dask_worker: Worker) -> None:
    """Run on each worker: its study ends at the next slice."""
    _plugin_of(dask_worker, plugin).cancel.cancel()


def left_plugins(dask_scheduler: Scheduler) -> list[str]:
    """Run on the scheduler: names of plugins whose clients were killed, and whose networks the workers would keep."""
    ours = [name for name in dask_scheduler.worker_plugins if name.startswith(_PLUGIN)]
    return [name for name in ours if name.removeprefix(_PLUGIN) not in dask_scheduler.clients]


def _plugin_of(worker: Worker, name: str) -> StudyPlugin:
    return cast(StudyPlugin, worker.plugins[name])
