"""The main job: propose boxes, segment scar in them, measure it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.detection import Detector
from MyoScarSegLib.detection.detector import LEFT_VENTRICLE, SCAR, detect_slices
from MyoScarSegLib.detection.heart_center import HEART_CONFIDENCE, heart_center
from MyoScarSegLib.errors import Cancelled, ModelError, MyoScarSegError
from MyoScarSegLib.networks import Networks, image_of, neighbors_of, usable_slices
from MyoScarSegLib.prompts import BESIDE, PROMPTS_AT_ONCE, Box, Point, check_box, check_point
from MyoScarSegLib.proposals import Proposal, above_healthy, accept_or_reject, reconcile, wall_and_healthy
from MyoScarSegLib.quantification.mass_interval import MassError
from MyoScarSegLib.quantification.ventricle import ventricle_of_tissue
from MyoScarSegLib.result import (
    DEFAULT_THRESHOLD,
    MASS_ERROR,
    Boxes,
    Encoded,
    ProposedVentricle,
    Result,
    check_threshold,
    slices_of,
)
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.device import is_out_of_memory
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

NO_BOXES: Mapping[int, Sequence[Box]] = {}
_TOO_LITTLE_MEMORY = "there is too little memory. Close other programs, or choose a smaller model or another device."
_log = logging.getLogger(__name__)


class Pipeline:
    """The verbs; with one set of networks for the studies that follow each other.

    One bad slice does not stop a study: it is listed in the result. ``progress`` is called before each slice and at the end. A
    ``cancel`` token that is set ends the work within one slice; what was finished is returned.

    Attributes:
        networks: that it works with.
    """

    def __init__(
        self,
        *,
        detector: str | Path | Detector | None = None,
        segmenter: str | Path | Segmenter | None = None,
        device: str = "auto",
        precision: str = "auto",
        view: str = "auto",
        trust: bool = False,
        preprocessing_id: str | None = None,
        confidence: float | None = None,
        prompts_at_once: int = PROMPTS_AT_ONCE,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """Choose the models; nothing is loaded yet.

        Args:
            detector, segmenter, device, precision, view, trust, preprocessing_id, cache: see
                :class:`~MyoScarSegLib.networks.Networks`.
            confidence: least confidence of a proposed box, as the box tells it; the models' own if None. Where the segmenter has
                a map of tissues, that is the map's probability in the box, and the detector keeps its own threshold. It may be
                changed later, as the attribute of this name.
            prompts_at_once: how many boxes or points of a slice the segmenter takes together, fewer need less memory. It may
                be changed later, too.
        """
        self.networks = Networks(
            detector=detector,
            segmenter=segmenter,
            device=device,
            precision=precision,
            view=view,
            trust=trust,
            preprocessing_id=preprocessing_id,
            cache=cache,
        )
        self.confidence = confidence
        self.prompts_at_once = prompts_at_once

    def settings(self) -> dict[str, Any]:
        """What was chosen beside the models, as far as numbers depend on it; JSON-ready."""
        return {"confidence": self.confidence, **self.networks.settings()}

    def encode(
        self,
        study: Study,
        slices: Iterable[int] | None = None,
        *,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Encoded:
        """Make the embeddings that :meth:`propose` and :meth:`segment` will need, while there is no prompt yet.

        The first call for a study looks for its heart, where the segmenter looks at a window around that.

        Args:
            study: the study.
            slices: slice indices, the most urgent first; all if None.

        Raises:
            PromptError: a slice is not in the study.
            ModelError: a model cannot be loaded, or the device ran out of memory.
            Cancelled: ``cancel`` was set.
        """
        wanted, done = slices_of(study, slices), Encoded()
        segmenter = self.networks.segmenter
        for number, k in enumerate(wanted):
            check_cancel(cancel)
            progress(number, len(wanted), f"Encoding: slice {k}")
            if k in study.bad_slices:
                done.failed_slices[k] = study.bad_slices[k]
                continue
            center = None
            if segmenter.window is not None:
                center = self.networks.heart_center(study, progress=progress, cancel=cancel)
            try:
                segmenter.encode(image_of(study, k, center))
            except ModelError:  # of the model, so all slices would fail
                raise
            except MyoScarSegError as error:
                done.failed_slices[k] = str(error)
            else:
                done.slices.append(k)
        progress(len(wanted), len(wanted), "Encoding")
        return done

    def beside(
        self,
        study: Study,
        index: int,
        center: tuple[float, float] | None,
        asked: Mapping[int, Sequence[Box]] = NO_BOXES,
        *,
        seen: bool = False,
    ) -> np.ndarray | None:
        """bool ``[rows, columns]``: scar on the neighbors of a slice, as a first look finds it, or as it is answered to a reader.

        None where a first look finds none, and for a segmenter that does not look at neighbors.

        Args:
            study: the study.
            index: of the slice.
            center: the heart's.
            asked: the boxes that a reader set, by slice; without them it depends on the images alone.
            seen: for masks that nobody asked for: what both networks of the segmenter take for scar instead of a first look.
        """
        segmenter = self.networks.segmenter
        if not segmenter.knows_tissue:
            return None
        scar = np.zeros(study.slice_shape, dtype=bool)
        for k in neighbors_of(study, index):
            if k is None:
                continue
            image = image_of(study, k, center)
            if k in asked:
                scar |= segmenter.scar_answered(image, asked[k], self.beside(study, k, center))
            elif seen:
                scar |= segmenter.scar_seen(image, self.beside(study, k, center))
            else:
                scar |= segmenter.scar_beside(image)
        return scar if seen or scar.any() else None

    def propose(self, study: Study, *, progress: Progress = no_progress, cancel: CancelToken | None = None) -> Boxes:
        """Propose boxes around scar on every slice.

        They are the detector's; if the segmenter has a map of tissues, they are reconciled with that, see
        :mod:`~MyoScarSegLib.proposals`.

        Returns:
            The boxes in slice order, with the slices that failed and whether the caller cancelled.

        Raises:
            ModelError: a model cannot be loaded.
        """
        found = Boxes()
        if cancel is not None and cancel.cancelled:
            found.cancelled = True
            return found
        detector = self.networks.detector
        mapped = self.networks.segmenter.knows_tissue
        confidence = detector.confidence if self.confidence is None or mapped else self.confidence
        found.provenance = {
            "detector": detector.name,
            "detector_sha256": detector.checksum,
            "detector_preprocessing": detector.preprocessing,
            "detector_confidence": f"{confidence:g}",
        }

        # The heart, where it will be needed and is not known, is found in the same go.
        with_heart = self.networks.segmenter.window is not None or mapped
        with_heart = with_heart and self.networks.known_heart(study) is None and self.networks.heart_detector is detector
        detected = detect_slices(
            detector,
            usable_slices(study),
            pixel_spacing_mm=study.geometry.pixel_spacing_mm,
            confidence=min(confidence, HEART_CONFIDENCE) if with_heart else confidence,
            labels=(SCAR, LEFT_VENTRICLE) if with_heart else (SCAR,),
            progress=progress,
            cancel=cancel,
        )
        if with_heart and detected.boxes and not detected.cancelled:
            self.networks.remember_heart(study, heart_center(detected.boxes.values()))
        for boxes in detected.boxes.values():
            found.extend(box for box in boxes if box.label == SCAR and (box.confidence or 0.0) > confidence)
        found.failed_slices = {k: _why("Proposing boxes", k, error) for k, error in detected.failed.items()}
        found.cancelled = detected.cancelled
        if mapped and not found.cancelled:
            self._reconcile(study, found, list(detected.boxes), progress, cancel)
        return found

    def _reconcile(
        self, study: Study, found: Boxes, indices: Sequence[int], progress: Progress, cancel: CancelToken | None
    ) -> None:
        """Replace the detector's boxes on each slice by those that it and the segmenter's map agree on."""
        segmenter = self.networks.segmenter
        spacing = study.geometry.pixel_spacing_mm
        try:
            center = self.networks.heart_center(study, progress=progress, cancel=cancel)
        except Cancelled:
            found.cancelled = True
            return
        found.heart = center
        detected = list(found)
        found.clear()
        found.provenance |= {
            "proposals": f"detector and tissue map of {segmenter.name}",
            "map_sha256": segmenter.checkpoint.sha256,
            **({} if self.confidence is None else {"proposals_confidence": f"{self.confidence:g}"}),
        }

        proposals: list[Proposal] = []
        wall, healthy = np.zeros((2, *study.voxels.shape), dtype=bool)

        def agree(index: int) -> None:
            tissue = segmenter.tissue(image_of(study, index, center), self.beside(study, index, center))
            wall[index], healthy[index] = wall_and_healthy(tissue)
            proposals.extend(
                reconcile(
                    [box for box in detected if box.slice == index],
                    tissue,
                    slice_index=index,
                    map_name=segmenter.name,
                    pixel_spacing_mm=spacing,
                    least_confidence=self.confidence or 0.0,
                )
            )

        failed, found.cancelled = _each_slice(indices, agree, "Looking at tissue", progress, cancel)
        found.failed_slices |= failed
        contrast_sd = above_healthy(study.voxels, wall, healthy, spacing)
        boxes, faint = accept_or_reject(proposals, contrast_sd, slice_distance_mm=study.geometry.slice_distance_mm)
        # What a cancelled study shows so far says little of the whole.
        found.extend([p.box for p in proposals] if found.cancelled else boxes)
        if faint and not found.cancelled:
            places = "; ".join(f"{place.mass_g:.1f} g on {place.slices_in_words}" for place in faint)
            found.provenance["remark_on_proposals"] = (
                f"Faint, look here ({places}): too small or too faint for an expert to outline, so proposed as rejected. Accept "
                "what you take for scar."
            )

    def suggest(
        self,
        study: Study,
        confirmed: Mapping[int, np.ndarray],
        *,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Boxes:
        """Boxes around scar that continues what the reader confirmed, on the neighbors of the slices where he did.

        Args:
            study: the study.
            confirmed: slice index to bool ``[rows, columns]``: scar that the reader has looked at. These slices get no box.

        Returns:
            Boxes whose source ends with :data:`~MyoScarSegLib.prompts.BESIDE`; they are proposed, and are not segmented before
            they are accepted. None for a segmenter that does not look at neighbors.

        Raises:
            ModelError: a model cannot be loaded.
            Cancelled: ``cancel`` was set while the heart was looked for.
        """
        segmenter, suggested = self.networks.segmenter, Boxes()
        beside: dict[int, list[np.ndarray]] = {}
        for k in usable_slices(study) if segmenter.knows_tissue else ():
            scar = [confirmed[n] for n in neighbors_of(study, k) if n is not None and n in confirmed]
            if k not in confirmed and any(mask.any() for mask in scar):
                beside[k] = scar
        if not beside:
            return suggested
        center = self.networks.heart_center(study, progress=progress, cancel=cancel)

        def look(index: int) -> None:
            tissue = segmenter.tissue(image_of(study, index, center), np.any(beside[index], axis=0))
            found = reconcile(
                [],
                tissue,
                slice_index=index,
                map_name=segmenter.name + BESIDE,
                pixel_spacing_mm=study.geometry.pixel_spacing_mm,
                least_confidence=self.confidence or 0.0,
            )
            suggested.extend(proposal.box for proposal in found)

        suggested.failed_slices, suggested.cancelled = _each_slice(sorted(beside), look, "Looking beside", progress, cancel)
        suggested.provenance = {"suggestions": segmenter.name, "suggestions_sha256": segmenter.checkpoint.sha256}
        return suggested

    def segment(
        self,
        study: Study,
        boxes: Iterable[Box],
        points: Iterable[Point] = (),
        *,
        slices: Iterable[int] | None = None,
        threshold: float = DEFAULT_THRESHOLD,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Result:
        """Segment scar in the boxes that count, and at the points.

        A slice is told of scar on its neighbors: of what is answered to the boxes that a reader drew there, and else of what a
        first look finds. So a box helps the masks above and below it, too, when they are made.

        Args:
            study: the study.
            boxes: prompts; those that do not count (:attr:`Box.counts <MyoScarSegLib.prompts.Box.counts>`) and those with
                another label than ``scar`` are kept in the result, not segmented.
            points: prompts.
            slices: slice indices; prompts on others are kept in the result, not segmented, but boxes tell the neighbors. All
                slices if None.
            threshold: probability from which on a pixel counts as scar.

        Raises:
            PromptError: a box, point or slice is outside the study, or a box is empty.
            ModelError: the segmenter cannot be loaded.
        """
        check_threshold(threshold)
        boxes, points = tuple(boxes), tuple(points)
        shape, chosen = study.voxels.shape, set(slices_of(study, slices))
        wanted: dict[int, tuple[list[Box], list[Point]]] = {}
        for box in boxes:
            if box.counts and box.label == SCAR:
                wanted.setdefault(box.slice, ([], []))[0].append(check_box(box, shape))
        for point in points:
            wanted.setdefault(point.slice, ([], []))[1].append(check_point(point, shape))
        drawn = {k: by_reader for k, (of, _) in wanted.items() if (by_reader := [box for box in of if box.by_reader])}
        # Negative points alone take nothing away where nothing was found.
        prompted = {k: v for k, v in sorted(wanted.items()) if k in chosen and (v[0] or any(p.positive for p in v[1]))}

        probability = np.zeros(shape, dtype=np.float32)
        scores: dict[int, float] = {}
        failed: dict[int, str] = {k: f"it has prompts, but {study.bad_slices[k]}" for k in prompted if k in study.bad_slices}
        provenance = {"program": f"MyoScarSeg {__version__}", "threshold": f"{threshold:g}"}
        cancelled = cancel is not None and cancel.cancelled
        usable = [k for k in prompted if k not in study.bad_slices]
        if prompted and not cancelled:
            segmenter = self.networks.segmenter
            segmenter.sam.prompts_at_once = self.prompts_at_once
            provenance |= self.networks.segmenter_provenance()
            asked = any(box.asks for of_boxes, _ in prompted.values() for box in of_boxes) or bool(points)
            error = MassError(*(segmenter.answers.asked_error if asked else segmenter.answers.alone_error))
            provenance |= {MASS_ERROR: error.text()} if error.known else {}
            center = None
            if segmenter.window is not None and usable:
                try:
                    center = self.networks.heart_center(study, progress=progress, cancel=cancel)
                except Cancelled:
                    return Result(study, probability, threshold, boxes, points, scores, failed, True, provenance)
                provenance |= self.networks.heart_provenance(center)

            def segment_slice(index: int) -> None:
                of_boxes, of_points = prompted[index]
                beside = self.beside(study, index, center, drawn)
                seen = None if all(box.asks for box in of_boxes) else self.beside(study, index, center, drawn, seen=True)
                image = image_of(study, index, center)
                prediction = segmenter.predict(image, of_boxes, of_points, beside=beside, seen_beside=seen)
                probability[index] = sigmoid(prediction.logits)
                scores[index] = prediction.score

            more, cancelled = _each_slice(usable, segment_slice, "Segmenting scar", progress, cancel)
            failed |= more
        else:
            provenance["segmenter"] = "not used: cancelled before" if cancelled else "not used: nothing was prompted"
        return Result(study, probability, threshold, boxes, points, scores, failed, cancelled, provenance)

    def ventricle(
        self, study: Study, *, progress: Progress = no_progress, cancel: CancelToken | None = None
    ) -> ProposedVentricle:
        """The left ventricle's wall and cavity, as the segmenter's map of tissues has them.

        After :meth:`propose` and :meth:`segment` it costs next to nothing: the map was looked at already.

        Raises:
            ModelError: the segmenter cannot be loaded, or has no map of tissues.
            Cancelled: ``cancel`` was set.
        """
        segmenter = self.networks.segmenter
        if not segmenter.knows_tissue:
            raise ModelError(
                f"{segmenter.name} answers boxes and points only; it does not see the wall. Choose one of MyoScarSeg's own "
                "models, or take the wall from a segmentation or from curves that you draw."
            )
        center = self.networks.heart_center(study, progress=progress, cancel=cancel)
        tissue = np.zeros((study.slices, 4, *study.slice_shape), dtype=np.float32)
        tissue[:, 0] = 1.0

        def look(index: int) -> None:
            tissue[index] = segmenter.tissue(image_of(study, index, center), self.beside(study, index, center))

        failed, cancelled = _each_slice(list(usable_slices(study)), look, "Looking for the wall", progress, cancel)
        if cancelled:
            raise Cancelled()
        provenance = {"wall": segmenter.name, "wall_sha256": segmenter.checkpoint.sha256}
        found = ventricle_of_tissue(tissue, study.geometry)
        return ProposedVentricle(found.myocardium, found.cavity, found.source, failed, provenance)

    def run(
        self,
        study: Study,
        *,
        points: Iterable[Point] = (),
        threshold: float = DEFAULT_THRESHOLD,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Result:
        """:meth:`propose`, then :meth:`segment` in what was proposed. Errors as of both."""
        if cancel is None or not cancel.cancelled:
            _ = self.networks.segmenter  # if it cannot be loaded, the caller shall learn it before the detector has worked
        boxes = self.propose(study, progress=progress, cancel=cancel)
        result = self.segment(study, boxes, points, threshold=threshold, progress=progress, cancel=cancel)
        return replace(
            result,
            failed_slices={**boxes.failed_slices, **result.failed_slices},
            cancelled=boxes.cancelled or result.cancelled,
            provenance={**result.provenance, **boxes.provenance},
        )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, without overflow; same shape, float32."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)


def _each_slice(
    indices: Sequence[int], work: Callable[[int], None], what: str, progress: Progress, cancel: CancelToken | None
) -> tuple[dict[int, str], bool]:
    """Do ``work`` on each slice. Returns the slices that failed, with the reason, and whether the caller cancelled."""
    failed: dict[int, str] = {}
    total = len(indices)
    for done, index in enumerate(indices):
        if cancel is not None and cancel.cancelled:
            return failed, True
        progress(done, total, f"{what}: slice {index}")
        try:
            work(index)
        except Cancelled:
            return failed, True
        except Exception as error:
            # The networks' own libraries raise many kinds of error; on one slice none of them may cost the others.
            failed[index] = _why(what, index, error)
    progress(total, total, what)
    return failed, False


def _why(what: str, index: int, error: Exception) -> str:
    """Why a slice failed, for the user; for a defect the log says where."""
    if isinstance(error, MyoScarSegError):
        return str(error)
    _log.error("Slice %d failed", index, exc_info=error)
    return f"{what.lower()} failed: {_TOO_LITTLE_MEMORY if is_out_of_memory(error) else str(error) or type(error).__name__}"
