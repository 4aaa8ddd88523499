"""What travels between client and worker, as frames: studies, prompts, masks.

Of a study only what inference needs travels: voxels, spacing, directions, unusable slices. No name, no source, no origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from MyoScarSegLib import errors
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.protocol import Message, ProtocolError
from MyoScarSegLib.errors import EngineError, MyoScarSegError, StudyError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.result import Boxes, ProposedVentricle, Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.json_fields import read, to_json


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
        "spacing_mm": to_json(geometry.spacing_mm),
        "direction": np.asarray(geometry.direction, dtype=float).tolist(),
        "reconstruction": study.reconstruction.value,
        "bad_slices": to_json(study.bad_slices),
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


def boxes_of(entries: Any) -> list[Box]:
    """The boxes that :func:`~MyoScarSegLib.utils.json_fields.to_json` wrote.

    Raises:
        ProtocolError: an entry is no box.
    """
    return read(list[Box], entries, ProtocolError, "The boxes")


def points_of(entries: Any) -> list[Point]:
    """The points that :func:`~MyoScarSegLib.utils.json_fields.to_json` wrote.

    Raises:
        ProtocolError: an entry is no point.
    """
    return read(list[Point], entries, ProtocolError, "The points")


def proposals_message(found: Boxes) -> dict[str, Any]:
    """Fields of proposed boxes."""
    return {
        "boxes": to_json(found),
        "failed": to_json(found.failed_slices),
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
        "scores": to_json(result.scores),
        "failed": to_json(result.failed_slices),
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
        "failed": to_json(found.failed_slices),
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
