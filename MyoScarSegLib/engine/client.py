"""The engine as its user sees it: ask, go on, be told. Nothing here blocks but :meth:`Engine.wait`.

One thread owns an engine. What the worker sends is taken in by :meth:`Engine.pump`, to be called by a timer every 10 to 50 ms,
and only from there do callbacks come. The studies live in the worker; boxes, points and the probabilities of the slices asked
for are all that travels per request. The engine remembers studies and unfinished requests, so that a worker that crashed, hung
or had to be killed is replaced by another one that knows all that it knew.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.endings import how_it_ended
from MyoScarSegLib.engine.messages import (
    EngineSettings,
    SliceMasks,
    boxes_json,
    boxes_of,
    by_slice,
    masks_of,
    points_json,
    study_message,
)
from MyoScarSegLib.engine.protocol import FrameReader, Message, ProtocolError
from MyoScarSegLib.engine.request import CANCELLED, DONE, FAILED, RUNNING, WAITING, Request, RequestProgress
from MyoScarSegLib.engine.transport import SubprocessTransport, Transport, ignore_bytes, ignore_exit
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.progress import Progress
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.study.study import Study

__all__ = ["Engine", "EngineSettings", "EngineStatus", "Request", "RequestProgress", "SliceMasks"]

STOPPED = "stopped"
STARTING = "starting"
READY = "ready"
WORKING = "working"
RESTARTING = "restarting"
BROKEN = "failed"

TransportFactory = Callable[[list[str], dict[str, str]], Transport]

_MOST_RESTARTS = 3
_RESTARTS_WITHIN_S = 60.0
# Between two pumps at most this much counts as waiting: an application that was busy itself, or a computer that slept, has not
# been waiting for the worker.
_LONGEST_STEP_S = 0.25
_WAIT_S = 0.002
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long the engine waits for what, in seconds.

    Attributes:
        start: for the first sign of a new process.
        silence: between two signs; the worker gives one with every heartbeat.
        loading: between two signs while libraries and models are loaded, during which Python may hold everything up.
        step: for one slice, or one model to load.
        cancel: for a cancel to be answered, before the worker is killed.
    """

    start: float = 60.0
    silence: float = 10.0
    loading: float = 180.0
    step: float = 300.0
    cancel: float = 0.7


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
        memory_bytes: resident memory of the worker, None if not known.
        device_memory_bytes: that torch holds on an accelerator, None without one.
        studies: that the engine remembers.
        embeddings: number of slices encoded and kept in memory.
        embedding_bytes: of these.
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
    memory_bytes: int | None = None
    device_memory_bytes: int | None = None
    studies: int = 0
    embeddings: int = 0
    embedding_bytes: int = 0
    restarts: int = 0
    error: str = ""
    log: str = ""


