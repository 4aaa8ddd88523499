"""Reading the log of a training while it is written: only what is new, as often as one likes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_PIECE = 1 << 20
_SEEN = 256


class LogReader:
    """Gives the lines of a log that were added since the last call.

    A training that goes on may write its log anew, without what it will do again: then all of it is given again.

    Attributes:
        path: of the log, which need not be there yet.
        restarted: whether what :meth:`new` gave last begins the log again, so that what was given before no longer holds.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.restarted = False
        self._place = 0
        self._unread = b""
        self._end = b""
        self._which: tuple[int, int] | None = None

    def new(self) -> list[dict[str, Any]]:
        """The entries since the last call, at most some thousands at a time; none if there is no log.

        A last line that is not whole yet is given when it is.
        """
        self.restarted = False
        try:
            with self.path.open("rb") as file:
                self._find_place(file)
                data = file.read(_PIECE)
        except OSError:
            if self._place:  # it was there, and is gone
                self._begin()
                self.restarted = True
            return []
        self._place += len(data)
        self._end = (self._end + data)[-_SEEN:]
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [entry for line in lines if (entry := _entry(line)) is not None]

    def _find_place(self, file: Any) -> None:
        """Go to what was not read yet; to the beginning if this is not what was read before."""
        facts = os.fstat(file.fileno())
        which = (facts.st_dev, facts.st_ino)
        same = self._which in (None, which) and facts.st_size >= self._place
        if same and self._end:
            file.seek(self._place - len(self._end))
            same = file.read(len(self._end)) == self._end
        if not same:
            self._begin()
            self.restarted = True
        self._which = which
        file.seek(self._place)

    def _begin(self) -> None:
        self._place, self._unread, self._end, self._which = 0, b"", b"", None


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:  # torn by a crash
        return None
    return entry if isinstance(entry, dict) else None
