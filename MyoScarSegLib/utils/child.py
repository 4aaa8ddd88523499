"""The child's side of work in a process of its own: a line of JSON comes in, and lines on progress and the result go out.

The parent's side is :mod:`MyoScarSegLib.engine.task`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.utils.progress import CancelToken, Progress

Work = Callable[[dict[str, Any], Progress, CancelToken], Any]
"""``work(job, progress, cancel)``: what a child does; returns what is JSON-ready."""


def environment_with_us(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment (this process's own if None) in which a child's Python finds this package."""
    environment = dict(os.environ if environment is None else environment)
    package = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (package, environment.get("PYTHONPATH", "")) if part)
    return environment


def serve(work: Work) -> None:
    """Do the job that standard input's first line is, and end the process; when standard input ends, it is cancelled.

    A :class:`MyoScarSegError` is told as its sentence, another error with its class; a cancel gives no result and status 0.
    """
    status = 1
    try:
        status = _served(work)
    except BaseException:
        traceback.print_exc()
    with suppress(OSError):
        sys.stderr.flush()
    # A daemon thread that waits for standard input must not hold up the end of the process.
    os._exit(status)


def _served(work: Work) -> int:
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that a library's print cannot end up among the lines

    def say(line: dict[str, Any]) -> None:
        lines.write(json.dumps(line) + "\n")
        lines.flush()

    def tell_progress(done: int, total: int, message: str) -> None:
        with suppress(OSError):  # nobody listens: then the input has ended, too
            say({"progress": [done, total, message]})

    job = json.loads(sys.stdin.buffer.readline())
    cancel = CancelToken()

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the parent closes it, or is gone
        cancel.cancel()

    threading.Thread(target=watch, daemon=True).start()
    try:
        result = work(job, tell_progress, cancel)
    except Cancelled:
        return 0
    except MyoScarSegError as error:
        say({"error": str(error)})
        return 1
    except Exception as error:  # a defect would be met again: that is an answer, and no death to be asked again after
        traceback.print_exc()
        say({"error": f"It ended with a defect: {type(error).__name__}: {error}".rstrip(": ")})
        return 1
    say({"result": result})
    return 0
