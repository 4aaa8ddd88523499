"""The section *Review*: the studies of a cohort that ``myoscarseg batch`` has run, looked at one after the other."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.batch.review_list import GONE, Entry
from MyoScarSegLib.engine.review_pictures import TIP_PX, picture_files
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.widgets.review_session import ReviewSession
from MyoScarSegLib.widgets.section import SegmentSection, quietly
from MyoScarSegLib.widgets.style import fill_table, fit_height, untinted
from MyoScarSegLib.widgets.text import _

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.segment_tab import SegmentTab

_MODES = ("shared", "double")
"""What the entries of the mode's box stand for."""
_EDITS = frozenset({Change.MASK, Change.BOXES, Change.POINTS, Change.VENTRICLE})
_STUDY, _MASS, _ROWS = 0, 2, 5
_TRAIN = 1
"""The second tab."""


class ReviewSection(SegmentSection):
    """The section *Review*.

    Attributes:
        review: the reader's way through the cohort.
    """

    watches = _EDITS | {Change.VOLUME, Change.STATUS}

    def __init__(self, tab: SegmentTab) -> None:
        super().__init__(tab)
        self.review = ReviewSession(self.workflow, self.panel.backend.processes, lambda: self._said())
        self._shown: list[str] = []
        self._cells_shown: list[tuple[str, ...]] = []
        self._pictures_shown: tuple[Path | None, int] = None, 0
        ui = self.ui
        ui.readerEdit.text = self.settings.text("reader")
        ui.reviewModeCombo.setCurrentIndex(_MODES.index(self.settings.text("reviewMode", "shared")))
        ui.openCohortButton.connect("clicked()", self.ask_and_open)
        ui.cohortTable.connect("cellDoubleClicked(int,int)", lambda row, _column: self.review.show(self._shown[int(row)]))
        ui.previousStudyButton.connect("clicked()", self.previous)
        ui.nextStudyButton.connect("clicked()", self.next)
        ui.acceptStudyButton.connect("clicked()", self.accept)
        ui.rejectStudyButton.connect("clicked()", self.reject)
        ui.studyToLibraryButton.connect("clicked()", self.add_to_library)

    # ------------------------------------------------------------------ what buttons and keys do

    def ask_and_open(self) -> None:
        """Ask for the results folder of a cohort, and open it."""
        folder = self.ask_for_folder(_("Results folder of a cohort"), "cohortFolder")
        if folder is not None:
            self.open(folder)

    def open(self, folder: Path) -> None:
        """Open a results folder as the reader and in the mode that the form says."""
        reader, mode = str(self.ui.readerEdit.text).strip(), _MODES[int(self.ui.reviewModeCombo.currentIndex)]
        self.settings.keep("reader", reader)
        self.settings.keep("reviewMode", mode)
        self.review.open(folder, reader, mode)  # type: ignore[arg-type]

    def next(self) -> None:
        """Go to the next study that waits for a review."""
        self.review.go()

    def previous(self) -> None:
        """Go to the one before."""
        self.review.go(back=True)

    def accept(self) -> None:
        """Accept the study as it is now, and go on."""
        if self.review.out is not None:
            self.review.accept()

    def reject(self) -> None:
        """Reject the study for the reason that was typed, and go on."""
        edit = self.ui.rejectReasonEdit
        self.review.reject(str(edit.text), lambda: setattr(edit, "text", ""))

    def add_to_library(self) -> None:
        """Go to the training tab, and ask what is to be known of the study there."""
        self.panel.show_tab(_TRAIN)
        self.panel.training.library.ask_and_add()

    # ------------------------------------------------------------------ showing

    def tick(self) -> bool:  # noqa: D102 (the base class describes it)
        return self.review.poll()

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        self.review.close()

    def _said(self) -> None:
        self.tab.changed(Change.STATUS)

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui, review = self.ui, self.review
        if changes & _EDITS:
            review.keep()
        self._show_list()
        in_hand = review.wanted or review.case
        if in_hand in self._shown:
            row = self._shown.index(in_hand)
            if ui.cohortTable.currentRow() != row:
                quietly(ui.cohortTable, lambda: ui.cohortTable.selectRow(row))
        ui.cohortLabel.text = self._sentence()
        ui.cohortLabel.visible = bool(ui.cohortLabel.text)
        opened = "" if review.out is not None else _("Open the results folder of a cohort first.")
        in_hand_too = opened or ("" if review.study is not None else _("Open a study of the list first."))
        for button, why in (
            (ui.previousStudyButton, opened),
            (ui.nextStudyButton, opened),
            (ui.acceptStudyButton, in_hand_too),
            (ui.rejectStudyButton, in_hand_too),
            (ui.studyToLibraryButton, in_hand_too),
        ):
            self.enable(button, why)
        ui.rejectReasonEdit.enabled = not in_hand_too
        ui.openCohortButton.enabled = not review.listing

    def _show_list(self) -> None:
        table, entries = self.ui.cohortTable, list(self.review.entries.values())
        cells = [self._cells(entry) for entry in entries]
        if cells != self._cells_shown:  # a cohort may have thousands
            self._shown, self._cells_shown = [entry.case for entry in entries], cells
            fill_table(table, cells, numbers=(_MASS,))
            fit_height(table, len(cells), _ROWS)
        if self.review.pictures != self._pictures_shown:
            quietly(table, self._show_pictures)
        table.visible = bool(cells)

    def _show_pictures(self) -> None:
        """Put in what was drawn since; in another cohort's list all is new."""
        (before, shown), (folder, drawn) = self._pictures_shown, self.review.pictures
        self._pictures_shown = folder, drawn
        table = self.ui.cohortTable
        if folder != before:
            shown = 0
            for row, case in enumerate(self._shown):
                table.item(row, _STUDY).setIcon(qt.QIcon())
                _set_tip(table, row, _tip(case))
        for row in range(shown, drawn):
            assert folder is not None  # noqa: S101 (something was drawn there)
            small, large = picture_files(folder, row)
            table.item(row, _STUDY).setIcon(untinted(qt.QPixmap(str(small))))
            _set_tip(table, row, _tip(self._shown[row], large if large.is_file() else None))

    def _sentence(self) -> str:
        review = self.review
        if review.listing:
            return _("Reading the list ...")
        parts = [review.error, review.note, _("The results folder does not answer.") if review.late else ""]
        if review.wanted:
            parts.append(_("Reading {case} ...").format(case=review.wanted))
        elif review.study is not None:
            parts.append(_("{case} is in hand.").format(case=review.case))
        if review.entries:
            parts.append(_("{n} of {total} wait for a review.").format(n=review.waiting, total=len(review.entries)))
        return " ".join(part for part in parts if part)

    def _cells(self, entry: Entry) -> tuple[str, ...]:
        mass = "" if entry.mass_g is None else f"{entry.mass_g:.1f}"
        return entry.case, _state(entry.state), mass, ", ".join(_flag(flag) for flag in entry.flags), self._review_of(entry)

    def _review_of(self, entry: Entry) -> str:
        if self.review.is_edited(entry.case):
            return _("edited, not accepted")
        if entry.verdict:
            said = {"accept": _("accepted"), "edit": _("edited"), "reject": _("rejected")}[entry.verdict]
            return _("{said} by {reader}").format(said=said, reader=entry.by)
        return _("open at {reader}'s").format(reader=entry.open_by) if entry.open_by else ""


def _tip(case: str, picture: Path | None = None) -> str:
    """What to do, and the picture of the result."""
    shown = "" if picture is None else f'<br><img src="{escape(picture.as_uri())}" width="{TIP_PX}">'
    return f"<p>{escape(_('Double-click to open {case}').format(case=case))}{shown}</p>"


def _set_tip(table: Any, row: int, tip: str) -> None:
    for column in range(int(table.columnCount)):
        table.item(row, column).setToolTip(tip)


def _state(state: str) -> str:
    return {
        "done": _("done"), "incomplete": _("incomplete"), "failed": _("failed"), "cancelled": _("cancelled"),
        GONE: _("gone"),
    }.get(state, state)  # fmt: skip


def _flag(flag: str) -> Any:
    return {"likely wrong": _("likely wrong"), "faint places": _("faint places")}.get(flag, _state(flag))
