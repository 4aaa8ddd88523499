"""One study of a scene: its boxes, points, scar, settings and numbers, changed together and undone together."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import MyoScarSegError, SceneError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.quantification.burden import ScarBurden
from MyoScarSegLib.result import Result, SliceMasks, check_threshold, mask_of
from MyoScarSegLib.scene.attributes import volumes_with
from MyoScarSegLib.scene.history import History
from MyoScarSegLib.scene.look import fit_to_heart, look_of
from MyoScarSegLib.scene.probability import check_growth
from MyoScarSegLib.scene.results import numbers
from MyoScarSegLib.scene.segmentation import ScarSegmentation
from MyoScarSegLib.scene.state import (
    ModelSlice,
    SliceState,
    StudyState,
    bytes_between,
    mark_of,
    pack,
    with_run,
    with_slices,
)
from MyoScarSegLib.scene.study_node import ROLE_STUDY
from MyoScarSegLib.scene.study_nodes import StudyNodes, position
from MyoScarSegLib.scene.text import _, slice_list
from MyoScarSegLib.scene.volumes import content_hash, study_of

_log = logging.getLogger(__name__)
_open: weakref.WeakValueDictionary[tuple[str, str], StudySession] = weakref.WeakValueDictionary()


class StudySession:
    """Everything of one volume's study, found in the scene or made when it is needed.

    Each method that changes something is one entry of :attr:`history`, and leaves the scene as it was if it raises. What the
    user does elsewhere (drags a box, places a point, paints in the Segment Editor, deletes a node) is noticed before the next
    step and becomes an entry of its own, so undo goes back over it as well.

    The user's edits win: a slice that was painted in by hand is not touched by the model, a threshold or a growth, unless
    ``overwrite_edited`` says so.

    Attributes:
        volume_node: the LGE volume; never changed.
        study: its voxels and geometry.
        geometry: pixels and world.
        boxes, points, segmentation, probability, results: the study's nodes.
        history: what can be undone; it begins when the session is opened.
        problem: a sentence on what of a loaded scene could not be used, empty if all could.
    """

    def __init__(self, volume_node: Any, *, watch: bool = True) -> None:
        """See :meth:`open`. Without ``watch`` it reads the scene as it is now, and follows no change."""
        self.volume_node = volume_node
        self.study = study_of(volume_node)
        self._nodes = StudyNodes(volume_node, self.study, follow=watch)
        self.geometry = self._nodes.geometry
        self.boxes = self._nodes.boxes
        self.points = self._nodes.points
        self.probability = self._nodes.probability
        self.results = self._nodes.results
        self.problem = " ".join(text for text in (self._nodes.problem, *self.boxes.problems[:3]) if text)
        self.history: History[StudyState] = History(size=bytes_between)
        self._hash = content_hash(volume_node)
        self._key = _key(volume_node)
        self._closed = False
        self._busy = 0
        self._state = self._nodes.read()
        self._stamp: tuple[Any, ...] | None = self.segmentation.stamp
        # The nodes hold on to what observes them: a session that is dropped without a word would be served for ever.
        weakref.finalize(self, self._nodes.close)
        self._unobserve: list[Callable[[], None]] = []
        if watch:
            weak = weakref.WeakMethod(self._on_prompts)

            def on_prompts() -> None:
                if (alive := weak()) is not None:
                    alive()

            self._unobserve = [self.boxes.observe(on_prompts), self.points.observe(on_prompts)]

    @classmethod
    def open(cls, volume_node: Any) -> StudySession:
        """The session of a volume: the one that is open already, or a new one on what the scene holds.

        Raises:
            StudyError: the volume is no LGE stack; the message says why.
        """
        opened = None if volume_node is None or volume_node.GetScene() is None else _open.get(_key(volume_node))
        if opened is not None and opened.is_current():
            return opened
        if opened is not None:
            opened.close()  # the volume is another one now: two sessions would both answer to each edit
        session = cls(volume_node)
        _open[session._key] = session
        return session

    def close(self) -> None:
        """Follow the scene no longer, and forget the history; the nodes stay."""
        if self._closed:
            return
        self._closed = True
        for remove in self._unobserve:
            remove()
        self._nodes.close()
        self.history.clear()
        if _open.get(self._key) is self:
            del _open[self._key]

    def is_current(self) -> bool:
        """Whether the volume still is what it was when the session was opened, voxels and place alike."""
        node = self.volume_node
        return not self._closed and node.GetScene() is not None and content_hash(node) == self._hash

    @property
    def turn(self) -> int:
        """Grows with every study of the scene that is taken up."""
        return self._nodes.record.turn

    def take_up(self) -> None:
        """This is the study in hand from now on: a scene that is loaded goes on with it, and no other's prompts are shown."""
        self._nodes.record.take_up()
        self._nodes.hide_others()
        self.points.set_visible(True)

    def owns(self, node: Any) -> bool:
        """Whether a node, which may just have been deleted, holds a part of this study."""
        return self._nodes.owns(node)

    # ------------------------------------------------------------------ asking

    @property
    def segmentation(self) -> ScarSegmentation:
        """The scar's segment; another object after :meth:`use_segmentation`."""
        return self._nodes.segmentation

    def on_segment_touched(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` when the scar's node was changed, by whomever. Returns the function that ends this."""
        return self._nodes.on_segment_touched(callback)

    @property
    def threshold(self) -> float:
        """Probability from which on a pixel counts as scar."""
        return self._state.threshold

    @property
    def growth_mm(self) -> float:
        """By how much masks are grown, or below 0 shrunk, in the slice."""
        return self._state.growth_mm

    @property
    def proposed(self) -> bool:
        """Whether boxes have been proposed, whatever came of it, and that was not taken back."""
        return bool(self._state.proposals)

    @property
    def segmented(self) -> bool:
        """Whether there is any mask, of the model or of the user."""
        self.refresh()
        return bool(self._state.segmented or self._state.edited)

    @property
    def edited_slices(self) -> list[int]:
        """Slices that the user has painted or erased in, which the model therefore leaves alone."""
        self.refresh()
        return self._state.edited

    @property
    def provenance(self) -> dict[str, str]:
        """Where boxes and masks come from, with the settings they have now: the keys of every file that the program writes."""
        return {"program": f"MyoScarSeg {__version__}", **self._state.provenance}

    def prompts(self, slices: Iterable[int] | None = None) -> tuple[list[Box], list[Point]]:
        """Boxes, rejected ones too, and points on these slices, on all if None."""
        wanted = None if slices is None else set(slices)
        boxes = [box for box in self.boxes.all_boxes() if wanted is None or box.slice in wanted]
        points = [point for point in self.points.points() if wanted is None or point.slice in wanted]
        return boxes, points

    def mask(self) -> np.ndarray:
        """bool ``[k, row, column]``: the scar segment as it is in the scene."""
        return self.segmentation.mask()

    def burden(self) -> ScarBurden:
        """Area, volume and mass of the scar segment as it is in the scene."""
        return numbers(self.study, self.mask())

    def review_order(self) -> list[int]:
        """Box ids in the order of looking through them: proposals by slice, in a slice the most doubtful first."""
        waiting = [row for row in self.boxes.rows() if row.box.state is BoxState.PROPOSED and not row.box.by_reader]
        waiting.sort(key=lambda row: (row.box.slice, row.box.confidence if row.box.confidence is not None else 0.0, row.id))
        return [row.id for row in waiting]

    def to_result(self) -> Result:
        """The study as the command line's result: probabilities, and the mask as it is in the scene."""
        self.refresh()
        boxes, points = self.prompts()
        return Result(
            study=self.study,
            probability=self.probability.array(),
            threshold=self._state.threshold,
            boxes=tuple(boxes),
            points=tuple(points),
            scores=self._state.scores,
            failed_slices=dict(self._state.failed),
            provenance=self.provenance,
            drawn=self.mask(),
        )

    # ------------------------------------------------------------------ what models give

    def apply_proposals(
        self,
        boxes: Iterable[Box],
        provenance: Mapping[str, str] | None = None,
        *,
        heart: tuple[float, float] | None = None,
        fit: bool = False,
    ) -> None:
        """Put proposed boxes in place of earlier proposals; accepted, rejected and the user's own boxes stay.

        Args:
            boxes: the proposals.
            provenance: of them.
            heart: ``(x, y)`` of the left ventricle's middle, None if it is not known.
            fit: have views and grey scale show the heart, if these are the study's first proposals: later the reader may have
                chosen others. Undone with the proposals.
        """
        boxes, fit = list(boxes), fit and not self._state.proposals
        if fit:
            self._state = replace(self._state, look=look_of(self.volume_node))
        with self._step(_("Propose boxes")):
            self.boxes.replace_proposals(boxes)
            look = self._state.look
            if fit:
                look = fit_to_heart(self.volume_node, self.geometry, self.study.voxels, boxes, heart)
            self._state = replace(self._state, proposals=dict(provenance or {}), look=look)

    def apply_masks(
        self,
        masks: SliceMasks,
        provenance: Mapping[str, str] | None = None,
        overwrite_edited: bool = False,
        same_step: bool = False,
    ) -> list[int]:
        """Write the masks of a run of the segmenter, with the threshold and growth in force.

        Args:
            masks: probabilities of the slices that were run.
            provenance: of the run; what the masks say themselves if None.
            overwrite_edited: write also where the user painted, whose work is then replaced.
            same_step: the masks belong to the latest action (a box was moved) and are undone together with it.

        Returns:
            The slices that were left as they are, because the user painted in them.
        """
        with self._step(_("Segment scar"), same_step=same_step):
            state = self._state
            wanted = {int(k): array for k, array in sorted(masks.probability.items())}
            kept = [] if overwrite_edited else [k for k in wanted if state.of(k).edited]
            made_by = dict(masks.provenance if provenance is None else provenance)
            runs, run = with_run(state, made_by, {k for k in wanted if k not in kept})
            changes = {}
            for k, array in wanted.items():
                if k not in kept:
                    probability = self.probability.checked(k, array)
                    changes[k] = self._slice_state(probability, masks.scores.get(k), run, state.threshold, state.growth_mm)
            failed = {k: why for k, why in state.failed.items() if k not in wanted}
            failed |= {int(k): str(why) for k, why in masks.failed.items()}
            runs = runs if changes else state.runs
            self._become(replace(state, slices=with_slices(state.slices, changes), runs=runs, failed=failed))
        return kept

    # ------------------------------------------------------------------ the user's edits

    def add_box(self, box: Box) -> int:
        """Add a box; returns its id. Raises PromptError if it is empty or outside the image."""
        with self._step(_("Add a box")):
            return self.boxes.add(box)

    def update_box(self, box_id: int, **changes: Any) -> Box:
        """Change fields of a box; returns it as it is now. Raises PromptError as :meth:`add_box`."""
        with self._step(_("Change a box")):
            return self.boxes.update(box_id, **changes)

    def remove_box(self, box_id: int) -> None:
        """Delete a box."""
        with self._step(_("Delete a box")):
            self.boxes.remove(box_id)

    def set_box_state(self, box_id: int, state: BoxState) -> None:
        """Accept or reject a box, or make it a proposal again."""
        labels = {BoxState.ACCEPTED: _("Accept a box"), BoxState.REJECTED: _("Reject a box")}
        with self._step(labels.get(state, _("Change a box"))):
            self.boxes.set_state(box_id, state)

    def copy_box_to_next(self, box_id: int) -> int:
        """Copy a box to the next slice; returns the copy's id. Raises PromptError if there is no next slice."""
        with self._step(_("Copy a box")):
            return self.boxes.copy_to_next(box_id)

    def add_point(self, point: Point) -> None:
        """Add a point. Raises PromptError if it is outside the image."""
        with self._step(_("Add a + point") if point.positive else _("Add a - point")):
            self.points.add(point)

    def remove_last_point(self) -> Point:
        """Take the point away that was placed last. Raises SceneError if there is none."""
        with self._step(_("Remove a point")):
            if not self._state.points:
                raise SceneError(_("There is no point to remove."))
            last = self._state.points[-1]
            self.points.write([point for point in self.points.points() if position(point) != position(last)])
            return last

    def set_threshold(self, threshold: float, same_step: bool = False) -> list[int]:
        """Count pixels as scar from this probability on, in every slice of the model that was not edited by hand.

        Args:
            threshold: probability between 0 and 1.
            same_step: it belongs to the latest action, as all but the first value of a slider that is being dragged.

        Returns:
            The slices with a mask of the model that keep theirs, because the user painted in them.
        """
        check_threshold(threshold)
        with self._step(_("Threshold"), same_step=same_step):
            return self._apply_settings(float(threshold), self._state.growth_mm)

    def set_growth_mm(self, growth_mm: float, same_step: bool = False) -> list[int]:
        """Grow, or below 0 shrink, the model's masks by millimetres in the slice. As :meth:`set_threshold`."""
        check_growth(growth_mm)
        with self._step(_("Grow") if growth_mm > self._state.growth_mm else _("Shrink"), same_step=same_step):
            return self._apply_settings(self._state.threshold, float(growth_mm))

    def clear(self) -> None:
        """Take away boxes, points and the model's masks; slices that the user painted in stay as they are."""
        with self._step(_("Clear")):
            state = self._state
            slices = {k: SliceState(s.drawn if s.edited else b"") for k, s in state.slices.items()}
            self._become(replace(state, boxes=(), points=(), slices=with_slices({}, slices), proposals={}, runs=(), failed={}))

    def use_segmentation(self, node: Any) -> None:
        """Put the scar into this segmentation node from now on; its other segments stay.

        The scar as it is moves there. If the node has a scar of this study already, that one is taken, and the present one stays
        in its node.

        Raises:
            SceneError: the node cannot take it (locked, another grid, surfaces only); nothing has changed then.
        """
        self.refresh()
        if node is not None and node is self.segmentation.existing_node:
            return
        with self._writing():
            self._stamp = None if self._nodes.move_segmentation(node, self._state) else self.segmentation.stamp
        self.refresh()

    # ------------------------------------------------------------------ undo

    def undo(self) -> str:
        """Take the latest action back, whatever it changed. Returns what it was called.

        Raises:
            SceneError: there is nothing to undo. Actions before the session was opened (a scene that was loaded) stay.
        """
        self.refresh()
        with self._all_or_nothing():
            return self.history.undo(self._restore)

    def redo(self) -> str:
        """Do again what undo took back. Raises SceneError if there is nothing to redo."""
        self.refresh()
        with self._all_or_nothing():
            return self.history.redo(self._restore)

    # ------------------------------------------------------------------ following the scene

    def refresh(self) -> None:
        """Notice what was changed outside: hand edits, boxes and points, deleted nodes. Each kind becomes an entry."""
        if self._busy or self._closed or self.volume_node.GetScene() is None:
            return
        with self._writing():
            self.probability.restore_node()
            self._notice_segment()
            before = self._state
            self._state = self._nodes.with_prompts(before)
            if self._state != before:
                self.history.push(_prompts_label(before, self._state), before, self._state)
                self._settle()

    def _notice_segment(self) -> None:
        stamp = self.segmentation.stamp
        if stamp == self._stamp:
            return
        self._stamp = stamp
        before = self._state
        if stamp:
            drawn = self._nodes.drawn()
            changes = {k: replace(before.of(k), drawn=bits) for k, bits in drawn.items() if bits != before.of(k).drawn}
            after = replace(before, slices=with_slices(before.slices, changes))
            label = _("Edit slices {slices} by hand").format(slices=slice_list(changes))
        else:
            # The segment is gone as a whole. That is no hand edit, which a later run should spare.
            after = replace(before, slices={}, runs=(), failed={})
            self.probability.write(dict.fromkeys(before.segmented))
            label = _("Delete the segmentation")
        if after != before:
            self._state = after
            self.history.push(label, before, after)
            self._settle()

    def _on_prompts(self) -> None:
        if not self._busy:
            self.refresh()

    # ------------------------------------------------------------------ steps

    @contextmanager
    def _step(self, label: str, same_step: bool = False) -> Iterator[None]:
        """One action: an entry of the history if it changes anything; if it fails, everything is as before."""
        if self.volume_node.GetScene() is None:
            raise SceneError(_("The volume was deleted. Choose another one."))
        entries = len(self.history.labels)
        self.refresh()
        joins = same_step and len(self.history.labels) == entries  # what was noticed just now came between
        before = self._state
        with self._all_or_nothing():
            yield
            self._settle()
        if self._state != before and not (joins and self.history.extend(self._state)):
            self.history.push(label, before, self._state)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        before = self._state
        with self._writing():
            try:
                yield
            except BaseException:
                try:
                    self._state = self._nodes.with_prompts(self._state)  # what the failed step may have changed already
                    self._restore(before)
                except MyoScarSegError:
                    _log.exception("A step failed, and what it had changed could not all be put back")
                raise

    def _restore(self, target: StudyState) -> None:
        self._become(target)
        self._settle()

    def _become(self, target: StudyState) -> None:
        """Make the scene say what ``target`` says; :meth:`_settle` comes after it."""
        self._nodes.write(self._state, target)
        self._stamp = self.segmentation.stamp
        self._state = target

    def _settle(self) -> None:
        """Take in what the nodes made of it (boxes are clipped), and keep record, tables and folder in step."""
        self._state = self._nodes.with_prompts(self._state)
        self._nodes.settle(self._state, self.provenance)

    def _apply_settings(self, threshold: float, growth_mm: float) -> list[int]:
        state = self._state
        kept = [k for k in state.segmented if state.of(k).edited]
        changes = {
            k: self._slice_state(model.probability, model.score, model.run, threshold, growth_mm)
            for k, model in state.models.items()
            if k not in kept
        }
        self._become(replace(state, threshold=threshold, growth_mm=growth_mm, slices=with_slices(state.slices, changes)))
        return kept

    def _slice_state(
        self, probability: np.ndarray, score: float | None, run: int, threshold: float, growth_mm: float
    ) -> SliceState:
        drawn = pack(mask_of(probability, threshold, growth_mm, self.study.geometry.pixel_spacing_mm))
        return SliceState(drawn, ModelSlice(probability, threshold, growth_mm, mark_of(drawn), score, run))


def sessions(scene: Any) -> list[StudySession]:
    """The studies of a scene: those that are open, and the others as they are now, without following them."""
    found = []
    for volume_node in volumes_with(scene, ROLE_STUDY):
        opened = _open.get(_key(volume_node))
        try:
            found.append(opened if opened is not None and opened.is_current() else StudySession(volume_node, watch=False))
        except MyoScarSegError:  # said without its name: the application keeps its log in the folder for temporary files
            _log.warning("A study of the scene is left out: its volume is no LGE stack any more")
    return found


def _key(volume_node: Any) -> tuple[str, str]:
    return volume_node.GetScene().GetAddressAsString(""), volume_node.GetID()


def _prompts_label(before: StudyState, after: StudyState) -> str:
    if before.points != after.points:
        more = len(after.points) - len(before.points)
        return _("Add a point") if more > 0 else _("Remove a point") if more < 0 else _("Move a point")
    more = len(after.boxes) - len(before.boxes)
    return _("Add a box") if more > 0 else _("Delete a box") if more < 0 else _("Change a box")
