"""The worker process: ``python -m MyoScarSegLib.engine.worker``.

Frames come in on standard input and go out on what was standard output when the process began; from then on file descriptor 1
is the standard error, so that nothing that a library prints can get among the frames. One thread reads, and so sees a cancel at
once; one gives a sign of life; the work is done in the main thread. It leaves when its standard input ends, because then the
application has gone. torch is imported when a model is first needed; a greeting is sent at once.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import threading
import time
import traceback
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.messages import read_message
from MyoScarSegLib.engine.protocol import FrameReader, ProtocolError
from MyoScarSegLib.engine.request_queue import KINDS, Asked, RequestQueue
from MyoScarSegLib.engine.work import Work
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.device import is_out_of_memory

HEARTBEAT_S = 0.5
"""Seconds between signs of life: several within the shortest silence that ends a worker."""
_PIECE_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class Writer:
    """Sends frames; safe to use from several threads. The process ends when nobody listens any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, fields: dict[str, Any]) -> None:
        """Send one frame, whole."""
        rest = memoryview(protocol.pack(fields))
        with self._lock:
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest[:_PIECE_BYTES]) :]
            except OSError:
                leave(0)


class Worker:
    """Reads requests in one thread, works in another."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._queue = RequestQueue()
        self._work = Work(self._loading)
        self._at: Asked | None = None
        self._moved = time.monotonic()

    def read(self, descriptor: int) -> None:
        """Take in frames until there are no more, then end the process."""
        reader = FrameReader()
        while True:
            try:
                data = os.read(descriptor, _PIECE_BYTES)
            except OSError:
                data = b""
            if not data:
                leave(0)
            try:
                for fields in reader.feed(data):
                    self._take(fields)
            except (ProtocolError, MyoScarSegError, KeyError, TypeError, ValueError):
                _log.exception("What came in cannot be understood")
                leave(2)

    def heartbeat(self) -> None:
        """Give signs of life while there is work, with facts, and with how long it has been at the same step."""
        while True:
            time.sleep(HEARTBEAT_S)
            if self._at is not None:
                self._writer.send({"type": "heartbeat", "step_s": time.monotonic() - self._moved, "facts": self._work.facts()})

    def run(self) -> None:
        """Do what is asked, for ever."""
        while True:
            self._at = None
            asked = self._queue.take()
            self._moved = time.monotonic()
            self._at = asked
            self._writer.send({"type": "at", "id": asked.id, "loading": False})
            try:
                answer = self._work.step(asked, self._queue, self._report)
                if answer is None:
                    self._queue.put_back(asked)
                    continue
                # What the request did to the worker is told before its end, so that it is true when that is shown.
                self._writer.send({"type": "heartbeat", "step_s": 0.0, "facts": self._work.facts()})
                self._writer.send({**answer, "type": "done", "id": asked.id})
            except Cancelled:
                self._writer.send({"type": "cancelled", "id": asked.id})
            except MyoScarSegError as error:
                self._fail(asked, str(error), type(error).__name__)
            except Exception as error:  # whatever a network's library raises: it ends the request, not the worker
                self._fail(asked, _sentence(asked, error), "EngineError")

    def _take(self, fields: dict[str, Any]) -> None:
        kind = fields.get("type")
        if kind == "request":
            what = str(fields["what"])
            if what not in KINDS:
                raise ProtocolError(f"unknown request {what!r}")
            asked = Asked(int(fields["id"]), what, str(fields.get("key", "")), fields)
            asked.left = [int(k) for k in fields.get("slices", ())]
            self._queue.add(asked)
        elif kind == "cancel":
            self._queue.cancel(int(fields["id"]))
        elif kind == "prefer":
            self._queue.prefer(str(fields["key"]), int(fields["slice"]))
        elif kind == "study":
            self._work.studies[str(fields["key"])] = read_message(Study, fields)
        elif kind == "forget":
            self._work.studies.pop(str(fields["key"]), None)
            self._queue.forget(str(fields["key"]))
        elif kind == "configure":
            self._work.settings = EngineSettings.from_json(fields["settings"])
        else:
            raise ProtocolError(f"unknown message {kind!r}")

    def _report(self, done: int, total: int, message: str) -> None:
        self._moved = time.monotonic()
        if self._at is not None:
            self._writer.send({"type": "progress", "id": self._at.id, "done": done, "total": total, "message": message})

    def _loading(self, begins: bool) -> None:
        self._moved = time.monotonic()
        if self._at is not None:
            self._writer.send({"type": "at", "id": self._at.id, "loading": begins})

    def _fail(self, asked: Asked, sentence: str, kind: str) -> None:
        log = traceback.format_exc()
        sys.stderr.write(log)
        sys.stderr.flush()
        self._writer.send({"type": "error", "id": asked.id, "error": sentence, "kind": kind, "log": log})


def main() -> None:
    """Run until standard input ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the application, which then ends this process
    incoming, outgoing = _private_pipes()
    writer = Writer(outgoing)
    worker = Worker(writer)
    writer.send(
        {
            "type": "hello",
            "protocol": protocol.VERSION,
            "version": __version__,
            "pid": os.getpid(),
            "python_version": platform.python_version(),
        }
    )
    threading.Thread(target=worker.read, args=(incoming,), daemon=True, name="reader").start()
    threading.Thread(target=worker.heartbeat, daemon=True, name="heartbeat").start()
    worker.run()


def leave(status: int) -> None:
    """End the process at once: the thread that works may be in the middle of a long product."""
    sys.stderr.flush()
    os._exit(status)


def _private_pipes() -> tuple[int, int]:
    """Copies of standard input and output for the frames; what is left of them reads nothing and writes to standard error."""
    incoming, outgoing = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(incoming, os.O_BINARY)
        msvcrt.setmode(outgoing, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _sentence(asked: Asked, error: Exception) -> str:
    what = KINDS[asked.what].words
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "?").partition(".")[0]
        return (
            f"The calculation needs the package {package}, which is not installed in {sys.executable}. "
            "Install what is missing under Advanced, then try again."
        )
    if is_out_of_memory(error):
        return f"{what} failed: there is too little memory. Close other programs, or choose a smaller model or another device."
    return f"{what} failed: {str(error) or type(error).__name__}"


if __name__ == "__main__":
    main()
