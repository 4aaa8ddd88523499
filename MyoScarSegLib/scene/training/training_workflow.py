"""What the training tab does, without the tab: a library of corrected studies, trainings on it, and what came of them.

Nothing here blocks. Slow work is done by processes of their own: trainings by detached ones that outlive the application,
everything else by background tasks. :meth:`TrainingWorkflow.pump` brings what they have done into the state. What cannot be done
gives a sentence, :attr:`TrainingState.error`, and leaves library and models as they were.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.training.advice import next_step, refusal
from MyoScarSegLib.scene.training.library_cases import LibraryCases
from MyoScarSegLib.scene.training.library_watch import LibraryWatch
from MyoScarSegLib.scene.training.run_watch import RunWatch
from MyoScarSegLib.scene.training.task_queue import TaskQueue, TrainingTask
from MyoScarSegLib.scene.training.trained_models import TrainedModels
from MyoScarSegLib.scene.training.training_state import TrainingState
from MyoScarSegLib.scene.training.trainings import Trainings
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.utils.signal import Signal
from MyoScarSegLib.utils.task import CANCELLED
from MyoScarSegLib.utils.transport import SubprocessTransport, TransportFactory


class TrainingWorkflow:
    """The training tab's state, and what changes it.

    What is begun returns whether it could be: if not, the state's ``error`` says why; if so, its ``busy`` names it until it has
    ended, and ``error`` or ``note`` then say how.

    Attributes:
        state: all that is shown. Each change makes another value.
        changed: emits the name of every field of the state that has changed.
        workflow: of the first tab: the study in hand, and the models in use.
        cases, trainings, models: what is done with cases and split, with trainings, with models.
        library: the open library's files, looked at again and again; run_files: those of its trainings.
        processes: what a task is started with: ``python``, its ``environment``, and the ``transport`` that it hangs on.
        last_task: the one that was begun last, for scripts that wait for it.
        folder: for files that are passed on to processes or back.
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
        """Beside the first tab's workflow; ``python`` is the interpreter with the networks, this process's own if None."""
        self.scene, self.workflow = scene, workflow
        self.processes: dict[str, Any] = {"python": python, "environment": environment, "transport": transport}
        self.state = TrainingState()
        self.changed = Signal()
        self.tasks = TaskQueue(self.processes, self._task_failed, self._tasks_changed)
        self.last_task: TrainingTask | None = None
        self.library = LibraryWatch(self, clock)
        self.run_files = RunWatch(self)
        self.cases = LibraryCases(self)
        self.trainings = Trainings(self)
        self.models = TrainedModels(self)
        self.folder = Path(tempfile.mkdtemp(prefix="myoscarseg-training-"))
        self.kept_folder: Path | None = None
        self.watching = True
        self._files_passed_on = 0
        self._steps: deque[Iterator[None]] = deque()
        self._pumping = False
        self._stop_following = workflow.changed.connect(self._on_first_tab)
        self._observers = Observers()
        self._observers.add(scene, slicer.vtkMRMLScene.StartCloseEvent, self._on_closing)

    def close(self) -> None:
        """End what was begun for the application; trainings go on."""
        self._stop_following()
        self._observers.clear()
        self._steps.clear()
        self.tasks.close()
        self.library.close()
        self.changed.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open_library(self, folder: Path | str, *, create: bool = False) -> bool:
        """Take a library, and attach to its training that runs, or else to the newest. Returns whether there is one.

        ``create`` makes one if the folder is missing or empty.
        """
        if self.state.busy and Path(folder) != self.state.folder:
            return self.failed(_("Wait for what is being done, or cancel it."))
        try:
            self.library.open(Path(folder), create=create)
        except MyoScarSegError as error:
            return self.failed(error)
        self.update(measured=None, preview=None)
        self.run_files.open(self.state.folder)
        self.say(error=self.library.split_problem)
        return True

    def pump(self) -> bool:
        """Take over what processes have done, and look at library and trainings; from within itself it does nothing.

        Returns:
            Whether to call it again soon, in 10 to 50 ms; else once a second will do, and never while nobody is
            :attr:`watching` and the shown training does not run.
        """
        if self._pumping:
            return True
        self._pumping = True
        try:
            self._step()
            self.tasks.pump()
            self.library.poll()
            if (self.watching or self.state.running) and self.library.look():
                self.run_files.look()
                self.trainings.resume_interrupted()
        finally:
            self._pumping = False
        return bool(self._steps) or self.tasks.current is not None or self.library.looking

    def refresh(self) -> None:
        """Look at library and trainings now, not at the next turn."""
        self.library.look(at_once=True)
        self.run_files.refresh()

    def cancel(self) -> None:
        """Cancel what the state's ``busy`` names; a training is ended by its own methods."""
        self.tasks.cancel()
        if self._steps:
            self._steps.clear()
            self.say(note=_("Cancelled."))
            self._tasks_changed()

    @property
    def advice(self) -> str:
        """What to do next."""
        return next_step(self.state)

    def why_not(self, action: str) -> str:
        """Why ``action`` (a method's name) makes no sense now; empty if it does."""
        return refusal(action, self.state) or (self.cases.why_no_study() if action == "add_current" else "")

    def update(self, **values: Any) -> None:
        """Change fields of the state, and tell of those that are another value now."""
        changed = [name for name, value in values.items() if getattr(self.state, name) != value]
        self.state = replace(self.state, **values)
        for name in changed:
            self.changed.emit(name)

    def say(self, *, error: str = "", note: str = "") -> None:
        """Say what came of the step in hand; what was said of the one before is done with."""
        self.update(error=error, note=note)

    def failed(self, error: MyoScarSegError | str) -> bool:
        """Say why something was refused; always False."""
        self.say(error=str(error))
        return False

    def refuses(self, action: str) -> bool:
        """Whether an action makes no sense now; then the sentence is said."""
        why = self.why_not(action)
        if why:
            self.say(error=why)
        return bool(why)

    def begin(
        self,
        name: str,
        arguments: Mapping[str, Any],
        busy: str,
        done: Callable[[Any], None] = lambda _result: None,
        ended: Callable[[], None] = lambda: None,
    ) -> bool:
        """Begin a background task; one on a library is given its folder. Always True.

        Until it has ended the state calls it ``busy``. ``done(result)`` is called if it went well, ``ended()`` in any case.
        """
        self.say()
        folder = self.state.folder
        library = {} if folder is None or name.startswith(("model_", "run_")) else {"library": str(folder)}

        def succeeded(result: Any) -> None:
            self._tasks_changed()  # it is done: what ``done`` begins need not wait for it
            done(result)

        def after() -> None:
            ended()
            self.library.look(at_once=True)

        self.last_task = self.tasks.add(TrainingTask(name, {**library, **arguments}, busy, succeeded, after))
        return True

    def do_in_steps(self, steps: Iterator[None]) -> None:
        """Do what takes the main thread too long in one go: one step of it at each :meth:`pump`."""
        self._steps.append(steps)
        self._tasks_changed()

    def new_file(self, name: str) -> Path:
        """A temporary file with a name of its own, to pass something on to a process or back; whoever asks for it deletes it."""
        self._files_passed_on += 1
        return self.folder / f"{self._files_passed_on}-{name}"

    def _step(self) -> None:
        if not self._steps:
            return
        steps = self._steps[0]
        over = True
        try:
            next(steps)
            over = False
        except StopIteration:
            pass
        except MyoScarSegError as error:
            self.failed(error)
        finally:  # a defect must not be met again at every turn
            if over and self._steps and self._steps[0] is steps:
                self._steps.popleft()
                self._tasks_changed()

    def _tasks_changed(self) -> None:
        task = self.tasks.current
        self.update(busy=task.what if task is not None else "open" if self._steps else "", progress=self.tasks.progress)

    def _task_failed(self, task: TrainingTask) -> None:
        if task.state == CANCELLED:
            self.say(note=_("Cancelled."))
        else:
            self.failed(task.error or _("It ended without saying why."))

    def _on_first_tab(self, change: Change) -> None:
        if change is Change.VOLUME:
            self.trainings.hide_compared()

    def _on_closing(self, _scene: Any) -> None:
        self._steps.clear()
        self._tasks_changed()
        self.trainings.forget_scene()
