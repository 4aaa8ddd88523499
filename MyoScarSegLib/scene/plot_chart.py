"""A chart of the scene, and what is drawn in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.scene.attributes import ROLE, nodes_by_class


@dataclass(frozen=True, eq=False)
class Drawn:
    """One line or row of bars.

    Attributes:
        label: in the legend.
        points: ``[n, 2]``, x and y.
        color: red, green and blue, 0 to 1.
        kind: ``line``, ``points`` (a line with a mark at each), ``bars`` or ``dashes``.
    """

    label: str
    points: np.ndarray
    color: tuple[float, float, float]
    kind: str = "line"


class PlotChart:
    """A chart, its series and their tables: one set of nodes, used again, mended, and not saved with the scene."""

    def __init__(self, scene: Any, role: str) -> None:
        """``role`` is what our chart of this kind is known by in the scene."""
        self._scene = scene
        self._role = role

    @property
    def node(self) -> Any:
        """The chart, None before the first :meth:`draw` and after the scene was closed."""
        return self._find("vtkMRMLPlotChartNode", self._role)

    def draw(self, title: str, x_title: str, y_title: str, drawn: Mapping[str, Drawn]) -> Any:
        """Show this and nothing else, in nodes that are made if they are not there. Returns the chart.

        Args:
            title, x_title, y_title: of chart and axes; the axes' are those of the tables' columns, too.
            drawn: by a name that each keeps from one time to the next.
        """
        chart = self._node("vtkMRMLPlotChartNode", self._role, title)
        self._remove(keep={self._of(name) for name in drawn} | {self._role})
        with slicer.util.NodeModify(chart):
            chart.SetName(title)
            chart.SetTitle(title)
            chart.SetXAxisTitle(x_title)
            chart.SetYAxisTitle(y_title)
            chart.SetLegendVisibility(len(drawn) > 1)
            for name, one in drawn.items():
                series = self._node("vtkMRMLPlotSeriesNode", self._of(name), one.label)
                table = self._node("vtkMRMLTableNode", self._of(name), one.label)
                table.SetHideFromEditors(True)
                with slicer.util.NodeModify(table):
                    points = np.asarray(one.points, dtype=float).reshape(-1, 2)
                    slicer.util.updateTableFromArray(table, points, [x_title, y_title])
                with slicer.util.NodeModify(series):
                    series.SetName(one.label)  # which the legend shows
                    series.SetPlotType(series.PlotTypeScatterBar if one.kind == "bars" else series.PlotTypeScatter)
                    series.SetXColumnName(x_title)
                    series.SetYColumnName(y_title)
                    series.SetColor(*one.color)
                    series.SetMarkerStyle(series.MarkerStyleCircle if one.kind == "points" else series.MarkerStyleNone)
                    series.SetLineStyle(series.LineStyleDash if one.kind == "dashes" else series.LineStyleSolid)
                    series.SetAndObserveTableNodeID(table.GetID())
                if not chart.HasPlotSeriesNodeID(series.GetID()):
                    chart.AddAndObservePlotSeriesNodeID(series.GetID())
        return chart

    def choose(self) -> None:
        """Make the chart the one that plot views show."""
        chart = self.node
        if chart is None:
            return
        selection = self._scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
        if selection is not None:
            selection.SetActivePlotChartID(chart.GetID())
        for view in nodes_by_class(self._scene, "vtkMRMLPlotViewNode"):
            view.SetPlotChartNodeID(chart.GetID())

    def remove(self) -> None:
        """Take the chart out of the scene, with all that is drawn in it."""
        self._remove(keep=set())

    def _remove(self, keep: set[str]) -> None:
        for class_name in ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTableNode"):
            for node in nodes_by_class(self._scene, class_name):
                role = node.GetAttribute(ROLE) or ""
                if role not in keep and (role == self._role or role.startswith(self._of(""))):
                    self._scene.RemoveNode(node)

    def _of(self, name: str) -> str:
        return f"{self._role}: {name}"

    def _node(self, class_name: str, role: str, name: str) -> Any:
        node = self._find(class_name, role)
        if node is None:
            node = self._scene.AddNewNodeByClass(class_name, name)
            node.SetAttribute(ROLE, role)
            node.SetSaveWithScene(False)
        return node

    def _find(self, class_name: str, role: str) -> Any:
        return next((node for node in nodes_by_class(self._scene, class_name) if node.GetAttribute(ROLE) == role), None)
