"""The ideal workflow as a script: what a reader does with a study, with the scene asserted after each step.

Propose, reject one, resize one, add one, segment all, add a negative point, change the threshold, paint in a slice, run again,
undo three times, save, reload, continue.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.workflow import Workflow
from Testing.support.workflow_factory import catch_up, encode_all, finish, paint_in_scene, scar_in_scene


class IdealWorkflow:
    """The steps, in order; each may be called once, after the ones before it."""

    def __init__(self, workflow: Workflow, volume_node: Any) -> None:
        self.workflow = workflow
        self.volume_node = volume_node
        self.rejected = self.resized = self.added = 0
        self.voxels_before = np.array(_voxels(volume_node))

    @property
    def session(self) -> Any:
        assert self.workflow.session is not None
        return self.workflow.session

    def scar(self) -> np.ndarray:
        """bool ``[k, j, i]``, as the scene has it."""
        return scar_in_scene(self.volume_node, self.session.segmentation.node)

    def run_to_undo(self) -> None:
        """All steps before saving."""
        self.choose()
        self.propose()
        self.reject_one()
        self.resize_one()
        self.add_one()
        self.segment_all()
        self.add_negative_point()
        self.change_threshold()
        self.paint_in_a_slice()
        self.run_again()
        self.undo_three_times()
        assert np.array_equal(_voxels(self.volume_node), self.voxels_before)

    def choose(self) -> None:
        assert self.workflow.select(self.volume_node), self.workflow.error
        assert self.workflow.facts
        assert "Propose boxes" in self.workflow.status
        assert not self.scar().any()
        encode_all(self.workflow)

    def propose(self) -> None:
        number = finish(self.workflow, self.workflow.session.requests.propose())
        rows = self.session.state.boxes
        assert len(rows) == number >= 3, "the detector found too few boxes for this script"
        assert not self.scar().any()
        assert "Look through them" in self.workflow.status
        assert self.session.history.can_undo

    def reject_one(self) -> None:
        self.rejected = self._proposal().id
        assert self.workflow.session.set_box_state(self.rejected, BoxState.REJECTED)
        assert self.session.state.box(self.rejected).state is BoxState.REJECTED
        assert not self.scar().any()  # nothing was segmented there, so nothing is now

    def resize_one(self) -> None:
        row = self._proposal()
        self.resized = row.id
        size = self.session.study.slice_shape
        x1, y1 = min(row.box.x1 + 3, size[1]), min(row.box.y1 + 2, size[0])
        assert self.workflow.session.update_box(row.id, x1=x1, y1=y1), self.workflow.error
        catch_up(self.workflow)
        box = self.session.state.box(row.id)
        assert (box.x1, box.y1) == (x1, y1)
        assert self.workflow.session.pending.latencies_ms
        assert not np.delete(self.scar(), row.box.slice, axis=0).any()

    def add_one(self) -> None:
        rows, columns = self.session.study.slice_shape
        k = self.session.study.slices // 2
        box = Box(k, columns * 0.4, rows * 0.4, columns * 0.6, rows * 0.6)
        before = len(self.session.state.boxes)
        number = self.workflow.session.add_box(box)
        assert number, self.workflow.error
        self.added = number
        assert len(self.session.state.boxes) == before + 1
        catch_up(self.workflow)
        assert self.scar()[k].any(), "the new box has no mask"

    def segment_all(self) -> None:
        kept = finish(self.workflow, self.workflow.session.requests.segment())
        assert list(kept) == []
        scar = self.scar()
        asked = {b.slice for b in [row.box for row in self.session.state.boxes] if b.state is not BoxState.REJECTED}
        assert set(np.flatnonzero(scar.any(axis=(1, 2)))) <= asked
        burden = self.workflow.session.burden
        assert burden is not None
        assert burden.pixels == scar.sum() > 0
        assert "mL" in self.workflow.status
        assert self.workflow.session.stale_slices == []

    def add_negative_point(self) -> None:
        k = self.session.state.box(self.added).slice
        before = self.scar()
        # Outside all boxes, where a click counts for every object: the tiny network's fill the slice and hide each other.
        free = before[k].copy()
        for box in (b for b in [row.box for row in self.session.state.boxes] if b.slice == k):
            free[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = False
        y, x = np.argwhere(free)[len(np.argwhere(free)) // 2]
        assert self.workflow.session.add_point(Point(k, float(x) + 0.5, float(y) + 0.5, positive=False)), self.workflow.error
        catch_up(self.workflow)
        after = self.scar()
        assert [p.positive for p in self.session.state.points] == [False]
        assert not np.array_equal(after[k], before[k])
        assert np.array_equal(np.delete(after, k, axis=0), np.delete(before, k, axis=0))

    def change_threshold(self) -> None:
        self.before_threshold = self.scar()
        self.workflow.session.set_threshold(0.3)
        lower = self.scar()
        assert (lower | self.before_threshold == lower).all(), "a lower threshold can only add pixels"
        assert lower.sum() > self.before_threshold.sum()

    def paint_in_a_slice(self) -> None:
        scar = self.scar()
        self.before_painting = scar.copy()
        self.painted = int(np.flatnonzero(scar.any(axis=(1, 2)))[0])
        scar[self.painted, 2:6, 2:6] ^= True  # painted where there was none, erased where there was scar
        paint_in_scene(self.volume_node, self.session.segmentation.node, scar)
        self.workflow.pump()
        burden = self.workflow.session.burden
        assert burden is not None
        assert burden.pixels == scar.sum(), "the numbers do not follow the painting"

    def run_again(self) -> None:
        before = self.scar()
        kept = finish(self.workflow, self.workflow.session.requests.segment())
        assert list(kept) == [self.painted]
        assert "painted" in self.workflow.note
        after = self.scar()
        assert np.array_equal(after[self.painted], before[self.painted]), "the painting is gone"
        self.final = after

    def undo_three_times(self) -> None:
        assert self.workflow.session.undo()  # the second run
        assert self.workflow.session.undo()  # the painting
        assert np.array_equal(self.scar(), self.before_painting)
        assert self.workflow.session.undo()  # the threshold
        assert np.array_equal(self.scar(), self.before_threshold)
        assert self.session.state.threshold == 0.5
        assert len(self.session.state.points) == 1
        assert self.session.state.box(self.rejected).state is BoxState.REJECTED
        assert self.workflow.session.stale_slices == []
        burden = self.workflow.session.burden
        assert burden is not None
        assert burden.pixels == self.before_threshold.sum()

    def save(self, path: Path) -> None:
        """Write the scene as ``.mrb``, and keep what it held, to compare."""
        self.kept = (self.session.state.boxes, self.session.state.points, self.scar(), _voxels(self.volume_node).copy())
        assert self.workflow.scene.WriteToMRB(str(path))

    def reload(self, path: Path) -> None:
        """Close the scene and read the file: the workflow takes its study up by itself."""
        import slicer

        scene = self.workflow.scene
        scene.Clear(0)
        self.workflow.pump()
        assert self.workflow.session is None
        assert "Choose an LGE volume" in self.workflow.status
        scene.ReadFromMRB(str(path), True, slicer.vtkMRMLMessageCollection())
        self.workflow.pump()
        assert self.workflow.session is not None, self.workflow.error
        self.volume_node = self.workflow.volume_node
        boxes, points, scar, voxels = self.kept
        assert self.session.state.boxes == boxes
        assert [(p.slice, round(p.x, 2), round(p.y, 2), p.positive) for p in self.session.state.points] == [
            (p.slice, round(p.x, 2), round(p.y, 2), p.positive) for p in points
        ]
        assert np.array_equal(self.scar(), scar)
        assert np.allclose(_voxels(self.volume_node), voxels)
        assert self.session.state.threshold == 0.5
        assert self.session.state.edited == []
        assert not self.session.history.can_undo

    def continue_work(self) -> None:
        """The loaded study goes on as if it had never been away."""
        before = self.scar()
        k = self.session.state.box(self.added).slice
        x0, y0, _x1, _y1 = self.session.state.box(self.added).xyxy
        assert self.workflow.session.add_point(Point(k, x0 + 1.5, y0 + 1.5)), self.workflow.error
        catch_up(self.workflow)
        after = self.scar()
        assert not np.array_equal(after[k], before[k])
        assert np.array_equal(np.delete(after, k, axis=0), np.delete(before, k, axis=0))
        self.workflow.session.set_threshold(0.4)  # the probabilities came with the scene
        assert (self.scar() | after == self.scar()).all()
        assert self.workflow.session.undo()
        assert self.workflow.session.undo()
        assert np.array_equal(self.scar(), before)
        assert list(finish(self.workflow, self.workflow.session.requests.segment())) == []

    def _proposal(self) -> Any:
        """A proposal that was not touched yet, of another slice than the one that gets a box of the user's."""
        middle = self.session.study.slices // 2
        taken = {self.rejected, self.resized}
        return next(
            row
            for row in self.session.state.boxes
            if row.box.state is BoxState.PROPOSED and row.id not in taken and row.box.slice != middle
        )


def _voxels(volume_node: Any) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(volume_node)
