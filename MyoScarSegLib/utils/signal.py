"""One object tells others that something has happened, without knowing them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


class Signal:
    """The functions to call when something happens.

    They are called in the thread of :meth:`emit`, in the order of their connection, and should be quick. Errors are theirs
    to handle: one that is raised reaches the caller of :meth:`emit`.
    """

    def __init__(self) -> None:
        self._connections: list[partial[None]] = []

    def connect(self, callback: Callable[..., None]) -> Callable[[], None]:
        """Call ``callback`` at every :meth:`emit`, with its arguments.

        Returns:
            The function that ends this; calling it again does nothing.
        """
        connection = partial(callback)  # an object of its own, so that the same function may be connected twice
        self._connections.append(connection)

        def disconnect() -> None:
            if connection in self._connections:
                self._connections.remove(connection)

        return disconnect

    def emit(self, *arguments: Any) -> None:
        """Call every function that is connected. One that is disconnected meanwhile is not called any more."""
        for connection in tuple(self._connections):
            if connection in self._connections:
                connection(*arguments)

    def clear(self) -> None:
        """Disconnect all."""
        self._connections.clear()
