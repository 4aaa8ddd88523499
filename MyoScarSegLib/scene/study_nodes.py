"""The nodes of one study together: their state as one value, and a state written back into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.scene.attributes import ROLE, ROLE_VIEW, VOLUME, node_of, our_nodes
from MyoScarSegLib.scene.boxes import ROLE_BOXES, BoxRow, BoxTable
from MyoScarSegLib.scene.folder import StudyFolder
from MyoScarSegLib.scene.geometry import VolumeGeometry
from MyoScarSegLib.scene.look import change_look
from MyoScarSegLib.scene.points import ROLE_POINTS, PointPrompts
from MyoScarSegLib.scene.probability import ROLE_PROBABILITY, ProbabilityVolume
from MyoScarSegLib.scene.results import ROLE_PROVENANCE, ROLE_RESULTS, ResultTables, numbers
from MyoScarSegLib.scene.segmentation import ROLE_SEGMENTATION, ScarSegmentation
from MyoScarSegLib.scene.slice_order import grid_of, lay_like, reversed_axis
from MyoScarSegLib.scene.state import ModelSlice, SliceState, StudyState, mark_of, pack, unpack, with_slices
from MyoScarSegLib.scene.study_node import ROLE_STUDY, StudyNode
from MyoScarSegLib.study.study import Study

_ROLES = {
    ROLE_BOXES,
    ROLE_SEGMENTATION,
    ROLE_PROBABILITY,
    ROLE_RESULTS,
    ROLE_PROVENANCE,
    ROLE_STUDY,
    *ROLE_POINTS.values(),
}

_PROMPT_VIEWS = {ROLE_VIEW, *ROLE_POINTS.values()}


class StudyNodes:
    """Finds the nodes of a volume's study in its scene; each is made when there is something to keep in it.

    Attributes:
        volume_node: whose study it is.
        study: its voxels and geometry.
        geometry: pixels and world.
        record: settings, provenance, and what the model wrote.
        boxes, points, segmentation, probability, results: the parts.
        problem: a sentence on what of a loaded scene could not be used, empty if all could.
    """

    def __init__(self, volume_node: Any, study: Study, *, follow: bool) -> None:
        """
        Args:
            volume_node: scalar volume.
            study: what it holds.
            follow: put our own nodes where the volume is now, if it was moved without them.
        """
        self.volume_node = volume_node
        self.study = study
        self._on_touched: list[Callable[[], None]] = []
        self.geometry = VolumeGeometry(volume_node, study.file_axes)
        self.record = StudyNode(volume_node)
        self._reversed = reversed_axis(volume_node, study.file_axes)
        self._loaded = self.record.load()
        self.problem = self._loaded.problem
        self.boxes = BoxTable(volume_node, self.geometry.shape)
        kept = node_of(volume_node, ROLE_PROBABILITY)
        if kept is not None:
            lay_like(kept, volume_node)
        if self._reversed is not None:
            self._count_anew(self._reversed)
        self.points = PointPrompts(volume_node, self.geometry)
        self.segmentation = self.segmentation_in(self.record.segmentation_node)
        spacing = study.geometry.pixel_spacing_mm
        self.probability = ProbabilityVolume(volume_node, self.geometry, spacing, set(self._loaded.slices))
        self.results = ResultTables(volume_node)
        self._folder = StudyFolder(volume_node, self.record.tag)
        if follow:
            self.segmentation.follow_volume()
            self.probability.follow_volume()

    def segmentation_in(self, node: Any) -> ScarSegmentation:
        """The study's scar in this segmentation node, in the study's own one if None."""
        return ScarSegmentation(self.volume_node, self.geometry, self.record.tag, node, self._segment_touched)

    def on_segment_touched(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` when the scar's node was changed, by whomever. Returns the function that ends this."""
        self._on_touched.append(callback)
        return lambda: self._on_touched.remove(callback) if callback in self._on_touched else None

    def _segment_touched(self) -> None:
        for callback in list(self._on_touched):
            callback()

    def owns(self, node: Any) -> bool:
        """Whether a node, which may just have been deleted, holds a part of this study."""
        if node is self.segmentation.last_node:
            return True
        return node.GetAttribute(ROLE) in _ROLES and node.GetNodeReferenceID(VOLUME) == self.volume_node.GetID()

    def hide_others(self) -> None:
        """Hide boxes and points of the scene's other studies: over this volume they would look like this one's."""
        own = self.volume_node.GetID()
        for node, role in our_nodes(self.volume_node.GetScene()):
            if role in _PROMPT_VIEWS and node.GetNodeReferenceID(VOLUME) != own:
                node.SetDisplayVisibility(False)

    def close(self) -> None:
        """Observe nothing any more; the nodes stay."""
        self.boxes.close()
        self.points.close()
        self.segmentation.close()
        self._on_touched.clear()

    # ------------------------------------------------------------------ reading

    def read(self) -> StudyState:
        """The state that a scene was loaded in."""
        loaded, slices = self._loaded, {}
        for k, bits in self.drawn().items():
            fields, probability = loaded.slices.get(k), self.probability.of(k)
            if fields is not None and self._reversed and fields["mark"] == mark_of(self._as_before(bits)):
                fields = {**fields, "mark": mark_of(bits)}
            model = None if fields is None or probability is None else ModelSlice(probability, **fields)
            slices[k] = SliceState(bits, model)
        state = StudyState(
            threshold=loaded.threshold,
            growth_mm=loaded.growth_mm,
            slices=with_slices({}, slices),
            proposals=loaded.proposals,
            runs=loaded.runs,
            failed=loaded.failed,
        )
        state = self.with_prompts(state)
        if self._reversed is not None:  # noted at once: boxes must not be counted anew a second time
            self.record.save(state, self.segmentation.existing_node, grid_of(self.volume_node))
            self._reversed = None
        return state

    def _count_anew(self, axis: int) -> None:
        """Boxes, and what is known of slices, along an axis that runs the other way now."""
        last, size = self.geometry.shape[0] - 1, self.geometry.shape[axis]

        def turned(box: Box) -> Box:
            if axis == 0:
                return replace(box, slice=last - box.slice)
            if axis == 1:
                return replace(box, y0=size - box.y1, y1=size - box.y0)
            return replace(box, x0=size - box.x1, x1=size - box.x0)

        self.boxes.write([BoxRow(row.id, turned(row.box)) for row in self.boxes.rows()])
        if axis == 0:
            slices = {last - k: fields for k, fields in self._loaded.slices.items()}
            self._loaded = replace(self._loaded, slices=slices, failed={last - k: why for k, why in self._loaded.failed.items()})

    def _as_before(self, bits: bytes) -> bytes:
        """A slice's mask as it was packed before an axis in the plane ran the other way."""
        assert self._reversed is not None  # noqa: S101 (else it is not asked)
        return pack(np.flip(unpack(bits, self.study.slice_shape), self._reversed - 1))

    def drawn(self) -> dict[int, bytes]:
        """Every slice of the segment as it is, packed."""
        return {k: pack(mask) for k, mask in enumerate(self.segmentation.mask())}

    def with_prompts(self, state: StudyState) -> StudyState:
        """``state`` with the boxes and points that the scene has now; points in the order in which they were placed."""
        points = self.points.points()
        if len(points) == len(state.points) and {position(p) for p in points} == {position(p) for p in state.points}:
            points = list(state.points)
        else:
            known = {position(p): n for n, p in enumerate(state.points)}
            points.sort(key=lambda p: known.get(position(p), len(known)))
        return replace(state, boxes=tuple(self.boxes.rows()), points=tuple(points))

    # ------------------------------------------------------------------ writing

    def write(self, now: StudyState, target: StudyState) -> None:
        """Make the nodes say what ``target`` says, by writing what differs from ``now``; if that fails, they say ``now`` again.

        Raises:
            SceneError: a node cannot be written.
        """
        changed = [k for k in now.slices.keys() | target.slices.keys() if now.of(k) is not target.of(k)]
        redrawn = [k for k in changed if now.of(k).drawn != target.of(k).drawn]

        def masks(state: StudyState) -> None:
            self.segmentation.write_slices(self._masks({k: state.of(k) for k in redrawn}))

        def probabilities(state: StudyState) -> None:
            models = {k: state.of(k).model for k in changed}
            self.probability.write({k: None if model is None else model.probability for k, model in models.items()})

        parts: list[Callable[[StudyState], None]] = [masks, probabilities]
        if target.boxes != now.boxes:
            parts.append(lambda state: self.boxes.write(state.boxes))
        if target.points != now.points:
            parts.append(lambda state: self.points.write(state.points))
        if target.look != now.look:
            parts.append(lambda state: change_look(self.volume_node, target.look if state is now else now.look, state.look))
        for number, part in enumerate(parts):
            try:
                part(target)
            except BaseException:
                for written in reversed(parts[:number]):
                    written(now)
                raise

    def settle(self, state: StudyState, provenance: Mapping[str, str]) -> None:
        """Keep tables, record and folder in step with a state that has been written."""
        if state.segmented or state.edited or self.results.exist:
            mask = np.zeros(self.geometry.shape, dtype=bool)
            for k, of_slice in self._masks(state.slices).items():
                mask[k] = of_slice
            self.results.show(numbers(self.study, mask), state.scores, state.edited, provenance)
        self.record.save(state, self.segmentation.existing_node, grid_of(self.volume_node))
        self._folder.collect()

    def move_segmentation(self, node: Any, state: StudyState) -> bool:
        """Put the scar into another segmentation node, which it is taken from if that has one of this study already.

        Returns:
            Whether it has; then what the present node holds stays there.

        Raises:
            SceneError: the node cannot take it; nothing has changed then.
        """
        self.segmentation.check(node)
        moved = self.segmentation_in(node)
        has_one = bool(moved.existing_segment_id)
        if not has_one:
            moved.write_slices(self._masks(state.slices))
            self.segmentation.remove_segment()
        self.segmentation.close()
        self.segmentation = moved
        self.record.save(state, node, grid_of(self.volume_node))
        return has_one

    def _masks(self, slices: Mapping[int, SliceState]) -> dict[int, np.ndarray]:
        return {k: unpack(s.drawn, self.study.slice_shape) for k, s in slices.items()}


def position(point: Point) -> tuple[int, float, float, bool]:
    """A point for comparing: reading it back from the world rounds the last digits."""
    return point.slice, round(point.x, 4), round(point.y, 4), point.positive