class Engine:
    """A worker process and everything asked of it; see the module's docstring.

    Attributes:
        state: ``stopped``, ``starting``, ``ready``, ``working``, ``restarting`` or ``failed``.
        settings: of :meth:`configure`.
        error: sentence on the last crash, or on why there is no worker; empty if all is well.
    """

    def __init__(
        self,
        transport_factory: TransportFactory = SubprocessTransport,
        *,
        python: str | None = None,
        heartbeat_s: float = 0.5,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started yet; the first request does it, or :meth:`start`.

        Args:
            transport_factory: called as ``transport_factory(command, environment)`` for each worker.
            python: interpreter with torch; this process's own if None (PythonSlicer, in Slicer).
            heartbeat_s: how often the worker shows that it lives.
            patience: how long to wait for it.
            clock: seconds, never going back.
        """
        self.settings = EngineSettings()
        self.error = ""
        self.python = python or sys.executable
        self._factory = transport_factory
        self._heartbeat_s = heartbeat_s
        self._patience = patience or Patience()
        self._clock = clock
        self._state = STOPPED
        self._told_state = STOPPED
        self._transport: Transport | None = None
        self._generation = 0
        self._reader = FrameReader()
        self._answered = False
        self._inbox: deque[Callable[[], None]] = deque()
        self._studies: dict[str, Study] = {}
        self._preferred: dict[str, int] = {}
        self._requests: dict[int, Request] = {}  # unfinished, in the order they were made
        self._number = 0
        self._at: int | None = None
        self._loading = False
        self._silent_s = 0.0
        self._step_s = 0.0
        self._last_pump: float | None = None
        self._crashes: deque[float] = deque()
        self._restarts = 0
        self._facts: dict[str, Any] = {}
        self._log_text = ""
        self._state_callbacks: list[Callable[[str], None]] = []
        self._wake_callbacks: list[Callable[[], None]] = []

    # ------------------------------------------------------------------ the process

    @property
    def state(self) -> str:
        """See the class."""
        if self._state == READY and self._requests:
            return WORKING
        return self._state

    def command(self) -> list[str]:
        """Program and arguments that start a worker."""
        return [self.python, "-m", "MyoScarSegLib.engine.worker", "--heartbeat", f"{self._heartbeat_s:g}"]

    def environment(self) -> dict[str, str]:
        """The whole environment of a worker: this process's own, with this library on the path."""
        environment = dict(os.environ)
        root = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(part for part in (root, environment.get("PYTHONPATH", "")) if part)
        environment["PYTHONSAFEPATH"] = "1"  # or a folder that happens to be the current one could hide a library
        environment["PYTHONFAULTHANDLER"] = "1"  # a crash in native code then leaves its place in the log
        if self.settings.threads:
            environment["OMP_NUM_THREADS"] = str(self.settings.threads)
        return environment

    def start(self) -> None:
        """Start the worker, if there is none. After ``failed`` this is the way to try again."""
        if self._state in (STOPPED, BROKEN):
            self._crashes.clear()
            self.error = ""
            self._launch(STARTING)

    def stop(self) -> None:
        """End the worker. Unfinished requests are cancelled; the studies are remembered for another :meth:`start`."""
        self._drop_transport()
        for request in list(self._requests.values()):
            self._finish(request, CANCELLED)
        self._set_state(STOPPED)

    def configure(self, settings: EngineSettings) -> None:
        """Use these models and this device from the next step of any request on."""
        threads_before, self.settings = self.settings.threads, settings
        if self._answered:
            self._send({"type": "configure", "settings": settings.to_json()})
        if threads_before != settings.threads:
            _log.info("The number of threads holds fully after the next start of the worker.")

    def status(self) -> EngineStatus:
        """Facts for the panel and for reports; no waiting, they are at most a heartbeat old."""
        known = {name: self._facts[name] for name in EngineStatus.__dataclass_fields__ if name in self._facts}
        tail = self._transport.stderr_tail() if self._transport is not None else ""
        return EngineStatus(
            **{
                **known,
                "state": self.state,
                "python": self.python,
                "studies": len(self._studies),
                "restarts": self._restarts,
                "error": self.error,
                "log": "\n".join(part.strip() for part in (self._log_text, tail) if part.strip()),
            }
        )

    # ------------------------------------------------------------------ studies

    def open_study(self, key: str, study: Study) -> None:
        """Give the worker a study, under a key of the caller's choice; one that had the key before is replaced.

        The engine keeps a reference, so that a restarted worker gets it again: the voxels must not change in place.
        """
        self.close_study(key)
        self._studies[key] = study
        if self._answered:
            self._send_study(key, study)

    def close_study(self, key: str) -> None:
        """Forget a study and cancel what is asked of it. Harmless for an unknown key."""
        if self._studies.pop(key, None) is None:
            return
        self._preferred.pop(key, None)
        for request in list(self._requests.values()):
            if request.key == key:
                self.cancel(request)
        if self._answered:
            self._send({"type": "forget", "key": key})

    def prefer(self, key: str, slice_index: int) -> None:
        """Encode this slice next, where it is waiting to be encoded: the user looks at it."""
        if key in self._studies:
            self._preferred[key] = int(slice_index)
            if self._answered:
                self._send({"type": "prefer", "key": key, "slice": int(slice_index)})

    # ------------------------------------------------------------------ requests

    def encode(self, key: str, order: Sequence[int] | None = None, progress: Progress | None = None) -> Request:
        """Compute what :meth:`propose` and :meth:`segment` need of each slice before any prompt, in the background.

        Args:
            key: of the study.
            order: slice indices, the most urgent first; all from the first on if None.
            progress: called as ``progress(done, total, message)``.

        Returns:
            A request with the result ``{"encoded": [k, ...], "failed": {k: why}}``.

        Raises:
            EngineError: there is no such study, or a slice is not in it.
        """
        slices = self._slices(key, order)
        request = self._ask({"what": "encode", "key": key, "slices": slices}, background=True)
        if progress is not None:
            request.on_progress(lambda r: progress(r.progress.done, r.progress.total, r.progress.message))
        return request

    def propose(self, key: str) -> Request:
        """Propose boxes on all slices.

        Returns:
            A request with the result ``{"boxes": [Box, ...], "failed": {k: why}, "provenance": {...}, "cancelled": False}``.

        Raises:
            EngineError: there is no such study.
        """
        self._slices(key, None)
        return self._ask({"what": "propose", "key": key})

    def segment(
        self, key: str, boxes: Iterable[Box], points: Iterable[Point] = (), slices: Iterable[int] | None = None
    ) -> Request:
        """Segment scar in the boxes that were not rejected, and at the points.

        Args:
            key: of the study.
            boxes: prompts; those of other slices than ``slices`` are left out.
            points: likewise.
            slices: slice indices; all that have prompts if None.

        Returns:
            A request with a :class:`SliceMasks` as result; slices on which nothing asks for scar are not in it.

        Raises:
            EngineError: there is no such study, or a slice is not in it.
        """
        wanted = None if slices is None else set(self._slices(key, slices))
        self._slices(key, None)
        fields = {
            "what": "segment",
            "key": key,
            "boxes": boxes_json(box for box in boxes if wanted is None or box.slice in wanted),
            "points": points_json(point for point in points if wanted is None or point.slice in wanted),
        }
        return self._ask(fields)

    def models(self) -> Request:
        """What models there are. Result: a list of ``{"name", "title", "task", "licence", "size", "metrics", "state", ...}``."""
        return self._ask({"what": "models"})

    def device_test(self) -> Request:
        """Try the chosen device with the chosen segmenter. Result: ``{"sentence", "device", "torch", "encode_ms", ...}``."""
        return self._ask({"what": "device_test"})

    def wait(self, request: Request, process_events: Callable[[], Any] | None = None, timeout_s: float | None = None) -> Any:
        """Pump until a request has finished: for scripts.

        Args:
            request: of this engine.
            process_events: of the application, called all the while.
            timeout_s: to give up after; the request goes on.

        Returns:
            The request's result.

        Raises:
            Cancelled: the request was cancelled.
            MyoScarSegError: the request failed, or ``timeout_s`` have passed.
        """
        end = None if timeout_s is None else self._clock() + timeout_s
        while True:
            self.pump()
            if request.finished:
                return request.value()
            if end is not None and self._clock() >= end:
                raise EngineError(f"The calculation ({request.what}) is not done after {timeout_s:g} s. It goes on.")
            if process_events is not None:
                process_events()
            time.sleep(_WAIT_S)

    def cancel(self, request: Request) -> None:
        """As :meth:`Request.cancel`."""
        if request.finished or request.cancelling_s is not None or request.id not in self._requests:
            return
        if self._answered:
            self._send({"type": "cancel", "id": request.id})
        # What the worker is not at can simply be forgotten; so can background work, which stops by itself after its slice, and
        # the loading of a model, which will be needed anyway.
        if request.background or self._at != request.id or self._loading:
            self._finish(request, CANCELLED)
        else:
            request.cancelling_s = 0.0

    # ------------------------------------------------------------------ events

    def pump(self) -> None:
        """Take in what has happened, and call the callbacks that follow from it. Quick; may be called from within itself."""
        if self._transport is not None:
            self._transport.pump()
        self._drain()
        self._judge()
        self._drain()
        self._tell_state()

    def on_state(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call ``callback(state)`` whenever :attr:`state` has changed. Returns the function that ends this."""
        self._state_callbacks.append(callback)

        def remove() -> None:
            if callback in self._state_callbacks:
                self._state_callbacks.remove(callback)

        return remove

    def on_wake(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` when something has arrived outside of :meth:`pump`, for who would rather not wait for a timer."""
        self._wake_callbacks.append(callback)

    def later(self, call: Callable[[], None]) -> None:
        """Do ``call`` at the next turn of :meth:`pump`."""
        self._inbox.append(call)

    def _drain(self) -> None:
        # Taken one by one, so that a callback may itself pump: what is left then is done there, in the same order.
        while self._inbox:
            self._inbox.popleft()()

    def _tell_state(self) -> None:
        state = self.state
        if state != self._told_state:
            self._told_state = state
            for callback in list(self._state_callbacks):
                try:
                    callback(state)
                except Exception:  # a caller's fault must not stop the engine
                    _log.exception("What follows the engine's state %s failed", state)

    def _set_state(self, state: str) -> None:
        self._state = state

    # ------------------------------------------------------------------ starting and ending workers

    def _launch(self, state: str) -> None:
        self._drop_transport()
        self._generation += 1
        self._reader = FrameReader()
        self._facts = {}
        self._silent_s = self._step_s = 0.0
        self._set_state(state)
        transport = self._factory(self.command(), self.environment())
        transport.on_bytes = partial(self._on_bytes, self._generation)
        transport.on_exit = partial(self._on_exit, self._generation)
        self._transport = transport
        try:
            transport.start()
        except EngineError as error:
            self._give_up(str(error))

    def _drop_transport(self) -> None:
        """End the worker, if there is one, and listen to it no more."""
        transport, self._transport = self._transport, None
        self._answered = self._loading = False
        self._at = None
        if transport is not None:
            self._log_text = transport.stderr_tail() or self._log_text
            transport.on_bytes, transport.on_exit = ignore_bytes, ignore_exit
            transport.close()
            transport.kill()

    def _on_bytes(self, generation: int, data: bytes) -> None:
        if generation != self._generation or self._transport is None:
            return
        try:
            messages = self._reader.feed(data)
        except ProtocolError as error:
            problem = str(error)
            self.later(lambda: self._crashed(generation, f"It sent something that is no answer. {problem}"))
        else:
            if messages:
                self._silent_s = 0.0
            for message in messages:
                self.later(partial(self._take, generation, message))
        for callback in list(self._wake_callbacks):
            callback()

    def _on_exit(self, generation: int, code: int, tail: str) -> None:
        if generation != self._generation or self._transport is None:
            return
        self._log_text = tail
        self.later(lambda: self._crashed(generation, how_it_ended(code, tail)))
        for callback in list(self._wake_callbacks):
            callback()

    def _crashed(self, generation: int, why: str) -> None:
        """The worker is gone, or of no use: say so, and start another one."""
        if generation != self._generation or self._transport is None:
            return
        guilty = None if self._at is None else self._requests.get(self._at)
        started = self._answered
        self._drop_transport()
        if started:
            self.error = f"The calculation process ended unexpectedly and was started again. {why}"
        else:
            self.error = f"The calculation process did not start. {why}"
        _log.warning("%s\n%s", self.error, self._log_text)
        if guilty is not None:
            guilty.crashes += 1
            if not guilty.background or guilty.crashes > 1:
                self._finish(guilty, FAILED, error=self.error, log=self._log_text, kind="EngineError")
        now = self._clock()
        self._crashes.append(now)
        while now - self._crashes[0] > _RESTARTS_WITHIN_S:
            self._crashes.popleft()
        if len(self._crashes) > _MOST_RESTARTS:
            self._give_up(
                f"The calculation process {'crashed' if started else 'failed to start'} {len(self._crashes)} times in a minute, "
                f"so it is not started again by itself. {why} Press Retry after you have changed something, such as the device."
            )
        else:
            self._restart()

    def _restart(self) -> None:
        self._restarts += 1
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                self._finish(request, CANCELLED)
            else:
                request.state = WAITING
        self._launch(RESTARTING)

    def _give_up(self, why: str) -> None:
        self._drop_transport()
        self.error = why
        self._set_state(BROKEN)
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                self._finish(request, CANCELLED)
            else:
                self._finish(request, FAILED, error=why, log=self._log_text, kind="EngineError")

    def _judge(self) -> None:
        """Whether the worker is still to be waited for."""
        now = self._clock()
        passed = 0.0 if self._last_pump is None else min(max(now - self._last_pump, 0.0), _LONGEST_STEP_S)
        self._last_pump = now
        if self._transport is None:
            return
        self._silent_s += passed
        patience, generation = self._patience, self._generation
        if not self._answered:
            if self._silent_s > patience.start:
                self._crashed(generation, f"It gave no sign within {patience.start:g} s.")
            return
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                request.cancelling_s += passed
                if request.cancelling_s > patience.cancel:
                    _log.info("The worker did not answer a cancel in time and is replaced.")
                    self._finish(request, CANCELLED)
                    self._restart()
                    return
        longest = patience.loading if self._loading else patience.silence
        if self._silent_s > longest:
            self._crashed(generation, f"It gave no sign for {longest:g} s.")
        elif self._step_s > patience.step:
            self._crashed(generation, f"It spent more than {patience.step:g} s on one slice or model.")

    # ------------------------------------------------------------------ messages

    def _send(self, fields: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
        assert self._transport is not None  # noqa: S101 (callers checked that a worker has answered)
        self._transport.write(protocol.pack(fields, arrays))

    def _send_study(self, key: str, study: Study) -> None:
        self._send(*study_message(key, study))

    def _slices(self, key: str, slices: Iterable[int] | None) -> list[int]:
        study = self._studies.get(key)
        if study is None:
            raise EngineError(f"The engine has no study called {key!r}.")
        if slices is None:
            return list(range(study.slices))
        chosen = list(dict.fromkeys(int(k) for k in slices))
        for k in chosen:
            if not 0 <= k < study.slices:
                raise EngineError(f"There is no slice {k}: the study has slices 0 to {study.slices - 1}.")
        return chosen

    def _ask(self, fields: dict[str, Any], *, background: bool = False) -> Request:
        self._number += 1
        request = Request(self, self._number, fields, background=background)
        if self._state == STOPPED:
            self.start()
        if self._state == BROKEN:
            request.finish(FAILED, error=self.error, log=self._log_text, kind="EngineError")
            return request
        self._requests[request.id] = request
        if self._answered:
            self._send(request.fields)
        return request

    def _finish(self, request: Request, state: str, **outcome: Any) -> None:
        self._requests.pop(request.id, None)
        if self._at == request.id and state != CANCELLED:
            self._at = None
        request.finish(state, **outcome)

    def _take(self, generation: int, message: Message) -> None:
        if generation != self._generation or self._transport is None:
            return
        try:
            self._handle(message)
        except (ProtocolError, KeyError, TypeError, ValueError, AttributeError) as error:
            self._crashed(generation, f"It sent an answer that cannot be read ({error}).")

    def _handle(self, message: Message) -> None:
        fields = message.fields
        if message.type == "hello":
            self._greet(fields)
            return
        if not self._answered:
            raise ProtocolError(f"{message.type or 'nothing'} instead of a greeting")
        if message.type == "beat":
            self._facts |= dict(fields["facts"])
            self._step_s = float(fields["step_s"])
            return
        if message.type == "at":
            self._at, self._loading = (None if fields["id"] is None else int(fields["id"])), bool(fields["loading"])
            self._step_s = 0.0
        request = self._requests.get(int(fields["id"])) if fields.get("id") is not None else None
        if message.type not in ("at", "progress", "done", "error", "cancelled"):
            raise ProtocolError(f"unknown type {message.type!r}")
        if request is None:
            return  # cancelled meanwhile
        if message.type == "at":
            request.state = RUNNING
        elif message.type == "progress":
            self._step_s = 0.0
            request.advance(int(fields["done"]), int(fields["total"]), str(fields["message"]), self._clock())
        elif message.type == "cancelled" or request.cancelling_s is not None:
            self._finish(request, CANCELLED)
        elif message.type == "error":
            self._finish(
                request, FAILED, error=str(fields["error"]), log=str(fields.get("log", "")), kind=str(fields.get("kind", ""))
            )
        else:
            self._finish(request, DONE, result=_result(request.what, message))

    def _greet(self, fields: dict[str, Any]) -> None:
        if fields.get("protocol") != protocol.VERSION or fields.get("version") != __version__:
            self._give_up(
                f"The calculation process is of another version ({fields.get('version')}) than this program ({__version__}). "
                f"Python: {self.python}. Remove the other installation of MyoScarSeg from it, or install this one there."
            )
            return
        self._answered = True
        self._facts = {"pid": int(fields["pid"]), "python_version": str(fields["python_version"])}
        self._set_state(READY)
        self._send({"type": "configure", "settings": self.settings.to_json()})
        for key, study in self._studies.items():
            self._send_study(key, study)
        for request in self._requests.values():
            self._send(request.fields)
        for key, k in self._preferred.items():
            self._send({"type": "prefer", "key": key, "slice": k})


def _result(what: str, message: Message) -> Any:
    fields = message.fields
    if what == "segment":
        return masks_of(fields, message.arrays)
    if what == "propose":
        return {
            "boxes": boxes_of(fields["boxes"]),
            "failed": by_slice(fields["failed"]),
            "provenance": {str(key): str(value) for key, value in fields["provenance"].items()},
            "cancelled": False,
        }
    if what == "encode":
        return {"encoded": [int(k) for k in fields["encoded"]], "failed": by_slice(fields["failed"])}
    return fields["value"]
