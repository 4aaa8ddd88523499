"""The node that keeps what a study's other nodes do not: settings, what the model wrote where, provenance."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from MyoScarSegLib.result import DEFAULT_THRESHOLD
from MyoScarSegLib.scene.attributes import make_node, node_of, volumes_with
from MyoScarSegLib.scene.study_state import ModelSlice, StudyState
from MyoScarSegLib.scene.translation import _

ROLE_STUDY = "study"
SEGMENTATION = "MyoScarSeg.Segmentation"
GRID = "MyoScarSeg.Grid"
"""Parameter: how the volume lay when the study was kept, see :mod:`~MyoScarSegLib.scene.slice_order`."""
_RECORD = "MyoScarSeg.Record"
_TAG = "MyoScarSeg.Tag"
_ORDER = "MyoScarSeg.Order"
"""Parameter: the study with the greatest number is the one that was in hand last."""
_VERSION = 2


@dataclass(frozen=True)
class SavedStudy:
    """What a loaded scene says of a study. ``slices`` maps a slice to the fields of a :class:`ModelSlice` without its array.

    Attributes:
        problem: a sentence if the record cannot be read; then the rest is as of a new study.
    """

    threshold: float = DEFAULT_THRESHOLD
    growth_mm: float = 0.0
    slices: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    proposals: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Mapping[str, str], ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


class StudyRecord:
    """A ``vtkMRMLScriptedModuleNode`` per study, hidden; made when there is something to keep, and anew if it was deleted.

    Attributes:
        tag: a text unlike that of any other study, by which segment and folder are known in every copy of the scene.
    """

    def __init__(self, volume_node: Any) -> None:
        self.volume_node = volume_node
        self._node = node_of(volume_node, ROLE_STUDY)
        self.tag = (self._node.GetParameter(_TAG) if self._node is not None else "") or uuid.uuid4().hex[:12]

    @property
    def existing_node(self) -> Any:
        """The node if it is in the scene, else None."""
        if self._node is not None and self._node.GetScene() is None:
            self._node = None
        return self._node

    @property
    def node(self) -> Any:
        """The node, made if it is not there."""
        if self.existing_node is None:
            name = _("{name} scar study").format(name=self.volume_node.GetName())
            self._node = make_node(self.volume_node, "vtkMRMLScriptedModuleNode", ROLE_STUDY, name)
            self._node.SetModuleName("MyoScarSeg.Study")
            self._node.SetHideFromEditors(True)
            self._node.SetParameter(_TAG, self.tag)
            self.bring_to_front()
        return self._node

    @property
    def order(self) -> int:
        """The study of a scene with the greatest number was in hand last; 0 if there is nothing to keep of it yet."""
        return 0 if self.existing_node is None else _order_of(self._node)

    def bring_to_front(self) -> None:
        """Note that this is the study in hand now, if there is something to keep of it."""
        node = self.existing_node
        if node is not None:
            volumes = volumes_with(node.GetScene(), ROLE_STUDY)
            latest = max((_order_of(node_of(volume, ROLE_STUDY)) for volume in volumes), default=0)
            if not 0 < _order_of(node) == latest:
                node.SetParameter(_ORDER, str(latest + 1))

    @property
    def segmentation_node(self) -> Any:
        """The segmentation node that the study's scar is in, None if there is none."""
        node = self.existing_node
        return None if node is None else node.GetNodeReference(SEGMENTATION)

    def save(self, state: StudyState, segmentation_node: Any, grid: str) -> None:
        """Keep the settings, per slice what the model wrote, and how the volume lies (``grid``)."""
        record = {
            "version": _VERSION,
            "threshold": state.threshold,
            "growth_mm": state.growth_mm,
            "slices": {str(k): _fields(model) for k, model in state.models.items()},
            "proposals": dict(state.proposals),
            "runs": [dict(run) for run in state.runs],
            "failed": {str(k): why for k, why in state.failed.items()},
        }
        text = json.dumps(record, allow_nan=False)  # ASCII without line breaks, which every way of saving keeps
        node = self.node
        changing = node.StartModify()
        if node.GetParameter(_RECORD) != text:
            node.SetParameter(_RECORD, text)
        if node.GetParameter(GRID) != grid:
            node.SetParameter(GRID, grid)
        wanted = None if segmentation_node is None else segmentation_node.GetID()
        if node.GetNodeReferenceID(SEGMENTATION) != wanted:
            node.SetNodeReferenceID(SEGMENTATION, wanted)
        node.EndModify(changing)

    def load(self) -> SavedStudy:
        """What the node says; of a node that is not there, or that makes no sense, a new study's."""
        node = self.existing_node
        text = "" if node is None else node.GetParameter(_RECORD)
        if not text:
            return SavedStudy()
        try:
            record = json.loads(text)
            version = record["version"]
            if version == _VERSION:
                return _read(record)
            why = _("it is of version {version}, and this program reads version {known}").format(version=version, known=_VERSION)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            why = repr(error)
        return SavedStudy(
            problem=_(
                "What {name} says of the study cannot be read: {why}. Boxes, points and the segmentation are there; the masks "
                "count as drawn by you."
            ).format(name=node.GetName(), why=why)
        )


def _order_of(node: Any) -> int:
    text = node.GetParameter(_ORDER)
    return int(text) if text.isdecimal() else 0


def _fields(model: ModelSlice) -> dict[str, Any]:
    score = model.score if model.score is not None and math.isfinite(model.score) else None
    return {
        "threshold": model.threshold,
        "growth_mm": model.growth_mm,
        "checksum": model.checksum,
        "score": score,
        "run": model.run,
    }


def _read(record: dict[str, Any]) -> SavedStudy:
    runs = tuple(_texts(run) for run in record["runs"])
    slices = {}
    for k, fields in record["slices"].items():
        slices[int(k)] = {
            "threshold": _probability(fields["threshold"]),
            "growth_mm": _finite(fields["growth_mm"]),
            "checksum": str(fields["checksum"]),
            "score": None if fields["score"] is None else _finite(fields["score"]),
            "run": range(len(runs))[int(fields["run"])] if runs else 0,
        }
    return SavedStudy(
        threshold=_probability(record["threshold"]),
        growth_mm=_finite(record["growth_mm"]),
        slices=slices,
        proposals=_texts(record["proposals"]),
        runs=runs,
        failed={int(k): str(why) for k, why in record["failed"].items()},
    )


def _probability(value: Any) -> float:
    number = _finite(value)
    if not 0 < number < 1:
        raise ValueError(value)
    return number


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _texts(document: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in document.items()}
