"""Windows in which the training tab asks for something. None of them blocks the application, or a training's progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import qt

from MyoScarSegLib.scene.training.training_state import LabelQuestion
from MyoScarSegLib.training.datasets.label_pictures import COLORS
from MyoScarSegLib.widgets.text import _

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_open: list[Any] = []


def confirm(parent: Any, question: str, consequence: str, agree: str, then: Callable[[], object]) -> None:
    """Ask before something is destroyed, and do ``then()`` if the user agrees. Escape, and closing the window, mean no.

    ``consequence`` says what is lost, and what stays; ``agree`` is the verb on the button, not "Yes".
    """
    box = qt.QMessageBox(parent)
    box.name = "MyoScarSegConfirm"
    box.setIcon(qt.QMessageBox.Warning)
    box.windowTitle = "MyoScarSeg"
    box.text = question
    box.informativeText = consequence
    box.setStandardButtons(qt.QMessageBox.Cancel)
    button = box.addButton(agree, qt.QMessageBox.AcceptRole)
    button.name = "confirmButton"
    box.setDefaultButton(qt.QMessageBox.Cancel)  # Enter does not destroy
    cancel = box.button(qt.QMessageBox.Cancel)
    cancel.text = _("Keep")
    button.connect("clicked()", then)
    box.windowModality = qt.Qt.WindowModal
    _show(box)


def ask_name(parent: Any, proposed: str, then: Callable[[str], object]) -> None:
    """Ask for the name that a model is kept under, and do ``then(name)`` if the user gives one."""
    dialog, form, keep = window(parent, "MyoScarSegModelName", _("Keep the model"), _("Keep"), "keepNameButton")
    edit = qt.QLineEdit()
    edit.name = "modelNameEdit"
    edit.maxLength = 64
    edit.toolTip = _("Lower-case letters, digits, dots, hyphens and underscores")
    form.addRow(qt.QLabel(_("Name by which the model is chosen later:")))
    form.addRow(edit)
    problem = qt.QLabel(_("Use lower-case letters, digits, dots, hyphens and underscores."))
    problem.wordWrap = True
    form.addRow(problem)

    def check(_text: str = "") -> None:
        keep.enabled = bool(_MODEL_NAME.fullmatch(str(edit.text).strip()))
        problem.visible = not keep.enabled

    def accept() -> None:
        dialog.close()
        then(str(edit.text).strip())

    edit.connect("textChanged(QString)", check)
    keep.connect("clicked()", accept)
    edit.text = proposed
    check()
    _show(dialog)
    edit.setFocus()
    edit.selectAll()


def ask_labels(parent: Any, question: LabelQuestion, then: Callable[[str], object]) -> None:
    """Ask, with a picture of them, what the values of label files mean, and do ``then("scar=2 myocardium=1")`` once every value
    has its class and one of them is scar."""
    dialog, form, button = window(parent, "MyoScarSegLabels", _("What do these labels mean?"), _("Import"), "labelConfirmButton")
    text = qt.QLabel(_("Nothing says what the values in the label files are. Say it, and the import goes on."))
    text.wordWrap = True
    form.addRow(text)
    if question.preview is not None:
        picture = qt.QLabel()
        picture.name = "labelPreview"
        picture.setPixmap(qt.QPixmap(str(question.preview)))
        form.addRow(picture)
    combos: dict[int, Any] = {}

    def chosen() -> list[str]:
        return [str(combo.itemData(combo.currentIndex) or "") for combo in combos.values()]

    def check(_index: int = 0) -> None:
        button.enabled = "" not in chosen() and bool({"scar", "no-reflow"} & set(chosen()))

    def accept() -> None:
        dialog.close()
        then(" ".join(f"{name}={value}" for value, name in zip(combos, chosen(), strict=True)))

    for number, value in enumerate(question.values):
        combo = combos[value] = qt.QComboBox()
        combo.name = f"labelValue_{value}"
        for title, name in (
            (_("choose"), ""), (_("Scar"), "scar"), (_("No-reflow"), "no-reflow"), (_("Myocardium"), "myocardium"),
            (_("Blood pool"), "cavity"), (_("None of these"), "background"),
        ):  # fmt: skip
            combo.addItem(title, name)
        # A border of a style sheet is not drawn here by Slicer's style; a background in the text is.
        color = "#{:02x}{:02x}{:02x}".format(*COLORS[number % len(COLORS)])
        swatch = f'<span style="background-color: {color}">&nbsp;&nbsp;&nbsp;&nbsp;</span>'
        form.addRow(qt.QLabel(f"{swatch} {_('Value {value}').format(value=value)}"), combo)
        combo.connect("currentIndexChanged(int)", check)
    button.connect("clicked()", accept)
    check()
    _show(dialog)


def window(parent: Any, name: str, title: str, agree: str, button_name: str) -> tuple[Any, Any, Any]:
    """A window with a form and two buttons, *Cancel* and the one that agrees.

    Returns:
        The window, the layout of its form, and the button that agrees.
    """
    dialog = qt.QDialog(parent)
    dialog.name = name
    dialog.windowTitle = title
    dialog.minimumWidth = 380
    column = qt.QVBoxLayout(dialog)
    form = qt.QFormLayout()
    form.setFieldGrowthPolicy(qt.QFormLayout.AllNonFixedFieldsGrow)
    column.addLayout(form)
    buttons = qt.QHBoxLayout()
    column.addLayout(buttons)
    buttons.addStretch(1)
    cancel, button = qt.QPushButton(_("Cancel")), qt.QPushButton(agree)
    cancel.connect("clicked()", dialog.close)
    button.name = button_name
    button.default = True
    buttons.addWidget(cancel)
    buttons.addWidget(button)
    return dialog, form, button


def close_all() -> None:
    """Ask no more: the panel goes."""
    for dialog in list(_open):
        dialog.close()


def _show(dialog: Any) -> None:
    dialog.connect("finished(int)", lambda _result: _forget(dialog))
    _open.append(dialog)
    dialog.show()  # not exec(), which would block
    dialog.raise_()


def _forget(dialog: Any) -> None:
    if dialog in _open:
        _open.remove(dialog)
        # Not at once: its own signal is being sent.
        qt.QTimer.singleShot(0, lambda: dialog.deleteLater())
