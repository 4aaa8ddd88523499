"""Exceptions that nobody expected: told to the user, not only to the log.

What a slot, a timer or an observer of the scene raises, the application prints and forgets. All of it goes through
``sys.excepthook``, so this is the one place where it can be seen.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import MyoScarSegLib

_OURS = tuple(MyoScarSegLib.__path__)


class Unexpected:
    """Listens from its making to :meth:`close`.

    Attributes:
        log: the latest traceback, empty if there was none.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        """
        Args:
            tell: called as ``tell("KeyError: 'k'")`` for each exception that came through this library.
        """
        self.log = ""
        self._tell: Callable[[str], None] | None = tell
        self._before: Any = sys.excepthook
        sys.excepthook = self._hook

    def close(self) -> None:
        """Listen no longer."""
        self._tell = None
        if sys.excepthook == self._hook:  # if not, somebody else's goes through ours, which does nothing any more
            sys.excepthook = self._before

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._before(kind, error, trace)
        places = [frame.f_code.co_filename for frame, _line in traceback.walk_tb(trace)]
        if self._tell is not None and issubclass(kind, Exception) and any(place.startswith(_OURS) for place in places):
            self.log = "".join(traceback.format_exception(kind, error, trace))
            self._tell(f"{kind.__name__}: {error}".splitlines()[0].rstrip(". "))
