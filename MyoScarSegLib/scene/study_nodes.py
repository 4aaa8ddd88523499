"""The nodes of one study: a projection of its state into the scene, and the state that a loaded scene holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.mass_interval import uncertain_pixels
from MyoScarSegLib.scene.attributes import ROLE, ROLE_VIEW, VOLUME, node_of, our_nodes
from MyoScarSegLib.scene.box_table import ROLE_BOXES, BoxTable, taken_over
from MyoScarSegLib.scene.landmark_points import ROLE_LANDMARKS, LandmarkPoints, reversed_landmarks
from MyoScarSegLib.scene.packed_masks import checksum_of, pack, unpack
from MyoScarSegLib.scene.point_lists import ROLE_POINTS, PointLists
from MyoScarSegLib.scene.probability_volume import ROLE_PROBABILITY, ProbabilityVolume
from MyoScarSegLib.scene.result_tables import RESULT_ROLES, ResultTables
from MyoScarSegLib.scene.saved_study import ROLE_STUDY, SavedVentricle, StudyRecord
from MyoScarSegLib.scene.slice_order import grid_of, lay_like, reversed_axis
from MyoScarSegLib.scene.study_folder import StudyFolder
from MyoScarSegLib.scene.study_numbers import StudyNumbers
from MyoScarSegLib.scene.study_state import BoxRow, ModelSlice, SliceState, StudyState
from MyoScarSegLib.scene.tissue_segment import ROLE_SEGMENTATION, TissueSegment
from MyoScarSegLib.scene.translation import _, slice_list
from MyoScarSegLib.scene.ventricle_segments import VentricleSegments
from MyoScarSegLib.scene.ventricle_state import VentricleSlice, VentricleState
from MyoScarSegLib.scene.view_settings import change_view
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study.study import Study

T = TypeVar("T")
_DRAWN = {ROLE_SEGMENTATION, ROLE_LANDMARKS, *ROLE_POINTS.values()}
_ROLES = {ROLE_BOXES, ROLE_PROBABILITY, ROLE_STUDY, *RESULT_ROLES, *_DRAWN}
_IN_VIEWS = {ROLE_VIEW, *_DRAWN}


class StudyNodes:
    """Finds the nodes of a volume's study in its scene; each is made when there is something to keep in it.

    Attributes:
        volume_node: whose study it is.
        study: its voxels and geometry.
        geometry: pixels and world.
        record: settings, provenance, what the model wrote, and the time that is spent on the study.
        boxes, points, segmentation, ventricle, landmarks, probability, results: the parts.
        folder: in the tree of data, with all of these nodes and what shows them.
        problem: a sentence on what of a loaded scene could not be used, empty if all could.
    """

    def __init__(self, volume_node: Any, study: Study, touched: Callable[[], None]) -> None:
        """Our own nodes are put where the volume is now, if it was moved without them.

        ``touched()`` is called when anything of the scar's node was changed, by whomever.
        """
        self.volume_node = volume_node
        self.study = study
        self.geometry = VolumeGeometry(volume_node, study.file_axes)
        self.record = StudyRecord(volume_node)
        self.boxes = BoxTable(volume_node, self.geometry.shape)
        self.points = PointLists(volume_node, self.geometry)
        self._touched = touched
        self.segmentation = self.segmentation_in(self.record.segmentation_node)
        self.ventricle = self._ventricle_in(self.record.segmentation_node)
        self.landmarks = LandmarkPoints(volume_node, self.geometry)
        kept = node_of(volume_node, ROLE_PROBABILITY)
        if kept is not None:
            lay_like(kept, volume_node)
        self.probability = ProbabilityVolume(volume_node, self.geometry)
        self.results = ResultTables(volume_node)
        self.folder = StudyFolder(volume_node, self.record.tag)
        self.problem = ""
        for part in (self.segmentation, self.ventricle, self.probability):
            part.follow_volume()

    def segmentation_in(self, node: Any) -> TissueSegment:
        """The study's scar in this segmentation node, in the study's own one if None."""
        return TissueSegment(self.volume_node, self.geometry, self.record.tag, node, self._touched)

    def _ventricle_in(self, node: Any) -> VentricleSegments:
        """Its other segments there."""
        return VentricleSegments(self.volume_node, self.geometry, self.record.tag, node)

    @property
    def masks_version(self) -> tuple[Any, ...]:
        """Changes whenever voxels of the study's segments may have changed."""
        return self.segmentation.version, self.ventricle.version

    def owns(self, node: Any) -> bool:
        """Whether a node, which may just have been deleted, holds a part of this study."""
        if node is self.segmentation.last_node:
            return True
        return node.GetAttribute(ROLE) in _ROLES and node.GetNodeReferenceID(VOLUME) == self.volume_node.GetID()

    def bring_to_front(self) -> None:
        """This is the study in hand from now on: a scene that is loaded goes on with it.

        Boxes, points, scar and walls of other studies are hidden: over this volume they would look like this one's.
        """
        self.record.bring_to_front()
        own = self.volume_node.GetID()
        for node, role in our_nodes(self.volume_node.GetScene()):
            if role in _IN_VIEWS and node.GetNodeReferenceID(VOLUME) != own:
                node.SetDisplayVisibility(False)
        self.set_visible(True)

    def set_visible(self, visible: bool) -> None:
        """Show or hide points, landmarks, scar and walls; boxes have views of their own."""
        self.points.set_visible(visible)
        self.landmarks.set_visible(visible)
        if self.segmentation.node is not None:
            self.segmentation.node.SetDisplayVisibility(visible)

    def close(self) -> None:
        """Observe nothing any more; the nodes stay."""
        self.record.keep_time()
        for part in (self.boxes, self.points, self.segmentation, self.ventricle, self.landmarks):
            part.close()

    def load(self) -> StudyState:
        """The state that the scene holds. Where an axis of the volume runs the other way than when it was saved, boxes and
        slices are counted anew."""
        (saved, problem), axis = self.record.load(), reversed_axis(self.volume_node, self.study.file_axes)
        reading = self.boxes.read()
        self.problem = " ".join(text for text in (problem, *reading.problems[:3]) if text)
        rows, of_slices = reading.rows, self._counted(saved.slices, axis)
        if axis is not None:
            rows = [BoxRow(row.id, self._reversed(row.box, axis)) for row in rows]
            self.boxes.write(rows)
        state = StudyState(
            boxes=tuple(rows),
            points=tuple(self.points.read()),
            threshold=saved.threshold,
            growth_mm=saved.growth_mm,
            proposals=saved.proposals,
            runs=saved.runs,
            failed=self._counted(saved.failed, axis),
            ventricle=self._load_ventricle(saved.ventricle, axis),
            method=saved.method,
        )
        probability, slices = self.probability.read(of_slices), {}
        for k, drawn in self.drawn().items():
            model = None
            if k in of_slices and k in probability:
                mask = of_slices[k]
                if axis and mask.checksum == checksum_of(self._flipped(drawn, axis - 1)):
                    mask = replace(mask, checksum=checksum_of(drawn))
                model = ModelSlice(probability[k], mask, uncertain_pixels(probability[k]), state.prompts_on(k))
            slices[k] = SliceState(drawn, model)
        state = state.with_slices(slices)
        if axis is not None:  # noted at once: boxes must not be counted anew a second time
            self.record.save(state, self.segmentation.node, grid_of(self.volume_node))
        return state

    def _load_ventricle(self, saved: SavedVentricle, axis: int | None) -> VentricleState:
        slices, of_slices = {}, self._counted(saved.proposed, axis)
        for k, drawn in self.ventricle.read().items():
            proposed = of_slices.get(k, "")
            if axis and proposed == checksum_of(*(self._flipped(bits, axis - 1) for bits in drawn.masks[:2])):
                proposed = checksum_of(*drawn.masks[:2])
            slices[k] = replace(drawn, proposed=proposed)
        levels = self._counted(saved.levels, axis)
        landmarks = saved.landmarks if axis is None else reversed_landmarks(saved.landmarks, axis, self.geometry.shape[axis])
        return VentricleState(slices, saved.source, saved.provenance, self.landmarks.landmarks(landmarks), levels)

    def _counted(self, by_slice: Mapping[int, T], axis: int | None) -> dict[int, T]:
        """What was saved of slices, by the number that they have now."""
        last = self.geometry.shape[0] - 1
        return {last - k: value for k, value in by_slice.items()} if axis == 0 else dict(by_slice)

    def _flipped(self, drawn: bytes, axis: int) -> bytes:
        return pack(np.flip(unpack(drawn, self.study.slice_shape), axis))

    def _reversed(self, box: Box, axis: int) -> Box:
        size = self.geometry.shape[axis]
        if axis == 0:
            return replace(box, slice=size - 1 - box.slice)
        if axis == 1:
            return replace(box, y0=size - box.y1, y1=size - box.y0)
        return replace(box, x0=size - box.x1, x1=size - box.x0)

    def drawn(self) -> dict[int, bytes]:
        """Every slice of the segment as it is, packed."""
        return {k: pack(mask) for k, mask in enumerate(self.segmentation.mask())}

    def read_masks(self, state: StudyState) -> Iterator[tuple[str, StudyState]]:
        """What others did to the segments since they said ``state``: for each kind of change its name, and the state after it."""
        if self.segmentation.segment_id:
            drawn = self.drawn()
            changes = {k: replace(state.of(k), drawn=bits) for k, bits in drawn.items() if bits != state.of(k).drawn}
            if changes:
                state = state.with_slices(changes)
                yield _("Edit {slices} by hand").format(slices=slice_list(changes)), state
        elif state.slices:
            # The segment is gone as a whole. That is no hand edit, which a later run should spare.
            self.probability.write({}, state.models)
            state = replace(state, slices={}, runs=(), failed={})
            if self.segmentation.node is None:  # with its node, in which the wall was, too
                state = replace(state, ventricle=state.ventricle.without_masks())
            yield _("Delete the segmentation"), state
        known = state.ventricle
        if self.ventricle.exist:
            found, shape = self.ventricle.read(), self.study.slice_shape
            slices = {
                k: known.of(k).with_masks(found.get(k, VentricleSlice()), shape) for k in known.slices.keys() | found.keys()
            }
            after = known.with_slices({k: one for k, one in slices.items() if one is not known.of(k)})
            if after != known:
                self.ventricle.write(replace(known, slices=found), after, shape)  # where wall and blood pool overlapped
                edited = [k for k in after.slices.keys() | known.slices.keys() if after.of(k) is not known.of(k)]
                yield _("Edit the wall on {slices}").format(slices=slice_list(edited)), replace(state, ventricle=after)
        elif known.slices:
            yield _("Delete the wall"), replace(state, ventricle=known.without_masks())

    def read_prompts(self, state: StudyState) -> StudyState:
        """``state`` with the boxes and points that others have left in the scene; points in the order in which they were placed.

        A proposal that was moved is the reader's from then on. Points that stayed keep their digits: reading them back from the
        world rounds the last ones.
        """
        rows = self.boxes.read().rows
        boxes = taken_over(rows, state.boxes)
        if boxes != tuple(rows):
            self.boxes.write(boxes)
        known = {_position(point): (n, point) for n, point in enumerate(state.points)}
        placed = [known.get(_position(point), (len(known), point)) for point in self.points.read()]
        points = tuple(point for _n, point in sorted(placed, key=lambda found: found[0]))
        landmarks = self.landmarks.landmarks(state.ventricle.landmarks)
        if (boxes, points, landmarks) == (state.boxes, state.points, state.ventricle.landmarks):
            return state
        return replace(state, boxes=boxes, points=points, ventricle=replace(state.ventricle, landmarks=landmarks))

    def write(self, now: StudyState, target: StudyState) -> None:
        """Make the nodes say what ``target`` says, by writing what differs from ``now``; if that fails, they say ``now`` again.

        Raises:
            SceneError: a node cannot be written.
        """
        redrawn = [k for k in now.slices.keys() | target.slices.keys() if now.of(k).drawn != target.of(k).drawn]

        def masks(state: StudyState) -> None:
            self.segmentation.write_slices({k: unpack(state.of(k).drawn, self.study.slice_shape) for k in redrawn})

        def other(state: StudyState) -> StudyState:
            return target if state is now else now

        before, after = now.models, target.models
        given = [k for k in before.keys() | after.keys() if _probability(before.get(k)) is not _probability(after.get(k))]
        parts: list[Callable[[StudyState], None]] = [masks, lambda state: self.probability.write(state.models, given)]
        if target.boxes != now.boxes:
            parts.append(lambda state: self.boxes.write(state.boxes))
        if target.points != now.points:
            parts.append(lambda state: self.points.write(state.points))
        if target.ventricle.slices != now.ventricle.slices:
            shape = self.study.slice_shape
            parts.append(lambda state: self.ventricle.write(other(state).ventricle, state.ventricle, shape))
        if target.ventricle.landmarks != now.ventricle.landmarks:
            parts.append(lambda state: self.landmarks.show(state.ventricle.landmarks))
        if target.view != now.view:
            parts.append(lambda state: change_view(self.volume_node, other(state).view, state.view))
        for number, part in enumerate(parts):
            try:
                part(target)
            except BaseException:
                for written in reversed(parts[:number]):
                    written(now)
                raise

    def keep(self, state: StudyState, numbers: StudyNumbers, provenance: Mapping[str, str]) -> None:
        """Bring tables, record and folder in step with a state that has been written; those of burden: :meth:`keep_burden`."""
        if state.slices or self.results.exist:
            within = numbers.mass_interval(state)
            self.results.show(numbers.burden(state), within, state.scores, state.edited, provenance)
        self.record.save(state, self.segmentation.node, grid_of(self.volume_node))
        self.record.keep_time()
        self.folder.collect()

    def keep_burden(self, state: StudyState, numbers: StudyNumbers) -> None:
        """Bring the tables of burden, segments and reference methods in step, the last while they are followed."""
        if state.has_masks or state.ventricle.has_wall:
            try:
                self.results.show_burden(numbers.measurements(state))
            except MyoScarSegError as error:
                self.results.show_burden(None, problem=str(error))
        else:
            self.results.show_burden(None)
        try:
            self.results.show_methods(numbers.followed_methods(state))
        except MyoScarSegError as error:
            self.results.show_methods(None, problem=str(error))
        self.folder.collect()

    def move_segmentation(self, node: Any, state: StudyState) -> None:
        """Put the scar into another segmentation node; if that has one of this study already, the present one stays in its node.

        Raises:
            SceneError: the node cannot take it; nothing has changed then.
        """
        self.segmentation.check(node)
        moved = self.segmentation_in(node)
        if not moved.segment_id:
            moved.write_slices({k: unpack(s.drawn, self.study.slice_shape) for k, s in state.slices.items()})
            self.segmentation.remove_segment()
        ventricle = self._ventricle_in(node)
        if not ventricle.exist:
            ventricle.write(VentricleState(), state.ventricle, self.study.slice_shape)
            self.ventricle.remove()
        for part in (self.segmentation, self.ventricle):
            part.close()
        self.segmentation, self.ventricle = moved, ventricle
        self.record.save(state, node, grid_of(self.volume_node))


def _probability(model: ModelSlice | None) -> np.ndarray | None:
    return None if model is None else model.probability


def _position(point: Point) -> tuple[int, float, float, bool]:
    return point.slice, round(point.x, 4), round(point.y, 4), point.positive
