"""The numbers of a study as tables of the scene."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import slicer
import vtk

from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, ScarBurden
from MyoScarSegLib.quantification.mass_interval import MassInterval
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.translation import _

ROLE_RESULTS = "results"
ROLE_PROVENANCE = "provenance"
COLUMNS = ("Slice", "Pixels", "Area (mm2)", "Volume (mL)", "Mass (g)", "Score", "Edited by hand")
INTERVAL_COLUMNS = ("Mass from (g)", "Mass to (g)", "Likely wrong")


class ResultTables:
    """Two table nodes of a study: its scar slice by slice with the sum below, and where the numbers come from.

    They are written for reading: what is typed into them is lost with the next change. They are made at the first result, and
    anew if the user deletes one.
    """

    def __init__(self, volume_node: Any) -> None:
        self.volume_node = volume_node
        self._nodes: dict[str, Any] = {}

    @property
    def node(self) -> Any:
        """The table of numbers, made if it is not there."""
        return self._node(ROLE_RESULTS, _("{name} scar"))

    @property
    def provenance_node(self) -> Any:
        """The table of where the numbers come from, made if it is not there."""
        return self._node(ROLE_PROVENANCE, _("{name} scar provenance"))

    @property
    def exist(self) -> bool:
        """Whether a table is there already."""
        return any(self._existing(role) is not None for role in (ROLE_RESULTS, ROLE_PROVENANCE))

    def show(
        self,
        burden: ScarBurden,
        within: MassInterval | None,
        scores: Mapping[int, float],
        edited: Collection[int],
        provenance: Mapping[str, str],
    ) -> None:
        """Fill both tables.

        The mass's interval has columns of its own where it is known (``within``); ``scores`` are the model's own estimates of its
        masks' IoU, ``edited`` the slices that the user has painted in.
        """
        rows: list[tuple[str, ...]] = [
            (
                str(s.slice),
                str(s.pixels),
                _number(s.area_mm2, 1),
                _number(s.volume_ml, 3),
                _number(s.mass_g, 3),
                _number(scores.get(s.slice), 2),
                _("yes") if s.slice in edited else "",
            )
            for s in burden.slices
        ]
        areas = [s.area_mm2 for s in burden.slices if s.area_mm2 is not None]
        area = _number(sum(areas), 1) if areas else ""
        rows.append((_("all"), str(burden.pixels), area, _number(burden.volume_ml, 3), _number(burden.mass_g, 3), "", ""))
        columns: tuple[str, ...] = COLUMNS
        if within is not None:
            columns += INTERVAL_COLUMNS
            ends = _number(within.low_g, 3), _number(within.high_g, 3), _("yes") if within.doubtful else ""
            rows = [row + (ends if row is rows[-1] else ("", "", "")) for row in rows]
        _fill(self.node, columns, rows)
        facts = {**provenance, "density_g_per_ml": f"{MYOCARDIAL_DENSITY_G_PER_ML:g}"}
        _fill(self.provenance_node, ("Property", "Value"), list(facts.items()))

    def _existing(self, role: str) -> Any:
        node = self._nodes.get(role)
        if node is None or node.GetScene() is None:
            node = self._nodes[role] = node_of(self.volume_node, role)
        return node

    def _node(self, role: str, name: str) -> Any:
        node = self._existing(role)
        if node is None:
            node = make_node(self.volume_node, "vtkMRMLTableNode", role, name.format(name=self.volume_node.GetName()))
            node.SetUseColumnTitleAsColumnHeader(True)
            node.SetLocked(True)  # for reading
            self._nodes[role] = node
        return node


def _fill(node: Any, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Replace a table's content in one change, unless it is that. All cells are text, with as many digits as make sense to a
    reader."""
    there = node.GetTable()
    titles = [there.GetColumnName(n) for n in range(there.GetNumberOfColumns())]
    if titles == list(columns) and there.GetNumberOfRows() == len(rows):
        cells = [[there.GetValue(row, column).ToString() for column in range(len(columns))] for row in range(len(rows))]
        if cells == [list(row) for row in rows]:
            return
    table = vtk.vtkTable()
    for number, title in enumerate(columns):
        column = vtk.vtkStringArray()
        column.SetName(title)
        column.SetNumberOfValues(len(rows))
        for place, row in enumerate(rows):
            column.SetValue(place, row[number])
        table.AddColumn(column)
    with slicer.util.NodeModify(node):
        node.GetTable().ShallowCopy(table)
        node.Modified()


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
