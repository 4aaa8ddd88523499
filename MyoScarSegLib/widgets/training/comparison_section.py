"""The new model against the one in use, on patients that neither has learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection, quietly
from MyoScarSegLib.widgets.text import _

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab

_UNKNOWN = "–"


class ComparisonSection(TrainingSection):
    """The verdict, the table of means, and the table of patients in the section *Results*."""

    watches = frozenset({TrainChange.RUN, TrainChange.RUNS, TrainChange.MODELS, TrainChange.STATE})

    def __init__(self, tab: TrainingTab) -> None:
        super().__init__(tab)
        self._shown: tuple[Mapping[str, Any], bool] | None = None  # and whether on a dark ground
        self._cases: list[Mapping[str, Any]] = []
        self.ui.compareButton.connect("clicked()", self.compare)
        # Both: a click on the row that is chosen already shows it again, and the arrow keys go through the patients.
        self.ui.patientTable.connect("cellClicked(int,int)", lambda row, _column: self.show_worst(int(row)))
        self.ui.patientTable.connect("itemActivated(QTableWidgetItem*)", lambda item: self.show_worst(int(item.row())))

    def compare(self) -> None:
        """Compare the model of the shown training with the one in use."""
        run = self.workflow.trainings.run
        if run is not None and self.tab.packages.ready(self.compare):
            self.workflow.trainings.compare(run)

    def show_worst(self, row: int) -> None:
        """Show the slice of a patient that the new model has most wrong, with truth, new and old mask."""
        if 0 <= row < len(self._cases):
            case = self._cases[row]
            self.workflow.trainings.show_worst(str(case["patient"]), int(case["worst"]["slice"]), str(case["case"]))

    def refresh(self, changes: frozenset[TrainChange]) -> None:  # noqa: D102
        ui, training = self.ui, self.workflow
        comparison = training.trainings.comparison
        self.allow(ui.compareButton, "compare")
        run = training.trainings.run
        ui.compareButton.visible = run is not None
        ui.compareButton.text = _("Compare again") if comparison else _("Compare")
        for name in ("verdictFrame", "summaryTable", "patientTable", "patientHintLabel"):
            getattr(ui, name).visible = comparison is not None
        ui.comparedLabel.visible = run is not None
        if comparison is None:
            self._shown = None
            ui.comparedLabel.text = _("Not compared yet with the model in use.")
            return
        ui.comparedLabel.text = _("{new} against {used}, {n} validation patients").format(
            new=comparison["new"]["name"],
            used=comparison["used"]["name"],
            n=len({case["patient"] for case in comparison["cases"]}),
        )
        now = (comparison, style.is_dark(ui.trainStatusFrame))
        if self._shown is not None and self._shown[0] is comparison and self._shown[1] == now[1]:
            return
        self._shown = now
        self._cases = list(comparison["cases"])
        verdict = comparison["verdict"]
        color = style.STATE_COLORS.get(str(verdict["word"]), style.GREY)
        # Not the frame's own palette: a style sheet keeps that of the theme it was set in.
        ground = ui.trainStatusFrame.palette.color(qt.QPalette.Base).name()
        ui.verdictFrame.styleSheet = (
            f"QFrame#verdictFrame {{ border: none; border-left: 4px solid {color}; background: {ground}; }}"
        )
        ui.verdictLabel.text = "\n".join([str(verdict["sentence"]), *map(str, comparison.get("notes", ()))])
        quietly(ui.summaryTable, lambda: self._fill_summary(comparison["figures"]))
        quietly(ui.patientTable, lambda: self._fill_patients(self._cases))
        ui.patientHintLabel.text = _(
            "A click on a patient shows its worst slice, outlined: blue the reader, orange the new model, green the one in use."
        )

    def _fill_summary(self, figures: Sequence[Mapping[str, Any]]) -> None:
        table = self.ui.summaryTable
        table.setRowCount(len(figures))
        for row, figure in enumerate(figures):
            unit = str(figure["unit"])
            decimals = 3 if not unit else 1
            title = _(str(figure["title"])) + (f" ({unit})" if unit else "")
            cells = (
                title,
                _number(figure["new"], decimals),
                _number(figure["used"], decimals),
                _difference(figure, decimals),
            )
            tip = _summary_tip(figure, decimals)
            for column, text in enumerate(cells):
                self._put(table, row, column, text, tip, right=column > 0)
        style.fit_height(table, len(figures), 8)

    def _fill_patients(self, cases: Sequence[Mapping[str, Any]]) -> None:
        table = self.ui.patientTable
        table.setRowCount(len(cases))
        for row, case in enumerate(cases):
            new, used = case["new"], case["used"]
            cells = (
                str(case["patient"]) if case["patient"] == case["case"] else f"{case['patient']} {case['case']}",
                _number(new["end_to_end_dice"], 2),
                _number(used["end_to_end_dice"], 2),
                _number(case["truth_mass_g"], 1),
                _number(new["mass_g"], 1),
                _number(used["mass_g"], 1),
            )
            tip = _("Worst slice: {k}, Dice {new} (in use: {used})").format(
                k=case["worst"]["slice"],
                new=_number(case["worst"]["new_dice"], 2),
                used=_number(case["worst"]["used_dice"], 2),
            )
            tip += "" if case["has_scar"] else "\n" + _("A patient without scar: all that is drawn is false.")
            for column, text in enumerate(cells):
                self._put(table, row, column, text, tip, right=column > 0)
        style.fit_height(table, len(cases), 8)

    @staticmethod
    def _put(table: Any, row: int, column: int, text: str, tip: str, *, right: bool) -> None:
        item = qt.QTableWidgetItem(text)
        item.setToolTip(tip)
        if right:
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        table.setItem(row, column, item)


def _number(value: float | None, decimals: int) -> str:
    return _UNKNOWN if value is None else f"{value:.{decimals}f}"


def _difference(figure: Mapping[str, Any], decimals: int) -> str:
    """The paired difference, and under it its interval."""
    text = f"{figure['difference']:+.{decimals}f}"
    limits = figure.get("interval_95")
    return text if limits is None else f"{text}\n{limits[0]:+.{decimals}f} … {limits[1]:+.{decimals}f}"


def _summary_tip(figure: Mapping[str, Any], decimals: int) -> str:
    """What the cells have no room for."""

    def with_limits(who: str) -> str:
        limits = figure.get(f"{who}_interval_95")
        text = _number(figure[who], decimals)
        return text if limits is None else f"{text} ({limits[0]:.{decimals}f} … {limits[1]:.{decimals}f})"

    return "\n".join(
        [
            _("{n} patients; in brackets 95% intervals by drawing patients anew").format(n=figure["patients"]),
            _("New: {figure}").format(figure=with_limits("new")),
            _("In use: {figure}").format(figure=with_limits("used")),
            _("A difference as large comes about by chance in {percent} % of cases").format(
                percent=f"{100 * figure['chance']:.0f}"
            ),
        ]
    )
