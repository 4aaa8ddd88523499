"""The training that is shown: how far it is, its curves, what the model draws by now, and its buttons."""

from __future__ import annotations

from pathlib import Path

import qt

from MyoScarSegLib.training.runs.run_status import RunState, RunStatus
from MyoScarSegLib.training.runs.validation_pictures import EXAMPLE, by_epoch
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection
from MyoScarSegLib.widgets.text import _, in_words
from MyoScarSegLib.widgets.training import dialogs
from MyoScarSegLib.widgets.training.training_pictures import curves_key, draw_curves, picture_of

EXAMPLES = 6
_EXAMPLE_PX = 320
_MIB = 2**20
_CURVES = "curves"  # the plot beside the slices
_READER, _MODEL = "#56b4e9", "#e69f00"
"""Colors of the outlines in the examples."""


class ProgressSection(TrainingSection):
    """The section *Progress*."""

    watches = frozenset({"run", "statuses", "curves", "examples"})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._pause_tip = ui.pauseButton.toolTip
        self._epochs: list[int] = []
        self._follow = True  # the newest epoch's examples, until the user looks back
        self._drawn: tuple[int, bool] | None = None  # width of the curves' picture, and whether on a dark ground
        self._seen: str | None = None  # the training that was shown last; None before the first look
        ui.pauseButton.connect("clicked()", self.pause_or_resume)
        ui.stopButton.connect("clicked()", self.workflow.trainings.stop)
        ui.cancelRunButton.connect("clicked()", self.ask_and_cancel)
        ui.showCurvesButton.connect("clicked()", self._toggle_plot)
        ui.exampleEpochSlider.connect("valueChanged(int)", self._looked_back)

    def _title(self) -> str:
        """What the tab is called: also how far a training is, for whoever looks at the other one."""
        status = self.workflow.state.status
        if status is None or not self.workflow.state.running:
            return _("Train")
        return _("Train · {how_far}").format(how_far=f"{status.epoch}/{status.epochs}" if status.epochs else "…")

    def pause_or_resume(self) -> None:
        """Let the training rest, or go on."""
        status = self.workflow.state.status
        if status is None or not status.state.can_go_on:
            self.workflow.trainings.pause()
        elif self.tab.packages.ready(self.workflow.trainings.resume):
            self.workflow.trainings.resume()

    def ask_and_cancel(self) -> None:
        """Ask, and end the training without keeping anything."""
        dialogs.confirm(
            self.tab.form,
            _("Cancel the training?"),
            _("Its models are deleted, also the best so far. To keep that one, press Stop instead."),
            _("Cancel the training"),
            self.workflow.trainings.cancel_run,
        )

    def refresh(self, changes: frozenset[str]) -> None:  # noqa: D102 (the base class describes it)
        ui, run, status = self.ui, self.workflow.state.run, self.workflow.state.status
        self.panel.title_train_tab(self._title())
        ui.progressSection.visible = run is not None
        self._bring_into_sight()
        if run is None or status is None:
            return
        state = str(status.state)
        ui.runTitleLabel.text = run.name
        style.badge(ui.runStateLabel, state_word(state), style.STATE_COLORS.get(state, style.GREY))
        ui.runBar.visible = self.workflow.state.running or status.state.can_go_on
        done, ui.runBar.maximum = _fraction(status)
        ui.runBar.value = done
        ui.runDetailLabel.text = "\n".join(_details(status))
        self._show_buttons(status)
        if changes & {"run", "curves", "examples"}:
            self._show_curves()
            self.panel.views.fit_plot()
            self._show_examples()

    def tick(self) -> bool:  # noqa: D102 (the base class describes it)
        if self.tab.shown and self._drawn is not None and self._drawn != self._picture_size():
            self._show_curves()
            self._show_examples()
        return False

    def _bring_into_sight(self) -> None:
        """Have a training that has just begun in sight, wherever it was begun."""
        run, before = self.workflow.state.run, self._seen
        self._seen = "" if run is None else run.name
        if before is not None and before != self._seen and self.workflow.state.running and self.tab.shown:
            self.ui.progressSection.collapsed = False
            self.tab.bring_into_sight(self.ui.cancelRunButton)

    def _show_buttons(self, status: RunStatus) -> None:
        ui, resumes = self.ui, status.state.can_go_on
        ui.pauseButton.text = _("Resume") if resumes else _("Pause")
        tip = _("Go on with the training where it was") if resumes else self._pause_tip
        self.allow(ui.pauseButton, "resume" if resumes else "pause", tip)
        self.allow(ui.stopButton, "stop")
        self.allow(ui.cancelRunButton, "cancel_run")
        for button in (ui.pauseButton, ui.stopButton, ui.cancelRunButton):
            button.visible = status.state not in (RunState.FINISHED, RunState.CANCELLED)

    def _picture_size(self) -> tuple[int, bool]:
        return int(self.ui.curvePicture.width), style.is_dark(self.ui.curvePicture)

    def _toggle_plot(self) -> None:
        views = self.panel.views
        if views.plotted == _CURVES:
            views.leave_plot(_CURVES)
        else:
            views.show_plot(_CURVES, self.workflow.trainings.show_curves)

    def _show_curves(self) -> None:
        ui, curves = self.ui, self.workflow.state.curves
        shown = any(curves.values())
        for name in ("curvePicture", "curveKeyLabel", "showCurvesButton"):
            getattr(ui, name).visible = shown
        self._drawn = self._picture_size() if shown else None
        if shown:
            ui.curvePicture.setPixmap(draw_curves(ui.curvePicture, curves))
            ui.curveKeyLabel.text = curves_key(curves)

    def _show_examples(self) -> None:
        ui, examples = self.ui, by_epoch(self.workflow.state.examples)
        self._epochs = list(examples)
        ui.examplesPanel.visible = bool(examples)
        if not examples:
            self._follow = True
            return
        slider, last = ui.exampleEpochSlider, len(self._epochs) - 1
        before = slider.blockSignals(True)
        slider.maximum = last
        if self._follow or slider.value > last:
            slider.value = last
        slider.blockSignals(before)
        slider.visible = last > 0
        epoch = self._epochs[int(slider.value)]
        ui.examplesLabel.text = _("Epoch {n}: {reader} reader {model} model").format(
            n=epoch, reader=f"<span style='color: {_READER}'>●</span>", model=f"<span style='color: {_MODEL}'>●</span>"
        )
        width = max((int(ui.examplesPanel.width) - 8) // 3, 60)
        for number in range(EXAMPLES):
            self._show_example(number, examples[epoch][number] if number < len(examples[epoch]) else None, width)

    def _show_example(self, number: int, path: Path | None, width: int) -> None:
        label, picture = getattr(self.ui, f"example{number}"), picture_of(path, _EXAMPLE_PX)
        label.visible = picture is not None
        if picture is None or path is None:
            return
        if picture.width() > width:
            picture = picture.scaledToWidth(width, qt.Qt.SmoothTransformation)
        label.setPixmap(picture)
        label.setFixedHeight(picture.height())
        found = EXAMPLE.fullmatch(path.name)
        label.toolTip = _("{patient}, slice {k}").format(patient=found[2], k=int(found[3])) if found else path.stem

    def _looked_back(self, value: int) -> None:
        self._follow = int(value) == len(self._epochs) - 1
        self._show_examples()


def _fraction(status: RunStatus) -> tuple[int, int]:
    """How far a training is, for a bar: whole epochs, and what the stage adds to them. Total 0, with which the bar moves, if
    that is not known while it runs."""
    if status.epochs:
        inside = status.done / status.total if status.total and status.stage == "steps" else 0.0
        return round(100 * (max(status.epoch - 1, 0) + min(inside, 1.0))), 100 * status.epochs
    return (status.done, status.total) if status.total else (0, int(status.state is not RunState.RUNNING))


def _details(status: RunStatus) -> list[str]:
    """Lines on where a training is."""
    lines = []
    if status.state is RunState.RUNNING:
        first = [_stage_word(status.stage)]
        if status.part:
            first.append(_("scar model") if status.part == "segmenter" else _("box model"))
        if status.epochs:
            first.append(_("epoch {n} of {all}").format(n=status.epoch, all=status.epochs))
        if status.seconds_left is not None:
            first.append(_("about {time} left").format(time=in_words(status.seconds_left)))
        lines.append(" · ".join(part for part in first if part))
        where = [status.device]
        if status.memory_bytes:
            where.append(_("{size} MiB of memory").format(size=round(status.memory_bytes / _MIB)))
        where.append(_("{time} so far").format(time=in_words(status.seconds)) if status.seconds else "")
        lines.append(" · ".join(part for part in where if part))
    else:
        lines += [text for text in (status.error or status.message,) if text]
    for part, best in status.best.items():
        figure = best.get("end_to_end_dice")
        if figure is not None:
            what = _("Best scar model") if part == "segmenter" else _("Best box model")
            lines.append(_("{what}: Dice {dice} at epoch {n}").format(what=what, dice=f"{figure:.3f}", n=int(best["epoch"])))
    return [*lines, *status.notes]


def state_word(state: str) -> str:
    """A state of a training in the user's language."""
    return {
        "planned": _("planned"), "running": _("running"), "paused": _("paused"), "stopped": _("stopped"),
        "cancelled": _("cancelled"), "finished": _("finished"), "failed": _("failed"), "interrupted": _("interrupted"),
    }.get(state, state)  # fmt: skip


def _stage_word(stage: str) -> str:
    return {
        "starting": _("Starting"), "reading": _("Reading the cases"), "embedding": _("Preparing the slices"),
        "steps": _("Learning"), "validation": _("Measuring on the validation patients"),
        "comparing": _("Comparing with the model in use"),
    }.get(stage, stage)  # fmt: skip
