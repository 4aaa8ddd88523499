"""Fields of settings and the widgets of a form that show them: lists, numbers and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from MyoScarSegLib.widgets.section import quietly


class FormBinding:
    """Reads a form as the values of settings, and fills it with them.

    A list has the datum of its chosen line, None if that is empty; a number its value, None at its special value (its minimum,
    shown as a word such as *automatic*); a line of text what stands there.
    """

    def __init__(self, ui: Any, widgets: Mapping[str, str], changed: Callable[[], None]) -> None:
        """
        Args:
            ui: the form's widgets by name.
            widgets: field to name of its widget.
            changed: called after the user has changed something.
        """
        self._widgets = {field: getattr(ui, name) for field, name in widgets.items()}
        for widget in self._widgets.values():
            widget.connect(_kind(widget)[0], lambda *_value: changed())

    def values(self) -> dict[str, Any]:
        """What the widgets say, by field."""
        return {field: _kind(widget)[1](widget) for field, widget in self._widgets.items()}

    def fill(self, settings: Any) -> None:
        """Show the fields of settings; nobody is told of the change."""
        for field, widget in self._widgets.items():
            quietly(widget, partial(_kind(widget)[2], widget, getattr(settings, field)))


def list_choices(combo: Any, choices: Sequence[tuple[str, str]]) -> None:
    """Have a list offer these, each a datum and its text. What is chosen stays so."""
    chosen = _datum(combo)
    combo.clear()
    for datum, text in choices:
        combo.addItem(text, datum)
    if chosen is not None:
        _choose(combo, chosen)


def _datum(combo: Any) -> str | None:
    return str(combo.itemData(combo.currentIndex)) or None if combo.count else None


def _choose(combo: Any, datum: str | None) -> None:
    """Choose a line by its datum; it is added if it is not there."""
    if combo.findData(datum or "") < 0:
        combo.addItem(datum, datum)
    combo.setCurrentIndex(combo.findData(datum or ""))


def _number(spin: Any) -> float | None:
    if spin.specialValueText and spin.value == spin.minimum:
        return None
    return int(spin.value) if spin.inherits("QSpinBox") else round(float(spin.value), 4)


def _set_number(spin: Any, value: float | None) -> None:
    spin.value = spin.minimum if value is None else value


def _set_text(edit: Any, text: str) -> None:
    edit.text = text


_KINDS: Mapping[str, tuple[str, Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    "QComboBox": ("currentIndexChanged(int)", _datum, _choose),
    "QSpinBox": ("valueChanged(int)", _number, _set_number),
    "QDoubleSpinBox": ("valueChanged(double)", _number, _set_number),
    "QLineEdit": ("editingFinished()", lambda edit: str(edit.text).strip(), _set_text),
}
"""Class of a widget to the signal of its change, and how its value is read and shown."""


def _kind(widget: Any) -> tuple[str, Callable[[Any], Any], Callable[[Any, Any], None]]:
    return next(kind for name, kind in _KINDS.items() if widget.inherits(name))
