"""What to do next in the training tab, how far it is, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt
import slicer

from MyoScarSegLib import __version__
from MyoScarSegLib.scene.training.notices import TrainChange
from MyoScarSegLib.widgets import looks
from MyoScarSegLib.widgets.status_part import packages_invitation
from MyoScarSegLib.widgets.text import _, in_words
from MyoScarSegLib.widgets.training.part import TrainingPart

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.tab import TrainingTab

_LOG_TAIL_BYTES = 8000


class TrainingStatusPart(TrainingPart):
    """The card at the top of the training tab."""

    watches = frozenset(TrainChange)

    def __init__(self, tab: TrainingTab) -> None:
        super().__init__(tab)
        self._extra = ""
        self.ui.trainCancelButton.connect("clicked()", self.training.cancel)
        self.ui.trainInstallButton.connect("clicked()", lambda: self.tab.packages.show())
        self.ui.trainCopyLogButton.connect("clicked()", self.copy_log)

    def say_error(self, sentence: str) -> None:
        """Show a sentence that is no matter of the workflow; empty to show none."""
        self._extra = sentence
        self.tab.changed(TrainChange.STATE)

    @property
    def error(self) -> str:
        """The sentence that is shown."""
        return self._extra or str(self.training.error)

    def refresh(self, changes: frozenset[TrainChange]) -> None:  # noqa: D102
        ui, training = self.ui, self.training
        ui.trainAdviceLabel.text = training.advice
        ui.trainNoteLabel.text = training.note
        ui.trainNoteLabel.visible = bool(training.note)
        missing = self.tab.packages.missing
        invitation = packages_invitation(_("Training")) if missing else ""
        looks.show_card(ui.trainErrorFrame, ui.trainErrorLabel, self.error, invitation)
        ui.trainInstallButton.visible = missing
        ui.trainCopyLogButton.visible = bool(self.error)
        self._show_busy()

    def copy_log(self) -> None:
        """Put the sentence, and the end of what the training wrote, on the clipboard."""
        lines = [f"MyoScarSeg {__version__}", f"Error: {self.error}", self.tab.panel.unexpected.log]
        run = self.training.trainings.run
        if run is not None:
            lines += [f"Training: {run.name}", "", _tail(run.folder / "output.txt")]
        qt.QApplication.clipboard().setText("\n".join(lines))
        slicer.util.showStatusMessage(_("The message and the log are on the clipboard."), 3000)

    def _show_busy(self) -> None:
        ui = self.ui
        busy = bool(self.training.busy)
        ui.trainBusyPanel.visible = busy
        if not busy:
            return
        done, total, message, left = self.training.progress
        ui.trainBusyBar.maximum = max(int(total), 0)  # 0: Qt shows that it does not know how far it is
        ui.trainBusyBar.value = min(int(done), int(total))
        parts = [message]
        if total:
            parts.append(_("{done} of {total}").format(done=done, total=total))
        if left is not None:
            parts.append(_("{time} left").format(time=in_words(left)))
        ui.trainBusyLabel.text = " · ".join(part for part in parts if part)


def _tail(path: object) -> str:
    """The end of a text file; empty if there is none."""
    from pathlib import Path

    try:
        with Path(str(path)).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - _LOG_TAIL_BYTES, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
