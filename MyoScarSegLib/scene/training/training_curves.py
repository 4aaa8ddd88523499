"""The curves of a training: read from its log as it grows, and drawn in a chart of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.scene.plot_chart import Drawn, PlotChart
from MyoScarSegLib.scene.training.training_state import Curves
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.loop.step_log import LogReader

LOSS, END_TO_END, REFERENCE = "loss", "end_to_end", "reference_boxes"
_COLORS = {LOSS: (0.54, 0.54, 0.54), END_TO_END: (0.12, 0.47, 0.71), REFERENCE: (0.18, 0.62, 0.31)}
_DICE = {END_TO_END: "validation_end_to_end_dice", REFERENCE: "validation_oracle_dice"}
_MOST_POINTS = 240


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


class CurveChart(PlotChart):
    """The chart of the training that is shown."""

    def __init__(self, scene: Any) -> None:
        super().__init__(scene, "training curves")

    def show(self, values: Curves, title: str) -> Any:
        """Draw the curves. Returns the chart."""
        titles = {LOSS: _("Loss"), END_TO_END: _("Dice end to end"), REFERENCE: _("Dice with the reader's boxes")}
        drawn = {
            name: Drawn(label, np.array(values.get(name, ())), _COLORS[name], "line" if name == LOSS else "points")
            for name, label in titles.items()
        }
        return self.draw(title, _("Epoch"), _("Dice, loss"), drawn)
