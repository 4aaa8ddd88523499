"""The time that a reader spends on a study: how long something is done with it, and not how long it is open."""

from __future__ import annotations

import time
from collections.abc import Callable

IDLE_S = 30.0
"""After so long without a sign of the reader he is taken to do something else, and the time is not counted."""


class ReaderTime:
    """Adds up the seconds between signs of a reader: steps, painting, scrolling.

    Attributes:
        seconds: so far.
    """

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            seconds: that were spent before.
            clock: seconds, never going back.
        """
        self.seconds = seconds
        self._clock = clock
        self._latest: float | None = None

    def sign(self) -> None:
        """The reader has done something."""
        now = self._clock()
        if self._latest is not None and now - self._latest <= IDLE_S:
            self.seconds += now - self._latest
        self._latest = now
