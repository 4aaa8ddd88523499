"""Choosing one model: those of the registry, and files of the user's own, with what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.models import CHECKPOINT_ENDINGS, Entry, registry
from MyoScarSegLib.models.entry import Task
from MyoScarSegLib.scene.model_words import metrics_in_words
from MyoScarSegLib.widgets.section import quietly
from MyoScarSegLib.widgets.text import _

_MEGABYTE = 1e6


class ModelChoice:
    """A combo box of models for one task, and the lines about the chosen one.

    Attributes:
        gone: the model that was chosen and is not there any more, so that the usual one is shown; "" if there is none.
    """

    def __init__(self, combo: Any, info: Any, task: Task, default: str, chosen: str | Path | None) -> None:
        """Of models for a task, of which ``default`` is the usual one; ``chosen`` as :attr:`value`.

        The data of the combo box's entries are names and paths, empty for the usual model.
        """
        self._combo = combo
        self._info = info
        self._task = task
        self._default = default
        self._entries: dict[str, Entry] = {}
        self._states: Mapping[str, str] = {}
        self.gone = ""
        self._list(str(chosen or ""))
        self.show()

    @property
    def name(self) -> str:
        """Name in the registry, or path of the user's file."""
        return self.value or self._default

    @property
    def value(self) -> str | None:
        """For the engine's settings; None for the usual model."""
        return str(self._combo.itemData(self._combo.currentIndex)) or None

    @property
    def is_file(self) -> bool:
        """Whether a file of the user's own is chosen."""
        return self.name not in self._entries

    @property
    def entry(self) -> Entry | None:
        """What the registry says of the chosen model; None for a file."""
        return self._entries.get(self.name)

    @property
    def state(self) -> str:
        """``installed``, ``missing``, ``damaged``, or empty if it is not known yet."""
        return "installed" if self.is_file else self._states.get(self.name, "")

    def add_file(self, path: Path) -> None:
        """Choose a file; one that the registry knows by its checksum is chosen by its name."""
        index = self._combo.findData(str(path))
        if index < 0:
            self._combo.addItem(path.name, str(path))
            index = self._combo.count - 1
        self._combo.setCurrentIndex(index)

    def follow(self, value: str | Path | None) -> None:
        """List the models of now, and show the one that was chosen elsewhere, as :attr:`value`; nothing is told of it."""
        known = {entry.name for entry in registry().entries(self._task)}
        if str(value or "") == (self.value or "") and known == set(self._entries):
            return
        quietly(self._combo, lambda: self._list(str(value or "")))
        self.show()

    def show_states(self, states: Mapping[str, str]) -> None:
        """Show which models are installed."""
        self._states = states
        self.show()

    @property
    def file_filter(self) -> str:
        """Of a file dialog: what can be loaded."""
        endings = " ".join(f"*{ending}" for ending in CHECKPOINT_ENDINGS[self._task])
        return _("Checkpoints ({endings});;All files (*)").format(endings=endings)

    def _list(self, chosen: str) -> None:
        self._entries = {entry.name: entry for entry in registry().entries(self._task)}
        self._combo.clear()
        for name in sorted(self._entries, key=lambda name: name != self._default):
            if name == self._default:
                self._combo.addItem(_("{name} (usual)").format(name=name), "")
            else:
                self._combo.addItem(name, name)
        chosen = "" if chosen == self._default else chosen
        if chosen and chosen not in self._entries and Path(chosen).is_file():
            self._combo.addItem(Path(chosen).name, chosen)
        index = self._combo.findData(chosen)
        self.gone = chosen if index < 0 else ""
        self._combo.setCurrentIndex(max(index, 0))

    def show(self) -> None:
        """Say what is known of the chosen model."""
        quietly(self._info, lambda: setattr(self._info, "text", self._about()))
        entry = self.entry
        self._combo.toolTip = entry.title if entry is not None else self.name

    def _about(self) -> str:
        entry = self.entry
        if entry is None:
            return _("Your file {path}").format(path=self.name)
        parts = [] if entry.size is None else [f"{entry.size / _MEGABYTE:.0f} MB"]
        parts.append(entry.licence)
        parts += metrics_in_words(entry.metrics)
        states = {"missing": _("not downloaded yet"), "damaged": _("damaged")}
        if self.state in states:
            parts.append(states[self.state])
        return " · ".join(parts)
