"""Pictures of scar burden, drawn by the worker in the panel while the reader edits, or as Slicer plots beside the slices."""

from __future__ import annotations

import time
from typing import Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.burden_plots import PLOTS, BurdenChart
from MyoScarSegLib.scene.engine_requests import burden_job
from MyoScarSegLib.scene.notices import MEASURED, Change
from MyoScarSegLib.utils.task import DONE, FAILED
from MyoScarSegLib.widgets.section import SegmentSection, quietly
from MyoScarSegLib.widgets.text import _

_NAMES = ("bullseye", "slices", "bars", "wall", "intensities")
"""Of the pictures, in the order of the box."""
_PLOT = "burden"
_LEAST_PX, _MOST_PX = 200, 900
_RESTS_S = 0.25
"""After the last edit of a drag or a stroke, which come one after the other, the picture is asked for."""


class PictureSection(SegmentSection):
    """The box *Picture* of the section *Burden*. Nothing is drawn while it is closed, or before the packages are installed.

    A plot is there while it is shown, and of the picture that was chosen last of those for which Slicer has one.
    """

    watches = MEASURED

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._request: Any = None
        self._shown: Any = None  # the state that the picture is of, and its name
        self._due_s: float | None = None
        self._chart = BurdenChart(self.workflow.scene)
        self._plotted: Any = None  # name and state that the plot is of
        self._plot_tip = ui.plotButton.toolTip
        ui.plotButton.connect("clicked(bool)", self.show_plot)
        self._unobserve = self.panel.views.plot_changed.connect(self._plot_changed)
        titles = (_("Bullseye"), _("Slices"), _("Bars per slice"), _("Along the wall"), _("Intensities"))
        quietly(ui.pictureCombo, lambda: ui.pictureCombo.addItems(list(titles)))
        ui.pictureCombo.connect("currentIndexChanged(int)", lambda _n: self._chosen())
        ui.pictureGroup.connect("toggled(bool)", lambda _on: self._ask_soon())
        ui.pictureLabel.setAlignment(qt.Qt.AlignCenter)

    @property
    def name(self) -> str:
        """Of the chosen picture."""
        return _NAMES[max(int(self.ui.pictureCombo.currentIndex), 0)]

    def show_plot(self, on: bool) -> None:
        """Show the chosen picture as a Slicer plot, or the views as they were before."""
        views = self.panel.views
        if not on:
            views.leave_plot(_PLOT)
        elif self._plot(self.name):
            views.show_plot(_PLOT, self._chart.choose)
            views.fit_plot()
        self._plot_changed()

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        if self.session is None or not self.session.state.has_masks:
            self.panel.views.leave_plot(_PLOT)
            self._forget()
            self._say("")  # at once: the picture may be of another patient
        self._show_button()
        self._ask_soon()

    def tick(self) -> bool:
        """Ask for the picture once edits have come to rest and the one before is there. Returns whether to look again soon."""
        if self._due_s is None:
            return False
        if self.workflow.busy or time.monotonic() < self._due_s:
            return True
        if self.panel.views.plotted == _PLOT and self._plot(self.name if self.name in PLOTS else self._plotted[0]):
            self.panel.views.fit_plot()
        if self._request is not None and not self._request.finished:
            return True
        self._due_s = None
        self._ask()
        return False

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        self._forget()
        self.panel.views.leave_plot(_PLOT)
        self._unobserve()

    def _chosen(self) -> None:
        self._show_button()
        self._ask_soon()

    def _show_button(self) -> None:
        button, shown = self.ui.plotButton, self.panel.views.plotted == _PLOT
        has_masks = self.session is not None and self.session.state.has_masks
        button.enabled = shown or (has_masks and self.name in PLOTS)
        button.checked = shown
        why = "" if self.name in PLOTS else _("Slicer has no plot for this picture.")
        button.toolTip = f"{self._plot_tip}\n{why}" if why else self._plot_tip

    def _plot_changed(self) -> None:
        if self.panel.views.plotted != _PLOT:
            self._chart.remove()
            self._plotted = None
        self._show_button()

    def _plot(self, name: str) -> bool:
        """Have the chart show the study as it is. Returns whether that is anything new."""
        session = self.session
        wanted = name, session.state.slices, session.state.ventricle, session.volume_node.GetID()
        if wanted == self._plotted and self._chart.node is not None:
            return False
        try:
            self._chart.show(session, name)
        except MyoScarSegError as error:
            self._say(str(error))
            return False
        self._plotted = wanted
        return True

    def _ask_soon(self) -> None:
        self._due_s = time.monotonic() + _RESTS_S
        self.panel.backend.wake()

    def _ask(self) -> None:
        session, ui = self.session, self.ui
        ready = session is not None and session.state.has_masks and ui.pictureGroup.checked and ui.burdenSection.visible
        if not ready or self.workflow.automatic.waits:
            if session is not None and session.state.has_masks and self.workflow.automatic.waits:
                self._say(_("Pictures need packages that are not installed yet."))
            return
        name = self.name
        width = max(int(ui.pictureGroup.width) - 24, 1)
        ratio = float(ui.pictureLabel.devicePixelRatioF())
        width_px = min(max(round(width * ratio), _LEAST_PX), _MOST_PX)
        wanted = session.state.slices, session.state.ventricle, name, width_px
        if wanted == self._shown:
            return
        request = self._request = self.panel.engine.picture(burden_job(session), name, width_px)

        def arrived(*_: Any) -> None:
            if self._request is not request:
                return
            if request.state == DONE:
                self._shown = wanted
                self._show(request.result, ratio)
            elif request.state == FAILED:
                self._say(str(request.error))

        request.on_done(arrived)

    def _show(self, png: bytes, ratio: float) -> None:
        pixmap = qt.QPixmap()
        pixmap.loadFromData(qt.QByteArray(png))
        pixmap.setDevicePixelRatio(ratio)
        self.ui.pictureLabel.setPixmap(pixmap)
        self.ui.pictureLabel.setMinimumHeight(round(pixmap.height() / ratio))

    def _say(self, sentence: str) -> None:
        self.ui.pictureLabel.setMinimumHeight(0)
        self.ui.pictureLabel.clear()  # an empty text alone leaves the picture
        self.ui.pictureLabel.text = sentence
        self._shown = None

    def _forget(self) -> None:
        request, self._request = self._request, None
        if request is not None and not request.finished:
            request.cancel()
