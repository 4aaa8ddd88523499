"""One worker at a time, from its start to its end: what it sends, and whether it is still to be waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.protocol import FrameReader, Message, ProtocolError
from MyoScarSegLib.utils.exit_status import how_it_ended
from MyoScarSegLib.utils.processes import birth_of, end_process
from MyoScarSegLib.utils.transport import Transport, TransportFactory, ignore_bytes, ignore_exit

# Between two checks at most this much counts as waiting: an application that was busy itself, or a computer that slept, has not
# been waiting for the worker.
_LONGEST_STEP_S = 0.25


@dataclass(frozen=True)
class Timeouts:
    """How long the engine waits for what, in seconds.

    Attributes:
        start_s: for the first sign of a new process.
        silence_s: between two signs; a worker that has something to do gives one with every heartbeat.
        loading_s: between two signs while libraries and models are loaded, during which Python may hold everything up.
        step_s: for one slice, or one model to load.
        cancel_s: for a cancel to be answered, before the worker is killed.
    """

    start_s: float = 60.0
    silence_s: float = 20.0
    loading_s: float = 180.0
    step_s: float = 300.0
    cancel_s: float = 0.7


class Listener(Protocol):
    """Who owns a :class:`Link`."""

    def later(self, call: Callable[[], None]) -> None:
        """Do ``call`` at the next turn of the owner's ``pump``."""

    def wake(self) -> None:
        """Something has arrived."""

    def received(self, message: Message) -> None:
        """A message of the worker that lives.

        Raises:
            ProtocolError, KeyError, TypeError, ValueError: it is no answer.
        """

    def lost(self, why: str) -> None:
        """The worker is gone or of no use; ``why`` is a sentence. The owner is to :meth:`Link.drop` it."""


class Link:
    """The process, the frames, and the signs of life. What an earlier worker still sends is never heard.

    Attributes:
        answered: the worker has greeted, and the owner has accepted it.
        at: id of the request that the worker is at; None before the first.
        loading: it loads libraries or models just now.
    """

    def __init__(self, owner: Listener, factory: TransportFactory, timeouts: Timeouts, clock: Callable[[], float]) -> None:
        self.answered = False
        self.at: int | None = None
        self.loading = False
        self._owner = owner
        self._factory = factory
        self._timeouts = timeouts
        self._clock = clock
        self._transport: Transport | None = None
        self._generation = 0
        self._reader = FrameReader()
        self._silent_s = 0.0
        self._step_s = 0.0
        self._checked: float | None = None
        self._log = ""
        self._pid: int | None = None
        self._birth = ""

    @property
    def log(self) -> str:
        """The end of what the worker wrote to its standard error; before it, that of the last one that wrote anything."""
        tail = "" if self._transport is None else self._transport.stderr_tail()
        return "\n".join(part.strip() for part in (self._log, tail) if part.strip())

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Start a worker in place of the one there is.

        Raises:
            EngineError: it cannot be started.
        """
        self.drop()
        self._generation += 1
        self._reader = FrameReader()
        self._silent_s = self._step_s = 0.0
        transport = self._factory(command, environment)
        transport.on_bytes = partial(self._on_bytes, self._generation)
        transport.on_exit = partial(self._on_exit, self._generation)
        self._transport = transport
        transport.start()

    def drop(self) -> None:
        """End the worker, if there is one, and listen to it no more."""
        transport, self._transport = self._transport, None
        self.answered = self.loading = False
        self.at = None
        if transport is not None:
            self._log = transport.stderr_tail() or self._log
            transport.on_bytes, transport.on_exit = ignore_bytes, ignore_exit
            transport.close()
            # The program that was started may be a launcher, as PythonSlicer is: the worker is its child, and outlives it.
            if self._pid is not None and transport.pid not in (None, self._pid):
                end_process(self._pid, self._birth)
            transport.kill()
        self._pid = None

    def send(self, fields: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
        """Send a message to a worker that has answered; others are told all they need when they do."""
        if self.answered and self._transport is not None:
            self._transport.write(protocol.pack(fields, arrays))

    def pump(self) -> None:
        """Let the transport tell what has happened."""
        if self._transport is not None:
            self._transport.pump()

    def check(self, *, waiting: bool) -> float:
        """Tell the owner if the worker is not to be waited for any longer.

        Args:
            waiting: something was asked; a worker that has answered and has nothing to do gives no signs.

        Returns:
            The seconds since the last check that count.
        """
        now = self._clock()
        passed = 0.0 if self._checked is None else min(max(now - self._checked, 0.0), _LONGEST_STEP_S)
        self._checked = now
        if self._transport is None:
            return passed
        self._silent_s = self._silent_s + passed if waiting or not self.answered else 0.0
        timeouts = self._timeouts
        usual = timeouts.loading_s if self.loading else timeouts.silence_s
        longest = usual if self.answered else timeouts.start_s
        if self._silent_s > longest:
            self._owner.lost(f"It gave no sign for {longest:g} s.")
        elif self._step_s > timeouts.step_s:
            self._owner.lost(f"It spent more than {timeouts.step_s:g} s on one slice or model.")
        return passed

    def _on_bytes(self, generation: int, data: bytes) -> None:
        if not self._is_current(generation):
            return
        try:
            for message in self._reader.feed(data):
                self._silent_s = 0.0
                self._owner.later(partial(self._take, generation, message))
        except ProtocolError as error:
            self._lost_later(generation, f"It sent something that is no answer. {error}")
        self._owner.wake()

    def _on_exit(self, generation: int, code: int, tail: str) -> None:
        if self._is_current(generation):
            self._log = tail
            self._lost_later(generation, how_it_ended(code, tail))
            self._owner.wake()

    def _lost_later(self, generation: int, why: str) -> None:
        # Later, because what it has sent before is still to be taken in.
        self._owner.later(lambda: self._owner.lost(why) if self._is_current(generation) else None)

    def _take(self, generation: int, message: Message) -> None:
        if not self._is_current(generation):
            return
        fields = message.fields
        try:
            if not self.answered and message.type != "hello":
                raise ProtocolError(f"{message.type or 'nothing'!r} instead of a greeting")
            if message.type == "at":
                self.at, self.loading, self._step_s = int(fields["id"]), bool(fields["loading"]), 0.0
            elif message.type == "hello":
                self._pid = int(fields["pid"])
                self._birth = birth_of(self._pid)
            elif message.type == "heartbeat":
                self._step_s = float(fields["step_s"])
            elif message.type == "progress":
                self._step_s = 0.0
            self._owner.received(message)
        except (ProtocolError, KeyError, TypeError, ValueError) as error:
            self._owner.lost(f"It sent an answer that cannot be read ({error}).")

    def _is_current(self, generation: int) -> bool:
        return generation == self._generation and self._transport is not None
