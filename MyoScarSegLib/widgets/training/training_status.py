"""What to do next in the training tab, how far it is, and what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from MyoScarSegLib.scene.training.training_state import FIELDS, TrainingState
from MyoScarSegLib.widgets.section import TrainingSection
from MyoScarSegLib.widgets.status_section import StatusSection
from MyoScarSegLib.widgets.text import _

_LOG_TAIL_BYTES = 8000


class TrainingStatus(StatusSection, TrainingSection):
    """The card at the top of the training tab."""

    watches = FIELDS
    prefix = "train"
    change = "error"

    def __init__(self, tab: Any) -> None:
        super().__init__(tab)
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


def _tail(path: Path) -> str:
    """The end of a text file; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - _LOG_TAIL_BYTES, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
