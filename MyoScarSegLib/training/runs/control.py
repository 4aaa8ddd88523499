"""What is wished of a running run: a small file that anybody writes and the run's process looks at.

A file and no signal: it reaches the process on every system, from another Slicer, and from the command line.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.utils.files import read_json, write_json
from MyoScarSegLib.utils.progress import CancelToken

CONTROL = "control.json"
PAUSE, STOP, CANCEL = "pause", "stop", "cancel"
WISHES = (PAUSE, STOP, CANCEL)
LOOK_S = 0.2
"""How often the process looks."""
BEAT_S = 5.0
"""How often it shows that it lives."""
SAFE_PLACE_S = 180.0
"""How long a training that is paused or stopped may take to its next safe place, which is after the step in hand, when its
checkpoint is written; after that its process is ended, and what it has learnt since the last checkpoint is lost."""
AT_ONCE_S = 1.0
"""The same where there is nothing to keep."""


def write_wish(folder: Path, wish: str) -> None:
    """Leave a wish for the process of the run in ``folder``.

    Raises:
        OutputError: it cannot be written.
    """
    write_json(folder / CONTROL, {"wish": wish, "time": round(time.time(), 3)})


def read_wish(folder: Path) -> str | None:
    """What is wished; None for nothing that this program knows."""
    try:
        document = read_json(folder / CONTROL, StudyError)
    except StudyError:
        return None
    wish = document.get("wish") if isinstance(document, dict) else None
    return wish if wish in WISHES else None


def clear_wish(folder: Path) -> None:
    """Take back what was wished."""
    try:
        (folder / CONTROL).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot remove {folder / CONTROL}: {error.strerror}.") from error


class Watch:
    """Looks for wishes in a thread of its own, and sees to it that they come true in time.

    Attributes:
        cancel: set as soon as anything is wished; the training ends at its next step.
        wish: what is wished; None until then. A later ``stop`` or ``cancel`` goes before a ``pause``, and ``cancel`` before all.
    """

    def __init__(
        self,
        folder: Path,
        hard_end: Callable[[str], None],
        *,
        patience_s: Callable[[str], float] = lambda _wish: SAFE_PLACE_S,
        asked: Callable[[str], None] = lambda _wish: None,
        beat: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; :meth:`start` begins to look.

        Args:
            folder: of the run.
            hard_end: called in the thread with the wish, when the training has not ended ``patience_s`` after it. It ends
                the process and does not return; or it does, and is called again a little later.
            patience_s: how many seconds the training may take to end by itself, for a wish; asked again and again.
            asked: called in the thread with each new wish.
            beat: called in the thread every few seconds, to show that the process lives.
        """
        self.cancel = CancelToken()
        self.wish: str | None = None
        self._folder, self._hard_end, self._patience_s, self._asked = folder, hard_end, patience_s, asked
        self._beat, self._beaten = beat, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="wishes of the run")
        self._began: float | None = None

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more: the training has ended by itself."""
        self._over.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def ask(self, wish: str) -> None:
        """A wish that came another way, such as a signal. Safe in a signal handler."""
        if self.wish is None or WISHES.index(wish) > WISHES.index(self.wish):
            self.wish = wish
        if self._began is None:
            self._began = time.monotonic()
        self.cancel.cancel()

    def _look(self) -> None:
        told = None
        while not self._over.wait(LOOK_S):
            wish = read_wish(self._folder)
            if wish is not None:
                self.ask(wish)
            if self.wish is not None and self.wish != told:
                told = self.wish
                self._asked(told)
            if told is not None and self._began is not None and time.monotonic() - self._began >= self._patience_s(told):
                self._hard_end(told)
            if self._beat is not None and time.monotonic() - self._beaten >= BEAT_S:
                self._beaten = time.monotonic()
                self._beat()


def end_process(status: int = 0) -> None:
    """End this process at once, whatever its threads do."""
    os._exit(status)
