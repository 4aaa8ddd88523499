"""What is to be known of a study before it goes into the library: whose it is, who corrected it, and which slices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.scene.training.case_nodes import (
    BLOOD_POOL_ROLE,
    MYOCARDIUM_ROLE,
    NO_REFLOW_ROLE,
    SCAR_ROLE,
    likely_segments,
    segments,
)
from MyoScarSegLib.utils.words import numbers_in
from MyoScarSegLib.widgets.section import load_form, show_text
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
        self.dialog, rows, self.add_button = window(tab.form, "MyoScarSegAddStudy", title, _("Add"), "addConfirmButton")
        form, self.ui = load_form("AddStudy")
        rows.addRow(form)
        roles = (SCAR_ROLE, MYOCARDIUM_ROLE, BLOOD_POOL_ROLE, NO_REFLOW_ROLE)
        self.segments = {
            role: (getattr(self.ui, f"addSegmentLabel_{role}"), getattr(self.ui, f"addSegment_{role}")) for role in roles
        }
        self.add_button.connect("clicked()", self.add)
        self.ui.addPatientEdit.connect("textChanged(QString)", lambda _text: self.refresh())
        self.ui.addSlicesEdit.connect("textEdited(QString)", lambda _text: self.ui.addSomeSlices.setChecked(True))

    def show(self) -> None:
        """Show it for the study in hand, with what is likely filled in."""
        self.dialog.show()
        self._propose()
        self.dialog.raise_()
        self.ui.addPatientEdit.setFocus()
        self.ui.addPatientEdit.selectAll()

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
        if not why and not str(self.ui.addPatientEdit.text).strip():
            why = _("Give the patient's code.")
        self.add_button.enabled = not why
        self.add_button.toolTip = why

    def add(self) -> None:
        """Add the study with what was filled in."""
        try:
            reviewed = None if self.ui.addAllSlices.checked else _slices(str(self.ui.addSlicesEdit.text))
        except ValueError as error:
            show_text(self.ui.addProblemLabel, str(error))
            return
        reader = str(self.ui.addReaderEdit.text).strip()
        self._tab.panel.settings.keep("reader", reader)
        chosen = {role: str(combo.itemData(combo.currentIndex) or "") for role, (_label, combo) in self.segments.items()}
        begun = self._cases.add_current(
            str(self.ui.addPatientEdit.text).strip(),
            reviewer=reader,
            reviewed=reviewed,
            tags=tuple(tag.strip() for tag in str(self.ui.addTagsEdit.text).split(",") if tag.strip()),
            segment_ids={role: segment for role, segment in chosen.items() if segment},
            replace=bool(self.ui.addReplaceCheckBox.checked),
        )
        if begun:
            self.dialog.close()
        else:
            show_text(self.ui.addProblemLabel, self._tab.workflow.state.error)

    def _propose(self) -> None:
        workflow = self._tab.panel.workflow
        session, self._volume = workflow.session, workflow.volume_node
        show_text(self.ui.addProblemLabel, "")
        name = "" if self._volume is None else str(self._volume.GetName())
        self.ui.addStudyName.text = _("Volume {name}, as it is corrected now.").format(name=name) if name else ""
        self.ui.addPatientEdit.text = self._cases.next_patient
        self.ui.addReaderEdit.text = self._tab.panel.settings.text("reader")
        self._list_segments(session)
        reviewed = self._cases.reviewed_slices()
        self.ui.addSlicesEdit.text = _text(reviewed)
        whole = session is None or not reviewed or len(reviewed) == session.study.slices
        self.ui.addAllSlices.checked = whole
        self.ui.addSomeSlices.checked = not whole
        self.ui.addReplaceCheckBox.checked = bool(self._cases.opened_case)  # it was opened from the library to be corrected
        self.refresh()

    def _list_segments(self, session: Any) -> None:
        node = None if session is None else session.segmentation.node
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
    try:
        return tuple(sorted(set(numbers_in(text))))
    except ValueError:
        raise ValueError(_("Give the reviewed slices as numbers and ranges, such as 2-9, 11.")) from None


def _text(slices: Iterable[int]) -> str:
    """Slices as numbers and ranges, the other way round."""
    ranges: list[list[int]] = []
    for k in sorted(slices):
        if ranges and k == ranges[-1][1] + 1:
            ranges[-1][1] = k
        else:
            ranges.append([k, k])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
