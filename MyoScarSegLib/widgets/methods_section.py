"""Reference methods beside the scar: their numbers, an outline of the chosen one, and taking it over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.mask_steps import use_method
from MyoScarSegLib.scene.notices import MEASURED, Change
from MyoScarSegLib.scene.plain_segments import add_outlines
from MyoScarSegLib.scene.ventricle_steps import draw_remote
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.burden_words import percent
from MyoScarSegLib.widgets.section import SegmentSection, show_text
from MyoScarSegLib.widgets.text import UNKNOWN, _, number

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.reference import ReferenceMask, ReferenceRow


_COLOR = (0.35, 0.95, 0.55)


class MethodsSection(SegmentSection):
    """The box *Reference methods* of the section *Burden*. It measures only while it is open."""

    watches = MEASURED

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._found: dict[str, ReferenceMask] = {}
        self._rows: tuple[ReferenceRow, ...] = ()
        self._outline: Any = None  # the node that shows the chosen one
        ui.methodsGroup.connect("toggled(bool)", lambda _on: self.tab.changed(Change.VENTRICLE))
        ui.methodTable.connect("itemSelectionChanged()", self._chosen)
        ui.useMethodButton.connect("clicked()", self.use)
        ui.remoteButton.connect("clicked()", lambda: self.workflow.attempt(draw_remote))
        ui.fillNoReflowCheckBox.connect("toggled(bool)", lambda _on: self.tab.changed(Change.VENTRICLE))
        ui.specksSpinBox.connect("valueChanged(int)", lambda _pixels: self.tab.changed(Change.VENTRICLE))

    @property
    def chosen(self) -> str:
        """The selected method, empty if none is."""
        row = int(self.ui.methodTable.currentRow())
        return self._rows[row].method if 0 <= row < len(self._rows) else ""

    def use(self) -> None:
        """Put the selected method's scar in place of the one that is there."""
        found = self._found.get(self.chosen)
        if found is not None and found.mask is not None:
            self.workflow.attempt(use_method, found.mask, found.method)

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui, session = self.ui, self.session
        self._found, self._rows, problem = {}, (), ""
        if session is not None and ui.methodsGroup.checked and session.state.ventricle.has_wall:
            try:
                options = {"specks_px": int(ui.specksSpinBox.value), "fill_no_reflow": bool(ui.fillNoReflowCheckBox.checked)}
                session.follow_methods(options)
                self._found = session.numbers.methods(session.state, **options)
                self._rows = session.numbers.method_rows(session.state, self._found)
            except MyoScarSegError as error:
                problem = str(error)
        elif session is not None and not ui.methodsGroup.checked:
            session.follow_methods(None)
        elif ui.methodsGroup.checked:
            problem = _("Reference methods look for scar within the wall: propose it first.")
        model = session is not None and session.state.methods_meet_model
        tips = [_tip(row, _("the model's scar") if model else _("the scar that is drawn")) for row in self._rows]
        style.fill_table(ui.methodTable, [_cells(row) for row in self._rows], numbers=(1, 2, 3), tips=tips)
        style.fit_height(ui.methodTable, len(self._rows), 12)
        ui.methodTable.visible = bool(self._rows)
        show_text(ui.methodLabel, problem or _sentences(self._rows))
        ui.remoteButton.enabled = bool(self._rows)
        self._chosen()

    def _chosen(self) -> None:
        found = self._found.get(self.chosen)
        mask = None if found is None else found.mask
        self.ui.useMethodButton.enabled = mask is not None
        self._hide()
        if self.session is not None and mask is not None and self.ui.methodsGroup.checked:
            self._outline = add_outlines(self.session.geometry, "Reference method", {"method": ("method", _COLOR, mask)})
            self._outline.SetHideFromEditors(True)

    def _hide(self) -> None:
        node, self._outline = self._outline, None
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def exit(self) -> None:  # noqa: D102 (the base class describes it)
        self._hide()

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        self._hide()


def _cells(row: ReferenceRow) -> tuple[str, ...]:
    if row.pixels is None:
        return row.method, UNKNOWN, UNKNOWN, UNKNOWN
    mass = f"{row.pixels} px" if row.mass_g is None else f"{row.mass_g:.1f}"
    return row.method, mass, percent(row.percent_of_myocardium), number(row.dice, 2)


def _tip(row: ReferenceRow, scar: str) -> str:
    parts = [row.source]
    if row.threshold_low is not None and row.threshold_high is not None:
        parts.append(_("threshold {low} to {high}").format(low=f"{row.threshold_low:.4g}", high=f"{row.threshold_high:.4g}"))
    if row.mass_difference_g is not None:
        parts.append(_("{difference} g against {scar}").format(difference=f"{row.mass_difference_g:+.1f}", scar=scar))
    return "\n".join([*parts, *([row.why] if row.why else []), *row.warnings])


def _sentences(rows: tuple[ReferenceRow, ...]) -> str:
    """Why methods have no answer, and what to look at, each once."""
    said: list[Any] = [row.why for row in rows if row.why]
    return " ".join(dict.fromkeys([*said, *(warning for row in rows for warning in row.warnings)]))
