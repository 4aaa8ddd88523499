"""How far pip is, read from what it writes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

_BYTES = re.compile(r"^Progress (\d+) of (\d+)$")
_DOWNLOADING = re.compile(r"^\s*Downloading (?:\S+/)?([A-Za-z0-9_.]+?)-\d\S*\.whl(?: \(([\d.]+) ([kMG]?B)\))?")
_UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
# Unpacking a gigabyte takes its time too; pip says nothing while it does.
_DOWNLOAD_SHARE = 0.85


@dataclass(frozen=True)
class InstallProgress:
    """How far an installation is.

    Attributes:
        fraction: 0 to 1.
        message: what is being done.
        seconds_left: of the downloads, None while unknown.
    """

    fraction: float = 0.0
    message: str = ""
    seconds_left: float | None = None


class Follower:
    """Reads pip's lines over all steps of a plan.

    Args:
        total_mb: how much will be downloaded, about.
        clock: seconds.
    """

    def __init__(self, total_mb: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._total_mb = max(total_mb, 1.0)
        self._clock = clock
        self._began = clock()
        self._done_mb = 0.0  # of files that have come
        self._file_mb = 0.0
        self._here_mb = 0.0  # of the file that is coming
        self._installing = False
        self._message = ""
        self._fraction = 0.0

    def begin(self, title: str) -> None:
        """A step begins."""
        self._finish_file()
        self._installing = False
        self._message = title

    def line(self, line: str) -> bool:
        """Take in a line; False if it is only a count of bytes, which no log needs."""
        if counted := _BYTES.match(line.strip()):
            self._here_mb, self._file_mb = int(counted.group(1)) / 1e6, int(counted.group(2)) / 1e6
            return False
        if found := _DOWNLOADING.match(line):
            self._finish_file()
            name, size, unit = found.groups()
            self._file_mb = float(size) * _UNITS[unit] if size else 0.0
            self._message = f"Downloading {name.replace('_', '-')}" + (f" ({size} {unit})" if size else "")
        elif line.startswith("Installing collected packages:"):
            self._finish_file()
            self._installing = True
            self._message = f"Unpacking {len(line.partition(':')[2].split(','))} packages"
        elif line.startswith("Collecting "):
            self._finish_file()
            self._message = "Looking for " + re.split(r"[\s<>=!~;\[]", line.removeprefix("Collecting "), maxsplit=1)[0]
        return True

    @property
    def progress(self) -> InstallProgress:
        """How far it is. The fraction never reaches 1: whether it worked is seen afterwards."""
        came = self._done_mb + self._here_mb
        # The total is an estimate; a longer download creeps up to its share instead of passing it.
        share = came / max(self._total_mb, came * 1.05)
        fraction = share * _DOWNLOAD_SHARE + (0.05 if self._installing else 0.0)
        seconds = self._clock() - self._began
        left = None
        if came > 5 and seconds > 3 and not self._installing:
            left = max(self._total_mb - came, 0.0) * seconds / came
        self._fraction = max(self._fraction, min(fraction, 0.98))  # a bar does not go back
        return InstallProgress(self._fraction, self._message, left)

    def _finish_file(self) -> None:
        self._done_mb += max(self._here_mb, self._file_mb)
        self._here_mb = self._file_mb = 0.0
