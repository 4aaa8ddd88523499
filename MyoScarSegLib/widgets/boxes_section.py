"""Boxes: proposing, looking through, drawing, accepting."""

from __future__ import annotations

from typing import Any

import qt

from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.prompts import BESIDE, FAINT, Box, BoxState
from MyoScarSegLib.scene.box_views import COLORS
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.prompt_steps import add_box, copy_box_to_next, nudge_box, remove_box, update_box
from MyoScarSegLib.scene.study_state import BoxRow
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import SegmentSection, quietly
from MyoScarSegLib.widgets.text import _

_SLICE, _CONFIDENCE, _STATE, _SOURCE = range(4)


class BoxesSection(SegmentSection):
    """The section *Boxes*, and the boxes in the slice views."""

    watches = frozenset({Change.VOLUME, Change.BOXES, Change.STATUS, Change.PROGRESS, Change.SLICE, Change.HISTORY})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._rows: dict[int, BoxRow] = {}
        self._icons = {
            state: style.dot(qt.QColor(*(round(255 * part) for part in color)), filled=state is not BoxState.REJECTED)
            for state, color in COLORS.items()
        }
        self.confidence = self.settings.load(EngineSettings).confidence
        ui.boxTable.sortByColumn(_SLICE, qt.Qt.AscendingOrder)
        ui.proposeButton.connect("clicked()", self.propose)
        ui.confidenceSlider.connect("valueChanged(double)", lambda value: self._choose_confidence(round(float(value), 4)))
        ui.confidenceResetButton.connect("clicked()", lambda: self._choose_confidence(None))
        ui.boxTable.connect("itemSelectionChanged()", self._row_selected)
        ui.boxTable.connect("cellClicked(int,int)", self._row_clicked)
        ui.drawBoxButton.connect("toggled(bool)", lambda on: self.tab.mouse.use("box" if on else None))
        ui.acceptBoxButton.connect("clicked()", self.accept)
        ui.rejectBoxButton.connect("clicked()", self.reject)
        ui.deleteBoxButton.connect("clicked()", self.delete)
        ui.copyBoxButton.connect("clicked()", self.copy_on)
        ui.nextReviewButton.connect("clicked()", lambda: self.review(1))
        ui.previousReviewButton.connect("clicked()", lambda: self.review(-1))

    @property
    def selected(self) -> int | None:
        """Id of the box that stands out in table and views, None if none does."""
        return None if self.workflow.views is None else self.workflow.views.selected

    def propose(self) -> None:
        """Propose boxes on all slices."""
        if self.session is not None and not self.tab.advanced.ready(self.propose, "propose"):
            return
        self.tab.advanced.configure()
        self.workflow.attempt(lambda session: session.requests.propose())

    def accept(self) -> None:
        """Accept the selected box, and go to the next that waits."""
        row = self._in_sight()
        if row is not None and self._set_state(row.id, BoxState.ACCEPTED):
            self.review(1)

    def reject(self) -> None:
        """Reject the selected box, or make it a proposal again; then go to the next that waits."""
        row = self._in_sight()
        if row is None:
            return
        if row.box.state is BoxState.REJECTED:
            self._set_state(row.id, BoxState.PROPOSED)
        elif self._set_state(row.id, BoxState.REJECTED):
            self.review(1)

    def _in_sight(self) -> BoxRow | None:
        """The selected box, None if there is none or its slice is not displayed.

        If the reader scrolled away from it, the views go back to it, and nothing else is done: a box is not changed unseen.
        """
        rows = () if self.session is None else self.session.state.boxes  # the table may be a moment behind
        row = next((row for row in rows if row.id == self.selected), None)
        if row is None or self.workflow.displayed_slice in (row.box.slice, None):
            return row
        self.select(row.id, jump=True)
        return None

    def _set_state(self, box_id: int, state: BoxState) -> bool:
        return self.workflow.attempt(update_box, box_id, state=state) is not None

    def delete(self) -> None:
        """Delete the selected box; the one after it is selected."""
        chosen = self._in_sight()
        if chosen is None:
            return
        order = [row.id for row in sorted(self.session.state.boxes, key=lambda row: (row.box.slice, row.id))]
        place = order.index(chosen.id)
        if self.workflow.attempt(remove_box, chosen.id) is not None:
            rest = [box_id for box_id in order if box_id != chosen.id]
            self.select(rest[min(place, len(rest) - 1)] if rest else None)

    def copy_on(self) -> None:
        """Copy the selected box to the next slice, and go there."""
        row = self._in_sight()
        if row is not None:
            copy = self.workflow.attempt(copy_box_to_next, row.id)
            if copy is not None:
                self.select(copy, jump=True)

    def nudge(self, dx: float, dy: float) -> None:
        """Move the selected box by pixels, as the view shows them."""
        row = self._in_sight()
        if row is not None:
            self.workflow.attempt(nudge_box, row.id, dx, dy)

    def draw(self, box: Box) -> None:
        """Add a box that was drawn in a view, and select it."""
        box_id = self.workflow.attempt(add_box, box)
        if box_id is not None:
            self.select(box_id)

    def review(self, step: int) -> None:
        """Go to the next (1) or previous (-1) box that nobody has looked at yet; where there is none, to a faint place."""
        order = [] if self.session is None else self.session.state.review_order() or self.session.state.faint_order()
        if not order:
            return
        if self.selected in order:
            place = (order.index(self.selected) + step) % len(order)
        else:
            at = self._place()
            after = [n for n, box_id in enumerate(order) if box_id in self._rows and self._key(box_id) > at]
            place = (after[0] if after else 0) if step > 0 else ((after[0] if after else len(order)) - 1) % len(order)
        self.select(order[place], jump=True)

    def select(self, box_id: int | None, *, jump: bool = False) -> None:
        """Let a box stand out in table and views; with ``jump`` the views go to its slice."""
        if self.workflow.views is not None:
            self.workflow.views.select(box_id)
        if jump and self.session is not None and box_id is not None:
            self.panel.views.jump(self.session.state.box(box_id).slice)
        self.tab.changed(Change.BOXES)

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        if Change.VOLUME in changes:
            self._rows = {}  # another study's, whose boxes have the same numbers
            self.apply_view()
        if changes & {Change.VOLUME, Change.BOXES}:
            self._fill()
        self.allow(ui.proposeButton, "propose")
        situation = self.session is not None and not self.workflow.busy
        style.mark_next_step(ui.proposeButton, bool(situation) and not self._rows)
        row = self._rows.get(self.selected) if self.selected is not None else None
        for button in (ui.acceptBoxButton, ui.rejectBoxButton, ui.deleteBoxButton, ui.copyBoxButton):
            button.enabled = row is not None
        ui.rejectBoxButton.text = _("Restore") if row is not None and row.box.state is BoxState.REJECTED else _("Reject")
        ui.drawBoxButton.enabled = self.session is not None
        waiting = 0 if self.session is None else len(self.session.state.review_order())
        faint = 0 if self.session is None else len(self.session.state.faint_order())
        for button in (ui.nextReviewButton, ui.previousReviewButton):
            button.enabled = bool(waiting or faint)
        ui.reviewLabel.text = self._review_text(waiting, faint)

    def _review_text(self, waiting: int, faint: int) -> str:
        if not self._rows:
            return ""
        if waiting:
            return _("{n} to review").format(n=waiting)
        if faint == 1:
            return _("1 faint box, look here")
        return _("{n} faint boxes, look here").format(n=faint) if faint else _("All reviewed")

    def _fill(self) -> None:
        table = self.ui.boxTable
        rows, views = [] if self.session is None else self.session.state.boxes, self.workflow.views
        before, self._rows = self._rows, {row.id: row for row in rows}
        moved = [row.id for row in rows if row.id in before and row.box.xyxy != before[row.id].box.xyxy]
        if views is not None and len(moved) == 1:  # the one that was dragged in a view
            views.select(moved[0])
        if views is not None and self.selected not in self._rows:
            views.select(None)

        there = {table.item(n, _SLICE).data(qt.Qt.UserRole): n for n in range(table.rowCount)}
        if there.keys() != self._rows.keys():
            there, before = {row.id: n for n, row in enumerate(rows)}, {}

        def fill() -> None:
            table.sortingEnabled = False
            table.setRowCount(len(rows))
            for row in rows:
                if row != before.get(row.id):
                    self._fill_row(there[row.id], row)
            table.sortingEnabled = True
            table.clearSelection()
            for number in range(len(rows)):
                if table.item(number, _SLICE).data(qt.Qt.UserRole) == self.selected:
                    table.selectRow(number)
                    table.scrollToItem(table.item(number, _SLICE))

        quietly(table, fill)

    def _fill_row(self, number: int, row: BoxRow) -> None:
        box, size = row.box, self._size_in_words(row.box)
        cells: tuple[Any, ...] = (
            box.slice,
            "" if box.confidence is None else f"{box.confidence:.2f}",
            _("faint") if box.faint else _state_in_words(box),
            _("you") if box.by_reader else _("model"),
        )
        for column, value in enumerate(cells):
            item = qt.QTableWidgetItem()
            item.setData(qt.Qt.DisplayRole, value)
            item.setData(qt.Qt.UserRole, row.id)
            item.setToolTip(_("{origin}. The box has {size}").format(origin=_origin_in_words(box), size=size))
            if column == _STATE:
                item.setIcon(self._icons[box.state])
            self.ui.boxTable.setItem(number, column, item)

    def _size_in_words(self, box: Box) -> str:
        pixel_mm2 = self.session.study.geometry.pixel_area_mm2
        if pixel_mm2 is None:
            return _("{n:.0f} pixels").format(n=box.area_px)
        return _("{area:.0f} mm²").format(area=box.area_px * pixel_mm2)

    def apply_view(self) -> None:
        """Show or hide the boxes in the slice views, as the user wants it."""
        if self.workflow.views is not None:
            self.workflow.views.set_visible(self.tab.view.show_boxes)

    def show_confidence(self) -> None:
        """Show the confidence that the next proposals have: the user's, or the one that the model was validated with."""
        slider, entry = self.ui.confidenceSlider, self.tab.advanced.detector.entry
        usual = None if entry is None else entry.metrics.get("confidence")
        value = self.confidence if self.confidence is not None else usual
        if value is not None:
            quietly(slider, lambda: setattr(slider, "value", float(value)))
        self.ui.confidenceResetButton.enabled = self.confidence is not None

    def _choose_confidence(self, value: float | None) -> None:
        """Propose with this confidence from now on; it is told to the worker with the next *Propose boxes*."""
        self.confidence = value
        self.settings.keep("confidence", value)
        self.show_confidence()

    def _row_selected(self) -> None:
        items = self.ui.boxTable.selectedItems()
        self.select(items[0].data(qt.Qt.UserRole) if items else None)

    def _row_clicked(self, row: int, _column: int) -> None:
        item = self.ui.boxTable.item(row, _SLICE)
        if item is not None:
            self.select(item.data(qt.Qt.UserRole), jump=True)

    def _place(self) -> tuple[int, float, int]:
        """Where the reader is in the order of looking through the boxes."""
        if self.selected in self._rows:
            return self._key(self.selected)
        displayed = self.workflow.displayed_slice
        return (-1 if displayed is None else displayed), -1.0, 0

    def _key(self, box_id: int) -> tuple[int, float, int]:
        """By slice, in a slice the most doubtful first, as :meth:`StudyState.review_order` has it."""
        box = self._rows[box_id].box
        return box.slice, box.confidence if box.confidence is not None else 0.0, box_id


def _is_offer(box: Box) -> bool:
    """Whether it was suggested on a neighbor and nobody has judged it."""
    return box.state is BoxState.PROPOSED and not box.counts


def _state_in_words(box: Box) -> str:
    if _is_offer(box):
        return _("suggested")
    if box.by_reader and box.state is BoxState.PROPOSED:
        return _("drawn")
    return {BoxState.PROPOSED: _("proposed"), BoxState.ACCEPTED: _("accepted"), BoxState.REJECTED: _("rejected")}[box.state]


def _origin_in_words(box: Box) -> str:
    """Who made it, and why it does not count where that is the program's doing."""
    if box.by_reader:
        return _("Set by you")
    origin = _("Proposed by {model}").format(model=box.source.removesuffix(FAINT).removesuffix(BESIDE))
    if box.faint:
        why = _(
            "Little, or not clearly brighter than healthy wall: more often no scar, so it is not counted. Accept it if it is."
        )
    elif _is_offer(box):
        why = _("Scar that you confirmed on a neighboring slice goes on here. It counts once you accept it.")
    else:
        return origin
    return f"{why}\n{origin}"
