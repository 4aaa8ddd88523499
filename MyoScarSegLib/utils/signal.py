"""One object tells others that something has happened, without knowing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """The functions to call when something happens.

    They are called in the thread of :meth:`emit`, in the order of their connection, and should be quick. Errors are theirs
    to handle: one that is raised reaches the caller of :meth:`emit`.
    """

    def __init__(self) -> None:
        self._callbacks: list[_Connection] = []

    def connect(self, callback: Callable[..., None]) -> Callable[[], None]:
        """Call ``callback`` at every :meth:`emit`, with its arguments.

        Returns:
            The function that ends this; calling it again does nothing.
        """
        # Wrapped, so that the same function may be connected twice and each connection ends alone.
        connection = _Connection(callback)
        self._callbacks.append(connection)

        def disconnect() -> None:
            connection.callback = None
            if connection in self._callbacks:
                self._callbacks.remove(connection)

        return disconnect

    def emit(self, *arguments: Any) -> None:
        """Call every function that is connected. One that is disconnected meanwhile is not called any more."""
        for callback in tuple(self._callbacks):
            callback(*arguments)

    def clear(self) -> None:
        """Disconnect all."""
        for connection in self._callbacks:
            connection.callback = None
        self._callbacks.clear()


class _Connection:
    def __init__(self, callback: Callable[..., None]) -> None:
        self.callback: Callable[..., None] | None = callback

    def __call__(self, *arguments: Any) -> None:
        if self.callback is not None:
            self.callback(*arguments)
