"""What the training tab does, without the tab: a library of corrected studies, trainings on it, and what came of them.

Nothing here blocks. Slow work is done by processes of their own: trainings by detached ones that outlive the application,
everything else by children. :meth:`TrainingWorkflow.pump` takes in what they have done. What cannot be done gives a sentence,
:attr:`TrainingWorkflow.error`, and leaves library and models as they were.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.notices import Change, TrainChange
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.library_actions import LibraryActions
from MyoScarSegLib.scene.training.model_actions import ModelActions
from MyoScarSegLib.scene.training.run_actions import RunActions
from MyoScarSegLib.scene.training.task_queue import QueuedTask
from MyoScarSegLib.scene.training.training_state import TrainingState
from MyoScarSegLib.scene.watching import SceneWatcher
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.utils.transport import SubprocessTransport, TransportFactory

__all__ = ["TrainChange", "TrainingWorkflow"]


class TrainingWorkflow:
    """A library, its trainings, and everything that can be done with them.

    What is begun returns whether it could be: if not, :attr:`error` says why; if so, :attr:`busy` names it until it has ended,
    and :attr:`error` or :attr:`note` then say how.

    Attributes:
        workflow: of the study in hand, and of the models in use.
        cases: what is done with cases and split.
        trainings: what is done with trainings.
        models: what is done with models.
        kept_folder: of the library of the last time, which is opened when it is needed; None if there was none.
        watching: whether somebody sees what is there; if not, files are looked at only while the shown training runs.
    """

    def __init__(
        self,
        scene: Any,
        workflow: Workflow,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        transport: TransportFactory = SubprocessTransport,
    ) -> None:
        """
        Args:
            scene: the MRML scene.
            workflow: of the first tab.
            python: interpreter with the networks; this process's own if None.
            environment: of that interpreter.
            clock: seconds.
            transport: what that interpreter's processes hang on.
        """
        self.workflow = workflow
        self._state = TrainingState(scene, workflow, python=python, environment=environment, clock=clock, transport=transport)
        self.cases = LibraryActions(self._state)
        self.trainings = RunActions(self._state, self.cases)
        self.models = ModelActions(self._state)
        self.kept_folder: Path | None = None
        self.watching = True
        self._pumping = False
        self._stop_following = workflow.on_changed(self._on_first_tab)
        self._watcher = SceneWatcher(
            scene, removed=lambda _node: None, closing=self._on_closing, closed=lambda: None, imported=lambda: None
        )

    def open_library(self, folder: Path | str, *, create: bool = False) -> bool:
        """Take a library, and attach to its training that runs, or else to the newest. Returns whether there is one.

        Args:
            folder: of the library.
            create: make one if the folder is missing or empty.
        """
        state = self._state
        if state.busy and Path(folder) != state.library.folder:
            return state.failed(_("Wait for what is being done, or cancel it."))
        try:
            state.library.open(Path(folder), create=create)
        except MyoScarSegError as error:
            return state.failed(error)
        self.trainings.forget_estimate()
        state.runs.open(state.library.folder)
        state.notices.say_only(error=state.library.split_problem)
        state.notices.tell(*TrainChange)
        return True

    def on_changed(self, callback: Callable[[TrainChange], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        return self._state.notices.on_changed(callback)

    @property
    def follows(self) -> bool:
        """Whether the shown training runs, as far as is known."""
        status = self._state.runs.status
        return status is not None and status.state is RunState.RUNNING

    def pump(self) -> bool:
        """Take in what processes have done, and look at library and trainings; from within itself it does nothing.

        Returns:
            Whether to call it again soon, in 10 to 50 ms; else once a second will do, and never while nobody is
            :attr:`watching` and :attr:`follows` is false.
        """
        if self._pumping:
            return True
        self._pumping = True
        try:
            self._state.step()
            self._state.tasks.pump()
            if self.watching or self.follows:
                self._state.library.look()
                if self._state.library.answers and self._state.runs.look():
                    self.trainings.curves_changed()
                self.trainings.resume_interrupted()
        finally:
            self._pumping = False
        return bool(self._state.steps) or self._state.tasks.busy or self._state.library.looking

    def refresh(self) -> None:
        """Look at library and training now, not at the next turn."""
        self._state.library.look(at_once=True)
        self._state.runs.refresh()

    def cancel(self) -> None:
        """Cancel what :attr:`busy` names; a training is ended by its own methods."""
        self._state.cancel()

    def close(self) -> None:
        """End what was begun for the application; trainings go on."""
        self._stop_following()
        self._watcher.stop()
        self._state.close()

    # ---- what is

    @property
    def library_folder(self) -> Path | None:
        """Of the open library; None without one."""
        return self._state.library.folder

    @property
    def busy(self) -> str:
        """What is being done for the application (``estimate``, ``add``, ...); empty if nothing is. A training is not that."""
        return self._state.busy

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left or None)`` of what :attr:`busy` names."""
        return self._state.tasks.progress

    @property
    def error(self) -> str:
        """Sentence on what went wrong last; empty once something else was begun."""
        return self._state.notices.error

    @property
    def note(self) -> str:
        """Sentence on what the user should know of the last step."""
        return self._state.notices.note

    @property
    def advice(self) -> str:
        """What to do next."""
        return self._state.advice

    @property
    def last_task(self) -> QueuedTask | None:
        """What was begun last for the application, for scripts that wait for it."""
        return self._state.last_task

    def why_not(self, action: str) -> str:
        """Why ``action`` (a method's name) makes no sense now; empty if it does."""
        return self._state.why_not(action)

    # ---- inside

    def _on_first_tab(self, change: Change) -> None:
        if change is Change.VOLUME:
            self.trainings.hide_compared()

    def _on_closing(self) -> None:
        self._state.steps.clear()
        self.trainings.forget_scene()
