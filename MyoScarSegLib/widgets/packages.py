"""The packages that the networks need: whether they are here, and the window that installs what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.installation.choices import Memory
from MyoScarSegLib.installation.installer import CHECKING, INSTALLING, LOOKING, Installer
from MyoScarSegLib.installation.pip_output import STEPS
from MyoScarSegLib.installation.requirements import missing_now, other_installation, pytorch_extension_present
from MyoScarSegLib.utils.task import DONE, FAILED
from MyoScarSegLib.widgets.process import QProcessTransport, python_of_slicer
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
            self.text.text = str(error)

    def cancel(self) -> None:
        """Stop the installation; without one, close the window."""
        if self.installer.phase in (INSTALLING, CHECKING):
            self.installer.cancel()
        else:
            self.dialog.hide()

    def choose_folder(self) -> None:
        """Install from a folder of wheels, without network; choosing none goes back to the network."""
        folder = qt.QFileDialog.getExistingDirectory(self.dialog, _("Folder with all packages as wheels"), "")
        self._choose(wheel_folder=Path(str(folder)) if folder else None)

    def _build(self, parent: Any) -> None:
        dialog = self.dialog = qt.QDialog(parent)
        dialog.name = "MyoScarSegInstall"
        dialog.windowTitle = (
            _("MyoScarSeg: packages for training") if self._training else _("MyoScarSeg: packages for segmentation")
        )
        dialog.minimumWidth = 460
        layout = qt.QVBoxLayout(dialog)
        self.text = qt.QLabel()
        self.text.name = "installText"
        self.text.wordWrap = True
        self.text.textInteractionFlags = qt.Qt.TextSelectableByMouse
        layout.addWidget(self.text)
        self.cpu_only = qt.QCheckBox(_("Without graphics card support (much smaller download)"))
        self.cpu_only.name = "cpuOnlyCheckBox"
        self.cpu_only.checked = self._choices.cpu_only
        layout.addWidget(self.cpu_only)
        self.bar = qt.QProgressBar()
        self.bar.name = "installBar"
        self.bar.maximum = STEPS
        self.bar.textVisible = False
        layout.addWidget(self.bar)
        self.log = qt.QPlainTextEdit()
        self.log.name = "installLog"
        self.log.readOnly = True
        self.log.minimumHeight = 140
        layout.addWidget(self.log)
        row = qt.QHBoxLayout()
        layout.addLayout(row)
        self.folder_button = qt.QPushButton(_("Wheel folder ..."))
        self.folder_button.toolTip = _("Install from a folder of wheels, on a computer without network")
        self.copy_button = qt.QPushButton(_("Copy log"))
        self.install_button = qt.QPushButton(_("Install"))
        self.install_button.name = "installStartButton"
        self.install_button.default = True
        self.cancel_button = qt.QPushButton(_("Close"))
        self.cancel_button.name = "installCancelButton"
        row.addWidget(self.folder_button)
        row.addWidget(self.copy_button)
        row.addStretch(1)
        row.addWidget(self.install_button)
        row.addWidget(self.cancel_button)
        self.cpu_only.connect("toggled(bool)", lambda on: self._choose(cpu_only=bool(on)))
        self.folder_button.connect("clicked()", self.choose_folder)
        self.copy_button.connect("clicked()", lambda: qt.QApplication.clipboard().setText(self.installer.log))
        self.install_button.connect("clicked()", self.start)
        self.cancel_button.connect("clicked()", self.cancel)

    def _choose(self, **changes: Any) -> None:
        self._choices = replace(self._choices, **changes)
        if not self.installer.running:
            self._look()

    def _look(self) -> None:
        try:
            self.installer.look(self._choices)
        except MyoScarSegError as error:
            self.text.text = str(error)

    def _refresh(self) -> None:
        installer = self.installer
        working = installer.phase in (INSTALLING, CHECKING)
        progress = installer.progress
        plan = installer.plan
        self.bar.visible = installer.running
        self.bar.value = progress.done
        self.log.visible = working or installer.state == FAILED
        self.copy_button.visible = bool(installer.log)
        self.cpu_only.visible = self.folder_button.visible = not working and bool(plan is None or plan.missing)
        self.install_button.visible = not working and installer.state != DONE
        self.install_button.enabled = plan is not None and not plan.problems and not installer.running and installer.state != DONE
        self.cancel_button.text = _("Cancel") if working else _("Close")
        if installer.phase == LOOKING:
            self.text.text = _("Looking at what is installed ...")
        elif working:
            left = "" if progress.seconds_left is None else _("{time} left").format(time=in_words(progress.seconds_left))
            self.text.text = " · ".join(part for part in (progress.message, left) if part)
        elif installer.error:
            self.text.text = installer.error
        elif plan is not None:
            restart = _("Restart Slicer to use them.") if installer.restart_for else ""
            done = _("Everything is installed.") if installer.state == DONE and self._asked else plan.text()
            self.text.text = f"{done} {restart}".strip()
        if self.log.visible:
            self.log.setPlainText(installer.log)
            self.log.moveCursor(qt.QTextCursor.End)
        if installer.state == DONE and self._asked:
            self._asked = False
            self._after(not installer.restart_for)
