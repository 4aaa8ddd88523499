"""The one engine, workflow and console of the application, shared by the panel and by scripts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import qt
import slicer

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.scene_console import Console
from MyoScarSegLib.scene.training.training_console import TrainingConsole
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.widgets.process import QProcessTransport, python_of_slicer, wait_for_killed
from MyoScarSegLib.widgets.text import translate_lower_layers

_TICK_MS = 10
_REST_MS = 1000
_TURN_S = 0.02
_END_S = 2.0
MOST_HELD_S = 0.5
"""For how long the views may wait for a mask."""
_shared: Backend | None = None


class Backend:
    """Engine, workflow, console, and the timer that keeps them going. Nothing is started before it is needed.

    The timer runs only while there is something to do: what asks for a turn calls :meth:`wake`, and each turn says whether
    another one is needed. At rest there is one turn a second while the user sees the panel or a training is followed, else none.

    Attributes:
        attended: whether the user sees the panel.
        interval_ms: from one turn to the next; 0 if none comes before :meth:`wake`.
        engine: the worker's client.
        workflow: what panel and console act on.
        training: the same for the training library and what is trained from it.
        processes: what a background task is started with.
        console: the blocking calls; training_console: those on library, trainings and models.
    """

    CONSOLES: ClassVar[Mapping[str, type]] = {"console": Console, "training_console": TrainingConsole}
    """Attributes with blocking calls, and what they are."""

    def __init__(self) -> None:
        translate_lower_layers()
        python = python_of_slicer()
        self.engine = Engine(QProcessTransport, python=python)
        self.workflow = Workflow(slicer.mrmlScene, self.engine)
        self.processes: dict[str, Any] = {
            "python": python,
            "environment": self.engine.environment(),
            "transport": QProcessTransport,
        }
        self.training = TrainingWorkflow(slicer.mrmlScene, self.workflow, **self.processes)
        self.training_console = TrainingConsole(self.training, slicer.app.processEvents)
        self.console = Console(self.workflow, slicer.app.processEvents, **self.processes)
        self._drawing = DrawingHold(self.workflow)
        self.attended = False
        self._after: list[Callable[[], object]] = []
        self._due: list[Callable[[], object]] = []
        self._last_error = ""
        self._again = self._closed = False
        self.interval_ms = 0
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._tick)
        self.engine.woken.connect(self.wake)
        self._unobserve = [watched.changed.connect(lambda _what: self.wake()) for watched in (self.workflow, self.training)]
        self.wake()
        slicer.app.connect("aboutToQuit()", self.close)

    def wake(self) -> None:
        """There is something to do: have a turn, and as many more as are needed."""
        self._again = True
        self._set_interval(_TICK_MS)

    def after_tick(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback()`` at each turn. If it returns true it is called again soon. Returns the function that ends this."""
        self._after.append(callback)

        def remove() -> None:
            for calls in (self._after, self._due):
                if callback in calls:
                    calls.remove(callback)

        return remove

    def close(self) -> None:
        """End the worker and follow the scene no longer; a later :func:`shared` makes a new backend."""
        global _shared
        self._set_interval(0)
        self._closed = True
        for remove in self._unobserve:
            remove()
        self._timer.disconnect("timeout()", self._tick)
        slicer.app.disconnect("aboutToQuit()", self.close)
        self._after.clear()
        self._due.clear()
        self._drawing.close()
        self.training.close()
        self.workflow.close()
        self.engine.stop()
        wait_for_killed(_END_S)
        if _shared is self:
            _shared = None

    def _tick(self) -> None:
        """One turn of all that goes on. What took long ends the turn: the rest has the next one, after the user's."""
        begun = time.monotonic()
        if not self._due:
            self._again = False
            self._due = [self.workflow.pump, self.training.pump, *self._after]
        while self._due:
            try:
                self._again = bool(self._due.pop(0)()) or self._again
            except Exception as error:
                self._due.clear()
                self._set_interval(_REST_MS)  # an error that comes at every turn is not to be met a hundred times a second
                if repr(error) != self._last_error:
                    self._last_error = repr(error)
                    raise
                return
            if time.monotonic() - begun > _TURN_S:
                break
        else:
            self._last_error = ""  # all went well again: the next error is news, also if it is the same
        if not self._due and not (self._drawing.turn() or self._again):
            self._set_interval(_REST_MS if self.attended or self.training.state.running else 0)

    def _set_interval(self, milliseconds: int) -> None:
        if milliseconds != self.interval_ms and not self._closed:
            self.interval_ms = milliseconds
            if milliseconds:
                self._timer.start(milliseconds)
            else:
                self._timer.stop()


class DrawingHold:
    """Holds the views' drawing back from an edit until its mask is in the scene.

    Drawing all views takes the application longer than the worker takes for a mask, and the mask would wait for it. While slices
    are being encoded a mask may take long, and nothing is held back.
    """

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._since: float | None = None
        self._late = False  # the mask in hand has been waited for long enough
        self._unobserve = workflow.changed.connect(self._on_changed)

    def turn(self) -> bool:
        """Draw if the mask has come, or does not come in time. To be called at the end of each turn, when all else is done.

        Returns:
            Whether the drawing is still held back, so that another turn is needed.
        """
        waiting = self._waiting
        self._late = self._late and waiting
        if self._since is not None and (not waiting or time.monotonic() - self._since >= MOST_HELD_S):
            self._late, self._since = waiting, None
            slicer.app.resumeRender()
        return self._since is not None

    def close(self) -> None:
        """Hold nothing back any more."""
        self._unobserve()
        if self._since is not None:
            self._since = None
            slicer.app.resumeRender()

    @property
    def _waiting(self) -> bool:
        session = self._workflow.session
        if session is None:
            return False
        requests, (done, total) = session.requests, session.requests.encoded
        return requests.automatic.live and not requests.busy and done == total and bool(session.pending.slices)

    def _on_changed(self, what: Change) -> None:
        if what in (Change.BOXES, Change.POINTS) and self._since is None and not self._late and self._waiting:
            self._since = time.monotonic()
            slicer.app.pauseRender()


def shared() -> Backend:
    """The application's backend, made when it is first asked for."""
    global _shared
    if _shared is None:
        _shared = Backend()
    return _shared


def close_shared() -> None:
    """End the application's backend, if there is one."""
    if _shared is not None:
        _shared.close()
