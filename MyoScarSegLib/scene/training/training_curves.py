"""The curves of a training: read from its log as it grows, and drawn in a chart of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.scene.attributes import ROLE, nodes_by_class
from MyoScarSegLib.scene.training.training_state import Curves
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.step_log import LogReader

LOSS, END_TO_END, REFERENCE = "loss", "end_to_end", "reference_boxes"
_COLORS = {LOSS: (0.54, 0.54, 0.54), END_TO_END: (0.12, 0.47, 0.71), REFERENCE: (0.18, 0.62, 0.31)}
_DICE = {END_TO_END: "validation_end_to_end_dice", REFERENCE: "validation_oracle_dice"}
_MOST_POINTS = 240
_ROLE_CHART = "training curves"


class CurveReader:
    """The curves of one log.

    Attributes:
        values: curve (``loss``, ``end_to_end``, ``reference_boxes``) to its points ``(epoch, value)``; the loss between epochs
            too.
    """

    def __init__(self, path: Path) -> None:
        self._reader = LogReader(path)
        self.values: dict[str, list[tuple[float, float]]] = {}
        self._forget()

    def read(self) -> bool:
        """Read what was logged since. Returns whether there was anything."""
        entries = self._reader.new()
        if self._reader.restarted:
            self._forget()
        changed = bool(entries) or self._reader.restarted
        for entry in entries:
            self._take(entry)
        if changed:
            self.values = {name: points for name, points in self._all().items() if points}
        return changed

    def _forget(self) -> None:
        self._phase = ""
        self._losses: list[tuple[int, int, float]] = []
        self._dice: dict[str, list[tuple[float, float]]] = {name: [] for name in _DICE}
        self._per_epoch = 0

    def _take(self, entry: Mapping[str, Any]) -> None:
        phase = str(entry.get("phase", ""))
        if entry.get("event") not in ("step", "epoch"):
            return
        if phase != self._phase:  # each phase has its own epochs and losses; the last one is what is watched
            self._forget()
            self._phase = phase
        epoch = entry.get("epoch")
        if not isinstance(epoch, int):
            return
        if entry["event"] == "step":
            loss, step = entry.get("loss"), entry.get("step")
            if isinstance(loss, (int, float)) and isinstance(step, int):
                self._losses.append((epoch, step, float(loss)))
            return
        if isinstance(entry.get("step"), int) and epoch:
            self._per_epoch = max(1, round(entry["step"] / epoch))
        for name, key in _DICE.items():
            if isinstance(entry.get(key), (int, float)):
                self._dice[name].append((float(epoch), float(entry[key])))

    def _all(self) -> dict[str, list[tuple[float, float]]]:
        per_epoch = self._per_epoch or max((step for _epoch, step, _loss in self._losses), default=1)
        places = [
            (step / per_epoch if self._per_epoch else epoch - 1 + step / per_epoch, loss) for epoch, step, loss in self._losses
        ]
        width = max(1, -(-len(places) // _MOST_POINTS))
        groups = [places[n : n + width] for n in range(0, len(places), width)]
        losses = [(sum(x for x, _y in group) / len(group), sum(y for _x, y in group) / len(group)) for group in groups]
        return {LOSS: losses, **{name: list(points) for name, points in self._dice.items()}}


class CurveChart:
    """A chart, its series and their tables: one set of nodes, used again, mended, and not saved with the scene."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    @property
    def node(self) -> Any:
        """The chart, None before the first :meth:`show` and after the scene was closed."""
        return self._find("vtkMRMLPlotChartNode", _ROLE_CHART)

    def show(self, values: Curves, title: str) -> Any:
        """Draw the curves, in nodes that are made if they are not there. Returns the chart."""
        chart, _new = self._node("vtkMRMLPlotChartNode", _ROLE_CHART, _("Training"))
        chart.SetTitle(title)
        chart.SetXAxisTitle(_("Epoch"))
        chart.SetYAxisTitle(_("Dice, loss"))
        chart.SetLegendVisibility(True)
        titles = {LOSS: _("Loss"), END_TO_END: _("Dice end to end"), REFERENCE: _("Dice with the reader's boxes")}
        for name, label in titles.items():
            role = f"{_ROLE_CHART}: {name}"
            series, new = self._node("vtkMRMLPlotSeriesNode", role, label)
            if new:
                series.SetPlotType(series.PlotTypeScatter)
                series.SetXColumnName("epoch")
                series.SetYColumnName("value")
                series.SetColor(*_COLORS[name])
                series.SetMarkerStyle(series.MarkerStyleNone if name == LOSS else series.MarkerStyleCircle)
            table, _new = self._node("vtkMRMLTableNode", role, label)
            table.SetHideFromEditors(True)
            with slicer.util.NodeModify(table):
                points = np.array(values.get(name, ()), dtype=float).reshape(-1, 2)
                slicer.util.updateTableFromArray(table, points, ["epoch", "value"])
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

    def _node(self, class_name: str, role: str, name: str) -> tuple[Any, bool]:
        """A node of ours, and whether it had to be made."""
        node = self._find(class_name, role)
        if node is not None:
            return node, False
        node = self._scene.AddNewNodeByClass(class_name, name)
        node.SetAttribute(ROLE, role)
        node.SetSaveWithScene(False)
        return node, True

    def _find(self, class_name: str, role: str) -> Any:
        return next((node for node in nodes_by_class(self._scene, class_name) if node.GetAttribute(ROLE) == role), None)
