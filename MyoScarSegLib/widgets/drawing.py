"""One drawing of the views for an edit and the mask that answers it."""

from __future__ import annotations

import time

import slicer

from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.workflow import Workflow

MOST_S = 0.5
"""For how long the views may wait for a mask."""


class OneDrawing:
    """Holds the views' drawing back from an edit until its mask is in the scene.

    Drawing all views takes the application longer than the worker takes for a mask, and the mask would wait for it. While slices
    are being encoded a mask may take long, and nothing is held back.
    """

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._since: float | None = None
        self._late = False  # the mask in hand has been waited for long enough
        self._unobserve = workflow.on_changed(self._on_changed)

    def turn(self) -> bool:
        """Draw if the mask has come, or does not come in time. To be called at the end of each turn, when all else is done.

        Returns:
            Whether the drawing is still held back, so that another turn is needed.
        """
        waiting = self._waiting
        self._late = self._late and waiting
        if self._since is not None and (not waiting or time.monotonic() - self._since >= MOST_S):
            self._late, self._since = waiting, None
            slicer.app.resumeRender()
        return self._since is not None

    def close(self) -> None:
        """Hold nothing back any more."""
        self._unobserve()
        if self._since is not None:
            self._since = None
            slicer.app.resumeRender()

    @property
    def _waiting(self) -> bool:
        workflow = self._workflow
        done, total = workflow.encoded
        return workflow.live and not workflow.busy and done == total and bool(workflow.waiting)

    def _on_changed(self, what: Change) -> None:
        if what in (Change.BOXES, Change.POINTS) and self._since is None and not self._late and self._waiting:
            self._since = time.monotonic()
            slicer.app.pauseRender()
