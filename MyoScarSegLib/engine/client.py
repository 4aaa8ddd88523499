"""The engine as its user sees it: ask, go on, be told. Nothing here blocks but :meth:`Engine.wait`.

One thread owns an engine. What the worker sends is taken in by :meth:`Engine.pump`, to be called every 10 to 50 ms while it is
busy, and only from there do callbacks come. The studies live in the worker; boxes, points and the probabilities of the slices
asked for are all that travels per request. The engine remembers studies and unfinished requests, so that a worker that crashed,
hung or had to be killed is replaced by another one that knows all that it knew, and is asked again for all that was asked; but
a request that ends a second worker fails.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.link import Link, TransportFactory
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
from MyoScarSegLib.engine.protocol import Message, ProtocolError
from MyoScarSegLib.engine.request import CANCELLED, DONE, FAILED, RUNNING, WAITING, Request, RequestProgress
from MyoScarSegLib.engine.status import EngineStatus, Patience
from MyoScarSegLib.engine.transport import SubprocessTransport
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.child import environment_with_us
from MyoScarSegLib.utils.progress import Progress

__all__ = ["Engine", "EngineSettings", "EngineStatus", "Patience", "Request", "RequestProgress", "SliceMasks"]

STOPPED = "stopped"
STARTING = "starting"
READY = "ready"
WORKING = "working"
RESTARTING = "restarting"
BROKEN = "failed"

_MOST_RESTARTS = 3
_RESTARTS_WITHIN_S = 60.0
_WAIT_S = 0.002
_log = logging.getLogger(__name__)


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
            heartbeat_s: how often the worker shows that it lives, while it has something to do.
            patience: how long to wait for it.
            clock: seconds, never going back.
        """
        self.settings = EngineSettings()
        self.error = ""
        self.python = python or sys.executable
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._patience = patience or Patience()
        self._link = Link(self, transport_factory, self._patience, clock)
        self._state = STOPPED
        self._told_state = STOPPED
        self._pumping = 0
        self._inbox: deque[Callable[[], None]] = deque()
        self._studies: dict[str, Study] = {}
        self._preferred: dict[str, int] = {}
        self._requests: dict[int, Request] = {}  # unfinished, in the order they were made
        self._number = 0
        self._crashes: deque[float] = deque()
        self._restarts = 0
        self._facts: dict[str, Any] = {}
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
        environment = environment_with_us()
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
        self._link.drop()
        self._state = STOPPED
        for request in list(self._requests.values()):
            self._finish(request, CANCELLED)

    def configure(self, settings: EngineSettings) -> None:
        """Use these models and this device from the next step of any request on."""
        self.settings = settings
        self._link.send({"type": "configure", "settings": settings.to_json()})

    def status(self) -> EngineStatus:
        """Facts for the panel and for reports; no waiting, they are as of the last heartbeat or answer."""
        known = {name: self._facts[name] for name in EngineStatus.__dataclass_fields__ if name in self._facts}
        return EngineStatus(
            **{
                **known,
                "state": self.state,
                "python": self.python,
                "studies": len(self._studies),
                "restarts": self._restarts,
                "error": self.error,
                "log": self._link.log,
            }
        )

    # ------------------------------------------------------------------ studies

    def open_study(self, key: str, study: Study) -> None:
        """Give the worker a study, under a key of the caller's choice; one that had the key before is replaced.

        The engine keeps a reference, so that a restarted worker gets it again: the voxels must not change in place.

        Raises:
            StudyError: it is too large to be sent.
        """
        message = study_message(key, study)
        self.close_study(key)
        self._studies[key] = study
        self._link.send(*message)

    def close_study(self, key: str) -> None:
        """Forget a study and cancel what is asked of it. Harmless for an unknown key."""
        if self._studies.pop(key, None) is None:
            return
        self._preferred.pop(key, None)
        for request in list(self._requests.values()):
            if request.key == key:
                self.cancel(request)
        self._link.send({"type": "forget", "key": key})

    def prefer(self, key: str, slice_index: int) -> None:
        """Encode this slice next, where it is waiting to be encoded: the user looks at it."""
        if key in self._studies:
            self._preferred[key] = int(slice_index)
            self._link.send({"type": "prefer", "key": key, "slice": int(slice_index)})

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
            A request with the result ``{"boxes": [Box, ...], "failed": {k: why}, "provenance": {...}, "heart": (x, y) or None,
            "cancelled": False}``.

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
        self._link.send({"type": "cancel", "id": request.id})
        # What the worker is not at can simply be forgotten; so can background work, which stops by itself after its slice, and
        # the loading of a model, which will be needed anyway.
        if request.background or self._link.at != request.id or self._link.loading:
            self._finish(request, CANCELLED)
        else:
            request.cancelling_s = 0.0

    # ------------------------------------------------------------------ events

    @property
    def busy(self) -> bool:
        """Whether :meth:`pump` is to be called soon again: something is unfinished, or a worker is being started."""
        return bool(self._requests or self._inbox) or self._state in (STARTING, RESTARTING) or self._told_state != self.state

    def pump(self) -> None:
        """Take in what has happened, and call the callbacks that follow from it. Quick; may be called from within itself."""
        self._pumping += 1
        try:
            self._link.pump()
            self._drain()
            self._judge()
            self._drain()
            self._tell_state()
        finally:
            self._pumping -= 1

    def on_state(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call ``callback(state)`` whenever :attr:`state` has changed. Returns the function that ends this."""
        self._state_callbacks.append(callback)

        def remove() -> None:
            if callback in self._state_callbacks:
                self._state_callbacks.remove(callback)

        return remove

    def on_wake(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` when something was asked or has arrived outside of :meth:`pump`, for who pumps only then."""
        self._wake_callbacks.append(callback)

    def later(self, call: Callable[[], None]) -> None:
        """Do ``call`` at the next turn of :meth:`pump`."""
        self._inbox.append(call)
        self.wake()

    def wake(self) -> None:
        """Tell that there is something to be taken in by :meth:`pump`."""
        if not self._pumping:
            for callback in list(self._wake_callbacks):
                callback()

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

    # ------------------------------------------------------------------ starting and ending workers

    def _launch(self, state: str) -> None:
        self._facts = {}
        self._state = state
        try:
            self._link.start(self.command(), self.environment())
        except EngineError as error:
            self._give_up(str(error))
        self.wake()

    def lost(self, why: str) -> None:
        """The worker is gone, or of no use: say so, and start another one; of the link."""
        started = self._link.answered
        at = None if self._link.at is None else self._requests.get(self._link.at)
        # Where it did not say what it was at, any of them may have been its end.
        suspects = [at] if at is not None else list(self._requests.values()) if started else []
        self._link.drop()
        if started:
            self.error = f"The calculation process ended unexpectedly and was started again. {why}"
        else:
            self.error = f"The calculation process did not start. {why}"
        _log.warning("%s\n%s", self.error, self._link.log)
        for request in suspects:
            request.crashes += 1
            if request.crashes > 1 and request.cancelling_s is None:
                again = f"{self.error} It was asked twice for the same and ended both times, so it is not asked again."
                self._finish(request, FAILED, error=again, log=self._link.log, kind="EngineError")
        for request in self._requests.values():
            request.repeated = request.repeated or started
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
        self._link.drop()
        self.error = why
        self._state = BROKEN
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                self._finish(request, CANCELLED)
            else:
                self._finish(request, FAILED, error=why, log=self._link.log, kind="EngineError")

    def _judge(self) -> None:
        """Whether the worker is still to be waited for."""
        passed = self._link.look(waiting=bool(self._requests))
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                request.cancelling_s += passed
                if request.cancelling_s > self._patience.cancel:
                    _log.info("The worker did not answer a cancel in time and is replaced.")
                    self._finish(request, CANCELLED)
                    self._restart()
                    return

    # ------------------------------------------------------------------ messages

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
            request.finish(FAILED, error=self.error, log=self._link.log, kind="EngineError")
            return request
        self._requests[request.id] = request
        self._link.send(request.fields)
        self.wake()
        return request

    def _finish(self, request: Request, state: str, **outcome: Any) -> None:
        self._requests.pop(request.id, None)
        request.finish(state, **outcome)

    def received(self, message: Message) -> None:
        """Take in a message of the worker; of the link."""
        fields = message.fields
        if message.type == "hello":
            self._greet(fields)
            return
        if message.type == "beat":
            self._facts |= dict(fields["facts"])
            return
        if message.type not in ("at", "progress", "done", "error", "cancelled"):
            raise ProtocolError(f"unknown type {message.type!r}")
        request = self._requests.get(int(fields["id"]))
        if request is None:
            return  # cancelled meanwhile
        if message.type == "at":
            request.state = RUNNING
        elif message.type == "progress":
            request.advance(int(fields["done"]), int(fields["total"]), str(fields["message"]), self._clock())
        elif message.type == "cancelled" or request.cancelling_s is not None:
            self._finish(request, CANCELLED)
        elif message.type == "error":
            log, kind = str(fields["log"]), str(fields["kind"])
            self._finish(request, FAILED, error=str(fields["error"]), log=log, kind=kind)
        else:
            if not request.background:
                self.error = ""
            self._finish(request, DONE, result=_result(request.what, message))

    def _greet(self, fields: dict[str, Any]) -> None:
        if fields.get("protocol") != protocol.VERSION or fields.get("version") != __version__:
            self._give_up(
                f"The calculation process is of another version ({fields.get('version')}) than this program ({__version__}). "
                f"Python: {self.python}. Remove the other installation of MyoScarSeg from it, or install this one there."
            )
            return
        self._link.answered = True
        self._facts = {"pid": int(fields["pid"]), "python_version": str(fields["python_version"])}
        self._state = READY
        self._link.send({"type": "configure", "settings": self.settings.to_json()})
        for key, study in self._studies.items():
            self._link.send(*study_message(key, study))
        for key, k in self._preferred.items():  # before the requests, which are begun as they come
            self._link.send({"type": "prefer", "key": key, "slice": k})
        for request in self._requests.values():
            self._link.send(request.fields)


def _result(what: str, message: Message) -> Any:
    fields = message.fields
    if what == "segment":
        return masks_of(fields, message.arrays)
    if what == "propose":
        return {
            "boxes": boxes_of(fields["boxes"]),
            "failed": by_slice(fields["failed"]),
            "provenance": {str(key): str(value) for key, value in fields["provenance"].items()},
            "heart": None if fields["heart"] is None else (float(fields["heart"][0]), float(fields["heart"][1])),
            "cancelled": False,
        }
    if what == "encode":
        return {"encoded": [int(k) for k in fields["encoded"]], "failed": by_slice(fields["failed"])}
    return fields["value"]
