"""A case of a cohort as a study of the scene: put there with all that its folder holds, compared with it, and taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from MyoScarSegLib.engine.review_case import CASE_NO_REFLOW, CASE_SCAR, CAVITY, NO_REFLOW, REMOTE, SHOWN, WALL, ReviewCase
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.outputs.edited import Edited, Marks
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.scene.attributes import VOLUME, our_nodes
from MyoScarSegLib.scene.lge_volumes import add_study
from MyoScarSegLib.scene.packed_masks import pack
from MyoScarSegLib.scene.probability_volume import checked
from MyoScarSegLib.scene.study_numbers import insertion_points, landmarks_of
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.study_state import BoxRow, StudyState
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_state import Landmarks, VentricleState

_MODELS_WALL = "model"
_SAME_PX = 0.01
"""Landmarks nearer than this are at one place: what a file or the scene's world has of them is rounded."""
_DETECTOR = "detector"
"""With this begin the keys of a provenance that say where boxes come from."""
_SETTINGS = ("program", "threshold", "growth_mm", "edited_slices", "reader_s", "method")
"""Keys of a provenance that a study makes itself."""


class ReviewedStudy:
    """A case of a cohort in the scene.

    Attributes:
        case: its name.
        basis: of the result that is looked at, as of :class:`~MyoScarSegLib.engine.review_case.CaseFacts`.
        volume_node: its image.
        session: its study.
    """

    def __init__(self, scene: Any, read: ReviewCase) -> None:
        """Put the case into the scene: boxes, points and probabilities as its folder has them, and scar, wall, no-reflow, remote
        region, landmarks and levels as the reader left them, where he did.

        What is done from now on can be undone, to what is there then.

        Raises:
            StudyError: the image cannot be shown slice by slice.
        """
        self.case, self.basis = read.study.case, read.facts.basis
        self._study = read.study
        self._case_scar, self._case_no_reflow = read.has(CASE_SCAR), read.has(CASE_NO_REFLOW)
        self.volume_node = add_study(scene, read.study, self.case)
        try:
            self.session = StudySession.open(self.volume_node)
            # A left-handed stack has its slices the other way round in the scene.
            self._order = -1 if np.linalg.det(read.study.geometry.direction) < 0 else 1
            if not np.array_equal(self.session.study.voxels, self._turned(read.study.voxels.astype(np.float32)), equal_nan=True):
                raise StudyError(
                    _("The image of {case} is coarser in the slice than across: it cannot be shown.").format(case=self.case)
                )
            self.session.change(_("Open the case"), lambda state: self._state(state, read))
        except BaseException:
            remove_study(self.volume_node)
            raise
        self.session.refresh()
        self.session.history.clear()
        self._accepted = self.session.state
        self._opened_wall, self._readers_wall = self._wall(), read.facts.readers_wall
        self._case_landmarks = self._landmarks(read.facts.insertions)

    @property
    def there(self) -> bool:
        """Whether the volume is still in the scene."""
        return self.volume_node.GetScene() is not None

    @property
    def edited(self) -> bool:
        """Whether anything of the reader's would be lost if it were taken out of the scene; as of the session's last refresh."""
        if not self.there:
            return False
        now, before = self.session.state, self._accepted
        prompts = now.boxes != before.boxes or now.points != before.points
        drawn = any(now.of(k).drawn != before.of(k).drawn for k in now.slices.keys() | before.slices.keys())
        return prompts or drawn or now.ventricle != before.ventricle

    def left_by_reader(self) -> Edited | None:
        """What the reader leaves, as the file has it; None if all is as the case's folder has it."""
        self.session.refresh()
        scar, wall = self._turned(self.session.mask()), self._wall()
        wall_edited = self._readers_wall or not _same(wall, self._opened_wall)
        no_reflow, remote = self._drawn("no_reflow"), self._drawn("remote")
        no_reflow_edited = not np.array_equal(no_reflow, self._case_no_reflow)
        marks = self._marks()
        edited = wall_edited or no_reflow_edited or remote.any() or marks is not None
        if not edited and np.array_equal(scar, self._case_scar):
            return None
        return Edited(
            self._study,
            scar,
            wall if wall_edited else None,
            no_reflow if no_reflow_edited or no_reflow.any() else None,
            remote if remote.any() else None,
            marks,
        )

    def accepted(self, state: StudyState) -> None:
        """What it was then is kept elsewhere now."""
        self._accepted = state

    def remove(self) -> None:
        """Take it out of the scene, with all that was made for it."""
        if self.there:
            remove_study(self.volume_node)

    # ------------------------------------------------------------------ inside

    def _turned(self, stack: np.ndarray) -> np.ndarray:
        """From the file's order of slices to the scene's, and back."""
        return np.ascontiguousarray(stack[:: self._order])

    def _wall(self) -> Ventricle:
        """The wall as it is now, as the file has it; empty without one."""
        shape = self.session.geometry.shape
        now = self.session.state.ventricle.ventricle(shape)
        if now is None:
            return Ventricle(np.zeros(shape, bool), np.zeros(shape, bool), "edited")
        return Ventricle(self._turned(now.myocardium), self._turned(now.cavity), now.source)

    def _drawn(self, part: Literal["no_reflow", "remote"]) -> np.ndarray:
        """bool ``[k, j, i]`` of a region as it is now, as the file has it."""
        shape = self.session.geometry.shape
        mask = getattr(self.session.state.ventricle, part)(shape)
        return np.zeros(shape, bool) if mask is None else self._turned(mask)

    def _marks(self) -> Marks | None:
        """Insertion points and levels as they are now, as the file has them; None if they are the case's."""
        now = self.session.state.ventricle
        if not now.levels and _near(now.landmarks, self._case_landmarks):
            return None
        levels = {self._slice(k): level for k, level in now.levels.items()}
        return Marks(insertion_points(self.session.geometry, now.landmarks), dict(sorted(levels.items())))

    def _landmarks(self, points: InsertionPoints | None) -> Landmarks | None:
        return None if points is None else landmarks_of(self.session.geometry, points)

    def _slice(self, k: int) -> int:
        return k if self._order == 1 else self._study.slices - 1 - k

    def _state(self, state: StudyState, read: ReviewCase) -> StudyState:
        facts, shape, spacing = read.facts, self.session.geometry.shape, read.study.geometry.pixel_spacing_mm
        boxes = tuple(
            BoxRow(self.session.nodes.boxes.next_id + n, replace(box, slice=self._slice(box.slice)))
            for n, box in enumerate(facts.boxes)
        )
        points = tuple(replace(point, slice=self._slice(point.slice)) for point in facts.points)
        made = {key: value for key, value in facts.provenance.items() if key not in _SETTINGS}
        proposals = {key: value for key, value in made.items() if key.startswith(_DETECTOR)}
        run = {key: value for key, value in made.items() if key not in proposals}
        state = replace(
            state, boxes=boxes, points=points, threshold=facts.threshold, growth_mm=facts.growth_mm, proposals=proposals
        )
        probability = {k: checked(k, one, shape) for k, one in enumerate(self._turned(read.probability))}
        state = state.with_masks(probability, {}, {}, run, state.prompts, spacing)
        # Slices that somebody painted in, in the case folder or in an earlier review, are not as the model's probabilities say.
        drawn = {k: pack(one) for k, one in enumerate(self._turned(read.has(SHOWN)))}
        state = state.with_slices({k: replace(state.of(k), drawn=bits) for k, bits in drawn.items()})
        return replace(state, ventricle=self._ventricle(state.ventricle, read, run))

    def _ventricle(self, before: VentricleState, read: ReviewCase, run: Mapping[str, str]) -> VentricleState:
        facts, no_reflow = read.facts, self._turned(read.has(NO_REFLOW))
        found = before
        if facts.wall_source:
            wall = Ventricle(self._turned(read.has(WALL)), self._turned(read.has(CAVITY)), facts.wall_source)  # type: ignore[arg-type]
            found = found.proposed(wall, run) if facts.wall_source == _MODELS_WALL else found.taken(wall)
        if no_reflow.any():
            found = found.with_slices({k: replace(found.of(k), no_reflow=pack(one)) for k, one in enumerate(no_reflow)})
        if (remote := self._turned(read.has(REMOTE))).any():
            found = found.with_remote(remote)
        marks = facts.marks or Marks(facts.insertions)
        levels = {self._slice(k): level for k, level in marks.levels.items()}
        return replace(found, landmarks=self._landmarks(marks.insertion_points), levels=dict(sorted(levels.items())))


