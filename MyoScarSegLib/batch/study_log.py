"""The log of one study, in its case folder: what the library said while it was read, segmented and written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from MyoScarSegLib.study.names import without_folders
from MyoScarSegLib.utils.files import write_bytes

STUDY_LOG = "log.txt"
_logger = logging.getLogger("MyoScarSegLib")
_listeners: list[logging.Handler] = []
_alone = threading.Lock()
_usual_level = logging.NOTSET


class StudyLog:
    """Keeps what is logged while :meth:`listening`, of the calling thread alone."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @contextmanager
    def listening(self, path: Path) -> Iterator[None]:
        """Keep what is logged in the block; ``path``, which may hold a patient's name, is left out of it."""
        handler = _Handler(self._lines, path)
        _listen(handler)
        try:
            yield
        finally:
            _listen(handler, ends=True)

    def write(self, folder: Path) -> None:
        """Replace the log in a case folder; OutputError if it cannot be written."""
        write_bytes(folder / STUDY_LOG, "".join(f"{line}\n" for line in self._lines).encode())


def _listen(handler: logging.Handler, *, ends: bool = False) -> None:
    """Begin or end; the level is the usual one again when nobody listens any more."""
    global _usual_level
    with _alone:
        if ends:
            _listeners.remove(handler)
            _logger.removeHandler(handler)
            if not _listeners:
                _logger.setLevel(_usual_level)
            return
        if not _listeners:
            _usual_level = _logger.level
            _logger.setLevel(min(_usual_level or logging.INFO, logging.INFO))
        _listeners.append(handler)
        _logger.addHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, lines: list[str], path: Path) -> None:
        super().__init__(logging.INFO)
        self._lines, self._path, self._thread = lines, path, threading.get_ident()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(without_folders(self.format(record), self._path))
