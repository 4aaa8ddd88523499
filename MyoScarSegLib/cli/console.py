"""What commands share: progress on the terminal, Ctrl-C, and the options of every job."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from MyoScarSegLib.engine.engine_settings import EngineSettings
from MyoScarSegLib.utils.json_fields import limits_of
from MyoScarSegLib.utils.progress import CancelToken


class ConsoleProgress:
    """A bar with time left on a terminal; a plain line per step, or per tenth of some bytes, otherwise. On standard error."""

    def __init__(self, *, in_bytes: bool = False) -> None:
        self._in_bytes = in_bytes
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._total = 0
        self._last = ""

    def __call__(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.utils.progress.Progress`."""
        if not self._terminal:
            shown = f"[{done}/{total}] {message}"
            line = f"{message}, tenth {10 * done // total if total else done // 10_000_000}" if self._in_bytes else shown
            if line != self._last:
                shown = f"{message}: {done / 1e6:.1f} of {total / 1e6:.1f} MB" if self._in_bytes else shown
                sys.stderr.write(shown + "\n")
                sys.stderr.flush()
            self._last = line
            return
        from tqdm import tqdm

        if self._bar is None or total != self._total or done < self._bar.n:
            self.close()
            self._bar, self._total = (
                tqdm(total=total, leave=False, dynamic_ncols=True, bar_format=_BAR, unit_scale=self._in_bytes),
                total,
            )
        self._bar.set_description_str(message, refresh=False)
        self._bar.n = done
        self._bar.refresh()
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"


@contextmanager
def cancel_on_interrupt(after: str = "this slice") -> Iterator[CancelToken]:
    """A token that the first Ctrl-C (or SIGTERM) sets; a second Ctrl-C stops the program at once.

    ``after`` says what is still finished then.
    """
    token = CancelToken()

    def ask(number: int, _frame: FrameType | None) -> None:
        if token.cancelled and number == signal.SIGINT:
            raise KeyboardInterrupt
        token.cancel()
        # Not through sys.stderr: the signal may have come in the middle of a write to it, which cannot be entered twice.
        with suppress(OSError):
            os.write(2, f"\nCancelling after {after}; press Ctrl-C again to stop at once.\n".encode())

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shown_and_cancellable(after: str = "this slice", *, in_bytes: bool = False) -> Iterator[tuple[ConsoleProgress, CancelToken]]:
    """Progress on the terminal, and a token that Ctrl-C sets; see :func:`cancel_on_interrupt`."""
    progress = ConsoleProgress(in_bytes=in_bytes)
    try:
        with cancel_on_interrupt(after) as cancel:
            yield progress, cancel
    finally:
        progress.close()


def print_json(document: Any) -> None:
    """Write ``document`` to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def probability(text: str) -> float:
    """An option's value strictly between 0 and 1."""
    value = _float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability between 0 and 1")
    return value


def whole_number(text: str) -> int:
    """An option's value 0, 1, 2, ..."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def positive_number(text: str) -> int:
    """An option's value 1, 2, 3, ..."""
    if not (value := whole_number(text)):
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return value


def device(text: str) -> str:
    """An option's value ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ... or ``mps``."""
    known = limits_of(EngineSettings, "device")
    if not known.allow(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device: give {known.words}")
    return text


def spacing(text: str) -> tuple[float, float, float]:
    """An option's value ``X,Y,Z`` or ``X Y Z`` in millimeters: between columns, rows and slices."""
    parts = text.replace(",", " ").replace("x", " ").split()
    values = tuple(_float(part) for part in parts)
    if len(values) != 3 or not all(0 < v < 1000 for v in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not three distances in mm: columns,rows,slices, such as 1.4,1.4,10")
    return values[0], values[1], values[2]


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
