"""Many processes by Dask distributed, on this computer or on others: it decides who does which study, and what a death means.

Dask and the sockets it needs are used here alone, and only where they are asked for. Local workers listen on loopback, encrypted
with a certificate made for the run, since whoever can talk to a worker can have it run anything.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.batch.job import CANCELLED, NOT_BEGUN, Item, Job, Outcome
from MyoScarSegLib.batch.runner import Ended, collected, ignore_outcome
from MyoScarSegLib.batch.study_work import StudyWork
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.utils.memory import HEAP_ENVIRONMENT
from MyoScarSegLib.utils.processes import interrupt_waits
from MyoScarSegLib.utils.progress import CancelToken
from MyoScarSegLib.utils.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from distributed import Client, Future

_GiveUp = Callable[[Item, str, str], Outcome]
"""The outcome of a study that no worker could end, by a sentence and its cause."""

NEEDS_DASK = "Several workers need Dask: pip install 'myoscarseg[cluster]'. One worker (--workers 1) needs nothing."
DASK_SETTINGS: dict[str, Any] = {
    # Dask always has an HTTP port; without routes nothing answers there.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # What its profiler keeps of every worker grows by a quarter of a MiB a study, for a dashboard that is not there.
    "distributed.worker.profile.enabled": False,
}
"""Of scheduler and workers."""
WORKER_ENVIRONMENT = {f"DASK_{name.upper().replace('.', '__')}": str(value) for name, value in DASK_SETTINGS.items()} | {
    name: str(value) for name, value in HEAP_ENVIRONMENT.items()
}
"""Variables with :data:`DASK_SETTINGS` and those of the heap, for scheduler and workers that are started elsewhere."""
WORKER_ENDED = "Cancelled, as the process that worked on it had ended."
_LOOK_S = 0.5
_CONNECT_S = "20s"


@dataclass(frozen=True)
class ClusterChoice:
    """Where the workers are.

    Attributes:
        workers: processes on this computer, if no scheduler is given.
        scheduler: address of a running Dask scheduler, such as ``tls://host:8786``; its workers need this package and see inputs
            and results at the same paths.
        tls_ca, tls_cert, tls_key: PEM files for talking to it.
    """

    workers: int = 2
    scheduler: str | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def warning(self) -> str:
        """What to say before a given scheduler is used; empty if it is encrypted."""
        if self.scheduler is None or self.tls_ca is not None:
            return ""
        return (
            f"The connection to {self.scheduler} is not encrypted: Dask unpickles what it receives, so whoever reaches its port "
            "can run programs there. Use --tls-ca, --tls-cert and --tls-key, or a network that is yours alone."
        )

    def check(self) -> None:
        """Whether the TLS files fit.

        Raises:
            EngineError: they are for no scheduler, one of the three is not given, or there is no such file.
        """
        files = [self.tls_ca, self.tls_cert, self.tls_key]
        given = [file for file in files if file is not None]
        if self.scheduler is None:
            if given:
                raise EngineError("--tls-ca, --tls-cert and --tls-key are for a --scheduler; workers here have their own.")
            return
        if len(given) < len(files) and (given or self.scheduler.startswith("tls://")):
            raise EngineError(f"For TLS with {self.scheduler} give --tls-ca, --tls-cert and --tls-key, all three.")
        for file in given:
            if not file.is_file():
                raise EngineError(f"There is no file {file}.")


def segment_on_cluster(
    job: Job, networks: EngineSettings, where: ClusterChoice, *, cancel: CancelToken | None = None, ended: Ended = ignore_outcome
) -> list[Outcome]:
    """As :func:`~MyoScarSegLib.batch.runner.segment_all`, by several processes. The studies end in any order.

    A study whose process dies is given to another one; after Dask's number of deaths (3) it has failed.

    Raises:
        EngineError: Dask is not installed, TLS files do not fit, the scheduler cannot be reached, or it is lost in the middle.
    """
    where.check()
    job = replace(job, inputs=[Path(path).absolute() for path in job.inputs], out=Path(job.out).absolute())
    with _client(where, networks.threads) as client:
        from MyoScarSegLib.batch.dask_worker import StudyPlugin, left_plugins

        plugin = StudyPlugin(client.id, job, networks)
        for left in client.run_on_scheduler(left_plugins):
            _unregister(client, left)
        client.register_plugin(plugin)

        def give_up(item: Item, message: str, cause: str) -> Outcome:
            return StudyWork(job, networks.pipeline()).gave_up(item, message, cause)

        done = collected(job, _until_lost(_outcomes(client, plugin.name, job.items(), give_up, cancel)), ended)
        if where.scheduler is not None:
            _unregister(client, plugin.name)
        return done


def _unregister(client: Client, plugin: str) -> None:
    """Have the workers of a given cluster free the networks of a run; if it cannot be now, the next run does it."""
    with suppress(OSError, KeyError, ValueError, TimeoutError, CancelledError):
        client.unregister_worker_plugin(plugin)


@contextmanager
def _client(where: ClusterChoice, threads: int | None) -> Iterator[Client]:
    try:
        import dask
        import distributed
        from distributed.security import Security
    except ImportError as error:
        raise EngineError(NEEDS_DASK) from error
    quiet = logging.getLogger("distributed")
    quiet.setLevel(logging.CRITICAL)  # what it says of deaths and lost connections is said in our words
    if where.scheduler is not None:
        security = None
        if where.tls_ca is not None:
            security = Security(
                require_encryption=True,
                tls_ca_file=str(where.tls_ca),
                tls_client_cert=None if where.tls_cert is None else str(where.tls_cert),
                tls_client_key=None if where.tls_key is None else str(where.tls_key),
            )
        try:
            client = distributed.Client(where.scheduler, security=security, timeout=_CONNECT_S)
        except (OSError, ValueError, TypeError) as error:
            raise EngineError(f"The Dask scheduler {where.scheduler} cannot be reached: {error}.") from error
        with client:
            yield client
        return
    from MyoScarSegLib.batch.dask_worker import STUDIES_AT_ONCE

    try:
        security = Security.temporary()
    except ImportError as error:
        raise EngineError(NEEDS_DASK) from error
    # What keep_freed_memory() does, before a worker's threads have heaps of their own, which would fragment and grow.
    heap = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in HEAP_ENVIRONMENT.items()}
    with scratch_folder("myoscarseg-workers-") as scratch, dask.config.set({**DASK_SETTINGS, **heap}):
        try:
            with interrupt_waits():
                cluster = distributed.LocalCluster(
                    n_workers=where.workers,
                    threads_per_worker=STUDIES_AT_ONCE,
                    processes=True,
                    host="127.0.0.1",
                    protocol="tls://",
                    security=security,
                    dashboard_address=None,
                    worker_dashboard_address=None,
                    local_directory=str(scratch),
                    silence_logs=logging.CRITICAL,
                    preload="MyoScarSegLib.batch.dask_worker",
                    env={"OMP_NUM_THREADS": str(threads or 1), "MKL_NUM_THREADS": str(threads or 1)},
                )
        except (OSError, RuntimeError, TimeoutError) as error:  # one was killed as it started: there may be no memory
            raise EngineError(
                f"The {where.workers} workers on this computer could not be started: {error} Try fewer --workers; "
                "--workers 1 starts none."
            ) from error
        with cluster, distributed.Client(cluster) as client:
            yield client


def _outcomes(client: Client, plugin: str, items: list[Item], give_up: _GiveUp, cancel: CancelToken | None) -> Iterator[Outcome]:
    """The outcomes as they come; no more studies are given out than the workers have room for, so a cancel ends soon."""
    import distributed

    from MyoScarSegLib.batch.dask_worker import STUDIES_AT_ONCE, cancel_studies, do_study

    waiting, running = list(reversed(items)), dict[Any, Item]()
    told = False
    while waiting or running:
        if cancel is not None and cancel.cancelled and not told:
            told = True
            client.run(cancel_studies, plugin)
            yield from (Outcome(item.wanted_name, CANCELLED, NOT_BEGUN, number=item.number) for item in reversed(waiting))
            waiting.clear()
        room = STUDIES_AT_ONCE * max(1, len(client.nthreads()))
        while waiting and len(running) < room:
            item = waiting.pop()
            running[client.submit(do_study, plugin, item, pure=False, key=f"study-{item.number}-{os.urandom(4).hex()}")] = item
        if not running:
            break
        try:
            ready = distributed.wait(list(running), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done
        except (TimeoutError, distributed.TimeoutError):
            ready = set()
        if client.status not in ("running", "newly-created"):
            raise _lost()
        if told and not ready and not client.nthreads():  # nobody is left who could end them
            yield from (Outcome(item.wanted_name, CANCELLED, WORKER_ENDED, number=item.number) for item in running.values())
            break
        for future in ready:
            yield _outcome_of(future, running.pop(future), give_up)


def _until_lost(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """The outcomes; that the scheduler does not answer any more is said in a sentence."""
    try:
        yield from outcomes
    except (OSError, CancelledError, TimeoutError) as error:
        raise _lost() from error


def _lost() -> EngineError:
    return EngineError("The connection to the scheduler was lost. What was finished is kept: --resume goes on with it.")


def _outcome_of(future: Future, item: Item, give_up: _GiveUp) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status in ("cancelled", "lost"):
        raise _lost()
    error = future.exception()
    name = type(error).__name__
    if name == "KilledWorker":
        message = "The process that worked on it was ended each time it was tried; it may need more memory than there is."
        return give_up(item, message, name)
    return give_up(item, f"Unexpected {name}: {error}", f"Unexpected {name}")
