"""The numbers of a study as tables of the scene."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import slicer
import vtk

from MyoScarSegLib.quantification.aha import SEGMENTS
from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, Extent, ScarBurden
from MyoScarSegLib.quantification.mass_interval import MassInterval
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.translation import _

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.measurements import Measurements
    from MyoScarSegLib.quantification.reference import ReferenceRow
    from MyoScarSegLib.quantification.segment_values import SegmentMeasurement

ROLE_RESULTS = "results"
ROLE_PROVENANCE = "provenance"
ROLE_BURDEN, ROLE_SEGMENTS, ROLE_METHODS = "burden", "segments", "methods"
RESULT_ROLES = (ROLE_RESULTS, ROLE_PROVENANCE, ROLE_BURDEN, ROLE_SEGMENTS, ROLE_METHODS)
COLUMNS = ("Slice", "Pixels", "Area (mm2)", "Volume (mL)", "Mass (g)", "Score", "Edited by hand")
INTERVAL_COLUMNS = ("Mass from (g)", "Mass to (g)", "Likely wrong")
BURDEN_COLUMNS = ("Quantity", "Value", "Unit", "Note")
SEGMENT_COLUMNS = (
    "Segment", "Name", "Artery", "Scar (g)", "Scar (pixels)", "Scar (% of the segment)", "Transmurality (%)",
    "Where scar is (%)", "Deepest (%)",
)  # fmt: skip
METHOD_COLUMNS = (
    "Method", "Scar (g)", "Scar (pixels)", "% of LV", "Dice", "Difference (g)", "Threshold from", "Threshold to", "Note",
)  # fmt: skip


class ResultTables:
    """Table nodes of a study: its scar slice by slice with the sum below, and where the numbers come from; all numbers of scar
    burden, the 17 segments, and the reference methods.

    They are written for reading: what is typed into them is lost with the next change. Each is made when there is something to
    write in it, and anew if the user deletes it.
    """

    def __init__(self, volume_node: Any) -> None:
        self.volume_node = volume_node
        self._nodes: dict[str, Any] = {}
        self._sought: dict[str, int | None] = {}  # when nodes were added to the scene, or removed, as a role was sought last

    @property
    def node(self) -> Any:
        """The table of numbers; None if it is not there."""
        return self._existing(ROLE_RESULTS)

    @property
    def provenance_node(self) -> Any:
        """The table of where the numbers come from; None if it is not there."""
        return self._existing(ROLE_PROVENANCE)

    @property
    def exist(self) -> bool:
        """Whether a table is there already."""
        return any(self._existing(role) is not None for role in RESULT_ROLES)

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
        _fill(self._node(ROLE_RESULTS, _("{name} scar")), columns, rows)
        facts = {**provenance, "density_g_per_ml": f"{MYOCARDIAL_DENSITY_G_PER_ML:g}"}
        _fill(self._node(ROLE_PROVENANCE, _("{name} scar provenance")), ("Property", "Value"), list(facts.items()))

    def show_burden(self, measured: Measurements | None, problem: str = "") -> None:
        """Fill the tables of burden and segments; without ``measured`` they say the ``problem``, or nothing if there is none."""
        rows = [] if measured is None else [(name, value, unit, "") for name, value, unit in _quantities(measured)]
        notes = [problem] if measured is None else [*dict.fromkeys(measured.missing.values()), *measured.notes]
        rows += [(_("Note"), "", "", note) for note in notes if note]
        self._show(ROLE_BURDEN, _("{name} scar burden"), BURDEN_COLUMNS, rows)
        segments = () if measured is None else measured.segments or ()
        cells = [_segment(one) for one in segments]
        self._show(ROLE_SEGMENTS, _("{name} scar segments"), SEGMENT_COLUMNS, cells)

    def show_methods(self, found: Sequence[ReferenceRow] | None, problem: str = "") -> None:
        """Fill the table of reference methods; one that is there without them (None) says why it is empty."""
        if found is None and self._existing(ROLE_METHODS) is None:
            return
        rows = [_method(one) for one in found or ()]
        if found is None:
            note = problem or _("Not measured after the latest changes: open Reference methods in the panel.")
            rows = [("",) * (len(METHOD_COLUMNS) - 1) + (note,)]
        self._show(ROLE_METHODS, _("{name} scar by reference methods"), METHOD_COLUMNS, rows)

    def _show(self, role: str, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if rows or self._existing(role) is not None:
            _fill(self._node(role, name), columns, rows)

    def _existing(self, role: str) -> Any:
        node, scene = self._nodes.get(role), self.volume_node.GetScene()
        if node is not None and node.GetScene() is not None:
            return node
        changed = None if scene is None else scene.GetNodes().GetMTime()
        if self._sought.get(role) != changed:  # else it is not there, and a scene is long
            node, self._sought[role] = node_of(self.volume_node, role), changed
            self._nodes[role] = node
            return node
        return None

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
        same = (there.GetValue(n, column).ToString() == cell for n, row in enumerate(rows) for column, cell in enumerate(row))
        if all(same):  # the first that differs ends it
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


def _quantities(m: Measurements) -> Iterator[tuple[str, str, str]]:
    """Name, value and unit of each number; what is not known is left out."""
    grey, largest = m.grey_zone, m.lesions[0] if m.lesions else None
    extents: tuple[tuple[str, Extent | None], ...] = (
        (_("Scar"), m.scar),
        (_("Scar within the wall"), m.scar_in_wall),
        (_("Scar outside the wall"), m.scar_outside_wall),
        (_("LV myocardium"), m.myocardium),
        (_("LV blood pool"), m.cavity),
        (_("No-reflow"), m.no_reflow),
        (_("Core"), None if grey is None else grey.core),
        (_("Grey zone"), None if grey is None else grey.grey),
        (_("Largest lesion"), None if largest is None else largest.extent),
    )
    for name, extent in extents:
        if extent is not None and extent.mass_g is None:
            yield name, str(extent.pixels), "pixels"
        elif extent is not None:
            yield name, _number(extent.volume_ml, 2), "mL"
            if extent is not m.cavity:  # blood is no myocardium, and has another density
                yield name, _number(extent.mass_g, 2), "g"
    depth = m.transmurality
    plain: list[tuple[str, float | None, str]] = [
        (_("Scar, share of LV"), m.percent_of_myocardium, "%"),
        (_("Scar, share of LV, from"), m.percent_low, "%"),
        (_("Scar, share of LV, to"), m.percent_high, "%"),
        (_("Lesions"), float(len(m.lesions)), ""),
    ]
    if depth is not None:
        plain += [
            (_("Transmurality, all chords"), depth.mean_all_percent, "%"),
            (_("Transmurality, where scar is"), depth.mean_scar_percent, "%"),
            (_("Transmurality, deepest chord"), depth.maximum_percent, "%"),
            (_("Wall with more than 25%"), depth.above_25_percent, "%"),
            (_("Wall with more than 50%"), depth.above_50_percent, "%"),
            (_("Wall with more than 75%"), depth.above_75_percent, "%"),
            (_("Extent along the endocardium"), depth.endocardial_extent_percent, "%"),
            (_("Wall thickness"), depth.wall_thickness_mm, "mm"),
        ]
    for name, value, unit in plain:
        if value is not None:
            yield name, _number(value, {"g": 2, "%": 1, "mm": 1}.get(unit, 0)), unit


def _segment(one: SegmentMeasurement) -> tuple[str, ...]:
    about, scar = SEGMENTS[one.number - 1], one.scar
    name = about.name if one.imaged else _("{name}: not imaged").format(name=about.name)
    amounts = ("", "") if scar is None else (_number(scar.mass_g, 2), str(scar.pixels))
    percents = one.burden_percent, one.transmurality_percent, one.transmurality_scar_percent, one.maximum_percent
    return (str(one.number), name, about.artery, *amounts, *(_number(value, 1) for value in percents))


def _method(one: ReferenceRow) -> tuple[str, ...]:
    pixels = "" if one.pixels is None else str(one.pixels)
    numbers = (one.percent_of_myocardium, 1), (one.dice, 3), (one.mass_difference_g, 2)
    thresholds = ["" if value is None else f"{value:.4g}" for value in (one.threshold_low, one.threshold_high)]
    cells = (_number(value, digits) for value, digits in numbers)
    return (one.method, _number(one.mass_g, 2), pixels, *cells, *thresholds, " ".join([one.why, *one.warnings]).strip())