def _same(one: Ventricle, other: Ventricle) -> bool:
    return np.array_equal(one.myocardium, other.myocardium) and np.array_equal(one.cavity, other.cavity)


def _near(one: Landmarks | None, other: Landmarks | None) -> bool:
    if one is None or other is None:
        return one is other
    apart = np.subtract((one.anterior, one.inferior), (other.anterior, other.inferior))
    return bool(np.abs(apart).max() < _SAME_PX)


def remove_study(volume_node: Any) -> None:
    """Take a volume out of its scene, with the nodes that were made for it and their folder, transform, display and storage."""
    import slicer

    scene = volume_node.GetScene()
    ours = [node for node, _role in our_nodes(scene) if node.GetNodeReference(VOLUME) is volume_node]
    transform = volume_node.GetParentTransformNode()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folders = set()
    for node in [*ours, volume_node, *([] if transform is None else [transform])]:
        with_it = []
        if node.IsA("vtkMRMLDisplayableNode"):
            with_it += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
        if node.IsA("vtkMRMLStorableNode"):
            with_it.append(node.GetStorageNode())
        item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(node)
        if item:
            if node in ours:
                folders.add(hierarchy.GetItemParent(item))
            hierarchy.RemoveItem(item)  # its node goes with it
        for one in [node, *with_it]:
            if one is not None and one.GetScene() is scene:
                scene.RemoveNode(one)
    for folder in folders:
        if folder != hierarchy.GetSceneItemID() and hierarchy.GetNumberOfItemChildren(folder) == 0:
            hierarchy.RemoveItem(folder)
