"""What is trained, from what and how, how long it will take, and the button that starts it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.training.train_settings import DETECTOR, SEGMENTER, TrainSettings, choice
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection
from MyoScarSegLib.widgets.text import _, in_words
from MyoScarSegLib.widgets.training.settings_form import SettingsForm

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab

_KEPT = "trainSettings"


class TrainSection(TrainingSection):
    """The section *Train*."""

    watches = frozenset(
        {TrainChange.LIBRARY, TrainChange.SPLIT, TrainChange.MODELS, TrainChange.RUN, TrainChange.RUNS, TrainChange.STATE}
    )

    def __init__(self, tab: TrainingTab) -> None:
        super().__init__(tab)
        ui = self.ui
        self._estimated: TrainSettings | None = None  # what the estimate that is shown is for
        self._picture: Any = None
        self._picture_of: tuple[Path, int] | None = None
        ui.previewPicture.visible = False
        self.form = SettingsForm(ui, self._changed)
        self.form.kept(self.settings.text(_KEPT, "{}"))
        ui.startTrainButton.connect("clicked()", self.start)
        ui.estimateButton.connect("clicked()", self.estimate)
        ui.previewButton.connect("clicked()", self.preview)
        ui.trainDefaultsButton.connect("clicked()", lambda: self.form.fill(TrainSettings()))

    # ------------------------------------------------------------------ what buttons do

    def start(self) -> None:
        """Begin the training."""
        chosen = self._settings()
        if chosen is None or not self.tab.packages.ready(self.start):
            return
        self.tab.status.say_error("")
        self.workflow.trainings.train(chosen)

    def estimate(self) -> None:
        """Measure how long it will take."""
        chosen = self._settings()
        if chosen is None or not self.tab.packages.ready(self.estimate):
            return
        self._estimated = chosen
        self.workflow.trainings.estimate(chosen)

    def preview(self) -> None:
        """Have pictures made of how slices are varied."""
        chosen = self._settings()
        if chosen is not None and self.tab.packages.ready(self.preview):
            self.workflow.trainings.preview(chosen.augmentation)

    def repeat(self, settings: TrainSettings) -> None:
        """Take up the settings of an earlier training."""
        self.form.fill(settings)
        self.ui.trainSection.collapsed = False
        self.ui.startTrainButton.setFocus()

    # ------------------------------------------------------------------ showing

    def refresh(self, changes: frozenset[TrainChange]) -> None:  # noqa: D102
        ui, training = self.ui, self.workflow
        if TrainChange.MODELS in changes:
            self.form.show_models(training.models.entries)
        self.allow(ui.startTrainButton, "train")
        self.allow(ui.estimateButton, "estimate")
        self.allow(ui.previewButton, "preview")
        style.mark_next_step(ui.startTrainButton, bool(ui.startTrainButton.enabled) and not training.trainings.runs)
        self._show_rows()  # a section that is opened shows all its rows
        self._explain()
        self._show_estimate()
        self._show_preview()

    def _settings(self) -> TrainSettings | None:
        """What the widgets say; None, and the sentence is shown, if that makes no sense."""
        try:
            return self.form.settings
        except MyoScarSegError as error:
            self.tab.status.say_error(str(error))
            return None

    def _changed(self) -> None:
        try:
            self.settings.keep(_KEPT, self.form.text)
        except MyoScarSegError as error:  # a name that is being typed; Train says it again
            self.ui.trainExplainLabel.text = str(error)
            return
        self._show_rows()
        self._explain()
        self._show_estimate()

    def _show_rows(self) -> None:
        """Show what the chosen training has, and a line on each choice."""
        ui, chosen = self.ui, self._now()
        if chosen is None:
            return
        segmenter = SEGMENTER in chosen.parts
        for widget in (ui.startSegmenterLabel, ui.startSegmenterCombo, ui.modeLabel, ui.modeCombo, ui.modeInfo):
            widget.visible = segmenter
        for widget in (ui.startDetectorLabel, ui.startDetectorCombo):
            widget.visible = DETECTOR in chosen.parts
        ui.startDetectorLabel.text = _("Box model") if segmenter else _("Start from")
        ui.startSegmenterLabel.text = _("Scar model") if DETECTOR in chosen.parts else _("Start from")
        ui.modeInfo.text = _(choice("mode", chosen.mode).line)
        ui.presetInfo.text = _(choice("preset", chosen.preset).line)
        ui.whatCombo.toolTip = _(choice("what", chosen.what).line)
        ui.augmentationCombo.toolTip = _(choice("augmentation", chosen.augmentation).line)
        for name in ("lossesLabel", "diceSpin", "crossEntropySpin", "divergenceSpin", "labelBlurSpin"):
            getattr(ui, name).enabled = segmenter

    def _explain(self) -> None:
        split = self.workflow.cases.split
        try:
            text = self.form.settings.explain(None if split is None else len(split.training))
        except MyoScarSegError as error:
            text = str(error)
        self.ui.trainExplainLabel.text = text

    def _show_estimate(self) -> None:
        result = self.workflow.trainings.estimate_result
        if self.workflow.busy == "estimate":
            text = _("measuring ...")
        elif result is None or self._estimated is None:
            text = _("not measured yet")
        elif self._estimated != self._now():
            text = _("not measured for these settings")
        else:
            text = _("about {time} ({low} to {high})").format(
                time=in_words(result.seconds), low=in_words(result.low), high=in_words(result.high)
            )
        self.ui.estimateLabel.text = text
        self.ui.estimateLabel.toolTip = "" if result is None else _parts(result)

    def _now(self) -> TrainSettings | None:
        try:
            return self.form.settings
        except MyoScarSegError:
            return None

    def _show_preview(self) -> None:
        path = self.workflow.trainings.preview_picture
        if path is None or not Path(path).is_file():
            self.ui.previewPicture.visible = False
            return
        stamp = (Path(path), Path(path).stat().st_mtime_ns)
        if stamp != self._picture_of:
            self._picture_of = stamp
            self._picture = qt.QPixmap(str(path))
        width = max(int(self.ui.trainAdvancedGroup.width) - 24, 120)
        picture = self._picture.scaledToWidth(width, qt.Qt.SmoothTransformation)
        self.ui.previewPicture.setPixmap(picture)
        self.ui.previewPicture.setFixedHeight(picture.height())
        self.ui.previewPicture.visible = True


def _parts(result: Any) -> str:
    """What the time goes to, one line each."""
    lines = [f"{name}: {in_words(seconds)}" for name, seconds in result.parts.items() if seconds >= 1]
    return "\n".join([_("Measured on this computer ({device}).").format(device=result.device), *lines])
