"""The one engine, workflow and console of the application, shared by the panel and by scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
import slicer

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.scene.console import Console
from MyoScarSegLib.scene.training.console import TrainingConsole
from MyoScarSegLib.scene.training.workflow import TrainingWorkflow
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.widgets.drawing import OneDrawing
from MyoScarSegLib.widgets.process import QProcessTransport, python_of_slicer, wait_for_killed
from MyoScarSegLib.widgets.text import translate_lower_layers

_TICK_MS = 10
_TURN_S = 0.02
_END_S = 2.0
_shared: Backend | None = None


class Backend:
    """Engine, workflow, console, and the timer that keeps them going. Nothing is started before it is needed.

    Attributes:
        engine: the worker's client.
        workflow: what panel and console act on.
        training: the same for the training library and what is trained from it.
        console: the blocking calls; training_console: those on library, trainings and models.
    """

    def __init__(self) -> None:
        translate_lower_layers()
        python = python_of_slicer()
        self.engine = Engine(QProcessTransport, python=python)
        self.workflow = Workflow(slicer.mrmlScene, self.engine)
        processes: dict[str, Any] = {"python": python, "environment": self.engine.environment(), "transport": QProcessTransport}
        self.training = TrainingWorkflow(slicer.mrmlScene, self.workflow, **processes)
        self.training_console = TrainingConsole(self.training, slicer.app.processEvents)
        self.console = Console(self.workflow, slicer.app.processEvents, **processes)
        self._drawing = OneDrawing(self.workflow)
        self._after: list[Callable[[], None]] = []
        self._due: list[Callable[[], None]] = []
        self._last_error = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.connect("timeout()", self._tick)
        self._timer.start()
        slicer.app.connect("aboutToQuit()", self.close)

    def after_tick(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after each pump, about a hundred times a second. Returns the function that ends this."""
        self._after.append(callback)

        def remove() -> None:
            for calls in (self._after, self._due):
                if callback in calls:
                    calls.remove(callback)

        return remove

    def close(self) -> None:
        """End the worker and follow the scene no longer; a later :func:`shared` makes a new backend."""
        global _shared
        self._timer.stop()
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
            self._due = [self.workflow.pump, self.training.pump, *self._after]
        while self._due:
            try:
                self._due.pop(0)()
            except Exception as error:
                self._due.clear()
                # A hundred tracebacks a second would bury the first one.
                if repr(error) != self._last_error:
                    self._last_error = repr(error)
                    raise
                return
            if time.monotonic() - begun > _TURN_S:
                break
        else:
            self._last_error = ""  # all went well again: the next error is news, also if it is the same
        if not self._due:
            self._drawing.turn()


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
