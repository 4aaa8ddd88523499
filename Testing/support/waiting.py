"""Waiting in a test for what comes from elsewhere: another process, a thread, a timer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(
    condition: Callable[[], Any],
    turn: Callable[[], object] = lambda: None,
    timeout_s: float = 60.0,
    *,
    what: str | Callable[[], str] = "",
) -> None:
    """Wait until something holds; ``turn()`` is called meanwhile, and keeps the program under test going.

    Raises:
        AssertionError: it does not hold within the time; the message says ``what`` was waited for.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what if isinstance(what, str) else what()}"
        turn()
        time.sleep(0.002)
