"""The new model against the one in use, on patients that neither has learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qt

from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection
from MyoScarSegLib.widgets.text import _, number


class ComparisonSection(TrainingSection):
    """The verdict, the table of means, and the table of patients in the section *Results*."""

    watches = frozenset({"run", "statuses", "comparison", "busy"})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        self._shown: tuple[Mapping[str, Any], bool] | None = None  # and whether on a dark ground
        self.ui.compareButton.connect("clicked()", self.compare)
        # Both: a click on the row that is chosen already shows it again, and the arrow keys go through the patients.
        self.ui.patientTable.connect("cellClicked(int,int)", lambda row, _column: self.show_worst(int(row)))
        self.ui.patientTable.connect("itemActivated(QTableWidgetItem*)", lambda item: self.show_worst(int(item.row())))

    def compare(self) -> None:
        """Compare the model of the shown training with the one in use."""
        if self.workflow.state.run is not None and self.tab.packages.ready(self.compare):
            self.workflow.trainings.compare()

    def show_worst(self, row: int) -> None:
        """Show the slice of a patient that the new model has most wrong, with truth, new and old mask."""
        comparison = self.workflow.state.comparison
        if comparison is not None and 0 <= row < len(comparison["cases"]):
            case = comparison["cases"][row]
            self.workflow.trainings.show_worst(str(case["patient"]), int(case["worst"]["slice"]), str(case["case"]))

    def refresh(self, changes: frozenset[str]) -> None:  # noqa: D102 (the base class describes it)
        ui, run, comparison = self.ui, self.workflow.state.run, self.workflow.state.comparison
        self.allow(ui.compareButton, "compare")
        ui.compareButton.visible = ui.comparedLabel.visible = run is not None
        ui.compareButton.text = _("Compare again") if comparison else _("Compare")
        for name in ("verdictFrame", "summaryTable", "patientTable", "patientHintLabel"):
            getattr(ui, name).visible = comparison is not None
        if comparison is None:
            self._shown = None
            ui.comparedLabel.text = _("Not compared yet with the model in use.")
            return
        dark = style.is_dark(ui.trainStatusFrame)
        if self._shown is None or self._shown[0] is not comparison or self._shown[1] != dark:
            self._shown = comparison, dark
            self._show(comparison)

    def _show(self, comparison: Mapping[str, Any]) -> None:
        ui, verdict, cases = self.ui, comparison["verdict"], comparison["cases"]
        patients = len({case["patient"] for case in cases})
        said = (
            _("{new} against {used}, 1 validation patient")
            if patients == 1
            else _("{new} against {used}, {n} validation patients")
        )
        ui.comparedLabel.text = said.format(new=comparison["new"]["name"], used=comparison["used"]["name"], n=patients)
        color = style.STATE_COLORS.get(str(verdict["word"]), style.GREY)
        # Not the frame's own palette: a style sheet keeps that of the theme it was set in.
        ground = ui.trainStatusFrame.palette.color(qt.QPalette.Base).name()
        ui.verdictFrame.styleSheet = (
            f"QFrame#verdictFrame {{ border: none; border-left: 4px solid {color}; background: {ground}; }}"
        )
        ui.verdictLabel.text = "\n".join([str(verdict["sentence"]), *map(str, comparison.get("notes", ()))])
        _fill(ui.summaryTable, [_summary_row(figure) for figure in comparison["figures"]])
        _fill(ui.patientTable, [_patient_row(case) for case in cases])
        ui.patientHintLabel.text = _(
            "A click on a patient shows its worst slice, outlined: blue the reader, orange the new model, green the one in use."
        )


def _fill(table: Any, rows: Sequence[tuple[Sequence[str], str]]) -> None:
    """Cells and tooltips of rows, names on the left and figures on the right."""
    numbers = range(1, int(table.columnCount))
    style.fill_table(table, [cells for cells, _tip in rows], numbers=numbers, tips=[tip for _cells, tip in rows])
    style.fit_height(table, len(rows), 8)


def _patient_row(case: Mapping[str, Any]) -> tuple[Sequence[str], str]:
    new, used, worst = case["new"], case["used"], case["worst"]
    cells = (
        str(case["patient"]) if case["patient"] == case["case"] else f"{case['patient']} {case['case']}",
        number(new["end_to_end_dice"], 2),
        number(used["end_to_end_dice"], 2),
        number(case["truth_mass_g"], 1),
        number(new["mass_g"], 1),
        number(used["mass_g"], 1),
    )
    tip = _("Worst slice: {k}, Dice {new} (in use: {used})").format(
        k=worst["slice"], new=number(worst["new_dice"], 2), used=number(worst["used_dice"], 2)
    )
    return cells, tip if case["has_scar"] else tip + "\n" + _("A patient without scar: all that is drawn is false.")


def _summary_row(figure: Mapping[str, Any]) -> tuple[Sequence[str], str]:
    unit = str(figure["unit"])
    decimals = 1 if unit else 3
    difference, limits = f"{figure['difference']:+.{decimals}f}", figure.get("interval_95")
    if limits is not None:
        difference += f"\n{limits[0]:+.{decimals}f} … {limits[1]:+.{decimals}f}"
    title = _(str(figure["title"])) + (f" ({unit})" if unit else "")
    cells = title, number(figure["new"], decimals), number(figure["used"], decimals), difference

    def with_limits(who: str) -> str:
        limits = figure.get(f"{who}_interval_95")
        text = number(figure[who], decimals)
        return text if limits is None else f"{text} ({limits[0]:.{decimals}f} … {limits[1]:.{decimals}f})"

    tip = [
        _("{n} patients; in brackets 95% intervals by drawing patients anew").format(n=figure["patients"]),
        _("New: {figure}").format(figure=with_limits("new")),
        _("In use: {figure}").format(figure=with_limits("used")),
        _("A difference as large comes about by chance in {percent} % of cases").format(percent=f"{100 * figure['chance']:.0f}"),
    ]
    return cells, "\n".join(tip)
