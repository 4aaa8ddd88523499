"""What travels between client and worker: studies, boxes, masks.

Of a study only what inference needs travels: voxels, spacing, directions, unusable slices. No name, no source, no origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from MyoScarSegLib import errors
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.protocol import ProtocolError
from MyoScarSegLib.errors import EngineError, MyoScarSegError, StudyError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.result import Boxes, Result, SliceMasks
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.utils.json_fields import read, to_json

_T = TypeVar("_T")


def read_message(cls: type[_T], message: Any) -> _T:
    """The dataclass ``cls``, or another type of a field, of what :func:`~MyoScarSegLib.utils.json_fields.to_json` made.

    Raises:
        ProtocolError: it is none.
    """
    return read(cls, message, ProtocolError, "A message", ignore=True)


def study_message(key: str, study: Study) -> dict[str, Any]:
    """The message that gives the worker a study; StudyError if it is too large to be sent."""
    if study.voxels.nbytes > protocol.MOST_BODY_BYTES:
        size = " x ".join(str(n) for n in study.voxels.shape[::-1])
        raise StudyError(
            f"The volume is too large: {size} voxels are {study.voxels.nbytes / 2**30:.2f} GiB, and at most "
            f"{protocol.MOST_BODY_BYTES / 2**30:.2f} GiB can be worked on. Crop it to the heart or resample it (in Slicer: the "
            "module Crop Volume), and choose the result."
        )
    geometry = Geometry(study.geometry.spacing_mm, direction=np.asarray(study.geometry.direction, dtype=float))
    sent = Study("", study.voxels, geometry, study.reconstruction, bad_slices=study.bad_slices)
    return {"type": "study", "key": key, **to_json(sent)}


@dataclass(frozen=True)
class _Proposals:
    """As :class:`~MyoScarSegLib.result.Boxes` has them."""

    boxes: list[Box]
    failed_slices: dict[int, str]
    provenance: dict[str, str]
    heart: tuple[float, float] | None


def proposals_message(found: Boxes) -> dict[str, Any]:
    """Proposed boxes."""
    fields: dict[str, Any] = to_json(_Proposals(list(found), found.failed_slices, found.provenance, found.heart))
    return fields


def proposals_of(fields: Mapping[str, Any]) -> Boxes:
    """The inverse of :func:`proposals_message`."""
    sent = read_message(_Proposals, fields)
    found = Boxes(sent.boxes)
    found.failed_slices, found.provenance, found.heart = sent.failed_slices, sent.provenance, sent.heart
    return found


def masks_of(result: Result) -> SliceMasks:
    """Of a result what travels: of its probabilities the slices that were segmented alone."""
    probability = {k: np.asarray(result.probability[k], dtype=np.float32) for k in result.scores}
    return SliceMasks(probability, dict(result.scores), dict(result.failed_slices), dict(result.provenance))


def with_masks(
    masks: SliceMasks, study: Study, boxes: tuple[Box, ...], points: tuple[Point, ...], threshold: float, **more: Any
) -> Result:
    """The inverse of :func:`masks_of`, with what was asked for; ProtocolError if the masks do not fit the study."""
    probability = np.zeros(study.voxels.shape, dtype=np.float32)
    try:
        for k, one in masks.probability.items():
            probability[k] = one
    except (ValueError, IndexError) as error:
        raise ProtocolError(f"Masks do not fit the study: {error}.") from error
    return Result(study, probability, threshold, boxes, points, masks.scores, masks.failed, provenance=masks.provenance, **more)


def error_of(fields: Mapping[str, Any]) -> MyoScarSegError:
    """The error that the worker raised, of its class (``ModelError``, ``PromptError``, ...)."""
    kind = getattr(errors, str(fields["kind"]), EngineError)
    known = isinstance(kind, type) and issubclass(kind, MyoScarSegError)
    return (kind if known else EngineError)(str(fields["error"]))
