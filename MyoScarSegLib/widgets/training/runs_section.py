"""All trainings of the library, and what can be done with the models that came of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.train_job import DETECTOR, SEGMENTER
from MyoScarSegLib.training.train_settings import choice
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection, quietly
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training import dialogs
from MyoScarSegLib.widgets.training.progress_section import state_word

_STATE = 2
_ACTIONS = {
    "useModelButton": "use", "repeatRunButton": "repeat", "keepModelButton": "keep", "exportModelButton": "export_model",
    "discardRunButton": "discard",
}  # fmt: skip
"""Buttons for the shown training."""


class RunsSection(TrainingSection):
    """The section *Results*: history of trainings, and their models."""

    watches = frozenset({"folder", "gone", "runs", "run", "statuses", "comparison", "models", "in_use"})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._lines: list[tuple[str, ...]] = []
        ui.runTable.connect("itemSelectionChanged()", self._selected)
        for button, slot in (
            (ui.useModelButton, self.workflow.models.use), (ui.repeatRunButton, self.repeat),
            (ui.keepModelButton, self.ask_and_keep), (ui.exportModelButton, self.ask_and_export),
            (ui.discardRunButton, self.ask_and_discard),
        ):  # fmt: skip
            button.connect("clicked()", lambda slot=slot: self._with_run(slot))
        ui.importModelButton.connect("clicked()", self.ask_and_import)

    def _with_run(self, act: Any) -> None:
        if self.workflow.state.run is not None:
            act(self.workflow.state.run)

    def repeat(self, run: Run) -> None:
        """Take over the settings of a training."""
        try:
            self.tab.train.repeat(run.settings)
        except MyoScarSegError as error:
            self.tab.status.say_error(str(error))

    def ask_and_keep(self, run: Run) -> None:
        """Ask for a name, and keep a training's model under it."""
        proposed = run.settings.name or f"scar-{run.record.created[:10]}"
        dialogs.ask_name(self.tab.form, proposed, lambda name: self.workflow.models.keep(run, name))

    def ask_and_export(self, run: Run) -> None:
        """Let the user choose a folder, and write a training's model and card there."""
        if folder := self.ask_for_folder(_("Folder for the model"), "modelExportFolder"):
            self.workflow.models.export_model(run, folder)

    def ask_and_discard(self, run: Run) -> None:
        """Ask, and delete a training with its models."""
        dialogs.confirm(
            self.tab.form,
            _("Discard the training {name}?").format(name=run.name),
            _("Its models, curves and comparison are deleted. What was kept under a name of its own stays."),
            _("Discard"),
            lambda: self.workflow.trainings.discard(run),
        )

    def ask_and_import(self) -> None:
        """Let the user choose a model file, and add it to the own models."""
        path = self.ask_for_file(_("Model file"), "modelExportFolder", _("Models (*.safetensors)"))
        if path is not None and self.tab.packages.ready():
            self.workflow.models.import_model(path)

    def refresh(self, changes: frozenset[str]) -> None:  # noqa: D102 (the base class describes it)
        ui, state = self.ui, self.workflow.state
        if changes & {"models", "in_use"} and self.tab.ready:
            self.panel.segment.advanced.follow_models()
        if changes & {"runs", "run", "statuses"}:
            self._show_runs()
        for name, action in _ACTIONS.items():
            self.allow(getattr(ui, name), action)
        for name in ("runTable", *_ACTIONS):
            getattr(ui, name).visible = bool(state.runs)
        ui.modelInUseLabel.text = _("In use: {name}").format(name=Path(state.in_use[0]).name)
        better = state.comparison is not None and state.comparison.get("verdict", {}).get("word") == "better"
        style.mark_next_step(ui.useModelButton, bool(ui.useModelButton.enabled) and better)

    def _show_runs(self) -> None:
        table, state = self.ui.runTable, self.workflow.state
        lines = [self._line(run) for run in state.runs]
        if lines != self._lines:
            self._lines = lines
            rows = [(date, words, state_word(state), dice) for _name, date, words, state, dice in lines]
            style.fill_table(table, rows, tips=[line[0] for line in lines])
            style.fit_height(table, len(rows), 6)
            for row, line in enumerate(lines):
                table.item(row, _STATE).setIcon(style.state_icon(line[1 + _STATE]))
        row = state.runs.index(state.run) if state.run in state.runs else -1
        if row >= 0 and int(table.currentRow()) != row:
            quietly(table, lambda: table.selectRow(row))

    def _line(self, run: Run) -> tuple[str, ...]:
        status = self.workflow.state.statuses[run.name]
        best = [figures.get("end_to_end_dice") for figures in status.best.values()]
        dice = next((f"{figure:.3f}" for figure in best if figure is not None), "")
        return run.name, _date(run.record.created), _words(run), str(status.state), dice

    def _selected(self) -> None:
        row, run = int(self.ui.runTable.currentRow()), self.workflow.state.run
        if 0 <= row < len(self._lines) and (run is None or run.name != self._lines[row][0]):
            self.workflow.trainings.show_run(self._lines[row][0])


def _date(created: str) -> str:
    """When, in the reader's own time."""
    try:
        return f"{datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return created


def _words(run: Run) -> str:
    """The settings of a training in a few words."""
    try:
        settings = run.settings
    except MyoScarSegError:
        return "?"
    preset = _(choice("preset", settings.preset).title).lower()
    if SEGMENTER not in settings.parts:
        return _("boxes, {preset}").format(preset=preset)
    mode = _(choice("mode", settings.mode).title).lower()
    what = _("both") if DETECTOR in settings.parts else _("scar")
    return f"{what}, {mode}, {preset}"
