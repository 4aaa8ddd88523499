"""Why pip failed, in a sentence for the user. The log stays beside it."""

from __future__ import annotations

import re
from pathlib import Path

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


def explain(log: str, status: int, wheel_folder: Path | None = None) -> str:
    """One or two sentences: what went wrong, and what to do.

    Args:
        log: what pip wrote.
        status: with what exit status it ended.
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
