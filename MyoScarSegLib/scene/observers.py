"""Observing MRML without holding the observer: VTK's own way ends in a crash.

A VTK object keeps the functions that observe it, and these keep whatever they use. If a scene and what observes it are thrown
away together, Python takes the observer apart first, and the dying scene then calls what is no more. So the functions here know
their object by a weak reference, and do nothing once it is gone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import vtk


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """A function that calls a bound method as long as its object lives, and does not keep that alive."""
    weak = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        if (alive := weak()) is not None:
            alive(*arguments)

    return call


class Observers:
    """The observations of one object, to be ended together."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: Any, method: Callable[..., None], *, with_node: bool = False) -> None:
        """Call a bound method as ``method(observed)`` on an event of a VTK object, given by number or name.

        With ``with_node`` the event comes with a node, and it is called as ``method(node)``.
        """
        weak = weakly(method)

        def call(caller: Any, _event: str, node: Any = None) -> None:
            weak(node if with_node else caller)

        self._tags.append((observed, observed.AddObserver(event, vtk.calldata_type(vtk.VTK_OBJECT)(call) if with_node else call)))

    def remove(self, observed: Any) -> None:
        """Observe one object no longer."""
        for known, tag in self._tags:
            if known is observed:
                known.RemoveObserver(tag)
        self._tags = [(known, tag) for known, tag in self._tags if known is not observed]

    def clear(self) -> None:
        """Observe nothing any more."""
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._tags = []


class Writing:
    """``with writing:`` while we write to nodes ourselves: then it is true, and what their events tell is no news. Also within
    itself."""

    def __init__(self) -> None:
        self._depth = 0

    def __bool__(self) -> bool:
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_error: object) -> None:
        self._depth -= 1
