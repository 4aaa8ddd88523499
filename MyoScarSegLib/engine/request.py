"""One thing asked of the worker, from asking to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.task import Task

if TYPE_CHECKING:
    from MyoScarSegLib.engine.client import Engine


class Request(Task):
    """What :class:`~MyoScarSegLib.engine.client.Engine` gives for everything asked. Callbacks come from its ``pump`` alone.

    Attributes:
        id: number.
        study: that it is about; None where there is none.
        background: nobody waits for it: it gives way to others.
        read: makes the result of the worker's answer.
        fields: of the frame that asks for it.
        crashes: workers that ended while they were at it.
        repeated: whether a worker that had it ended without an answer, whatever it was at.
        cancelling_s: seconds that the worker has taken so far to answer a cancel; None if it was not asked to.
    """

    def __init__(
        self,
        engine: Engine,
        number: int,
        fields: dict[str, Any],
        read: Callable[[dict[str, Any]], Any],
        *,
        study: Study | None = None,
        background: bool = False,
    ) -> None:
        super().__init__(str(fields["what"]))
        self.id = number
        self.study = study
        self.background = background
        self.read = read
        self.fields = {"type": "request", "id": number, **fields}
        self.crashes = 0
        self.repeated = False
        self.cancelling_s: float | None = None
        self._engine = engine

    def cancel(self) -> None:
        """Ask for its end, which comes within a second. Harmless if it has finished."""
        self._engine.cancel(self)

    def _deliver(self, call: Callable[[], None]) -> None:
        self._engine.later(call)
