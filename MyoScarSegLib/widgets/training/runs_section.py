"""All trainings of the library, and what can be done with the models that came of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.training.train_settings import DETECTOR, SEGMENTER, choice
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection, quietly
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training.confirm import confirm
from MyoScarSegLib.widgets.training.name_dialog import NameDialog
from MyoScarSegLib.widgets.training.progress_section import state_word

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab

_STATE = 2
_BUTTONS = ("useModelButton", "repeatRunButton", "keepModelButton", "exportModelButton", "discardRunButton")


class RunsSection(TrainingSection):
    """The section *Results*: history of trainings, and their models."""

    watches = frozenset({TrainChange.RUNS, TrainChange.RUN, TrainChange.MODELS, TrainChange.STATE})

    def __init__(self, tab: TrainingTab) -> None:
        super().__init__(tab)
        ui = self.ui
        self._shown: list[tuple[str, ...]] = []
        self._names: list[str] = []
        self.name_dialog: NameDialog | None = None
        ui.runTable.connect("itemSelectionChanged()", self._selected)
        ui.useModelButton.connect("clicked()", self.use)
        ui.repeatRunButton.connect("clicked()", self.repeat)
        ui.keepModelButton.connect("clicked()", self.ask_and_keep)
        ui.exportModelButton.connect("clicked()", self.ask_and_export)
        ui.discardRunButton.connect("clicked()", self.ask_and_discard)
        ui.importModelButton.connect("clicked()", self.ask_and_import)

    def cleanup(self) -> None:  # noqa: D102
        if self.name_dialog is not None:
            self.name_dialog.close()

    # ------------------------------------------------------------------ what buttons do

    def use(self) -> None:
        """Segment with the model of the shown training from now on."""
        if self.workflow.trainings.run is not None:
            self.workflow.models.use(self.workflow.trainings.run)

    def repeat(self) -> None:
        """Take up the settings of the shown training."""
        run = self.workflow.trainings.run
        if run is None:
            return
        try:
            self.tab.train.repeat(run.settings)
        except MyoScarSegError as error:
            self.tab.status.say_error(str(error))

    def ask_and_keep(self) -> None:
        """Ask for a name, and keep the model under it."""
        run = self.workflow.trainings.run
        if run is None:
            return
        if self.name_dialog is None:
            self.name_dialog = NameDialog(self.tab.form)
        self.name_dialog.show(_proposed_name(run), lambda name: self.workflow.models.keep(run, name))

    def ask_and_export(self) -> None:
        """Let the user choose a folder, and write model and card there."""
        run = self.workflow.trainings.run
        folder = qt.QFileDialog.getExistingDirectory(
            self.tab.form, _("Folder for the model"), self.settings.text("modelExportFolder")
        )
        if folder and run is not None:
            self.settings.keep("modelExportFolder", str(folder))
            self.workflow.models.export_model(run, Path(str(folder)))

    def ask_and_discard(self) -> None:
        """Ask, and delete the shown training with its models."""
        run = self.workflow.trainings.run
        if run is None:
            return
        confirm(
            self.tab.form,
            _("Discard the training {name}?").format(name=run.name),
            _("Its models, curves and comparison are deleted. What was kept under a name of its own stays."),
            _("Discard"),
            lambda: self.workflow.trainings.discard(run),
        )

    def ask_and_import(self) -> None:
        """Let the user choose a model file, and add it to the own models."""
        path = qt.QFileDialog.getOpenFileName(
            self.tab.form, _("Model file"), self.settings.text("modelExportFolder"), _("Models (*.safetensors)")
        )
        if path and self.tab.packages.ready():
            self.settings.keep("modelExportFolder", str(Path(str(path)).parent))
            self.workflow.models.import_model(Path(str(path)))

    # ------------------------------------------------------------------ showing

    def refresh(self, changes: frozenset[TrainChange]) -> None:  # noqa: D102
        ui, training = self.ui, self.workflow
        if TrainChange.MODELS in changes and self.tab.ready:
            self.panel.segment.advanced.follow_models()
        if changes & {TrainChange.RUNS, TrainChange.RUN}:
            self._fill()
        for name in ("runTable", *_BUTTONS):
            getattr(ui, name).visible = bool(self._names)
        ui.modelInUseLabel.text = _("In use: {name}").format(name=Path(training.models.in_use).name)
        run = training.trainings.run
        none = _("Train a model first.") if run is None else "" if run.models() else _("This training has no model yet.")
        runs = str(getattr(training.trainings.status, "state", "")) == "running"
        running = _("The training runs. Stop or cancel it first.") if runs else ""
        reasons = {"use": none, "keep": none, "export_model": none, "discard": running}
        for name, action in (
            ("useModelButton", "use"), ("repeatRunButton", "repeat"), ("keepModelButton", "keep"),
            ("exportModelButton", "export_model"), ("discardRunButton", "discard"), ("importModelButton", "import_model"),
        ):  # fmt: skip
            self.allow(getattr(ui, name), action, also=reasons.get(action, ""))
        better = (training.trainings.comparison or {}).get("verdict", {}).get("word") == "better"
        style.mark_next_step(ui.useModelButton, bool(ui.useModelButton.enabled) and better)

    def _fill(self) -> None:
        table, runs = self.ui.runTable, list(self.workflow.trainings.runs)
        lines = [self._line(run) for run in runs]
        self._names = [run.name for run in runs]
        if lines != self._shown:
            self._shown = lines
            quietly(table, lambda: self._write(lines))
        run = self.workflow.trainings.run
        row = self._names.index(run.name) if run is not None and run.name in self._names else -1
        if row >= 0 and int(table.currentRow()) != row:
            quietly(table, lambda: table.selectRow(row))

    def _line(self, run: Any) -> tuple[str, ...]:
        shown = self.workflow.trainings
        status = (shown.status if run is shown.run else None) or run.status()
        state = str(status.state)
        best = [figures.get("end_to_end_dice") for figures in status.best.values()]
        dice = next((f"{figure:.3f}" for figure in best if figure is not None), "")
        return run.name, _date(run.record.created), _words(run), state, dice

    def _write(self, lines: list[tuple[str, ...]]) -> None:
        table = self.ui.runTable
        table.setRowCount(len(lines))
        for row, (name, date, words, state, dice) in enumerate(lines):
            for column, text in enumerate((date, words, state_word(state), dice)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(name)
                if column == _STATE:
                    item.setIcon(style.state_icon(state))
                table.setItem(row, column, item)
        style.fit_height(table, len(lines), 6)

    def _selected(self) -> None:
        row = int(self.ui.runTable.currentRow())
        run = self.workflow.trainings.run
        if 0 <= row < len(self._names) and (run is None or run.name != self._names[row]):
            self.workflow.trainings.show_run(self._names[row])


def _date(created: str) -> str:
    """When, in the reader's own time."""
    try:
        return f"{datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return created


def _words(run: Any) -> str:
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


def _proposed_name(run: Any) -> str:
    """A name for the model that says when it was trained."""
    return run.settings.name or f"scar-{run.record.created[:10]}"
