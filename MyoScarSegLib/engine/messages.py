"""What travels between client and worker, as frames: studies, prompts, masks.

Of a study only what inference needs travels: voxels, spacing, directions, unusable slices. No name, no source, no origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from MyoScarSegLib import errors
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.protocol import Message, ProtocolError
from MyoScarSegLib.errors import EngineError, MyoScarSegError, StudyError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import Boxes, Encoded, ProposedVentricle, Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study


def study_message(key: str, study: Study) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and arrays of a frame that gives the worker a study.

    Raises:
        StudyError: it is too large to be sent.
    """
    if study.voxels.nbytes > protocol.MOST_BODY_BYTES:
        size = " x ".join(str(n) for n in study.voxels.shape[::-1])
        raise StudyError(
            f"The volume is too large: {size} voxels are {study.voxels.nbytes / 2**30:.2f} GiB, and at most "
            f"{protocol.MOST_BODY_BYTES / 2**30:.2f} GiB can be worked on. Crop it to the heart or resample it (in Slicer: the "
            "module Crop Volume), and choose the result."
        )
    geometry = study.geometry
    fields = {
        "type": "study",
        "key": key,
        "spacing_mm": None if geometry.spacing_mm is None else [float(v) for v in geometry.spacing_mm],
        "direction": np.asarray(geometry.direction, dtype=float).tolist(),
        "reconstruction": study.reconstruction.value,
        "bad_slices": {str(int(k)): why for k, why in study.bad_slices.items()},
    }
    return fields, {"voxels": study.voxels}


def study_of(message: Message) -> Study:
    """The study of such a frame.

    Raises:
        ProtocolError: it is none.
    """
    fields = message.fields
    try:
        spacing = fields["spacing_mm"]
        return Study(
            case="",
            voxels=message.arrays["voxels"],
            geometry=Geometry(
                None if spacing is None else (float(spacing[0]), float(spacing[1]), float(spacing[2])),
                direction=np.array(fields["direction"], dtype=float).reshape(3, 3),
            ),
            reconstruction=Reconstruction(fields["reconstruction"]),
            bad_slices=by_slice(fields["bad_slices"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ProtocolError(f"A study cannot be read: {error}.") from error


def boxes_json(boxes: Iterable[Box]) -> list[dict[str, Any]]:
    """Boxes as JSON objects."""
    return [
        {
            **asdict(box),
            "slice": int(box.slice),
            **{name: float(getattr(box, name)) for name in ("x0", "y0", "x1", "y1")},
            "confidence": None if box.confidence is None else float(box.confidence),
            "state": box.state.value,
        }
        for box in boxes
    ]


def boxes_of(entries: Iterable[Mapping[str, Any]]) -> list[Box]:
    """The inverse of :func:`boxes_json`.

    Raises:
        ProtocolError: an entry is no box.
    """
    try:
        return [Box(**{**entry, "state": BoxState(entry["state"])}) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"A box cannot be read: {error}.") from error


def points_json(points: Iterable[Point]) -> list[dict[str, Any]]:
    """Points as JSON objects."""
    return [{"slice": int(p.slice), "x": float(p.x), "y": float(p.y), "positive": bool(p.positive)} for p in points]


def points_of(entries: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The inverse of :func:`points_json`.

    Raises:
        ProtocolError: an entry is no point.
    """
    try:
        return [Point(**entry) for entry in entries]
    except TypeError as error:
        raise ProtocolError(f"A point cannot be read: {error}.") from error


def encoded_message(slices: Iterable[int], failed: Mapping[int, str]) -> dict[str, Any]:
    """Fields of what was encoded."""
    return {"encoded": list(slices), "failed": {str(k): why for k, why in failed.items()}}


def encoded_of(message: Message) -> Encoded:
    """The inverse of :func:`encoded_message`."""
    return Encoded([int(k) for k in message.fields["encoded"]], by_slice(message.fields["failed"]))


def proposals_message(found: Boxes) -> dict[str, Any]:
    """Fields of proposed boxes."""
    return {
        "boxes": boxes_json(found),
        "failed": {str(k): why for k, why in found.failed_slices.items()},
        "provenance": found.provenance,
        "heart": found.heart,
    }


def proposals_of(message: Message) -> Boxes:
    """The inverse of :func:`proposals_message`."""
    fields = message.fields
    found = Boxes(boxes_of(fields["boxes"]))
    found.failed_slices, found.provenance = by_slice(fields["failed"]), texts(fields["provenance"])
    heart = fields["heart"]
    found.heart = None if heart is None else (float(heart[0]), float(heart[1]))
    return found


def result_message(result: Result) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and arrays of a result: of its probabilities the slices that were segmented alone travel."""
    fields = {
        "scores": {str(k): float(score) for k, score in result.scores.items()},
        "failed": {str(k): why for k, why in result.failed_slices.items()},
        "provenance": dict(result.provenance),
    }
    return fields, {str(k): np.asarray(result.probability[k], dtype=np.float32) for k in result.scores}


def result_of(message: Message, study: Study, boxes: tuple[Box, ...], points: tuple[Point, ...], threshold: float) -> Result:
    """The inverse of :func:`result_message`, with what was asked for.

    Raises:
        ProtocolError: it is none, or does not fit the study.
    """
    fields = message.fields
    try:
        probability = np.zeros(study.voxels.shape, dtype=np.float32)
        for k, array in message.arrays.items():
            probability[int(k)] = array
        return Result(
            study,
            probability,
            threshold,
            boxes,
            points,
            {int(k): float(score) for k, score in fields["scores"].items()},
            by_slice(fields["failed"]),
            provenance=texts(fields["provenance"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ProtocolError(f"Masks cannot be read: {error}.") from error


def ventricle_message(found: ProposedVentricle) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and arrays of a proposed ventricle."""
    fields = {
        "source": found.source,
        "failed": {str(k): why for k, why in found.failed_slices.items()},
        "provenance": dict(found.provenance),
    }
    return fields, {"myocardium": found.myocardium, "cavity": found.cavity}


def ventricle_of(message: Message) -> ProposedVentricle:
    """The inverse of :func:`ventricle_message`.

    Raises:
        ProtocolError: it is none.
    """
    fields, arrays = message.fields, message.arrays
    try:
        wall, cavity = (np.array(arrays[name], dtype=bool) for name in ("myocardium", "cavity"))
        return ProposedVentricle(wall, cavity, fields["source"], by_slice(fields["failed"]), texts(fields["provenance"]))
    except (KeyError, TypeError, ValueError, MyoScarSegError) as error:
        raise ProtocolError(f"A ventricle cannot be read: {error}.") from error


def texts(document: Mapping[str, Any]) -> dict[str, str]:
    """Text by key."""
    return {str(key): str(value) for key, value in document.items()}


def by_slice(document: Mapping[str, Any]) -> dict[int, str]:
    """Slice index to reason, from JSON, whose keys are text."""
    return {int(k): str(why) for k, why in document.items()}


def error_of(fields: Mapping[str, Any]) -> MyoScarSegError:
    """The error that the worker raised, of its class (``ModelError``, ``PromptError``, ...)."""
    kind = getattr(errors, str(fields["kind"]), EngineError)
    known = isinstance(kind, type) and issubclass(kind, MyoScarSegError)
    return (kind if known else EngineError)(str(fields["error"]))


def value_of(message: Message) -> Any:
    """The answer to what is asked of no study."""
    return message.fields["value"]
