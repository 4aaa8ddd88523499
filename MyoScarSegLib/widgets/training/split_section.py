"""Who trains and who validates, by patient: drawn, and changed by hand."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from MyoScarSegLib.training.splits import TRAINING, VALIDATION
from MyoScarSegLib.widgets.section import TrainingSection, quietly, show_text
from MyoScarSegLib.widgets.text import _

_NEITHER = ""


class SplitSection(TrainingSection):
    """The section *Split by patient*."""

    watches = frozenset({"folder", "gone", "rows", "split", "busy"})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._lists = {TRAINING: ui.trainingPatients, VALIDATION: ui.validationPatients, _NEITHER: ui.leftOutPatients}
        self._shown: dict[str, list[str]] = {}
        ui.splitSeedSpin.value = int(self.settings.number("splitSeed", 0))
        ui.splitFoldsSpin.value = int(self.settings.number("splitFolds", 5))
        ui.toValidationButton.connect("clicked()", lambda: self.move(VALIDATION))
        ui.toTrainingButton.connect("clicked()", lambda: self.move(TRAINING))
        ui.leaveOutButton.connect("clicked()", lambda: self.move(_NEITHER))
        ui.drawSplitButton.connect("clicked()", self.draw)
        ui.splitSeedSpin.connect("valueChanged(int)", lambda value: self.settings.keep("splitSeed", int(value)))
        ui.splitFoldsSpin.connect("valueChanged(int)", lambda value: self.settings.keep("splitFolds", int(value)))
        for part, widget in self._lists.items():
            widget.connect("itemSelectionChanged()", lambda part=part: self._selected(part))

    def draw(self) -> None:
        """Draw the sides anew."""
        self.workflow.cases.draw_split(int(self.ui.splitSeedSpin.value), folds=int(self.ui.splitFoldsSpin.value))

    def move(self, part: str) -> None:
        """Put the chosen patients on a side, or on none."""
        chosen = [str(item.text()) for widget in self._lists.values() for item in widget.selectedItems()]
        self.workflow.cases.move(chosen, part)

    def refresh(self, changes: frozenset[str]) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        split, patients = self.workflow.state.split, set(self.workflow.state.patients)
        sides = {
            TRAINING: [] if split is None else list(split.training),
            VALIDATION: [] if split is None else list(split.validation),
        }
        sides[_NEITHER] = sorted(patients - set(sides[TRAINING]) - set(sides[VALIDATION]))
        if sides != self._shown:
            self._shown = sides
            for part, names in sides.items():
                quietly(self._lists[part], functools.partial(_fill, self._lists[part], names))
        ui.trainingPatientsLabel.text = _("Training ({n})").format(n=len(sides[TRAINING]))
        ui.validationPatientsLabel.text = _("Validation ({n})").format(n=len(sides[VALIDATION]))
        ui.leftOutLabel.text = _("Left out ({n})").format(n=len(sides[_NEITHER]))
        left_out = split is not None and bool(sides[_NEITHER])
        ui.leftOutLabel.visible = ui.leftOutPatients.visible = left_out
        show_text(ui.splitNoteLabel, self._note(bool(patients), split))
        self.allow(ui.drawSplitButton, "draw_split")
        self._allow_moves()

    @staticmethod
    def _note(any_patient: bool, split: Any) -> str:
        if not any_patient:
            return _("Patients appear here as cases are added.")
        if split is None:
            return _("Not drawn yet. The model is measured on patients from whom it does not learn.")
        if split.seed is None:
            return _("Changed by hand. Saved with the library and with every training.")
        return _("Drawn with seed {seed}. Saved with the library and with every training.").format(seed=split.seed)

    def _selected(self, part: str) -> None:
        """One list at a time has a selection: a move has one direction."""
        if self._lists[part].selectedItems():
            for other, widget in self._lists.items():
                if other != part:
                    quietly(widget, widget.clearSelection)
        self._allow_moves()

    def _allow_moves(self) -> None:
        ui = self.ui
        why = self.workflow.why_not("move")
        for button, part in (
            (ui.toValidationButton, VALIDATION), (ui.toTrainingButton, TRAINING), (ui.leaveOutButton, _NEITHER),
        ):  # fmt: skip
            elsewhere = any(widget.selectedItems() for other, widget in self._lists.items() if other != part)
            button.enabled = not why and elsewhere


def _fill(widget: Any, names: Iterable[str]) -> None:
    chosen = {str(item.text()) for item in widget.selectedItems()}
    widget.clear()
    widget.addItems(list(names))
    if not chosen:
        return
    for row in range(widget.count):
        item = widget.item(row)
        item.setSelected(str(item.text()) in chosen)
