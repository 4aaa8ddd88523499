"""What pip writes: how far it is, and why it failed, in a sentence for the user."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from MyoScarSegLib.utils.task import TaskProgress

STEPS = 1000
"""What a whole installation counts."""
_BYTES = re.compile(r"^Progress (\d+) of (\d+)$")
_DOWNLOADING = re.compile(r"^\s*Downloading (?:\S+/)?([A-Za-z0-9_.]+?)-\d\S*\.whl(?: \(([\d.]+) ([kMG]?B)\))?")
_UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
# Unpacking a gigabyte takes its time too; pip says nothing while it does.
_DOWNLOAD_SHARE = 0.85

# The first that is found in the log counts; (pattern, sentence). A group of the pattern is named in the sentence.
_REASONS = (
    (r"No space left on device|\[Errno 28\]|not enough space|WinError 112", "The disk is full. Free some space and try again."),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "The connection was refused for its certificate. If this network has a proxy with a certificate of its own, "
        "tell pip of it (pip config set global.cert FILE), or install from a folder of wheels.",
    ),
    (
        r"ProxyError|Tunnel connection failed|407 Proxy",
        "The proxy refused the connection. Set HTTPS_PROXY, or install from a folder of wheels.",
    ),
    (
        r"Failed to establish a new connection|name resolution|getaddrinfo failed|NameResolutionError|ConnectTimeout|"
        r"Connection refused|Network is unreachable|Max retries exceeded|Read timed out|Connection reset|Connection aborted",
        "The package index cannot be reached. Check the network, or install from a folder of wheels.",
    ),
    (
        r"(?:Permission denied|PermissionError|Access is denied|WinError 5\b|WinError 32)[^\n]*",
        "A file could not be written: it belongs to another user, or another Slicer is using it. "
        "Close the other Slicer windows and try again.",
    ),
    (r"DO NOT MATCH THE HASHES|hash mismatch|BadZipFile|has an invalid wheel", "A download arrived damaged. Try again."),
    (r"No module named pip", "This Slicer's Python has no pip. Install Slicer again."),
    (r"MemoryError|Cannot allocate memory", "The computer ran out of memory. Close other programs and try again."),
)
_CONFLICT = re.compile(r"ResolutionImpossible|conflicting dependencies|Cannot install .* because these package versions")
_DEMAND = re.compile(r"^\s*(?!The user requested)(\S.*? (?:depends on|requires) .+)$", re.MULTILINE)
_ABSENT = re.compile(r"No matching distribution found for ([^\s;]+)")


class Follower:
    """Reads pip's lines over all steps of a plan.

    Args:
        total_mb: how much will be downloaded, about.
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
        """A step of the plan begins: ``title`` is the message until pip says more."""
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
    def progress(self) -> TaskProgress:
        """How far it is, of :data:`STEPS`. It never reaches the end: whether it worked is seen afterwards."""
        came = self._done_mb + self._here_mb
        # The total is an estimate; a longer download creeps up to its share instead of passing it.
        share = came / max(self._total_mb, came * 1.05)
        fraction = share * _DOWNLOAD_SHARE + (0.05 if self._installing else 0.0)
        seconds = self._clock() - self._began
        left = None
        if came > 5 and seconds > 3 and not self._installing:
            left = max(self._total_mb - came, 0.0) * seconds / came
        self._fraction = max(self._fraction, min(fraction, 0.98))  # a bar does not go back
        return TaskProgress(round(self._fraction * STEPS), STEPS, self._message, left)

    def _finish_file(self) -> None:
        self._done_mb += max(self._here_mb, self._file_mb)
        self._here_mb = self._file_mb = 0.0


def explain(log: str, status: int, wheel_folder: Path | None = None) -> str:
    """One or two sentences: what went wrong, and what to do.

    Args:
        wheel_folder: where the wheels were to come from, None for an index.
    """
    for pattern, sentence in _REASONS:
        if re.search(pattern, log, re.IGNORECASE):
            return sentence
    if _CONFLICT.search(log):
        demands = [demand.strip() for demand in _DEMAND.findall(log)]
        reason = f": {'; '.join(demands[:3])}" if demands else ""
        return (
            f"The packages cannot be combined with those that are in Slicer{reason}. "
            "Nothing of Slicer's was replaced. A newer Slicer may help."
        )
    if absent := _ABSENT.search(log):
        name = absent.group(1)
        if wheel_folder is not None:
            return f"The folder {wheel_folder} has no wheel of {name} for this Python and system. Put it there and try again."
        return f"The package index has no {name} for this Python and system. A newer Slicer may help."
    errors = [line for line in log.splitlines() if line.startswith("ERROR:")]
    last = errors[-1] if errors else next((line for line in reversed(log.splitlines()) if line.strip()), "")
    said = last.removeprefix("ERROR:").strip() or "it said nothing"
    return f"The installation ended with status {status}: {said}. See the log."
