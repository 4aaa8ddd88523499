"""The one way in which tests wait for what happens elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(
    condition: Callable[[], Any], what: Any = "it", *, turn: Callable[[], Any] = lambda: None, timeout_s: float = 60.0
) -> None:
    """Wait until ``condition()`` is true; how long that may take is no matter of the test, as a computer may be busy.

    Args:
        condition: asked again and again.
        what: is waited for, or a function that says more when it does not come.
        turn: called in between: a pump, the application's events.
        timeout_s: after which the test fails.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not so after {timeout_s:g} s: {what() if callable(what) else what}"
        turn()
        time.sleep(0.005)
