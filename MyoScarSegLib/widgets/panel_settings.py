"""What the user chooses: dataclasses that Slicer's settings keep under ``MyoScarSeg/`` and that the widgets of a form show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.utils.files import EMBEDDINGS, cache_folder
from MyoScarSegLib.utils.json_fields import Share, field_types, from_text, limits_of, to_json

_GROUP = "MyoScarSeg/"
_NONE = "none"
_T = TypeVar("_T")


@dataclass(frozen=True)
class ViewSettings:
    """How the first tab shows and answers.

    Attributes:
        live: a slice is segmented again at once when its boxes or points change.
        fit: proposed boxes are fitted to the image.
        show_boxes: in the slice views.
        opacity: of the scar's fill; outline: whether its edge is drawn.
    """

    live: bool = True
    fit: bool = True
    show_boxes: bool = True
    opacity: Share = 0.5
    outline: bool = True


VIEW_WIDGETS = {
    "live": "liveCheckBox", "fit": "fitCheckBox", "show_boxes": "showBoxesCheckBox", "opacity": "opacitySlider",
    "outline": "outlineCheckBox",
}  # fmt: skip
"""Field of :class:`ViewSettings` to the widget that shows it."""
ENGINE_WIDGETS = {
    "detector": "detectorCombo", "segmenter": "segmenterCombo", "device": "deviceCombo", "threads": "threadsSpinBox",
    "prompts_at_once": "batchSpinBox", "cache_mib": "cacheSpinBox", "cache_folder": "cacheDiskCheckBox", "trust": "trustCheckBox",
}  # fmt: skip
"""Likewise of :class:`~MyoScarSegLib.engine_settings.EngineSettings`. The confidence is shown by the section *Boxes*."""


class Settings:
    """Slicer's settings. They are a text file, so each value is read as what its default or its field is."""

    def load(self, cls: Callable[..., _T]) -> _T:
        """A dataclass as it was kept; a field that was not, or that cannot be read, has its default."""
        values = {}
        for name, hint in field_types(cls).items():
            if (kept := self._value(name)) is not None:
                with suppress(SceneError):
                    values[name] = from_text(hint, str(kept), SceneError, "Slicer's settings", name)
        return cls(**values)

    def save(self, values: Any, before: Any) -> None:
        """Keep the fields of a dataclass that are others than before."""
        document, known = to_json(values), to_json(before)
        for name, value in document.items():
            if value != known[name]:
                self.keep(name, value)

    def flag(self, name: str, default: bool) -> bool:
        """A kept yes or no."""
        value = self._value(name)
        return default if value is None else str(value).lower() in ("true", "1", "yes")

    def number(self, name: str, default: float) -> float:
        """A kept number; the default if what was kept is none."""
        try:
            return float(self._value(name))
        except (TypeError, ValueError):
            return default

    def text(self, name: str, default: str = "") -> str:
        """A kept text."""
        value = self._value(name)
        return default if value is None else str(value)

    def keep(self, name: str, value: Any) -> None:
        """Keep a value from now on."""
        slicer.app.settings().setValue(_GROUP + name, _NONE if value is None else value)

    def _value(self, name: str) -> Any:
        return slicer.app.settings().value(_GROUP + name)


def fill_form(ui: Any, widgets: Mapping[str, str], values: Any) -> None:
    """Show a dataclass, and give the widgets the limits of its fields.

    Args:
        ui: the form's widgets by name.
        widgets: field to the name of its widget. A number that may be None has one value more at its lower end, which says so.
        values: the dataclass.
    """
    for name, widget in ((name, getattr(ui, widget)) for name, widget in widgets.items()):
        value, limits = getattr(values, name), limits_of(type(values), name)
        if widget.inherits("QComboBox"):
            widget.setCurrentIndex(max(widget.findData(value or ""), 0))
        elif widget.inherits("QCheckBox"):
            widget.checked = bool(value)
        elif widget.inherits("QLineEdit"):
            widget.text = value
        else:
            if limits.least is not None and limits.most is not None:
                widget.minimum, widget.maximum = limits.least - _may_be_none(values, name), limits.most
            if limits.step is not None:
                widget.singleStep = limits.step
            widget.value = widget.minimum if value is None else value


def read_form(ui: Any, widgets: Mapping[str, str], values: _T) -> _T:
    """The dataclass ``values`` with what the widgets say now; see :func:`fill_form`."""
    found: dict[str, Any] = {}
    for name, widget in ((name, getattr(ui, widget)) for name, widget in widgets.items()):
        if widget.inherits("QComboBox"):
            found[name] = str(widget.itemData(widget.currentIndex)) or None
        elif name == "cache_folder":
            found[name] = str(cache_folder() / EMBEDDINGS) if widget.checked else None
        elif widget.inherits("QCheckBox"):
            found[name] = bool(widget.checked)
        elif widget.inherits("QLineEdit"):
            found[name] = str(widget.text).strip()
        else:
            found[name] = None if _may_be_none(values, name) and widget.value == widget.minimum else widget.value
    return dataclasses.replace(values, **found)  # type: ignore[type-var]  # a dataclass, as asked for


def on_edit(ui: Any, widgets: Mapping[str, str], changed: Callable[[], None]) -> None:
    """Call ``changed()`` after each change of one of the widgets."""
    signals = {
        "QComboBox": "currentIndexChanged(int)", "QCheckBox": "toggled(bool)", "QLineEdit": "editingFinished()",
        "QSpinBox": "valueChanged(int)",
    }  # fmt: skip
    for widget in (getattr(ui, widget) for widget in widgets.values()):
        signal = next((signal for kind, signal in signals.items() if widget.inherits(kind)), "valueChanged(double)")
        widget.connect(signal, changed)


def _may_be_none(values: Any, name: str) -> bool:
    return next(field.default is None for field in dataclasses.fields(values) if field.name == name)
