"""Scar volume and mass, in all and per slice, as the segment is now."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, ScarBurden, SliceBurden
from MyoScarSegLib.quantification.mass_interval import MassInterval
from MyoScarSegLib.scene.export import export_scene
from MyoScarSegLib.scene.notices import MEASURED, Change
from MyoScarSegLib.widgets.burden_words import grams
from MyoScarSegLib.widgets.section import SegmentSection, link, show_text
from MyoScarSegLib.widgets.style import fill_table
from MyoScarSegLib.widgets.text import _, number

_SHOWN_G = 0.05
"""Less outside the wall would be shown as 0.0 g: a pixel or two where the outlines meet."""


class NumbersSection(SegmentSection):
    """The section *Numbers*."""

    watches = MEASURED | {Change.STATUS}

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        self._slices: list[int] = []
        self.ui.sliceTable.connect("cellClicked(int,int)", lambda row, _column: self.panel.views.jump(self._slices[int(row)]))
        self.ui.copyNumbersButton.connect("clicked()", self.copy)
        self.ui.exportButton.connect("clicked()", self.ask_and_export)

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self.allow(ui.exportButton, "export")
        if not changes & MEASURED:
            return
        show_text(ui.exportLabel, "")  # it would lead to numbers of before
        # Before anything was segmented there is no number, and least of all zero.
        burden = self.session.burden if self.session is not None and self.session.state.has_masks else None
        ui.volumeMlLabel.text = number(None if burden is None else burden.volume_ml, 1)
        ui.massLabel.text = number(None if burden is None else burden.mass_g, 1)
        self._show_interval(None if burden is None else self.session.mass_interval)
        ui.copyNumbersButton.enabled = burden is not None and burden.pixels > 0
        self._fill(burden)
        self._show_outside()

    def copy(self) -> None:
        """Put the numbers on the clipboard as a table with tabs."""
        burden = None if self.session is None else self.session.burden
        if burden is None:
            return
        rows = [["slice", "pixels", "area_mm2", "volume_ml", "mass_g"]]
        rows += [[str(s.slice), str(s.pixels), *(_plain(v) for v in (s.area_mm2, s.volume_ml, s.mass_g))] for s in burden.slices]
        rows.append(["all", str(burden.pixels), "", _plain(burden.volume_ml), _plain(burden.mass_g)])
        within = self.session.mass_interval
        if within is not None:
            rows[0] += ["mass_low_g", "mass_high_g", "likely_wrong"]
            rows[-1] += [_plain(within.low_g), _plain(within.high_g), str(within.doubtful)]
        qt.QApplication.clipboard().setText("".join("\t".join(row) + "\n" for row in rows))
        slicer.util.showStatusMessage(_("The numbers are on the clipboard."), 3000)

    def ask_and_export(self) -> None:
        """Let the user choose a folder, and write the results there."""
        folder = self.ask_for_folder(_("Folder for the results"), "exportFolder")
        if folder is not None:
            self.export(folder)

    def export(self, folder: Path) -> None:
        """Write the results of all studies in the scene."""
        show_text(self.ui.exportLabel, "")
        try:
            written = export_scene(self.workflow.scene, folder)
        except MyoScarSegError as error:
            self.tab.status.say_error(str(error))
            return
        self.tab.status.say_error("")
        said = _("1 study written to {folder}") if len(written) == 1 else _("{n} studies written to {folder}")
        show_text(self.ui.exportLabel, said.format(n=len(written), folder=link(folder)))

    def _fill(self, burden: ScarBurden | None) -> None:
        shown: list[SliceBurden] = []
        if burden is not None:
            shown = [one for one in burden.slices if one.pixels or one.slice in self.session.state.models]
        self._slices = [one.slice for one in shown]
        cells = [_cells(one, one.slice in self.session.state.edited) for one in shown]
        fill_table(self.ui.sliceTable, cells, numbers=(1, 2, 3))

    def _show_outside(self) -> None:
        """Scar outside the wall, which the mass has in it and the percentages have not."""
        outside = None
        if self.session is not None and self.session.state.has_masks and self.session.state.ventricle.has_wall:
            try:
                outside = self.session.measurements.scar_outside_wall
            except MyoScarSegError:
                outside = None  # the section Burden says why nothing can be measured
        text = ""
        if outside is not None and outside.pixels and (outside.mass_g is None or outside.mass_g >= _SHOWN_G):
            text = _("{amount} of it outside the wall: in no percentage").format(amount=grams(outside))
        show_text(self.ui.outsideLabel, text)

    def _show_interval(self, within: MassInterval | None) -> None:
        ui = self.ui
        tip = _("Scar mass: volume times {density} g/mL").format(density=MYOCARDIAL_DENSITY_G_PER_ML)
        ui.massCaption.text = _("g scar")
        if within is not None:
            low, high = within.ends
            ui.massCaption.text = _("g ({low} to {high})").format(low=low, high=high)
            tip += "\n" + _("In nine of ten studies the expert's mass lies within; measured on patients the model never saw.")
        ui.massLabel.toolTip = ui.massCaption.toolTip = tip
        ui.doubtLabel.visible = within is not None and within.doubtful


def _cells(row: SliceBurden, edited: bool) -> tuple[str, ...]:
    first = _("{n} px").format(n=row.pixels) if row.area_mm2 is None else f"{row.area_mm2:.0f}"
    return str(row.slice), first, number(row.volume_ml, 2), number(row.mass_g, 2), _("painted") if edited else ""


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
