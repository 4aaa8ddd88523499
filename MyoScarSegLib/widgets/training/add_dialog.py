"""What is to be known of a study before it goes into the library: whose it is, who corrected it, and which slices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.scene.training.case_nodes import likely_segments, segments
from MyoScarSegLib.widgets.section import show_text
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training.dialogs import window

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab


class AddDialog:
    """A window that does not block; the study in hand is the one of the first tab when *Add* is pressed."""

    def __init__(self, tab: TrainingTab) -> None:
        self._tab = tab
        self._cases = tab.workflow.cases
        self._volume: Any = None
        title = _("Add this study to the training library")
        self.dialog, form, self.add_button = window(tab.form, "MyoScarSegAddStudy", title, _("Add"), "addConfirmButton")
        self.study = _line("addStudyName")
        form.addRow(self.study)
        self.patient = _edit("addPatientEdit", _("Code of the patient, never the name. Exams of one patient have one code."))
        form.addRow(_("Patient code"), self.patient)
        self.reader = _edit("addReaderEdit", _("Your code, so that it is known later who corrected the study"))
        form.addRow(_("Reader"), self.reader)
        self.segments: dict[str, tuple[Any, Any]] = {}  # role to label and list
        for role, name, tip in (
            ("scar", _("Scar"), _("The segment that is scar")),
            (
                "myocardium",
                _("Myocardium"),
                _("The segment of the heart's wall, if it was drawn: scar lies nowhere else"),
            ),
            ("blood_pool", _("Blood pool"), _("The segment of the left ventricle's cavity, if it was drawn")),
            ("no_reflow", _("No-reflow"), _("The segment of the dark core in the scar (MVO), if it is one of its own")),
        ):
            combo, label = qt.QComboBox(), qt.QLabel(name)
            combo.name = f"addSegment_{role}"
            combo.toolTip = tip
            self.segments[role] = label, combo
            form.addRow(label, combo)
        self.all_slices = qt.QRadioButton(_("All slices are reviewed"))
        self.all_slices.name = "addAllSlices"
        self.some_slices = qt.QRadioButton(_("Only these:"))
        self.some_slices.name = "addSomeSlices"
        self.slices = _edit("addSlicesEdit", _("Slices that are right, as 2-9, 11. The others are not learned from."))
        row = qt.QHBoxLayout()
        row.addWidget(self.some_slices)
        row.addWidget(self.slices)
        form.addRow(_("Slices"), self.all_slices)
        form.addRow("", row)
        self.tags = _edit("addTagsEdit", _("Words by which you will find the case again, separated by commas"))
        self.tags.placeholderText = _("none")
        form.addRow(_("Tags"), self.tags)
        self.replace = qt.QCheckBox(_("Replace the case of this patient if the library has it"))
        self.replace.name = "addReplaceCheckBox"
        self.replace.toolTip = _("Without this a study that is in the library already is refused")
        form.addRow("", self.replace)
        self.problem = _line("addProblemLabel")
        form.addRow(self.problem)
        self.add_button.connect("clicked()", self.add)
        self.patient.connect("textChanged(QString)", lambda _text: self.refresh())
        self.slices.connect("textEdited(QString)", lambda _text: self.some_slices.setChecked(True))

    def show(self) -> None:
        """Show it for the study in hand, with what is likely filled in."""
        self._propose()
        self.dialog.show()
        self.dialog.raise_()
        self.patient.setFocus()
        self.patient.selectAll()

    def close(self) -> None:
        """Go."""
        self.dialog.close()
        self.dialog.deleteLater()

    def refresh(self) -> None:
        """Follow the study in hand, and say why it cannot be added now, if it cannot."""
        if not self.dialog.visible:
            return
        if self._tab.panel.workflow.volume_node is not self._volume:
            self._propose()
        why = self._tab.workflow.why_not("add_current")
        if not why and not str(self.patient.text).strip():
            why = _("Give the patient's code.")
        self.add_button.enabled = not why
        self.add_button.toolTip = why

    def add(self) -> None:
        """Add the study with what was filled in."""
        try:
            reviewed = None if self.all_slices.checked else _slices(str(self.slices.text))
        except ValueError as error:
            show_text(self.problem, str(error))
            return
        reader = str(self.reader.text).strip()
        self._tab.panel.settings.keep("reader", reader)
        chosen = {role: str(combo.itemData(combo.currentIndex) or "") for role, (_label, combo) in self.segments.items()}
        begun = self._cases.add_current(
            str(self.patient.text).strip(),
            reviewer=reader,
            reviewed=reviewed,
            tags=tuple(tag.strip() for tag in str(self.tags.text).split(",") if tag.strip()),
            segment_ids={role: segment for role, segment in chosen.items() if segment},
            replace=bool(self.replace.checked),
        )
        if begun:
            self.dialog.close()
        else:
            show_text(self.problem, self._tab.workflow.state.error)

    def _propose(self) -> None:
        workflow = self._tab.panel.workflow
        session, self._volume = workflow.session, workflow.volume_node
        show_text(self.problem, "")
        name = "" if self._volume is None else str(self._volume.GetName())
        self.study.text = _("Volume {name}, as it is corrected now.").format(name=name) if name else ""
        self.patient.text = self._cases.next_patient
        self.reader.text = self._tab.panel.settings.text("reader")
        self._list_segments(session)
        reviewed = self._cases.reviewed_slices()
        self.slices.text = _text(reviewed)
        whole = session is None or not reviewed or len(reviewed) == session.study.slices
        self.all_slices.checked = whole
        self.some_slices.checked = not whole
        self.replace.checked = bool(self._cases.opened_case)  # it was opened from the library to be corrected
        self.refresh()

    def _list_segments(self, session: Any) -> None:
        node = None if session is None else session.segmentation.existing_node
        choices = [] if node is None else segments(node)
        likely = {} if node is None else likely_segments(session, node)
        for role, (label, combo) in self.segments.items():
            combo.clear()
            combo.addItem(_("choose") if role == "scar" else _("not drawn"), "")
            for choice in choices:
                combo.addItem(choice.name, choice.id)
            combo.setCurrentIndex(max(combo.findData(likely.get(role, "")), 0))
            # With one segment that is known there is nothing to choose.
            combo.visible = label.visible = len(choices) > 1 or (role == "scar" and bool(choices) and role not in likely)


def _slices(text: str) -> tuple[int, ...]:
    """Slices of a text as ``2-9, 11``.

    Raises:
        ValueError: it names none, or is none; the message is for the user.
    """
    found: set[int] = set()
    for part in re.split(r"[,;\s]+", text.strip()):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if match is None:
            raise ValueError(_("Give the reviewed slices as numbers and ranges, such as 2-9, 11."))
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(min(first, last), max(first, last) + 1))
    return tuple(sorted(found))


def _text(slices: Iterable[int]) -> str:
    """Slices as numbers and ranges, the other way round."""
    ranges: list[list[int]] = []
    for k in sorted(slices):
        if ranges and k == ranges[-1][1] + 1:
            ranges[-1][1] = k
        else:
            ranges.append([k, k])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _edit(name: str, tip: str) -> Any:
    edit = qt.QLineEdit()
    edit.name = name
    edit.toolTip = tip
    edit.maxLength = 120
    return edit


def _line(name: str) -> Any:
    label = qt.QLabel()
    label.name = name
    label.wordWrap = True
    return label
