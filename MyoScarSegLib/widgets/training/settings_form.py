"""The widgets that say how to train, and the settings that they mean."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from MyoScarSegLib.training.train_settings import CHOICES, TrainSettings
from MyoScarSegLib.widgets.section import quietly
from MyoScarSegLib.widgets.text import _, device_text

FRESH = "fresh"
_DEVICES = ("auto", "cpu", "cuda", "mps")
_LOSSES = {"dice": "dice", "cross_entropy": "crossEntropy", "divergence": "divergence", "blur_px": "labelBlur"}


class SettingsForm:
    """Reads and fills the section *Train*. What the widgets do not show is kept as it was given."""

    def __init__(self, ui: Any, changed: Callable[[], None]) -> None:
        """
        Args:
            ui: the form's widgets by name.
            changed: called after the user has changed something.
        """
        self._ui = ui
        self._changed = changed
        self._base = TrainSettings()
        self._filling = False
        for combo, choices in (
            (ui.whatCombo, CHOICES["what"]), (ui.modeCombo, CHOICES["mode"]), (ui.presetCombo, CHOICES["preset"]),
            (ui.augmentationCombo, CHOICES["augmentation"]),
        ):  # fmt: skip
            for choice in choices:
                combo.addItem(_(choice.title), choice.name)
        for device in _DEVICES:
            ui.trainDeviceCombo.addItem(device_text(device), device)
        self.show_models([])
        combos = (
            ui.whatCombo, ui.startSegmenterCombo, ui.startDetectorCombo, ui.modeCombo, ui.presetCombo, ui.augmentationCombo,
            ui.trainDeviceCombo,
        )  # fmt: skip
        for combo in combos:
            combo.connect("currentIndexChanged(int)", self._touched)
        for spin in (ui.epochsSpin, ui.patienceSpin, ui.trainSeedSpin):
            spin.connect("valueChanged(int)", self._touched)
        for widget in _LOSSES.values():
            getattr(ui, f"{widget}Spin").connect("valueChanged(double)", self._touched)
        ui.runNameEdit.connect("editingFinished()", self._touched)

    def show_models(self, entries: Sequence[Any]) -> None:
        """List the models that can be started from; the chosen ones stay chosen if they are there."""
        ui = self._ui
        for combo, task, default in (
            (ui.startSegmenterCombo, "segment", DEFAULT_SEGMENTER),
            (ui.startDetectorCombo, "detect", DEFAULT_DETECTOR),
        ):
            names = [entry.name for entry in entries if entry.task == task and entry.name != default]
            wanted = [("", _("{name} (usual)").format(name=default)), *((name, name) for name in names)]
            if task == "detect":
                wanted.append((FRESH, _("nothing learnt yet (fresh)")))
            quietly(combo, functools.partial(_refill, combo, wanted))

    @property
    def settings(self) -> TrainSettings:
        """What the widgets say.

        Raises:
            ModelError: the name is not fit, or another value makes no sense; it is named.
        """
        ui = self._ui
        losses: dict[str, Any] = {name: _optional(getattr(ui, f"{widget}Spin")) for name, widget in _LOSSES.items()}
        chosen: dict[str, Any] = dict(
            what=_data(ui.whatCombo),
            start_segmenter=_data(ui.startSegmenterCombo) or None,
            start_detector=_data(ui.startDetectorCombo) or None,
            mode=_data(ui.modeCombo),
            preset=_data(ui.presetCombo),
            seed=int(ui.trainSeedSpin.value),
            device=_data(ui.trainDeviceCombo),
            epochs=int(ui.epochsSpin.value) or None,
            patience=None if ui.patienceSpin.value < 0 else int(ui.patienceSpin.value),
            augmentation=_data(ui.augmentationCombo),
            name=str(ui.runNameEdit.text).strip(),
            **losses,
        )
        return dataclasses.replace(self._base, **chosen)

    def fill(self, settings: TrainSettings) -> None:
        """Show settings; a start model that is not listed is added."""
        ui = self._ui
        self._base = settings
        self._filling = True
        try:
            for combo, value in (
                (ui.whatCombo, settings.what), (ui.modeCombo, settings.mode), (ui.presetCombo, settings.preset),
                (ui.augmentationCombo, settings.augmentation), (ui.trainDeviceCombo, settings.device),
                (ui.startSegmenterCombo, settings.start_segmenter or ""), (ui.startDetectorCombo, settings.start_detector or ""),
            ):  # fmt: skip
                _choose(combo, value)
            ui.trainSeedSpin.value = settings.seed
            ui.epochsSpin.value = settings.epochs or 0
            ui.patienceSpin.value = -1 if settings.patience is None else settings.patience
            ui.runNameEdit.text = settings.name
            for name, widget in _LOSSES.items():
                spin, value = getattr(ui, f"{widget}Spin"), getattr(settings, name)
                spin.value = spin.minimum if value is None else value
        finally:
            self._filling = False
        self._changed()

    def kept(self, text: str) -> None:
        """Show settings that :attr:`text` gave once; what this program cannot read leaves the defaults."""
        try:
            settings = TrainSettings.from_json(json.loads(text))
        except (ValueError, TypeError, MyoScarSegError):
            settings = TrainSettings()
        self.fill(settings)

    @property
    def text(self) -> str:
        """The settings as a text, to be kept. The name is left out: the next training makes another model."""
        return json.dumps(dataclasses.replace(self.settings, name="").to_json())

    def _touched(self, _value: object = None) -> None:
        if not self._filling:
            self._changed()


def _data(combo: Any) -> str:
    return str(combo.itemData(combo.currentIndex))


def _choose(combo: Any, value: str) -> None:
    index = combo.findData(value)
    if index < 0:
        combo.addItem(value, value)
        index = combo.count - 1
    combo.setCurrentIndex(index)


def _refill(combo: Any, wanted: Sequence[tuple[str, str]]) -> None:
    chosen = _data(combo) if combo.count else ""
    combo.clear()
    for name, title in wanted:
        combo.addItem(title, name)
    if chosen:
        _choose(combo, chosen)


def _optional(spin: Any) -> float | None:
    """The value; None where it stands at "automatic", which is its minimum."""
    return None if spin.value < 0 else round(float(spin.value), 4)
