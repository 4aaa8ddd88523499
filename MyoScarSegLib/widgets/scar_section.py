"""The scar: segmenting, points, threshold and growth, how it looks, correcting it by hand."""

from __future__ import annotations

import time
from typing import Any

import slicer

from MyoScarSegLib.prompts import Point
from MyoScarSegLib.scene.mask_steps import clear_study, set_growth_mm, set_threshold
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.prompt_steps import add_point, remove_point
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.hand_editor import HandEditor
from MyoScarSegLib.widgets.section import SegmentSection, quietly

_THRESHOLD_STEP = 0.05
_GROWTH_STEP_MM = 0.5
_SAME_DRAG_S = 1.0
"""Values of a slider that follow one another within this time are one drag, and one step to undo."""


class ScarSection(SegmentSection):
    """The section *Scar*."""

    watches = frozenset(
        {Change.VOLUME, Change.BOXES, Change.POINTS, Change.MASK, Change.SETTINGS, Change.STATUS, Change.PROGRESS, Change.SLICE}
    )

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self.editor = HandEditor(self.tab)
        self._slid: dict[str, float | None] = {}  # sliders moved since the last turn, and where to after the first value
        self._slid_on: Any = None
        self._latest = "", 0.0  # the slider whose value was applied last, and when
        ui.segmentAllButton.connect("clicked()", self.segment_all)
        ui.segmentSliceButton.connect("clicked()", self.segment_slice)
        ui.suggestButton.connect("clicked()", self.suggest)
        ui.addPositiveButton.connect("toggled(bool)", lambda on: self.tab.mouse.use("positive" if on else None))
        ui.addNegativeButton.connect("toggled(bool)", lambda on: self.tab.mouse.use("negative" if on else None))
        ui.removePointButton.connect("clicked()", lambda: self.workflow.attempt(remove_point))
        ui.thresholdSlider.connect("valueChanged(double)", lambda value: self._slide("threshold", float(value)))
        ui.growthSlider.connect("valueChanged(double)", lambda value: self._slide("growth", float(value)))
        ui.clearButton.connect("clicked()", lambda: self.workflow.attempt(clear_study))
        ui.openEditorButton.connect("clicked()", self.editor.open_module)

    def enter(self) -> None:  # noqa: D102 (the base class describes it)
        self.editor.enter()

    def exit(self) -> None:  # noqa: D102 (the base class describes it)
        self.editor.exit()

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        self.editor.cleanup()

    def segment_all(self) -> None:
        """Segment all slices that have prompts."""
        if self.session is not None and not self.tab.advanced.ready(self.segment_all, "segment"):
            return
        self.tab.advanced.configure()
        self._segment(None)

    def segment_slice(self) -> None:
        """Segment the displayed slice again."""
        k = self.workflow.displayed_slice
        if k is not None and self.tab.advanced.ready():
            self._segment([k])

    def suggest(self) -> None:
        """Suggest boxes where the scar of the displayed slice goes on, which the reader has confirmed."""
        k = self.workflow.displayed_slice
        if k is not None and self.tab.advanced.ready():
            self.tab.advanced.configure()
            task = self.workflow.attempt(lambda session: session.requests.suggest(k))
            if task is not None:
                session = self.session
                task.on_done(lambda *_: self._select_suggested(session, task, k))

    def _select_suggested(self, session: Any, task: Any, k: int) -> None:
        """Select the suggested box that is nearest to slice ``k``; the views stay where the reader looks."""
        if self.session is not session or not task.result:
            return
        offers = session.state.boxes[-len(task.result) :]
        self.tab.boxes.select(min(offers, key=lambda row: abs(row.box.slice - k)).id)

    def _segment(self, slices: list[int] | None) -> None:
        overwrite = bool(self.ui.overwriteCheckBox.checked)
        self.workflow.attempt(lambda session: session.requests.segment(slices, overwrite_edited=overwrite))

    def add_point(self, *points: Point) -> None:
        """Add a point that was clicked in a view, or those of a scribble."""
        self.workflow.attempt(add_point, *points)

    def step_threshold(self, steps: int) -> None:
        """Move the threshold, as the keys do."""
        slider = self.ui.thresholdSlider
        slider.value = round(slider.value + steps * _THRESHOLD_STEP, 4)

    def step_growth(self, steps: int) -> None:
        """Grow or shrink, as the keys do."""
        slider = self.ui.growthSlider
        slider.value = round(slider.value + steps * _GROWTH_STEP_MM, 4)

    def hide_all(self, hidden: bool) -> None:
        """Hide boxes, points and scar for a moment, to see the image alone."""
        session = self.session
        if session is None:
            return
        if self.workflow.views is not None:
            self.workflow.views.set_visible(not hidden and self.tab.view.show_boxes)
        for points in (session.nodes.points, session.nodes.landmarks):
            points.set_visible(not hidden)
        display = self._display()
        if display is not None:
            display.SetVisibility2D(not hidden)

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui, session = self.ui, self.session
        self.allow(ui.segmentAllButton, "segment")
        self.allow(ui.segmentSliceButton, "segment_slice")
        self.allow(ui.suggestButton, "suggest")
        self.allow(ui.clearButton, "clear")
        segmented = session is not None and bool(session.state.segmented)
        due = session is not None and not self.workflow.busy and (not segmented or bool(session.stale_slices))
        style.mark_next_step(ui.segmentAllButton, due and bool(ui.segmentAllButton.enabled))
        for button in (ui.addPositiveButton, ui.addNegativeButton):
            button.enabled = session is not None
        ui.removePointButton.enabled = session is not None and bool(session.state.points)
        for widget in (ui.thresholdSlider, ui.growthSlider, ui.overwriteCheckBox):
            widget.enabled = session is not None
        ui.openEditorButton.enabled = session is not None and self.node is not None
        if session is not None and changes & {Change.VOLUME, Change.SETTINGS}:
            quietly(ui.thresholdSlider, lambda: self._set(ui.thresholdSlider, session.state.threshold))
            quietly(ui.growthSlider, lambda: self._set(ui.growthSlider, session.state.growth_mm))
        if Change.VOLUME in changes:
            self._latest = "", 0.0
        if changes & {Change.VOLUME, Change.MASK}:
            self.apply_view()
            self.editor.refresh()

    @property
    def node(self) -> Any:
        """The segmentation node, None before there is one."""
        return None if self.session is None else self.session.segmentation.node

    @staticmethod
    def _set(slider: Any, value: float) -> None:
        if abs(slider.value - value) > 1e-6:
            slider.value = value

    def _slide(self, what: str, value: float) -> None:
        """Apply a slider's value: the first one at once, of those that follow before the next turn only the last."""
        if what in self._slid:
            self._slid[what] = value
        else:
            self._slid[what], self._slid_on = None, self.session
            self._apply_slider(what, value)
        self.panel.backend.wake()

    def tick(self) -> bool:  # noqa: D102 (the base class describes it)
        slid, self._slid = self._slid, {}
        for what, value in slid.items():
            if value is not None and self.session is self._slid_on:
                self._apply_slider(what, value)
        return False

    def _apply_slider(self, what: str, value: float) -> None:
        verb = set_threshold if what == "threshold" else set_growth_mm
        slider, applied_s = self._latest
        dragging = slider == what and time.monotonic() - applied_s <= _SAME_DRAG_S
        done = self.workflow.attempt(verb, value, dragging=dragging)
        self._latest = what, time.monotonic()
        if done is None:
            self.tab.changed(Change.SETTINGS)  # the slider goes back to what holds

    def apply_view(self) -> None:
        """Show the scar in the slice views as the user wants it."""
        display = self._display()
        segment_id = "" if self.session is None else self.session.segmentation.segment_id
        if display is None or not segment_id:
            return
        with slicer.util.NodeModify(display):
            display.SetSegmentOpacity2DFill(segment_id, self.tab.view.opacity)
            display.SetSegmentVisibility2DOutline(segment_id, self.tab.view.outline)

    def _display(self) -> Any:
        return None if self.node is None else self.node.GetDisplayNode()
