"""What the worker has to do, the most urgent first."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from MyoScarSegLib.result import Encoded
from MyoScarSegLib.utils.progress import CancelToken


class Kind(NamedTuple):
    """What can be asked.

    Attributes:
        turn: small answers that somebody waits for come first, what nobody waits for last.
        words: for a sentence.
    """

    turn: int
    words: str


KINDS = {
    "models": Kind(0, "Looking for models"),
    "segment": Kind(1, "Segmenting"),
    "picture": Kind(1, "Drawing a picture"),
    "propose": Kind(2, "Proposing boxes"),
    "suggest": Kind(2, "Suggesting boxes"),
    "ventricle": Kind(2, "Looking for the wall"),
    "report": Kind(2, "Writing the report"),
    "device_test": Kind(3, "The device test"),
    "encode": Kind(4, "Encoding"),
}


@dataclass
class Asked:
    """One request of the client, as the worker sees it.

    Attributes:
        id: number that the client gave.
        what: one of :data:`KINDS`.
        key: of the study; empty where there is none.
        fields: the rest of the request.
        token: set when the client cancels.
        left: slices still to be encoded, the next first; of ``encode`` alone.
        encoded: what of them was done.
    """

    id: int
    what: str
    key: str
    fields: dict[str, Any]
    token: CancelToken = field(default_factory=CancelToken)
    left: list[int] = field(default_factory=list)
    encoded: Encoded = field(default_factory=Encoded)


class RequestQueue:
    """Filled by the thread that reads, emptied by the one that works."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._at: Asked | None = None
        self._preferred: dict[str, int] = {}
        self._changed = threading.Condition()

    def add(self, asked: Asked) -> None:
        """Put a request at the end of those as urgent as it."""
        with self._changed:
            self._waiting.append(asked)
            self._changed.notify()

    def put_back(self, asked: Asked) -> None:
        """Go on with a request after those that are more urgent; it keeps its turn among those as urgent as it."""
        with self._changed:
            self._waiting.insert(0, asked)
            self._changed.notify()

    def take(self) -> Asked:
        """The most urgent request; waits for one."""
        with self._changed:
            self._at = None
            while not self._waiting:
                self._changed.wait()
            asked = min(self._waiting, key=lambda asked: KINDS[asked.what].turn)  # the first of those alike
            self._waiting.remove(asked)
            self._at = asked
            return asked

    def cancel(self, number: int) -> None:
        """Set the token of a request, pending or running."""
        with self._changed:
            for one in self._all():
                if one.id == number:
                    one.token.cancel()

    def forget(self, key: str) -> None:
        """Cancel everything asked of a study."""
        with self._changed:
            self._preferred.pop(key, None)
            for one in self._all():
                if one.key == key:
                    one.token.cancel()

    def prefer(self, key: str, slice_index: int) -> None:
        """Encode this slice of a study next, if it is still to be encoded."""
        with self._changed:
            self._preferred[key] = slice_index

    def next_slice(self, asked: Asked) -> int:
        """Take the next slice to be encoded out of a request that has some left."""
        with self._changed:
            preferred = self._preferred.get(asked.key)
            k = preferred if preferred in asked.left else asked.left[0]
            asked.left.remove(k)
            return k

    def _all(self) -> Iterable[Asked]:
        return self._waiting if self._at is None else [*self._waiting, self._at]
