"""The engine as its user sees it: ask, go on, be told. Nothing here blocks but :meth:`Engine.wait`.

One thread owns an engine. What the worker sends is taken in by :meth:`Engine.pump`, to be called every 10 to 50 ms while it is
busy, and only from there do callbacks come. The studies live in the worker; boxes, points and the probabilities of the slices
asked for are all that travels per request. The engine remembers studies and unfinished requests, so that a worker that crashed,
hung or had to be killed is replaced by another one that knows all that it knew, and is asked again for all that was asked; but
a request that ends a second worker fails.
"""

from __future__ import annotations

import itertools
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.engine.burden_messages import BurdenJob, burden_message
from MyoScarSegLib.engine.messages import error_of, proposals_of, read_message, study_message, with_masks
from MyoScarSegLib.engine.protocol import ProtocolError
from MyoScarSegLib.engine.request import Request
from MyoScarSegLib.engine.worker_process import (
    BROKEN,
    READY,
    RESTARTING,
    STARTING,
    STOPPED,
    EngineStatus,
    Timeouts,
    WorkerProcess,
)
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.result import DEFAULT_THRESHOLD, Encoded, ProposedVentricle, SliceMasks, check_threshold, slices_of
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.background_task import environment_with_us
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.signal import Signal
from MyoScarSegLib.utils.task import CANCELLED, DONE, FAILED, PENDING, RUNNING
from MyoScarSegLib.utils.transport import SubprocessTransport, TransportFactory

__all__ = ["Engine", "EngineSettings", "EngineStatus", "Request", "Timeouts"]

WORKING = "working"
_WAIT_S = 0.002
_log = logging.getLogger(__name__)


