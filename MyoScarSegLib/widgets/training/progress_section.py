"""The training that is shown: how far it is, its curves, what the model draws by now, and its buttons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection
from MyoScarSegLib.widgets.text import _, in_words
from MyoScarSegLib.widgets.training.confirm import confirm
from MyoScarSegLib.widgets.training.curve_picture import draw_curves, fitted, key_text
from MyoScarSegLib.widgets.training.pictures import Pictures, stamp_of

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab

EXAMPLES = 6
_EXAMPLE_PX = 320
_EPOCH = re.compile(r"epoch-(\d+)-(.+)-(\d+)")
_MIB = 2**20
_READER, _MODEL = "#56b4e9", "#e69f00"
"""Colours of the outlines in the examples."""


class ProgressSection(TrainingSection):
    """The section *Progress*."""

    watches = frozenset({TrainChange.RUN, TrainChange.CURVES, TrainChange.RUNS, TrainChange.STATE})

    def __init__(self, tab: TrainingTab) -> None:
        super().__init__(tab)
        ui = self.ui
        self._pause_tip = ui.pauseButton.toolTip
        self._labels = [getattr(ui, f"example{n}") for n in range(EXAMPLES)]
        self._pictures = Pictures(_EXAMPLE_PX)
        self._epochs: list[int] = []
        self._follow = True  # the newest epoch's examples, until the user looks back
        self._drawn: Any = None
        self._examples_shown: Any = None
        self._seen: str | None = None  # the training that was shown last; None before the first look
        ui.pauseButton.connect("clicked()", self.pause_or_resume)
        ui.stopButton.connect("clicked()", self.workflow.trainings.stop)
        ui.cancelRunButton.connect("clicked()", self.ask_and_cancel)
        ui.showCurvesButton.connect("clicked()", self.show_curves)
        ui.exampleEpochSlider.connect("valueChanged(int)", self._looked_back)

    @property
    def short(self) -> str:
        """How far the training is, in a word or two; empty if none runs."""
        status = self.workflow.trainings.status
        if status is None or str(status.state) != "running":
            return ""
        return f"{status.epoch}/{status.epochs}" if status.epochs else "…"

    # ------------------------------------------------------------------ what buttons do

    def pause_or_resume(self) -> None:
        """Let the training rest, or go on."""
        if self._can_resume():
            if self.tab.packages.ready(self.workflow.trainings.resume):
                self.workflow.trainings.resume()
        else:
            self.workflow.trainings.pause()

    def ask_and_cancel(self) -> None:
        """Ask, and end the training without keeping anything."""
        confirm(
            self.tab.form,
            _("Cancel the training?"),
            _("Its models are deleted, also the best so far. To keep that one, press Stop instead."),
            _("Cancel the training"),
            self.workflow.trainings.cancel_run,
        )

    def show_curves(self) -> None:
        """Show the curves in Slicer's plot view."""
        self.panel.views.show_plot(self.workflow.trainings.show_curves)

    # ------------------------------------------------------------------ showing

    def refresh(self, changes: frozenset[TrainChange]) -> None:  # noqa: D102
        ui, training = self.ui, self.workflow
        run, status = training.trainings.run, training.trainings.status
        self.panel.title_train_tab(self.tab.title)
        ui.progressSection.visible = run is not None
        self._notice(run, status)
        if run is None or status is None:
            return
        state = str(status.state)
        ui.runTitleLabel.text = run.name
        style.badge(ui.runStateLabel, state_word(state), style.STATE_COLORS.get(state, style.GREY))
        self._show_bar(status)
        ui.runDetailLabel.text = "\n".join(_details(status))
        self._show_buttons(state)
        if changes & {TrainChange.CURVES, TrainChange.RUN}:
            self._show_curves()
            self.panel.views.fit_plot()
            self._show_examples()

    def tick(self) -> bool:  # noqa: D102
        width = int(self.ui.curvePicture.width)
        if self.tab.shown and self._drawn is not None and self._drawn[:2] != (width, style.is_dark(self.ui.curvePicture)):
            self._show_curves()
            self._examples_shown = None
            self._show_examples()
        return False

    def _notice(self, run: Any, status: Any) -> None:
        """Have a training that has just begun in sight, wherever it was begun."""
        before, self._seen = self._seen, "" if run is None else run.name
        if before is None or run is None or status is None or run.name == before:
            return
        if str(status.state) == "running" and self.tab.shown:
            self.ui.progressSection.collapsed = False
            self.tab.bring_into_sight(self.ui.cancelRunButton)

    def _can_resume(self) -> bool:
        status = self.workflow.trainings.status
        return status is not None and str(status.state) != "running" and status.state.can_go_on

    def _show_bar(self, status: Any) -> None:
        ui = self.ui
        running = str(status.state) == "running"
        ui.runBar.visible = running or self._can_resume()
        done, total = _fraction(status)
        ui.runBar.maximum = total
        ui.runBar.value = done

    def _show_buttons(self, state: str) -> None:
        ui = self.ui
        resumes = self._can_resume()
        ui.pauseButton.text = _("Resume") if resumes else _("Pause")
        tip = _("Go on with the training where it was") if resumes else self._pause_tip
        self.allow(ui.pauseButton, "resume" if resumes else "pause", tip)
        self.allow(ui.stopButton, "stop")
        self.allow(ui.cancelRunButton, "cancel_run")
        for button in (ui.pauseButton, ui.stopButton, ui.cancelRunButton):
            button.visible = state not in ("finished", "cancelled")

    def _show_curves(self) -> None:
        ui, series = self.ui, self.workflow.trainings.curve_values
        width = int(ui.curvePicture.width)
        shown = bool(series) and any(len(points) for points in series.values())
        for name in ("curvePicture", "curveKeyLabel", "showCurvesButton"):
            getattr(ui, name).visible = shown
        ends = {name: (len(points), *points[-1:]) for name, points in series.items()}
        now = (width, style.is_dark(ui.curvePicture), ends) if shown else None
        if now == self._drawn:
            return
        self._drawn = now
        if shown:
            ui.curvePicture.setPixmap(draw_curves(ui.curvePicture, series))
            ui.curveKeyLabel.text = key_text(series)

    def _show_examples(self) -> None:
        ui = self.ui
        by_epoch = _by_epoch(self.workflow.trainings.examples)
        self._epochs = sorted(by_epoch)
        ui.examplesPanel.visible = bool(by_epoch)
        if not by_epoch:
            self._follow = True
            return
        slider = ui.exampleEpochSlider
        last = len(self._epochs) - 1
        before = slider.blockSignals(True)
        slider.maximum = last
        if self._follow or slider.value > last:
            slider.value = last
        slider.blockSignals(before)
        slider.visible = last > 0
        epoch = self._epochs[int(slider.value)]
        paths = by_epoch[epoch][:EXAMPLES]
        ui.examplesLabel.text = _("Epoch {n}: {reader} reader {model} model").format(
            n=epoch, reader=f"<span style='color: {_READER}'>●</span>", model=f"<span style='color: {_MODEL}'>●</span>"
        )
        width = max((int(ui.examplesPanel.width) - 8) // 3, 60)
        stamps = (width, [stamp_of(path) for path in paths])
        if stamps == self._examples_shown:
            return
        self._examples_shown = stamps
        for number, label in enumerate(self._labels):
            path = paths[number] if number < len(paths) else None
            self._show_example(label, path, width)

    def _show_example(self, label: Any, path: Path | None, width: int) -> None:
        picture = self._pictures.get(path)
        label.visible = picture is not None
        if picture is None or path is None:
            return
        shown = fitted(picture, width)
        label.setPixmap(shown)
        label.setFixedHeight(shown.height())
        found = _EPOCH.match(path.stem)
        label.toolTip = _("{patient}, slice {k}").format(patient=found[2], k=int(found[3])) if found else path.stem

    def _looked_back(self, value: int) -> None:
        self._follow = int(value) == len(self._epochs) - 1
        self._show_examples()


def _by_epoch(paths: Sequence[Path]) -> dict[int, list[Path]]:
    """Pictures of examples by their epoch, each epoch's by name."""
    found: dict[int, list[Path]] = {}
    for path in sorted(Path(p) for p in paths):
        match = _EPOCH.match(path.stem)
        if match:
            found.setdefault(int(match[1]), []).append(path)
    return found


def _fraction(status: Any) -> tuple[int, int]:
    """How far a training is, for a bar: whole epochs, and what the stage adds to them; total 0 if that is not known."""
    if status.epochs:
        inside = status.done / status.total if status.total and status.stage == "steps" else 0.0
        return round(100 * (max(status.epoch - 1, 0) + min(inside, 1.0))), 100 * status.epochs
    return (status.done, status.total) if status.total else (0, 0)


def _details(status: Any) -> list[str]:
    """Lines on where a training is."""
    lines = []
    if str(status.state) == "running":
        first = [_stage_word(status.stage)]
        if status.part:
            first.append(_("scar model") if status.part == "segmenter" else _("box model"))
        if status.epochs:
            first.append(_("epoch {n} of {all}").format(n=status.epoch, all=status.epochs))
        left = _seconds_left(status)
        if left is not None:
            first.append(_("about {time} left").format(time=in_words(left)))
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


def _seconds_left(status: Any) -> float | None:
    """Of the whole training, as its epochs went so far; of the stage before the first epoch has ended."""
    if status.epochs and status.epoch > 1 and status.seconds:
        done = _fraction(status)[0] / 100
        return float(status.seconds / max(done, 0.5) * (status.epochs - done))
    return None if status.seconds_left is None else float(status.seconds_left)


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
