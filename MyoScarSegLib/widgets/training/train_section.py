"""What is trained, from what and how, how long it will take, and the button that starts it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from MyoScarSegLib.training.train_settings import CHOICES, DETECTOR, FRESH, SEGMENTER, TrainSettings, choice
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.panel_settings import fill_form, on_edit, read_form
from MyoScarSegLib.widgets.section import TrainingSection, quietly
from MyoScarSegLib.widgets.text import _, devices, in_words

_KEPT = "trainSettings"
_WIDGETS = {
    "what": "whatCombo", "start_segmenter": "startSegmenterCombo", "start_detector": "startDetectorCombo", "mode": "modeCombo",
    "preset": "presetCombo", "seed": "trainSeedSpin", "device": "trainDeviceCombo", "epochs": "epochsSpin",
    "patience": "patienceSpin", "dice": "diceSpin", "cross_entropy": "crossEntropySpin", "divergence": "divergenceSpin",
    "blur_px": "labelBlurSpin", "augmentation": "augmentationCombo", "name": "runNameEdit",
}  # fmt: skip
"""Field of :class:`TrainSettings` to the widget that shows it. The others keep what they were filled with."""


class TrainSection(TrainingSection):
    """The section *Train*."""

    watches = frozenset({"folder", "rows", "split", "models", "run", "runs", "statuses", "busy", "measured", "preview"})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._filled = TrainSettings()
        self._filling = False
        self._picture: tuple[Path, Any] | None = None
        ui.previewPicture.visible = False
        for field, choices in CHOICES.items():
            _list(getattr(ui, _WIDGETS[field]), [(one.name, _(one.title)) for one in choices])
        _list(ui.trainDeviceCombo, devices().items())
        self._list_models()
        self.fill(self._kept())
        on_edit(ui, _WIDGETS, self._edited)
        ui.startTrainButton.connect("clicked()", self.start)
        ui.estimateButton.connect("clicked()", self.estimate)
        ui.previewButton.connect("clicked()", self.preview)
        ui.trainDefaultsButton.connect("clicked()", lambda: self.fill(TrainSettings()))

    @property
    def chosen(self) -> TrainSettings:
        """What the widgets say.

        Raises:
            ModelError: the name is not fit, or another value makes no sense; it is named.
        """
        return read_form(self.ui, _WIDGETS, self._filled)

    def fill(self, settings: TrainSettings) -> None:
        """Show settings; a start model that is not listed is added."""
        self._filled, self._filling = settings, True
        for field in ("start_segmenter", "start_detector", "device"):
            _add(getattr(self.ui, _WIDGETS[field]), getattr(settings, field) or "")
        fill_form(self.ui, _WIDGETS, settings)
        self._filling = False
        self._edited()

    def repeat(self, settings: TrainSettings) -> None:
        """Take over the settings of an earlier training."""
        self.fill(settings)
        self.ui.trainSection.collapsed = False
        self.ui.startTrainButton.setFocus()

    def _kept(self) -> TrainSettings:
        """Settings of the last time; what this program cannot read leaves the defaults."""
        try:
            return TrainSettings.from_json(json.loads(self.settings.text(_KEPT, "{}")))
        except (ValueError, TypeError, MyoScarSegError):
            return TrainSettings()

    def _list_models(self) -> None:
        """List the models that can be started from; the chosen ones stay chosen if they are there."""
        for combo, task, default in (
            (self.ui.startSegmenterCombo, "segment", DEFAULT_SEGMENTER),
            (self.ui.startDetectorCombo, "detect", DEFAULT_DETECTOR),
        ):
            names = [entry.name for entry in self.workflow.state.models if entry.task == task and entry.name != default]
            fresh = [(FRESH, _("nothing learned yet (fresh)"))] if task == "detect" else []
            choices = [("", _("{name} (usual)").format(name=default)), *((name, name) for name in names), *fresh]
            quietly(combo, partial(_list, combo, choices))

    def start(self) -> None:
        """Begin the training."""
        chosen = self._chosen_or_error()
        if chosen is not None and self.tab.packages.ready(self.start):
            self.tab.status.say_error("")
            self.workflow.trainings.train(chosen)

    def estimate(self) -> None:
        """Measure how long it will take."""
        chosen = self._chosen_or_error()
        if chosen is not None and self.tab.packages.ready(self.estimate):
            self.workflow.trainings.estimate(chosen)

    def preview(self) -> None:
        """Have pictures made of how slices are varied."""
        chosen = self._chosen_or_error()
        if chosen is not None and self.tab.packages.ready(self.preview):
            self.workflow.trainings.preview(chosen.augmentation)

    def _chosen_or_error(self) -> TrainSettings | None:
        """What the widgets say; None, and the sentence is shown, if that makes no sense."""
        try:
            return self.chosen
        except MyoScarSegError as error:
            self.tab.status.say_error(str(error))
            return None

    def refresh(self, changes: frozenset[str]) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        if "models" in changes:
            self._list_models()
        self.allow(ui.startTrainButton, "train")
        self.allow(ui.estimateButton, "estimate")
        self.allow(ui.previewButton, "preview")
        style.mark_next_step(ui.startTrainButton, bool(ui.startTrainButton.enabled) and not self.workflow.state.runs)
        self._show_choices()  # a section that is opened shows all its rows
        self._show_preview()

    def _edited(self) -> None:
        if self._filling:
            return
        try:
            # Without the name: the next training makes another model.
            self.settings.keep(_KEPT, json.dumps(dataclasses.replace(self.chosen, name="").to_json()))
        except MyoScarSegError as error:  # a name that is being typed; Train says it again
            self.ui.trainExplainLabel.text = str(error)
            return
        self._show_choices()

    def _show_choices(self) -> None:
        """Show what the chosen training has, a line on each choice, and how long it takes if that was measured."""
        ui, split = self.ui, self.workflow.state.split
        try:
            chosen = self.chosen
            ui.trainExplainLabel.text = chosen.explain(None if split is None else len(split.training))
        except MyoScarSegError as error:
            ui.trainExplainLabel.text = str(error)
            return
        segments, detects = SEGMENTER in chosen.parts, DETECTOR in chosen.parts
        for widget in (ui.startSegmenterLabel, ui.startSegmenterCombo, ui.modeLabel, ui.modeCombo, ui.modeInfo):
            widget.visible = segments
        for widget in (ui.startDetectorLabel, ui.startDetectorCombo):
            widget.visible = detects
        ui.startDetectorLabel.text = _("Box model") if segments else _("Start from")
        ui.startSegmenterLabel.text = _("Scar model") if detects else _("Start from")
        ui.modeInfo.text = _(choice("mode", chosen.mode).line)
        ui.presetInfo.text = _(choice("preset", chosen.preset).line)
        ui.whatCombo.toolTip = _(choice("what", chosen.what).line)
        ui.augmentationCombo.toolTip = _(choice("augmentation", chosen.augmentation).line)
        for name in ("lossesLabel", "diceSpin", "crossEntropySpin", "divergenceSpin", "labelBlurSpin"):
            getattr(ui, name).enabled = segments
        ui.estimateLabel.text, ui.estimateLabel.toolTip = self._estimate_words(chosen)

    def _estimate_words(self, chosen: TrainSettings) -> tuple[str, str]:
        """How long the chosen training takes, and what the time goes to."""
        measured = self.workflow.state.measured
        if self.workflow.state.busy == "estimate":
            return _("measuring ..."), ""
        if measured is None:
            return _("not measured yet"), ""
        if measured.settings != chosen:
            return _("not measured for these settings"), ""
        result = measured.estimate
        about, low, high = (in_words(seconds) for seconds in (result.seconds, result.low, result.high))
        parts = [f"{name}: {in_words(seconds)}" for name, seconds in result.parts.items() if seconds >= 1]
        tip = [_("Measured on this computer ({device}).").format(device=result.device), *parts]
        return _("about {time} ({low} to {high})").format(time=about, low=low, high=high), "\n".join(tip)

    def _show_preview(self) -> None:
        ui, path = self.ui, self.workflow.state.preview
        ui.previewPicture.visible = path is not None
        if path is None:
            return
        if self._picture is None or self._picture[0] != path:
            self._picture = path, qt.QPixmap(str(path))
        width = max(int(ui.trainAdvancedGroup.width) - 24, 120)
        picture = self._picture[1].scaledToWidth(width, qt.Qt.SmoothTransformation)
        ui.previewPicture.setPixmap(picture)
        ui.previewPicture.setFixedHeight(picture.height())


def _list(combo: Any, choices: Iterable[tuple[str, str]]) -> None:
    """Have a list offer these, each a datum and its text. What is chosen stays so."""
    chosen = str(combo.itemData(combo.currentIndex)) if combo.count else ""
    combo.clear()
    for datum, text in choices:
        combo.addItem(text, datum)
    _add(combo, chosen)
    combo.setCurrentIndex(combo.findData(chosen) if chosen else 0)


def _add(combo: Any, datum: str) -> None:
    """Have a list offer a datum too if it does not yet."""
    if datum and combo.findData(datum) < 0:
        combo.addItem(datum, datum)