class Engine:
    """A worker process and everything asked of it; see the module's docstring.

    What asks for something gives a :class:`Request` at once. It raises StudyError if the study is too large to be sent, and
    PromptError for a slice that is not in it.

    Attributes:
        state: ``stopped``, ``starting``, ``ready``, ``working``, ``restarting`` or ``failed``.
        settings: of :meth:`configure`.
        state_changed: tells a new state, from :meth:`pump`.
        woken: tells that something was asked or has arrived outside of :meth:`pump`, to who pumps only then.
    """

    def __init__(
        self,
        transport_factory: TransportFactory = SubprocessTransport,
        *,
        python: str | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (it cannot be changed)
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started yet; the first request does it, or :meth:`start`.

        Args:
            transport_factory: called as ``transport_factory(command, environment)`` for each worker.
            python: interpreter with torch; this process's own if None (PythonSlicer, in Slicer).
            timeouts: how long to wait for it.
            clock: seconds, never going back.
        """
        self.settings = EngineSettings()
        self.state_changed = Signal()
        self.woken = Signal()
        self.python = python or sys.executable
        self._clock = clock
        self._timeouts = timeouts
        self._process = WorkerProcess(self, transport_factory, timeouts, clock)
        self._told_state = STOPPED
        self._pumping = 0
        self._inbox: deque[Callable[[], None]] = deque()
        self._studies: dict[int, _Opened] = {}  # by the study's id()
        self._requests: dict[int, Request] = {}  # unfinished, in the order they were made
        self._numbers = itertools.count(1)  # of studies and requests

    # ------------------------------------------------------------------ the process

    @property
    def state(self) -> str:
        """What the worker does; see the attributes of the class."""
        state = self._process.state
        return WORKING if state == READY and self._requests else state

    @property
    def error(self) -> str:
        """Sentence on the last crash, or on why there is no worker; empty if all is well."""
        return self._process.error

    def command(self) -> list[str]:
        """Program and arguments that start a worker."""
        return [self.python, "-m", "MyoScarSegLib.engine.worker"]

    def environment(self) -> dict[str, str]:
        """The whole environment of a worker: this process's own, with this library on the path."""
        environment = environment_with_us()
        environment["PYTHONFAULTHANDLER"] = "1"  # a crash in native code then leaves its place in the log
        if self.settings.threads:
            environment["OMP_NUM_THREADS"] = str(self.settings.threads)
        return environment

    def start(self) -> None:
        """Start the worker, if there is none. After ``failed`` this is the way to try again."""
        self._process.start()

    def stop(self) -> None:
        """End the worker. Unfinished requests are cancelled; the studies are remembered for another :meth:`start`."""
        self._process.stop()
        for request in list(self._requests.values()):
            self._finish(request, CANCELLED)

    def configure(self, settings: EngineSettings) -> None:
        """Use these models and this device from the next step of any request on."""
        self.settings = settings
        self._process.send({"type": "configure", "settings": settings.to_json()})

    def status(self) -> EngineStatus:
        """Facts for the panel and for reports; no waiting, they are as of the last heartbeat or answer."""
        process = self._process
        known = {name: process.facts[name] for name in EngineStatus.__dataclass_fields__ if name in process.facts}
        told = {"state": self.state, "python": self.python, "restarts": process.restarts}
        return EngineStatus(**{**known, **told, "error": process.error, "log": process.log})

    # ------------------------------------------------------------------ studies

    def open_study(self, study: Study) -> None:
        """Give the worker a study; the first request for it does the same. Harmless for one that it has.

        The engine keeps a reference until :meth:`close_study`, so that a restarted worker gets it again: the voxels must not
        change in place.

        Raises:
            StudyError: it is too large to be sent.
        """
        if id(study) not in self._studies:
            key = f"study-{next(self._numbers)}"
            message = study_message(key, study)
            self._studies[id(study)] = _Opened(key, study)
            self._process.send(message)

    def close_study(self, study: Study) -> None:
        """Forget a study and cancel what is asked of it. Harmless for an unknown one."""
        opened = self._studies.pop(id(study), None)
        if opened is None:
            return
        for request in list(self._requests.values()):
            if request.study is study:
                self.cancel(request)
        self._process.send({"type": "forget", "key": opened.key})

    def prefer(self, study: Study, slice_index: int) -> None:
        """Encode this slice next, where it is waiting to be encoded: the user looks at it."""
        opened = self._studies.get(id(study))
        if opened is not None:
            opened.preferred = int(slice_index)
            self._process.send({"type": "prefer", "key": opened.key, "slice": int(slice_index)})

    # ------------------------------------------------------------------ requests: the verbs of Pipeline

    def encode(self, study: Study, slices: Iterable[int] | None = None) -> Request:
        """As :meth:`Pipeline.encode <MyoScarSegLib.pipeline.Pipeline.encode>`, in the background of all that somebody waits for.

        Result: an :class:`~MyoScarSegLib.result.Encoded`.
        """
        return self._ask("encode", partial(read_message, Encoded), study, background=True, slices=slices_of(study, slices))

    def propose(self, study: Study) -> Request:
        """As :meth:`Pipeline.propose <MyoScarSegLib.pipeline.Pipeline.propose>`. Result: :class:`~MyoScarSegLib.result.Boxes`."""
        return self._ask("propose", proposals_of, study)

    def suggest(self, study: Study, confirmed: Mapping[int, np.ndarray]) -> Request:
        """As :meth:`Pipeline.suggest <MyoScarSegLib.pipeline.Pipeline.suggest>`. Result: :class:`~MyoScarSegLib.result.Boxes`."""
        masks = {str(k): np.asarray(confirmed[k], dtype=bool) for k in slices_of(study, confirmed)}
        return self._ask("suggest", proposals_of, study, confirmed=masks)

    def segment(
        self,
        study: Study,
        boxes: Iterable[Box],
        points: Iterable[Point] = (),
        *,
        slices: Iterable[int] | None = None,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> Request:
        """As :meth:`Pipeline.segment <MyoScarSegLib.pipeline.Pipeline.segment>`.

        Result: a :class:`~MyoScarSegLib.result.Result`, whose ``scores`` name the slices that were segmented.

        Raises:
            MyoScarSegError: ``threshold`` is no probability.
        """
        boxes, points, chosen = tuple(boxes), tuple(points), list(slices_of(study, slices))
        check_threshold(threshold)
        return self._ask(
            "segment",
            lambda fields: with_masks(read_message(SliceMasks, fields), study, boxes, points, threshold),
            study,
            boxes=to_json(boxes),
            points=to_json(points),
            slices=chosen,
            threshold=threshold,
        )

    def ventricle(self, study: Study) -> Request:
        """As :meth:`Pipeline.ventricle <MyoScarSegLib.pipeline.Pipeline.ventricle>`.

        Result: a :class:`~MyoScarSegLib.result.ProposedVentricle`.
        """
        return self._ask("ventricle", partial(read_message, ProposedVentricle), study)

    def picture(self, job: BurdenJob, name: str, width_px: int) -> Request:
        """Draw a picture of scar burden, see :func:`~MyoScarSegLib.engine.burden_work.draw_picture`. Result: a PNG, ``bytes``."""
        given = {"job": burden_message(replace(job, result=replace(job.result, scores={}))), "name": name, "width_px": width_px}
        return self._ask("picture", _picture_of, job.result.study, background=True, **given)

    def report(self, job: BurdenJob, folder: Path) -> Request:
        """Write a report of scar burden, see :func:`~MyoScarSegLib.engine.burden_work.write_report_of`.

        Result: the study's folder, a text.
        """
        return self._ask("report", _value_of, job.result.study, job=burden_message(job), folder=str(folder))

    def models(self) -> Request:
        """What models there are. Result: a list of ``{"name", "title", "task", "licence", "size", "metrics", "state", ...}``."""
        return self._ask("models", _value_of)

    def device_test(self) -> Request:
        """Try the chosen device with the chosen segmenter. Result: ``{"sentence", "device", "torch", "encode_ms", ...}``."""
        return self._ask("device_test", _value_of)

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
        self._process.send({"type": "cancel", "id": request.id})
        # What the worker is not at can simply be forgotten; so can background work, which stops by itself after its slice, and
        # the loading of a model, which will be needed anyway.
        if request.background or self._process.at != request.id or self._process.loading:
            self._finish(request, CANCELLED)
        else:
            request.cancelling_s = 0.0

    # ------------------------------------------------------------------ events

    @property
    def busy(self) -> bool:
        """Whether :meth:`pump` is to be called soon again: something is unfinished, or a worker is being started."""
        starts = self._process.state in (STARTING, RESTARTING)
        return bool(self._requests or self._inbox) or starts or self._told_state != self.state

    def pump(self) -> None:
        """Take in what has happened, and call the callbacks that follow from it. Quick; may be called from within itself."""
        self._pumping += 1
        try:
            self._process.pump()
            self._drain()
            self._check()
            self._drain()
            self._tell_state()
        finally:
            self._pumping -= 1

    def later(self, call: Callable[[], None]) -> None:
        """Do ``call`` at the next turn of :meth:`pump`."""
        self._inbox.append(call)
        self.wake()

    def wake(self) -> None:
        """Tell that there is something to be taken in by :meth:`pump`."""
        if not self._pumping:
            self.woken.emit()

    def _drain(self) -> None:
        # Taken one by one, so that a callback may itself pump: what is left then is done there, in the same order.
        while self._inbox:
            self._inbox.popleft()()

    def _tell_state(self) -> None:
        state = self.state
        if state != self._told_state:
            self._told_state = state
            try:
                self.state_changed.emit(state)
            except Exception:  # a caller's fault must not stop the engine
                _log.exception("What follows the engine's state %s failed", state)

    def _check(self) -> None:
        """Whether the worker is still to be waited for."""
        passed = self._process.check(waiting=bool(self._requests))
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                request.cancelling_s += passed
                if request.cancelling_s > self._timeouts.cancel_s:
                    _log.info("The worker did not answer a cancel in time and is replaced.")
                    self._finish(request, CANCELLED)
                    self._wait_again()
                    self._process.restart()
                    return

    def _ask(
        self,
        what: str,
        read: Callable[[dict[str, Any]], Any],
        study: Study | None = None,
        *,
        background: bool = False,
        **fields: Any,
    ) -> Request:
        if study is not None:
            self.open_study(study)
            fields["key"] = self._studies[id(study)].key
        request = Request(self, next(self._numbers), {"what": what, **fields}, read, study=study, background=background)
        if self._process.state == STOPPED:
            self.start()
        if self._process.state == BROKEN:
            request.finish(FAILED, error=EngineError(self.error), log=self._process.log)
            return request
        self._requests[request.id] = request
        self._process.send(request.fields)
        self.wake()
        return request

    def _finish(self, request: Request, state: str, **outcome: Any) -> None:
        self._requests.pop(request.id, None)
        request.finish(state, **outcome)

    # ------------------------------------------------------------------ what the process tells

    def greeted(self) -> None:
        """A worker is ready: tell it all that is to be known and done."""
        self._process.send({"type": "configure", "settings": self.settings.to_json()})
        for opened in self._studies.values():
            self._process.send(study_message(opened.key, opened.study))
            if opened.preferred is not None:  # before the requests, which are begun as they come
                self._process.send({"type": "prefer", "key": opened.key, "slice": opened.preferred})
        for request in self._requests.values():
            self._process.send(request.fields)

    def received(self, fields: dict[str, Any]) -> None:
        """Take an answer of the worker; of its process."""
        kind = fields.get("type")
        if kind not in ("at", "progress", "done", "error", "cancelled"):
            raise ProtocolError(f"unknown type {kind!r}")
        request = self._requests.get(int(fields["id"]))
        if request is None:
            return  # cancelled meanwhile
        if kind == "at":
            request.state = RUNNING
        elif kind == "progress":
            request.advance(int(fields["done"]), int(fields["total"]), str(fields["message"]), self._clock())
        elif kind == "cancelled" or request.cancelling_s is not None:
            self._finish(request, CANCELLED)
        elif kind == "error":
            self._finish(request, FAILED, error=error_of(fields), log=str(fields["log"]))
        else:
            if not request.background:
                self._process.error = ""
            self._finish(request, DONE, result=request.read(fields))

    def lost(self, at: int | None, *, started: bool) -> None:
        """A worker is gone: whoever ended two of them fails."""
        # Where it did not say what it was at, any of them may have been its end.
        suspects = [self._requests[at]] if at in self._requests else list(self._requests.values()) if started else []
        for request in suspects:
            request.crashes += 1
            if request.crashes > 1 and request.cancelling_s is None:
                again = f"{self.error} It was asked twice for the same and ended both times, so it is not asked again."
                self._finish(request, FAILED, error=EngineError(again), log=self._process.log)
        for request in self._requests.values():
            request.repeated = request.repeated or started
        self._wait_again()

    def given_up(self) -> None:
        """No worker can be had: all that is asked fails."""
        self._wait_again()
        for request in list(self._requests.values()):
            self._finish(request, FAILED, error=EngineError(self.error), log=self._process.log)

    def _wait_again(self) -> None:
        """All that is asked waits for another worker, but for what is being cancelled."""
        for request in list(self._requests.values()):
            if request.cancelling_s is not None:
                self._finish(request, CANCELLED)
            else:
                request.state = PENDING


def _picture_of(fields: dict[str, Any]) -> bytes:
    png: bytes = fields["png"].tobytes()
    return png


def _value_of(fields: dict[str, Any]) -> Any:
    return fields["value"]


@dataclass
class _Opened:
    """A study that the worker has: its name there, and the slice that the user looks at."""

    key: str
    study: Study
    preferred: int | None = None
