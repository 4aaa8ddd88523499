"""The packages that the networks need: whether they are here, and the window that installs what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.installation.choices import Memory
from MyoScarSegLib.installation.installer import INSTALL, LOOK, Installer
from MyoScarSegLib.installation.pip_output import STEPS
from MyoScarSegLib.installation.requirements import missing_now, other_installation, pytorch_extension_present
from MyoScarSegLib.utils.task import DONE, FAILED
from MyoScarSegLib.widgets.process import QProcessTransport, python_of_slicer
from MyoScarSegLib.widgets.section import load_form
from MyoScarSegLib.widgets.text import _, in_words


class Packages:
    """What one tab needs. Nothing is installed before the user has agreed.

    Attributes:
        missing: whether something was not installed when it was last looked for.
    """

    def __init__(self, tab: Any, installed: Callable[[], None], *, training: bool = False) -> None:
        """Of a tab; ``installed()`` is called after something was installed, ``training`` also asks for what training needs."""
        self._tab = tab
        self._after = installed
        self._training = training
        self._dialog: InstallDialog | None = None
        self._then: tuple[str, Callable[[], object] | None] = "", None
        self.missing = False

    def look(self) -> bool:
        """Look for them anew. Returns whether something is missing."""
        self.missing = bool(missing_now(training=self._training))
        return self.missing

    def ready(self, then: Callable[[], object] | None = None, action: str = "") -> bool:
        """Whether the networks can run; if packages are missing, the window that installs them is shown instead.

        ``then()`` is to go on with once they are installed, ``action`` its name, remembered if the installation is broken off.
        """
        if not self.look():
            return True
        self.go_on_with(then, action)
        self._tab.changed(self._tab.status.change)  # the invitation
        self.show()
        return False

    def go_on_with(self, then: Callable[[], object] | None, action: str) -> None:
        """Do this after the next installation."""
        self._then = action, then

    def show(self) -> None:
        """Show what is installed and what is missing, and offer to install it."""
        if self._dialog is None:
            self._dialog = InstallDialog(
                self._tab.form, before=self._tab.panel.engine.stop, after=self._installed, training=self._training
            )
        self._dialog.show(self._then[0])

    def close(self) -> None:
        """Stop what runs, and go."""
        if self._dialog is not None:
            self._dialog.close()

    def _installed(self, usable: bool) -> None:
        _action, then = self._then
        self._then = "", None
        self.look()
        self._tab.status.say_error("")
        self._after()
        if usable and then is not None:
            then()


class InstallDialog:
    """What will be installed, how large it is and from where: shown before anything is done; then progress, cancel, and the log.

    It does not block; the installation goes on behind it in a process of its own.
    """

    def __init__(
        self,
        parent: Any,
        *,
        before: Callable[[], None],
        after: Callable[[bool], None],
        installer: Installer | None = None,
        training: bool = False,
    ) -> None:
        """Of the widget ``parent``; ``training`` says whether what training needs is wanted, too.

        ``before()`` is called before anything is installed: the worker must not hold files that are replaced; ``after(usable)``
        once everything is there, with false if Slicer must be started again first. The installer is PythonSlicer's if None.
        """
        self._training = training
        self._before = before
        self._after = after
        self._memory = Memory()
        self._action = ""
        self._asked = False
        self.installer = installer or Installer(
            python_of_slicer(),
            QProcessTransport,
            extension_present=pytorch_extension_present(),
            memory=self._memory,
            busy=other_installation,
        )
        self._forget_installer = self.installer.changed.connect(self._refresh)
        self._choices = replace(self._memory.read().choices, training=training)
        self._build(parent)

    def show(self, action: str = "") -> None:
        """Show what is missing; ``action`` is what the user wanted to do: ``propose``, ``segment``, ``train``."""
        self._action = action
        self._asked = False
        self.dialog.show()
        self.dialog.raise_()
        if not self.installer.running:
            self._look()

    def close(self) -> None:
        """Stop what runs, and go."""
        self._forget_installer()
        self.installer.cancel()
        self.dialog.deleteLater()

    def start(self) -> None:
        """The user agrees: install."""
        self._before()
        try:
            self._asked = True
            self.installer.install(self._action)
        except MyoScarSegError as error:
            self.ui.installText.text = str(error)

    def cancel(self) -> None:
        """Stop the installation; without one, close the window."""
        if self.installer.running and self.installer.task.what == INSTALL:
            self.installer.cancel()
        else:
            self.dialog.hide()

    def choose_folder(self) -> None:
        """Install from a folder of wheels, without network; choosing none goes back to the network."""
        folder = qt.QFileDialog.getExistingDirectory(self.dialog, _("Folder with all packages as wheels"), "")
        self._choose(wheel_folder=Path(str(folder)) if folder else None)

    def _build(self, parent: Any) -> None:
        self.dialog = qt.QDialog(parent)
        self.dialog.name = "MyoScarSegInstall"
        self.dialog.windowTitle = (
            _("MyoScarSeg: packages for training") if self._training else _("MyoScarSeg: packages for segmentation")
        )
        self.dialog.minimumWidth = 460
        form, self.ui = load_form("Install")
        qt.QVBoxLayout(self.dialog).addWidget(form)
        self.ui.cpuOnlyCheckBox.checked = self._choices.cpu_only
        self.ui.installBar.maximum = STEPS
        self.ui.cpuOnlyCheckBox.connect("toggled(bool)", lambda on: self._choose(cpu_only=bool(on)))
        self.ui.wheelFolderButton.connect("clicked()", self.choose_folder)
        self.ui.copyInstallLogButton.connect("clicked()", lambda: qt.QApplication.clipboard().setText(self.installer.log))
        self.ui.installStartButton.connect("clicked()", self.start)
        self.ui.installCancelButton.connect("clicked()", self.cancel)

    def _choose(self, **changes: Any) -> None:
        self._choices = replace(self._choices, **changes)
        if not self.installer.running:
            self._look()

    def _look(self) -> None:
        try:
            self.installer.look(self._choices)
        except MyoScarSegError as error:
            self.ui.installText.text = str(error)

    def _refresh(self) -> None:
        ui, installer, plan, task = self.ui, self.installer, self.installer.plan, self.installer.task
        looking, working = (installer.running and task.what == what for what in (LOOK, INSTALL))
        complete = task.state == DONE and plan is not None and not plan.missing
        progress = task.progress
        ui.installBar.visible = installer.running
        ui.installBar.value = progress.done
        ui.installLog.visible = working or task.state == FAILED
        ui.copyInstallLogButton.visible = bool(installer.log)
        ui.cpuOnlyCheckBox.visible = ui.wheelFolderButton.visible = not working and bool(plan is None or plan.missing)
        ui.installStartButton.visible = not working and not complete
        ui.installStartButton.enabled = not installer.running and not complete and plan is not None and not plan.problems
        ui.installCancelButton.text = _("Cancel") if working else _("Close")
        if looking:
            ui.installText.text = _("Looking at what is installed ...")
        elif working:
            left = "" if progress.seconds_left is None else _("{time} left").format(time=in_words(progress.seconds_left))
            ui.installText.text = " · ".join(part for part in (progress.message, left) if part)
        elif task.error:
            ui.installText.text = task.error
        elif plan is not None:
            restart = _("Restart Slicer to use them.") if installer.restart_for else ""
            done = _("Everything is installed.") if complete and self._asked else plan.text()
            ui.installText.text = f"{done} {restart}".strip()
        if ui.installLog.visible:
            ui.installLog.setPlainText(installer.log)
            ui.installLog.moveCursor(qt.QTextCursor.End)
        if complete and self._asked:
            self._asked = False
            self._after(not installer.restart_for)
