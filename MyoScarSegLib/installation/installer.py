"""Looks, plans, installs, checks; one process at a time, and never in the way of the caller's thread."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.utils import canonicalize_name

from MyoScarSegLib.errors import InstallationError, MyoScarSegError
from MyoScarSegLib.installation.choices import Choices, Memory, Remembered
from MyoScarSegLib.installation.pip_output import STEPS, Follower, explain
from MyoScarSegLib.installation.plan import Plan, Step, make_plan
from MyoScarSegLib.installation.python_report import Report
from MyoScarSegLib.installation.requirements import SLICERS_MODULES, missing
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.signal import Signal
from MyoScarSegLib.utils.task import CANCELLED, DONE, FAILED, RUNNING, Task, TaskProgress
from MyoScarSegLib.utils.transport import SubprocessTransport, TransportFactory

LOOK, INSTALL = "look", "install"
_LOG_LINES = 5000


class Installer:
    """One installation, from the question what is missing to the check that it is there: a task to look and one to install.

    Everything is delivered through the transport's callbacks: where events do not come by themselves, call :meth:`pump`.

    A worker that has the old packages loaded must be stopped before :meth:`install` (Windows does not replace files in use) and
    started again after it.

    Attributes:
        task: the look or the installation that runs or ran last; pending before the first.
        plan: what will be installed, once it was looked; with nothing missing once it is installed.
        report: what the Python has.
        restart_for: packages that were replaced while the application has them loaded: it should be started again.
        changed: tells that any of these has changed.
    """

    def __init__(
        self,
        python: str = sys.executable,
        transport: TransportFactory = SubprocessTransport,
        *,
        extension_present: bool = False,
        memory: Memory | None = None,
        busy: Callable[[], str] = lambda: "",
        loaded: Callable[[], Collection[str]] = lambda: tuple(sys.modules),
    ) -> None:
        """
        Args:
            python: the Python to install into; in the application PythonSlicer.
            transport: what its processes hang on.
            extension_present: whether Slicer has the PyTorch extension.
            memory: what outlives a restart; None for none.
            busy: why no installation may begin now, "" if one may (another one is running, ...).
            loaded: names of the modules that the calling process has loaded.
        """
        self.task = Task(LOOK)
        self.plan: Plan | None = None
        self.report: Report | None = None
        self.restart_for: tuple[str, ...] = ()
        self.changed = Signal()
        self._python = python
        self._transport = transport
        self._extension = extension_present
        self._memory = memory
        self._busy = busy
        self._loaded = loaded
        self._choices = Choices()
        self._steps: list[Step] = []
        self._log: list[str] = []
        self._step_log: list[str] = []
        self._follower = Follower(1)
        self._process: BackgroundTask | None = None
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def running(self) -> bool:
        """Whether a process is at work."""
        return self.task.state == RUNNING

    @property
    def log(self) -> str:
        """The last lines that pip wrote, for the user to copy."""
        return "\n".join(self._log)

    def look(self, choices: Choices | None = None) -> Task:
        """Find out what is missing and make the :attr:`plan`.

        Raises:
            InstallationError: something is running.
        """
        self._refuse_if_running()
        if choices is not None:
            self._choices = choices
        elif self._memory is not None:
            self._choices = self._memory.read().choices
        task = self._begin(LOOK, "Looking at what is installed")
        self._run({}, self._looked)
        return task

    def install(self, action: str = "") -> Task:
        """Do what the plan says; ``action``, which the user wanted to do, is remembered, to go on with it after a restart.

        Raises:
            InstallationError: there is no plan, it has problems, or something else is being installed.
        """
        self._refuse_if_running()
        if self.plan is None or not self.plan.missing:
            raise InstallationError("It is not known yet what is missing. Look first.")
        if self.plan.problems:
            raise InstallationError(" ".join(self.plan.problems))
        if reason := self._busy():
            raise InstallationError(reason)
        self._remember(unfinished=True, action=action)
        self.restart_for = ()
        self._folder = TemporaryDirectory(prefix="myoscarseg-install-", ignore_cleanup_errors=True)
        constraints = Path(self._folder.name) / "constraints.txt"
        constraints.write_text("\n".join(self.plan.constraints) + "\n", encoding="utf-8")
        self._steps = list(self.plan.steps)
        self._follower = Follower(self.plan.download_mb)
        task = self._begin(INSTALL, "")
        self._next_step(constraints)
        return task

    def cancel(self) -> None:
        """Stop. What pip had finished stays; a later :meth:`look` sees what is missing then. Harmless if nothing runs."""
        if self.running:
            self.task.finish(CANCELLED, error="The installation was cancelled. Nothing that Slicer had was changed.")

    def pump(self) -> None:
        """Call the callbacks of what the process has said since."""
        if self._process is not None:
            self._process.poll()

    def _next_step(self, constraints: Path) -> None:
        if not self._steps:
            self.task.report(TaskProgress(STEPS - 10, STEPS, "Checking"))
            self._run({}, self._checked)
            return
        step = self._steps.pop(0)
        self._follower.begin(step.title)
        self._step_log = []
        arguments = [*step.arguments, "--constraint", str(constraints)]
        self._write(f"== {step.title}: {step.module} {' '.join(arguments)}")

        def ended(status: Any) -> None:
            if status != 0:
                raise InstallationError(explain("\n".join(self._step_log), int(status), self._choices.wheel_folder))
            self._next_step(constraints)

        self._run({"module": step.module, "arguments": arguments}, ended)

    def _run(self, job: Mapping[str, Any], done: Callable[[Any], None]) -> None:
        """Have the process beside Slicer do a job; ``done`` gets its result."""
        process = self._process = BackgroundTask("MyoScarSegLib.installation.pip_process", job, self.task.what, repeat=False)
        task = self.task

        def ended(_process: BackgroundTask) -> None:
            if task.finished:
                return  # cancelled
            try:
                done(process.value())
            except MyoScarSegError as error:
                if process.log:
                    self._write(process.log)
                task.finish(FAILED, error=error)

        def line(_process: BackgroundTask) -> None:
            if not task.finished:
                if self._follower.line(process.progress.message):
                    self._write(process.progress.message)
                task.report(self._follower.progress)

        process.on_progress(line)
        process.on_done(ended)
        process.start(python=self._python, transport=self._transport)

    def _looked(self, document: Any) -> None:
        self.report = Report.from_json(document)
        self.plan = make_plan(self.report, self._choices, self._extension)
        if not self.plan.missing:
            self._remember(unfinished=False)
        self.task.finish(DONE, result=self.plan)

    def _checked(self, document: Any) -> None:
        after = Report.from_json(document)
        before, self.report = self.report, after
        assert before is not None  # noqa: S101 (install needs it)
        changed = {
            found.name
            for name, found in before.packages.items()
            if name in after.packages and after.packages[name].version != found.version
        }
        slicers = {canonicalize_name(name) for name in changed} & set(SLICERS_MODULES.values())
        if hurt := sorted(slicers | (before.unrecorded & set(after.packages))):
            names = ", ".join(hurt)
            raise InstallationError(
                f"The installation replaced Slicer's own {names}. Install Slicer again; the log shows which package."
            )
        if absent := missing(after.packages, self._choices.training):
            names = ", ".join(requirement.name for requirement in absent)
            raise InstallationError(f"pip reported success, but these are still missing: {names}. See the log.")
        loaded = {canonicalize_name(module) for module in self._loaded() if "." not in module}
        self.restart_for = tuple(sorted(name for name in changed if canonicalize_name(name) in loaded))
        self._remember(unfinished=False)
        self.plan = make_plan(after, self._choices, self._extension)
        self.task.report(TaskProgress(STEPS, STEPS))
        self.task.finish(DONE, result=self.restart_for)

    def _refuse_if_running(self) -> None:
        if self.running:
            raise InstallationError("An installation is running. Wait for it, or cancel it.")

    def _remember(self, unfinished: bool, action: str = "") -> None:
        if self._memory is not None:
            self._memory.write(Remembered(self._choices, unfinished, action))

    def _write(self, line: str) -> None:
        self._step_log.append(line)
        self._log.append(line)
        del self._log[:-_LOG_LINES]

    def _begin(self, what: str, message: str) -> Task:
        self._log = []
        task = self.task = Task(what, RUNNING)
        task.on_progress(lambda _task: self.changed.emit())
        task.on_done(lambda _task: self._ended())
        task.report(TaskProgress(0, STEPS, message))
        return task

    def _ended(self) -> None:
        if self._process is not None:
            self._process.cancel()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self.changed.emit()
