"""The card at the top of a tab: what to do next, how far it is, what went wrong, undo and help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import EngineError, Sentence
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.training.training_state import FIELDS, TrainingState
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.help_window import TROUBLESHOOTING
from MyoScarSegLib.widgets.section import Section, SegmentSection, TrainingSection
from MyoScarSegLib.widgets.text import _, in_words

_LOG_TAIL_BYTES = 8000


class StatusSection(Section):
    """The card of either tab. In the training tab the names of its widgets begin with ``train``."""

    prefix = ""
    needs_packages = ""
    """What needs them, as the beginning of a sentence."""
    change: Any
    """What is told when there is another sentence."""
    moves_on: frozenset[Any] = frozenset()
    """Changes after which a sentence of :meth:`say_error` is done with."""

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        self._extra_error = ""
        self._extra_is_new = False
        self._widget("cancelButton").connect("clicked()", self.workflow.cancel)
        self._widget("copyLogButton").connect("clicked()", self.copy_log)
        self._widget("errorHelpButton").connect("clicked()", self.explain)
        self._widget("installButton").connect("clicked()", lambda: self.tab.packages.show())

    def say_error(self, sentence: str) -> None:
        """Show a sentence that is no matter of the workflow, until its next step or ``say_error("")``."""
        self._extra_error = sentence
        self._extra_is_new = bool(sentence)
        self.tab.changed(self.change)

    @property
    def said(self) -> Any:
        """What has ``error``, ``note``, ``busy`` and ``progress`` of the tab."""
        return self.workflow

    @property
    def error(self) -> str:
        """The sentence that is shown."""
        return self._extra_error or str(self.said.error)

    def explain(self) -> None:
        """Open the page on troubleshooting, at the entry of what is shown."""
        error = self.error
        self.panel.help.show(TROUBLESHOOTING, error.kind if isinstance(error, Sentence) else "")

    @property
    def advice(self) -> str:
        """Where the work stands, and what to do next."""
        return str(self.workflow.status)

    def log(self) -> list[str]:
        """Lines that a report of an error needs."""
        raise NotImplementedError

    def copy_log(self) -> None:
        """Put the sentence and the technical log on the clipboard."""
        lines = [f"MyoScarSeg {__version__}", f"Error: {self.error}", *self.log()]
        qt.QApplication.clipboard().setText("\n".join(lines))
        slicer.util.showStatusMessage(_("The message and the log are on the clipboard."), 3000)

    def refresh(self, changes: frozenset[Any]) -> None:  # noqa: D102 (the base class describes it)
        if not self._extra_is_new and changes & self.moves_on:
            self._extra_error = ""
        self._extra_is_new = False
        error, note, missing = self.error, self.said.note, self.tab.packages.missing
        self._widget("statusLabel").text = self.advice
        self._widget("noteLabel").text = note
        self._widget("noteLabel").visible = bool(note) and note not in error
        invitation = _("{what} needs packages that are not installed yet. Nothing is installed before you have seen what it is.")
        style.show_card(
            self._widget("errorFrame"), self._widget("errorLabel"), error,
            invitation.format(what=self.needs_packages) if missing else "",
        )  # fmt: skip
        self._widget("installButton").visible = missing
        self._widget("copyLogButton").visible = self._widget("errorHelpButton").visible = bool(error)
        self._show_progress()

    def how_far(self, done: int, total: int) -> str:
        """Words on what is done of all."""
        return _("{done} of {total}").format(done=done, total=total)

    def _show_progress(self) -> None:
        busy = bool(self.said.busy)
        self._widget("progressPanel").visible = busy
        if not busy:
            return
        done, total, message, left = self.said.progress
        bar = self._widget("progressBar")
        bar.maximum = max(int(total), 0)  # 0: Qt shows that it does not know how far it is
        bar.value = min(int(done), int(total))
        words = [message] if message and message not in self._widget("statusLabel").text else []
        if total:
            words.append(self.how_far(done, total))
        if left is not None:
            words.append(_("{time} left").format(time=in_words(left)))
        self._widget("progressLabel").text = " · ".join(words)

    def _widget(self, name: str) -> Any:
        return getattr(self.ui, self.prefix + name[0].upper() + name[1:] if self.prefix else name)


class SegmentStatus(StatusSection, SegmentSection):
    """The card of the first tab, with undo and help."""

    watches = frozenset({Change.STATUS, Change.PROGRESS, Change.HISTORY, Change.ENGINE, Change.VOLUME})
    change = Change.STATUS
    moves_on = frozenset({Change.PROGRESS, Change.HISTORY, Change.VOLUME})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        super().bind()
        self.needs_packages = _("Segmentation")
        self.ui.undoButton.connect("clicked()", lambda: self.workflow.attempt(StudySession.undo))
        self.ui.redoButton.connect("clicked()", lambda: self.workflow.attempt(StudySession.redo))
        self.ui.helpButton.connect("clicked()", lambda: self.tab.shortcuts.show_help())
        self.ui.retryButton.connect("clicked()", self.retry)

    @property
    def error(self) -> str:  # noqa: D102 (the base class describes it)
        engine = self.panel.engine
        return super().error or (str(EngineError(engine.error)) if engine.state == "failed" else "")

    def refresh(self, changes: frozenset[Any]) -> None:  # noqa: D102 (the base class describes it)
        super().refresh(changes)
        self.ui.retryButton.visible = self.panel.engine.state == "failed"
        history = None if self.session is None else self.session.history
        self.allow(self.ui.undoButton, "undo", _tip(_("Undo"), history and history.undo_label, "Ctrl+Z"))
        self.allow(self.ui.redoButton, "redo", _tip(_("Redo"), history and history.redo_label, "Ctrl+Shift+Z"))

    def retry(self) -> None:
        """Start the engine again after it has given up."""
        self.say_error("")
        self.panel.engine.start()

    def log(self) -> list[str]:  # noqa: D102 (the base class describes it)
        status = self.panel.engine.status()
        return [
            f"Process: {status.state}; Python {status.python_version or '?'}; torch {status.torch or '?'}",
            f"Device: {status.device or '?'}",
            f"Models: {status.detector or '-'}, {status.segmenter or '-'}; restarts {status.restarts}",
            "",
            self.panel.unexpected.log,
            status.log,
        ]

    def how_far(self, done: int, total: int) -> str:  # noqa: D102 (the base class describes it)
        return _("{done} of {total} slices").format(done=done, total=total)


class TrainingStatus(StatusSection, TrainingSection):
    """The card at the top of the training tab."""

    watches = FIELDS
    prefix = "train"
    change = "error"

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        super().bind()
        self.needs_packages = _("Training")

    @property
    def said(self) -> TrainingState:  # noqa: D102 (the base class describes it)
        return self.workflow.state

    @property
    def advice(self) -> str:  # noqa: D102 (the base class describes it)
        return self.workflow.advice

    def log(self) -> list[str]:  # noqa: D102 (the base class describes it)
        lines = [self.panel.unexpected.log]
        run = self.workflow.state.run
        if run is not None:
            lines += [f"Training: {run.name}", "", _tail(run.folder / "output.txt")]
        return lines


def _tip(what: str, label: str | None, keys: str) -> str:
    return f"{what}: {label} ({keys})" if label else f"{what} ({keys})"


def _tail(path: Path) -> str:
    """The end of a text file; empty if there is none."""
    try:
        return path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return ""
