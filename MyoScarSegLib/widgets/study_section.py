"""Choosing the volume, and the line of facts about it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk

from MyoScarSegLib.scene.lge_volumes import add_study, why_likely
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.study.handover import read_handover
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.task import DONE
from MyoScarSegLib.widgets.section import SegmentSection, quietly, show_text
from MyoScarSegLib.widgets.text import _

SAMPLE_SEED = 11
_LOADING_S = 0.3
"""After a volume has come into the scene: readers add the node first, and several come one after the other."""


def _no_reason(_node: Any) -> str:
    return ""


class StudySection(SegmentSection):
    """The section *Study*."""

    watches = frozenset({Change.VOLUME, Change.ENCODED})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        self._reason: Callable[[Any], str] = _no_reason
        self._named = ""
        self._shown: Any = None
        self._sample: BackgroundTask | None = None
        self.ui.volumeSelector.setMRMLScene(self.workflow.scene)
        self.ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.choose)
        self.ui.sampleButton.connect("clicked()", self.load_sample)
        self._look_at = 0.0
        self._observers = Observers()
        self._observers.add(self.workflow.scene, slicer.vtkMRMLScene.NodeAddedEvent, self._node_added, with_node=True)

    def choose(self, volume_node: Any) -> None:
        """Work on this volume, or on none."""
        if volume_node is self.workflow.volume_node:
            return
        self._reason, self._look_at = _no_reason, 0.0
        self.workflow.select(volume_node)

    def _node_added(self, node: Any) -> None:
        if node is not None and node.IsA("vtkMRMLScalarVolumeNode"):
            self._look_at = time.monotonic() + _LOADING_S
            self.panel.backend.wake()

    def tick(self) -> bool:
        """Choose the likely one among volumes that were loaded while the module is shown, once they are all there.

        Returns:
            Whether they are still waited for.
        """
        if self._look_at and time.monotonic() > self._look_at and not self.workflow.scene.IsBatchProcessing():
            self._look_at = 0.0
            if self.panel.entered:
                self.choose_likely()
        return bool(self._look_at)

    def choose_likely(self) -> None:
        """Work on the volume that looks most like an LGE stack, if none was chosen."""
        if self.workflow.session is None:
            self._reason = why_likely if self.workflow.select_likely() else _no_reason
            self.tab.changed(Change.STATUS)  # what it says of a scene without an LGE volume depends on the others

    def load_sample(self) -> None:
        """Have the phantom study made in a process of its own, and choose it when it is there."""
        self.ui.sampleButton.enabled = False
        folder = tempfile.TemporaryDirectory(prefix="myoscarseg-")
        path = Path(folder.name) / "phantom.npz"

        def made(task: BackgroundTask) -> None:
            with folder:
                study = read_handover(path, "phantom")[0] if task.state == DONE else None
            if self._sample is None:  # the panel goes
                return
            self._sample = None
            self.ui.sampleButton.enabled = True
            why = _("The sample study cannot be made: {why}").format(why=task.error)
            self.tab.status.say_error("" if study is not None else why)
            if study is not None:
                self._reason = lambda _node: _("A phantom with known scar, to try everything on.")
                self.workflow.select(add_study(self.workflow.scene, study, "LGE PSIR phantom"))

        self._sample = BackgroundTask("MyoScarSegLib.phantom", {"path": str(path), "seed": SAMPLE_SEED}, "sample")
        self._sample.on_done(made)
        self._sample.start(**self.panel.backend.processes)

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        sample, self._sample = self._sample, None
        if sample is not None:
            sample.kill()
        self._observers.clear()

    def enter(self) -> None:  # noqa: D102 (the base class describes it)
        self.choose_likely()

    def _renamed(self, node: Any) -> None:
        if node.GetName() != self._named:
            self._show_reason()

    def _show_reason(self) -> None:
        """Say why this volume was chosen: its name, as it is now, is in it."""
        node = self._shown
        self._named = "" if node is None else node.GetName()
        show_text(self.ui.reasonLabel, "" if node is None else self._reason(node))

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        if Change.VOLUME in changes:
            node = self.workflow.volume_node
            # An unusable volume stays chosen, so that its name stands beside the sentence that says what is wrong with it.
            if node is not None and ui.volumeSelector.currentNode() is not node:
                quietly(ui.volumeSelector, lambda: ui.volumeSelector.setCurrentNode(node))
            if node is not None and node is not self._shown:
                self.panel.views.show_volume()
            if node is not self._shown:
                self._observers.remove(self._shown)
                if node is not None:
                    self._observers.add(node, vtk.vtkCommand.ModifiedEvent, self._renamed)
            self._shown = node
            show_text(ui.factsLabel, self.workflow.facts)
            self._show_reason()
        done, total = (0, 0) if self.workflow.requests is None else self.workflow.requests.encoded
        ui.encodedBar.visible = total > 0 and done < total
        ui.encodedBar.maximum = max(total, 1)
        ui.encodedBar.value = done
        if total:
            ui.encodedBar.toolTip = _(
                "{done} of {total} slices prepared in the background. A prepared slice answers at once."
            ).format(done=done, total=total)
