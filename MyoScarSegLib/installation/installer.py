"""Looks, plans, installs, checks; one process at a time, and never in the way of the caller's thread."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import TemporaryDirectory

from MyoScarSegLib.errors import Cancelled, InstallationError, MyoScarSegError
from MyoScarSegLib.installation import child
from MyoScarSegLib.installation.explain import explain
from MyoScarSegLib.installation.following import Follower, InstallProgress
from MyoScarSegLib.installation.installed import normalise
from MyoScarSegLib.installation.memory import Memory, Remembered
from MyoScarSegLib.installation.plan import Choices, Plan, Step, make_plan
from MyoScarSegLib.installation.report import Report
from MyoScarSegLib.installation.requirements import SLICERS_MODULES, missing
from MyoScarSegLib.utils.transport import SubprocessTransport, Transport

#: Starts a program: (command) -> transport that is not started yet.
TransportFactory = Callable[[list[str]], Transport]

_LOG_LINES = 5000


def subprocess_factory(command: list[str]) -> Transport:
    """Programs on :mod:`subprocess`, for scripts and tests. The panel gives a factory of its own, on Qt's process object."""
    return SubprocessTransport(command, dict(os.environ))


class Installer:
    """One installation, from the question what is missing to the check that it is there.

    The states are ``idle``, ``looking``, ``ready`` (there is a :attr:`plan`), ``installing``, ``checking``, ``done``, ``failed``
    (:attr:`error` says why) and ``cancelled``. Everything is delivered through the transport's callbacks: where events do not
    come by themselves, call :meth:`pump`.

    A worker that has the old packages loaded must be stopped before :meth:`install` (Windows does not replace files in use) and
    started again after it.

    Args:
        python: the Python to install into; in the application PythonSlicer.
        transport_factory: how to start it.
        extension_present: whether Slicer has the PyTorch extension.
        memory: what outlives a restart; None for none.
        busy: why no installation may begin now, "" if one may (another one is running, ...).
        loaded: names of the modules that the calling process has loaded.
        clock: seconds.
    """

    def __init__(
        self,
        python: str = sys.executable,
        transport_factory: TransportFactory = subprocess_factory,
        *,
        extension_present: bool = False,
        memory: Memory | None = None,
        busy: Callable[[], str] = lambda: "",
        loaded: Callable[[], Collection[str]] = lambda: tuple(sys.modules),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = "idle"
        self.plan: Plan | None = None
        self.report: Report | None = None
        self.error = ""
        #: Packages that were replaced while the application has them loaded: it should be started again.
        self.restart_for: tuple[str, ...] = ()
        self.on_changed: Callable[[], None] = lambda: None
        self._python = python
        self._factory = transport_factory
        self._extension = extension_present
        self._memory = memory
        self._busy = busy
        self._loaded = loaded
        self._clock = clock
        self._choices = Choices()
        self._steps: list[Step] = []
        self._log: list[str] = []
        self._step_log: list[str] = []
        self._follower = Follower(1, clock)
        self._transport: Transport | None = None
        self._leaving: list[Transport] = []  # cancelled, but not gone: dropping a process object of Qt's would wait for its end
        self._pending = ""
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def running(self) -> bool:
        """Whether a process is at work."""
        return self.state in ("looking", "installing", "checking")

    @property
    def log(self) -> str:
        """All that pip wrote, for the user to copy."""
        return "\n".join(self._log)

    @property
    def progress(self) -> InstallProgress:
        """How far it is."""
        if self.state == "looking":
            return InstallProgress(0.0, "Looking at what is installed")
        if self.state == "checking":
            return InstallProgress(0.99, "Checking")
        return InstallProgress(1.0, "") if self.state == "done" else self._follower.progress

    def look(self, choices: Choices | None = None) -> None:
        """Find out what is missing and make the :attr:`plan`; then the state is ``ready``, or ``done`` if nothing is missing.

        Raises:
            InstallationError: something is running.
        """
        self._refuse_if_running()
        if choices is not None:
            self._choices = choices
        elif self._memory is not None:
            self._choices = self._memory.read().choices
        self.error = ""
        self._log = []
        self._set("looking")
        self._run(["look"], self._looked)

    def install(self, action: str = "") -> None:
        """Do what the plan says.

        Args:
            action: what the user wanted to do when something was missing; remembered, to go on with it after a restart.

        Raises:
            InstallationError: there is no plan, it has problems, or something else is being installed.
        """
        self._refuse_if_running()
        if self.plan is None or self.state not in ("ready", "failed", "cancelled"):
            raise InstallationError("It is not known yet what is missing. Look first.")
        if self.plan.problems:
            raise InstallationError(" ".join(self.plan.problems))
        if reason := self._busy():
            raise InstallationError(reason)
        self._remember(unfinished=True, action=action)
        self.error = ""
        self.restart_for = ()
        self._log = []
        self._folder = TemporaryDirectory(prefix="myoscarseg-install-", ignore_cleanup_errors=True)
        constraints = Path(self._folder.name) / "constraints.txt"
        constraints.write_text("\n".join(self.plan.constraints) + "\n", encoding="utf-8")
        self._steps = list(self.plan.steps)
        self._follower = Follower(self.plan.download_mb, self._clock)
        self._set("installing")
        self._next_step()

    def cancel(self) -> None:
        """Stop. What pip had finished stays; a later :meth:`look` sees what is missing then. Harmless if nothing runs."""
        if not self.running:
            return
        transport, self._transport = self._transport, None  # what it still says is not listened to
        if transport is not None:
            transport.on_bytes = lambda _data: None
            transport.on_exit = lambda _code, _tail: self._leaving.remove(transport)
            self._leaving.append(transport)
            transport.close()  # the child ends with its input; killing a launcher alone would leave pip running
        self._clean()
        self.error = str(Cancelled("The installation was cancelled. Nothing that Slicer had was changed."))
        self._set("cancelled")

    def pump(self) -> None:
        """Deliver what has happened."""
        for transport in (*self._leaving, *([self._transport] if self._transport else [])):
            transport.pump()

    def wait(self, process_events: Callable[[], None] = lambda: None, timeout_s: float | None = None) -> None:
        """Wait until nothing runs any more; for scripts.

        Raises:
            InstallationError: it failed, or took longer than ``timeout_s``.
            Cancelled: it was cancelled.
        """
        end = None if timeout_s is None else self._clock() + timeout_s
        while self.running:
            if end is not None and self._clock() > end:
                self.cancel()
                raise InstallationError(f"The installation took longer than {timeout_s:g} s and was stopped.")
            process_events()
            self.pump()
            time.sleep(0.01)
        if self.state == "failed":
            raise InstallationError(self.error)
        if self.state == "cancelled":
            raise Cancelled(self.error)

    def _next_step(self) -> None:
        if not self._steps:
            self._clean()
            self._set("checking")
            self._run(["look"], self._checked)
            return
        assert self._folder is not None  # noqa: S101 (made by install)
        step = self._steps.pop(0)
        self._follower.begin(step.title)
        self._step_log = []
        constraints = str(Path(self._folder.name) / "constraints.txt")
        arguments = [*step.arguments, "--constraint", constraints]
        self._write(f"== {step.title}: {step.module} {' '.join(arguments)}")
        self._run(["run", step.module, *arguments], self._stepped)

    def _run(self, arguments: list[str], ended: Callable[[int, str], None]) -> None:
        """Start the child process; ``ended`` gets its exit status and the end of its standard error."""
        command = [self._python, "-u", "-X", "utf8", str(Path(child.__file__).resolve()), *arguments]
        self._pending = ""
        try:
            transport = self._factory(command)
            decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
            transport.on_bytes = lambda data: self._arrived(decoder.decode(data))
            transport.on_exit = lambda code, tail: self._ended(ended, code, tail)
            self._transport = transport
            transport.start()
        except MyoScarSegError as error:
            self._transport = None
            self._fail(str(error))

    def _arrived(self, text: str) -> None:
        *lines, self._pending = (self._pending + text.replace("\r\n", "\n")).split("\n")
        if self.state == "installing":
            for line in lines:
                self._take(line)
            self.on_changed()
        else:
            self._step_log = [*self._step_log, *lines]

    def _take(self, line: str) -> None:
        line = line.rpartition("\r")[2]
        if self._follower.line(line):
            self._write(line)

    def _ended(self, ended: Callable[[int, str], None], code: int, tail: str) -> None:
        if self._pending:
            rest, self._pending = self._pending, ""
            if self.state == "installing":
                self._take(rest)
            else:
                self._step_log.append(rest)
        self._transport = None
        ended(code, tail)

    def _report(self, code: int, tail: str) -> Report | None:
        text, self._step_log = "\n".join(self._step_log), []
        if code == 0:
            try:
                return Report.from_json(text)
            except InstallationError as error:
                self._fail(str(error))
                return None
        self._write(tail)
        self._fail(f"Slicer's Python ended with status {code} when asked what it has: {(tail.strip().splitlines() or [''])[-1]}")
        return None

    def _looked(self, code: int, tail: str) -> None:
        report = self._report(code, tail)
        if report is None:
            return
        self.report = report
        self.plan = make_plan(report, self._choices, self._extension)
        if not self.plan.missing:
            self._remember(unfinished=False)
        self._set("ready" if self.plan.missing else "done")

    def _stepped(self, code: int, _tail: str) -> None:
        if code == 0:
            self._next_step()
            return
        self._clean()
        self._fail(explain("\n".join(self._step_log), code, self._choices.wheel_folder))

    def _checked(self, code: int, tail: str) -> None:
        after = self._report(code, tail)
        if after is None:
            return
        before, self.report = self.report, after
        assert before is not None and self.plan is not None  # noqa: S101 (install needs both)
        changed = {
            found.name
            for name, found in before.packages.items()
            if name in after.packages and after.packages[name].version != found.version
        }
        slicers = {normalise(name) for name in changed} & set(SLICERS_MODULES.values())
        if hurt := sorted(slicers | (before.unrecorded & set(after.packages))):
            names = ", ".join(hurt)
            self._fail(f"The installation replaced Slicer's own {names}. Install Slicer again; the log shows which package.")
            return
        if absent := missing(after.packages, self._choices.training):
            names = ", ".join(requirement.name for requirement in absent)
            self._fail(f"pip reported success, but these are still missing: {names}. See the log.")
            return
        loaded = {normalise(module) for module in self._loaded() if "." not in module}
        self.restart_for = tuple(sorted(name for name in changed if normalise(name) in loaded))
        self._remember(unfinished=False)
        self._set("done")

    def _refuse_if_running(self) -> None:
        if self.running:
            raise InstallationError("An installation is running. Wait for it, or cancel it.")

    def _remember(self, unfinished: bool, action: str = "") -> None:
        if self._memory is not None:
            self._memory.write(Remembered(self._choices, unfinished, action))

    def _fail(self, sentence: str) -> None:
        self.error = sentence
        self._set("failed")

    def _write(self, line: str) -> None:
        self._step_log.append(line)
        self._log.append(line)
        del self._log[:-_LOG_LINES]

    def _clean(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _set(self, state: str) -> None:
        self.state = state
        self.on_changed()
