"""What the values of label files mean, asked with a picture of them before anything is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.training.datasets.label_pictures import COLORS
from MyoScarSegLib.widgets.text import _

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab


class LabelDialog:
    """A window that does not block; the import goes on when every value has its class, one of them scar."""

    def __init__(self, tab: TrainingTab, question: Any) -> None:
        self._training: Any = tab.workflow
        self.question = question
        self._build(tab.form)
        self._changed()

    def close(self) -> None:
        """Go."""
        self.dialog.close()
        self.dialog.deleteLater()

    def answer(self) -> None:
        """Import with what was chosen."""
        question = self.question
        labels = " ".join(f"{name}={value}" for value, name in self._chosen().items())
        self.dialog.hide()
        self._training.cases.import_cases(
            list(question.paths), question.patient_pattern, labels=labels, reviewer=question.reviewer
        )

    def _build(self, parent: Any) -> None:
        dialog = self.dialog = qt.QDialog(parent)
        dialog.name = "MyoScarSegLabels"
        dialog.windowTitle = _("What do these labels mean?")
        column = qt.QVBoxLayout(dialog)
        text = qt.QLabel(_("Nothing says what the values in the label files are. Say it, and the import goes on."))
        text.wordWrap = True
        column.addWidget(text)
        if self.question.preview is not None:
            picture = qt.QLabel()
            picture.name = "labelPreview"
            picture.setPixmap(qt.QPixmap(str(self.question.preview)))
            column.addWidget(picture)
        form = qt.QFormLayout()
        column.addLayout(form)
        self.combos: dict[int, Any] = {}
        self.titles: dict[int, Any] = {}
        for number, value in enumerate(self.question.values):
            combo = self.combos[value] = qt.QComboBox()
            combo.name = f"labelValue_{value}"
            for title, name in (
                (_("choose"), ""), (_("Scar"), "scar"), (_("No-reflow"), "no-reflow"), (_("Myocardium"), "myocardium"),
                (_("Blood pool"), "cavity"), (_("None of these"), "background"),
            ):  # fmt: skip
                combo.addItem(title, name)
            combo.connect("currentIndexChanged(int)", lambda _index: self._changed())
            # A border of a style sheet is not drawn here by Slicer's style; a background in the text is.
            color = "#{:02x}{:02x}{:02x}".format(*COLORS[number % len(COLORS)])
            text = _("Value {value}").format(value=value)
            swatch = f'<span style="background-color: {color}">&nbsp;&nbsp;&nbsp;&nbsp;</span>'
            label = self.titles[value] = qt.QLabel(f"{swatch} {text}")
            form.addRow(label, combo)
        buttons = qt.QHBoxLayout()
        column.addLayout(buttons)
        buttons.addStretch(1)
        cancel = qt.QPushButton(_("Cancel"))
        cancel.connect("clicked()", dialog.hide)
        self.button = qt.QPushButton(_("Import"))
        self.button.name = "labelConfirmButton"
        self.button.connect("clicked()", self.answer)
        buttons.addWidget(cancel)
        buttons.addWidget(self.button)

    def _chosen(self) -> dict[int, str]:
        return {value: str(combo.itemData(combo.currentIndex) or "") for value, combo in self.combos.items()}

    def _changed(self) -> None:
        chosen = set(self._chosen().values()) if hasattr(self, "button") else {""}
        if hasattr(self, "button"):
            self.button.enabled = "" not in chosen and bool(chosen & {"scar", "no-reflow"})
