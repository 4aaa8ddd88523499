"""What is, in the training tab: its library, its trainings, its processes, and the sentences on what came of them."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.notices import Notices, TrainChange
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.advice import Situation, next_step, refusal
from MyoScarSegLib.scene.training.library_side import LibrarySide
from MyoScarSegLib.scene.training.run_side import RunSide
from MyoScarSegLib.scene.training.task_queue import QueuedTask, TaskQueue
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.utils.transport import TransportFactory


class TrainingState:
    """The one owner of the tab's state; whoever acts on library, trainings and models is given it.

    Attributes:
        scene: the MRML scene.
        workflow: of the first tab: the study in hand, and the models in use.
        notices: tells what has changed.
        tasks: the processes that work for the application.
        library: its cases and split, as they are on disk.
        runs: the trainings, as they are on disk.
        python, environment: of the processes.
        folder: for files that are passed on to processes or back.
        steps: what takes the main thread too long in one go, each an iterator of its steps.
        last_task: what was begun last for the application, for scripts that wait for it.
    """

    def __init__(
        self,
        scene: Any,
        workflow: Workflow,
        *,
        python: str | None,
        environment: Mapping[str, str] | None,
        clock: Callable[[], float],
        transport: TransportFactory,
    ) -> None:
        """The arguments are those of :class:`~MyoScarSegLib.scene.training.workflow.TrainingWorkflow`."""
        self.scene = scene
        self.workflow = workflow
        self.python, self.environment = python, environment
        self.notices = Notices(TrainChange.STATE)
        self.tasks = TaskQueue(python, environment, self._task_failed, lambda: self.notices.tell(TrainChange.STATE), transport)
        self.library = LibrarySide(self.tasks, self.notices, clock)
        self.runs = RunSide(self.notices, clock)
        self.folder = Path(tempfile.mkdtemp(prefix="myoscarseg-training-"))
        self.steps: deque[Iterator[None]] = deque()
        self.last_task: QueuedTask | None = None
        self._passed_on = 0

    def close(self) -> None:
        """End what was begun for the application; trainings go on."""
        self.steps.clear()
        self.tasks.close()
        self.notices.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what is

    @property
    def busy(self) -> str:
        """What is being done for the application (``estimate``, ``add``, ...); empty if nothing is. A training is not that."""
        task = self.tasks.current
        if task is not None:
            return task.what
        return "open" if self.steps else ""

    @property
    def advice(self) -> str:
        """What to do next."""
        return next_step(self._situation())

    def why_not(self, action: str) -> str:
        """Why ``action`` (a method's name) makes no sense now; empty if it does."""
        return refusal(action, self._situation())

    def cancel(self) -> None:
        """Cancel what :attr:`busy` names; a training is ended by its own methods."""
        self.tasks.cancel()
        if self.steps:
            self.steps.clear()
            self.notices.say_only(note=_("Cancelled."))

    # ---- for those who act

    def do(
        self,
        name: str,
        arguments: Mapping[str, Any],
        what: str,
        done: Callable[[Any], None] = lambda _result: None,
        ended: Callable[[], None] = lambda: None,
    ) -> bool:
        """Have a task done; ``done`` is called with its result, and ``ended`` in any case. Always True."""
        self.notices.say_only()
        folder = self.library.folder
        library = {} if folder is None or name.startswith(("model_", "run_")) else {"library": str(folder)}

        def after() -> None:
            ended()
            self.library.look(at_once=True)

        self.last_task = self.tasks.add(QueuedTask(name, {**library, **arguments}, what, done, after))
        return True

    def refuse(self, action: str) -> bool:
        """Whether an action makes no sense now; then the sentence is said."""
        why = self.why_not(action)
        if why:
            self.notices.say_only(error=why)
        return bool(why)

    def failed(self, error: MyoScarSegError | str) -> bool:
        """Say why something was refused; always False."""
        self.notices.say_only(error=str(error))
        return False

    def file(self, name: str) -> Path:
        """A temporary file with a name of its own, to pass something on to a process or back; whoever asks for it deletes it."""
        self._passed_on += 1
        return self.folder / f"{self._passed_on}-{name}"

    def step(self) -> None:
        """One step of what is done in the main thread."""
        if not self.steps:
            return
        steps = self.steps[0]
        over = True
        try:
            next(steps)
            over = False
        except StopIteration:
            pass
        except MyoScarSegError as error:
            self.failed(error)
        finally:  # a defect must not be met again at every turn
            if over and self.steps and self.steps[0] is steps:
                self.steps.popleft()
                self.notices.tell(TrainChange.STATE)

    # ---- inside

    def _task_failed(self, task: QueuedTask) -> None:
        if task.state == "cancelled":
            self.notices.say_only(note=_("Cancelled."))
        else:
            self.failed(task.error or _("It ended without saying why."))

    def _situation(self) -> Situation:
        session, runs, library = self.workflow.session, self.runs, self.library
        return Situation(
            library=library.library is not None,
            gone=library.folder is not None and library.library is None,
            cases=len(library.rows),
            patients=len(library.patients),
            problems=sum(row.state == "problem" for row in library.rows),
            split=library.split is not None,
            left_out=len(library.left_out),
            study=session is not None,
            segmented=session is not None and session.segmentation.existing_node is not None,
            working=bool(self.workflow.busy),
            busy=self.busy,
            run=runs.run,
            state=None if runs.status is None else runs.status.state,
            running=runs.status is not None and runs.status.state is RunState.RUNNING,
            other_running=runs.other_running,
            compared=runs.comparison is not None,
        )
