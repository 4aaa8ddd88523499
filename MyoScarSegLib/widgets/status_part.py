"""What to do next, how far it is, what went wrong, undo and help."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import qt
import slicer

from MyoScarSegLib import __version__
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.widgets import looks
from MyoScarSegLib.widgets.help import show_help
from MyoScarSegLib.widgets.part import Part
from MyoScarSegLib.widgets.text import _, in_words

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.panel import Panel

_log = logging.getLogger(__name__)


class StatusPart(Part):
    """The card at the top of the panel."""

    watches = frozenset({Change.STATUS, Change.PROGRESS, Change.HISTORY, Change.ENGINE, Change.VOLUME})

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._extra_error = ""
        self._extra_is_new = False
        self.ui.cancelButton.connect("clicked()", self.workflow.cancel)
        self.ui.undoButton.connect("clicked()", self.workflow.undo)
        self.ui.redoButton.connect("clicked()", self.workflow.redo)
        self.ui.helpButton.connect("clicked()", lambda: show_help(self.panel.form))
        self.ui.retryButton.connect("clicked()", self.retry)
        self.ui.copyLogButton.connect("clicked()", self.copy_log)
        self.ui.installButton.connect("clicked()", lambda: self.panel.advanced.show_dependencies())

    def say_error(self, sentence: str) -> None:
        """Show a sentence that is no matter of the workflow, until its next step or ``say_error("")``."""
        self._extra_error = sentence
        self._extra_is_new = bool(sentence)
        self.panel.changed(Change.STATUS)

    @property
    def error(self) -> str:
        """The sentence that is shown."""
        if self._extra_error:
            return self._extra_error
        if self.workflow.error:
            return self.workflow.error
        return str(self.panel.engine.error) if self.panel.engine.state == "failed" else ""

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102
        ui, workflow = self.ui, self.workflow
        if not self._extra_is_new and changes & {Change.PROGRESS, Change.HISTORY, Change.VOLUME}:
            self._extra_error = ""
        self._extra_is_new = False
        ui.statusLabel.text = workflow.status
        error = self.error
        ui.noteLabel.text = workflow.note
        ui.noteLabel.visible = bool(workflow.note) and workflow.note not in error
        self._show_progress()
        missing = self.panel.advanced.something_missing
        looks.show_card(ui.errorFrame, ui.errorLabel, error, packages_invitation(_("Segmentation")) if missing else "")
        ui.retryButton.visible = self.panel.engine.state == "failed"
        ui.installButton.visible = missing
        ui.copyLogButton.visible = bool(error)
        history = None if self.session is None else self.session.history
        self.allow(ui.undoButton, "undo", self._tip(_("Undo"), history and history.undo_label, "Ctrl+Z"))
        self.allow(ui.redoButton, "redo", self._tip(_("Redo"), history and history.redo_label, "Ctrl+Shift+Z"))

    def retry(self) -> None:
        """Start the engine again after it has given up."""
        self._extra_error = ""
        self.panel.engine.start()
        self.panel.changed(Change.STATUS)

    def copy_log(self) -> None:
        """Put the sentence and the technical log on the clipboard."""
        status = self.panel.engine.status()
        text = "\n".join(
            [
                f"MyoScarSeg {__version__}",
                f"Error: {self.error}",
                f"Process: {status.state}; Python {status.python_version or '?'}; torch {status.torch or '?'}",
                f"Device: {status.device or '?'}",
                f"Models: {status.detector or '-'}, {status.segmenter or '-'}; restarts {status.restarts}",
                "",
                self.panel.unexpected.log,
                status.log,
            ]
        )
        qt.QApplication.clipboard().setText(text)
        slicer.util.showStatusMessage(_("The message and the log are on the clipboard."), 3000)

    def _show_progress(self) -> None:
        ui = self.ui
        busy = bool(self.workflow.busy)
        ui.progressPanel.visible = busy
        if not busy:
            return
        done, total, message, left = self.workflow.progress
        ui.progressBar.maximum = max(total, 0)  # 0: Qt shows that it does not know how far it is
        ui.progressBar.value = min(done, total)
        parts = [message] if message and message not in ui.statusLabel.text else []
        if total:
            parts.append(_("{done} of {total} slices").format(done=done, total=total))
        if left is not None:
            parts.append(_("{time} left").format(time=in_words(left)))
        ui.progressLabel.text = " · ".join(parts)

    @staticmethod
    def _tip(what: str, label: str | None, keys: str) -> str:
        return f"{what}: {label} ({keys})" if label else f"{what} ({keys})"


def packages_invitation(what: str) -> str:
    """What is asked for before the first use. ``what`` needs packages, as the beginning of a sentence."""
    return _("{what} needs packages that are not installed yet. Nothing is installed before you have seen what it is.").format(
        what=what
    )
