"""What all sides of the training tab's work share: its state, its processes, and the sentences on what came of them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.engine.link import TransportFactory
from MyoScarSegLib.engine.transport import SubprocessTransport
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.advice import Situation, next_step, refusal
from MyoScarSegLib.scene.training.chores import Chore, Chores
from MyoScarSegLib.scene.training.compared_view import ComparedView
from MyoScarSegLib.scene.training.curves import CurveChart
from MyoScarSegLib.scene.training.library_side import LibrarySide
from MyoScarSegLib.scene.training.notices import TrainChange, TrainNotices
from MyoScarSegLib.scene.training.run_side import RunSide
from MyoScarSegLib.scene.watching import SceneWatcher
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.training.runs.estimate import Estimate
from MyoScarSegLib.training.runs.status import RunState


class TrainingBase:
    """State and processes of :class:`~MyoScarSegLib.scene.training.workflow.TrainingWorkflow`."""

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
        self.scene = scene
        self.workflow = workflow
        self.estimate_result: Estimate | None = None
        self.preview_picture: Path | None = None
        self._python, self._environment = python, environment
        self._notices = TrainNotices()
        self._chores = Chores(python, environment, self._chore_failed, lambda: self._notices.tell(TrainChange.STATE), transport)
        self._library = LibrarySide(self._chores, self._notices, clock)
        self._runs = RunSide(self._notices, clock)
        self._chart = CurveChart(scene)
        self._compared = ComparedView(scene)
        self._folder = Path(tempfile.mkdtemp(prefix="myoscarseg-training-"))
        self._passed_on = 0
        self._steps: deque[Iterator[None]] = deque()  # of what takes the main thread too long in one go
        self._last: Chore | None = None
        self._pumping = False
        self._stop_following = workflow.on_changed(self._on_first_tab)
        self._watcher = SceneWatcher(
            scene, removed=lambda _node: None, closing=self._on_closing, closed=lambda: None, imported=lambda: None
        )

    def on_changed(self, callback: Callable[[TrainChange], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        return self._notices.on_changed(callback)

    def pump(self) -> None:
        """Take in what processes have done. Call it every 10 to 50 ms; from within itself it does nothing."""
        if self._pumping:
            return
        self._pumping = True
        try:
            self._step()
            self._chores.pump()
            self._library.look()
            if self._runs.look() and self._chart.node is not None:
                self._draw_chart()
            self._resume_interrupted()
        finally:
            self._pumping = False

    def refresh(self) -> None:
        """Look at library and training now, not at the next turn."""
        self._library.look(at_once=True)
        self._runs.refresh()

    def close(self) -> None:
        """End what was begun for the application; trainings go on."""
        self._stop_following()
        self._watcher.stop()
        self._steps.clear()
        self._chores.close()
        self._notices.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- what is

    @property
    def busy(self) -> str:
        """What is being done for the application (``estimate``, ``add``, ...); empty if nothing is. A training is not that."""
        chore = self._chores.current
        if chore is not None:
            return chore.what
        return "open" if self._steps else ""

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left or None)`` of what :attr:`busy` names."""
        return self._chores.progress

    @property
    def error(self) -> str:
        """Sentence on what went wrong last; empty once something else was begun."""
        return self._notices.error

    @property
    def note(self) -> str:
        """Sentence on what the user should know of the last step."""
        return self._notices.note

    @property
    def advice(self) -> str:
        """What to do next."""
        return next_step(self._situation())

    def why_not(self, action: str) -> str:
        """Why ``action`` (a method's name) makes no sense now; empty if it does."""
        return refusal(action, self._situation())

    @property
    def last_chore(self) -> Chore | None:
        """What was begun last for the application, for scripts that wait for it."""
        return self._last

    def cancel(self) -> None:
        """Cancel what :attr:`busy` names; a training is ended by its own methods."""
        self._chores.cancel()
        if self._steps:
            self._steps.clear()
            self._notices.say(note=_("Cancelled."))

    # ---- for the sides

    def _do(
        self,
        name: str,
        arguments: Mapping[str, Any],
        what: str,
        done: Callable[[Any], None] = lambda _result: None,
        ended: Callable[[], None] = lambda: None,
    ) -> bool:
        """Have a chore done; ``done`` is called with its result, and ``ended`` in any case. Always True."""
        self._notices.say()
        folder = self._library.folder
        library = {} if folder is None or name.startswith(("model_", "run_")) else {"library": str(folder)}

        def after() -> None:
            ended()
            self._library.look(at_once=True)

        self._last = self._chores.add(Chore(name, {**library, **arguments}, what, done, after))
        return True

    def _refuse(self, action: str) -> bool:
        """Whether an action makes no sense now; then the sentence is said."""
        why = self.why_not(action)
        if why:
            self._notices.say(error=why)
        return bool(why)

    def _failed(self, error: MyoScarSegError | str) -> bool:
        """Say why something was refused; always False."""
        self._notices.say(error=str(error))
        return False

    def _resume_interrupted(self) -> None:
        """See :class:`~MyoScarSegLib.scene.training.run_work.RunWork`."""

    def _file(self, name: str) -> Path:
        """A temporary file with a name of its own, to pass something on to a process or back; whoever asks for it deletes it."""
        self._passed_on += 1
        return self._folder / f"{self._passed_on}-{name}"

    def _draw_chart(self) -> None:
        run = self._runs.run
        self._chart.show(self._runs.curve_values, run.name if run is not None else _("Training"))

    # ---- inside

    def _step(self) -> None:
        """One step of what is done in the main thread."""
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
            self._failed(error)
        finally:  # a defect must not be met again at every turn
            if over and self._steps and self._steps[0] is steps:
                self._steps.popleft()
                self._notices.tell(TrainChange.STATE)

    def _chore_failed(self, chore: Chore) -> None:
        if chore.state == "cancelled":
            self._notices.say(note=_("Cancelled."))
        else:
            self._failed(chore.error or _("It ended without saying why."))

    def _on_first_tab(self, change: Change) -> None:
        if change is Change.VOLUME:
            self._compared.hide()

    def _on_closing(self) -> None:
        self._steps.clear()
        self._compared.forget()

    def _situation(self) -> Situation:
        session, runs, library = self.workflow.session, self._runs, self._library
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
