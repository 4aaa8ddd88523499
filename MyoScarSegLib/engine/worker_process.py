"""The worker as its client has it: its start, its signs of life, its end, and the next one in its place."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.protocol import FrameReader, ProtocolError
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.utils.exit_status import how_it_ended
from MyoScarSegLib.utils.processes import birth_of, end_process
from MyoScarSegLib.utils.transport import Transport, TransportFactory, ignore_bytes, ignore_exit

if TYPE_CHECKING:
    from MyoScarSegLib.engine.client import Engine

STOPPED = "stopped"
STARTING = "starting"
READY = "ready"
RESTARTING = "restarting"
BROKEN = "failed"

_MOST_RESTARTS = 3
_RESTARTS_WITHIN_S = 60.0
# Between two checks at most this much counts as waiting: an application that was busy itself, or a computer that slept, has not
# been waiting for the worker.
_LONGEST_STEP_S = 0.25
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timeouts:
    """How long the engine waits for what, in seconds.

    Attributes:
        start_s: for the first sign of a new process.
        silence_s: between two signs; a worker that has something to do gives one with every heartbeat.
        loading_s: between two signs while libraries and models are loaded, during which Python may hold everything up.
        step_s: for one slice, or one model to load.
        cancel_s: for a cancel to be answered, before the worker is killed.
    """

    start_s: float = 60.0
    silence_s: float = 20.0
    loading_s: float = 180.0
    step_s: float = 300.0
    cancel_s: float = 0.7


@dataclass(frozen=True)
class EngineStatus:
    """Facts for the panel and for reports.

    Attributes:
        state: of the engine.
        python: interpreter of the worker.
        pid: of the worker, None without one.
        python_version: of the worker, empty before it has answered.
        torch: version, empty before it is loaded.
        device: in words, empty before a model is loaded.
        detector, segmenter: names of the loaded models, empty before.
        knows_tissue: whether that segmenter has a map of tissues; None before one is loaded.
        embeddings: number of slices encoded and kept in memory.
        restarts: of the worker since the engine was made.
        error: sentence on why there is no worker, or on the last crash; empty if all is well.
        log: the end of what workers wrote to their standard error, to be copied into a report.
    """

    state: str
    python: str
    pid: int | None = None
    python_version: str = ""
    torch: str = ""
    device: str = ""
    detector: str = ""
    segmenter: str = ""
    knows_tissue: bool | None = None
    embeddings: int = 0
    restarts: int = 0
    error: str = ""
    log: str = ""


class WorkerProcess:
    """One worker at a time, replaced when it crashes or hangs. What an earlier one still sends is never heard.

    Attributes:
        state: ``stopped``, ``starting``, ``ready``, ``restarting`` or ``failed``.
        error: sentence on the last crash, or on why there is no worker; empty if all is well.
        facts: what the worker told of itself, by the fields of :class:`EngineStatus`.
        restarts: of the worker so far.
        answered: the worker has greeted, and is of this version.
        at: id of the request that the worker is at; None before the first.
        loading: it loads libraries or models just now.
    """

    def __init__(self, owner: Engine, factory: TransportFactory, timeouts: Timeouts, clock: Callable[[], float]) -> None:
        self.state = STOPPED
        self.error = ""
        self.facts: dict[str, Any] = {}
        self.restarts = 0
        self.answered = False
        self.at: int | None = None
        self.loading = False
        self._owner = owner
        self._factory = factory
        self._timeouts = timeouts
        self._clock = clock
        self._transport: Transport | None = None
        self._reader = FrameReader()
        self._silent_s = 0.0
        self._step_s = 0.0
        self._checked: float | None = None
        self._crashes: deque[float] = deque()
        self._log = ""
        self._pid: int | None = None
        self._birth = ""

    @property
    def log(self) -> str:
        """The end of what the worker wrote to its standard error; before it, that of the last one that wrote anything."""
        tail = "" if self._transport is None else self._transport.stderr_tail()
        return "\n".join(part.strip() for part in (self._log, tail) if part.strip())

    # ------------------------------------------------------------------ start and end

    def start(self) -> None:
        """Start a worker, if there is none."""
        if self.state in (STOPPED, BROKEN):
            self._crashes.clear()
            self.error = ""
            self._launch(STARTING)

    def stop(self) -> None:
        """End the worker, if there is one."""
        self._drop()
        self.state = STOPPED

    def restart(self) -> None:
        """Start another worker in place of the one there is."""
        self.restarts += 1
        self._launch(RESTARTING)

    def _launch(self, state: str) -> None:
        self._drop()
        self.facts = {}
        self.state = state
        self._reader = FrameReader()
        self._silent_s = self._step_s = 0.0
        try:
            transport = self._factory(self._owner.command(), self._owner.environment())
            transport.on_bytes = partial(self._on_bytes, transport)
            transport.on_exit = partial(self._on_exit, transport)
            self._transport = transport
            transport.start()
        except EngineError as error:
            self._give_up(str(error))
        self._owner.wake()

    def _drop(self) -> None:
        """End the worker, if there is one, and listen to it no more."""
        transport, self._transport = self._transport, None
        self.answered = self.loading = False
        self.at = None
        if transport is not None:
            self._log = transport.stderr_tail() or self._log
            transport.on_bytes, transport.on_exit = ignore_bytes, ignore_exit
            transport.close()
            # The program that was started may be a launcher, as PythonSlicer is: the worker is its child, and outlives it.
            if self._pid is not None and transport.pid not in (None, self._pid):
                end_process(self._pid, self._birth)
            transport.kill()
        self._pid = None

    def _lost(self, why: str) -> None:
        """The worker is gone, or of no use: say so, and start another one, unless that was in vain too often."""
        started, at = self.answered, self.at
        self._drop()
        if started:
            self.error = f"The calculation process ended unexpectedly and was started again. {why}"
        else:
            self.error = f"The calculation process did not start. {why}"
        _log.warning("%s\n%s", self.error, self.log)
        self._owner.lost(at, started=started)
        now = self._clock()
        self._crashes.append(now)
        while started and now - self._crashes[0] > _RESTARTS_WITHIN_S:  # of starts that fail, each may take that long
            self._crashes.popleft()
        if len(self._crashes) > _MOST_RESTARTS:
            self._give_up(
                f"The calculation process {'crashed' if started else 'failed to start'} {len(self._crashes)} times in a minute, "
                f"so it is not started again by itself. {why} Press Retry after you have changed something, such as the device."
            )
        else:
            self.restart()

    def _give_up(self, why: str) -> None:
        self._drop()
        self.error = why
        self.state = BROKEN
        self._owner.given_up()

    def _greet(self, fields: dict[str, Any]) -> None:
        self._pid = int(fields["pid"])
        self._birth = birth_of(self._pid)
        if fields.get("protocol") != protocol.VERSION or fields.get("version") != __version__:
            self._give_up(
                f"The calculation process is of another version ({fields.get('version')}) than this program ({__version__}). "
                f"Python: {self._owner.python}. Remove the other installation of MyoScarSeg from it, or install this one there."
            )
            return
        self.facts = {"pid": self._pid, "python_version": str(fields["python_version"])}
        self.answered = True
        self.state = READY
        self._owner.greeted()

    # ------------------------------------------------------------------ frames and signs of life

    def send(self, fields: dict[str, Any]) -> None:
        """Send a message to a worker that has answered; others are told all they need when they do."""
        if self.answered and self._transport is not None:
            self._transport.write(protocol.pack(fields))

    def pump(self) -> None:
        """Let the transport tell what has happened."""
        if self._transport is not None:
            self._transport.pump()

    def check(self, *, waiting: bool) -> float:
        """Replace the worker if it is not to be waited for any longer.

        Args:
            waiting: something was asked; a worker that has answered and has nothing to do gives no signs.

        Returns:
            The seconds since the last check that count.
        """
        now = self._clock()
        passed = 0.0 if self._checked is None else min(max(now - self._checked, 0.0), _LONGEST_STEP_S)
        self._checked = now
        if self._transport is None:
            return passed
        self._silent_s = self._silent_s + passed if waiting or not self.answered else 0.0
        timeouts = self._timeouts
        usual = timeouts.loading_s if self.loading else timeouts.silence_s
        longest = usual if self.answered else timeouts.start_s
        if self._silent_s > longest:
            self._lost(f"It gave no sign for {longest:g} s.")
        elif self._step_s > timeouts.step_s:
            self._lost(f"It spent more than {timeouts.step_s:g} s on one slice or model.")
        return passed

    # All of these are told by which worker: one of before may be heard late.

    def _on_bytes(self, source: Transport, data: bytes) -> None:
        if source is not self._transport:
            return
        try:
            for fields in self._reader.feed(data):
                self._silent_s = 0.0
                self._owner.later(partial(self._take, source, fields))
        except ProtocolError as error:
            self._lost_later(source, f"It sent something that is no answer. {error}")
        self._owner.wake()

    def _on_exit(self, source: Transport, code: int, tail: str) -> None:
        if source is self._transport:
            self._log = tail
            self._lost_later(source, how_it_ended(code, tail))
            self._owner.wake()

    def _lost_later(self, source: Transport, why: str) -> None:
        # Later, because what it has sent before is still to be taken in.
        self._owner.later(lambda: self._lost(why) if source is self._transport else None)

    def _take(self, source: Transport, fields: dict[str, Any]) -> None:
        if source is not self._transport:
            return
        kind = fields.get("type")
        try:
            if not self.answered and kind != "hello":
                raise ProtocolError(f"{kind!r} instead of a greeting")
            if kind == "at":
                self.at, self.loading, self._step_s = int(fields["id"]), bool(fields["loading"]), 0.0
            elif kind == "progress":
                self._step_s = 0.0
            if kind == "hello":
                self._greet(fields)
            elif kind == "heartbeat":
                self._step_s = float(fields["step_s"])
                self.facts |= dict(fields["facts"])
            else:
                self._owner.received(fields)
        except (ProtocolError, KeyError, TypeError, ValueError) as error:
            self._lost(f"It sent an answer that cannot be read ({error}).")
