"""The node that keeps what a study's other nodes do not: settings, what the model wrote where, provenance."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import slicer

from MyoScarSegLib.errors import MyoScarSegError, SceneError
from MyoScarSegLib.quantification.aha import ReadersLevel
from MyoScarSegLib.quantification.mass_interval import MassError
from MyoScarSegLib.result import DEFAULT_THRESHOLD, MASS_ERROR
from MyoScarSegLib.scene.attributes import make_node, node_of, volumes_with
from MyoScarSegLib.scene.study_state import ModelMask, Probability, StudyState
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_state import Landmarks, VentricleState
from MyoScarSegLib.utils.json_fields import read, to_json

ROLE_STUDY = "study"
SEGMENTATION = "MyoScarSeg.Segmentation"
GRID = "MyoScarSeg.Grid"
"""Parameter: how the volume lay when the study was kept, see :mod:`~MyoScarSegLib.scene.slice_order`."""
_RECORD = "MyoScarSeg.Record"
_TAG = "MyoScarSeg.Tag"
_ORDER = "MyoScarSeg.Order"
"""Parameter: the study with the greatest number is the one that was in hand last."""
_READER_S = "MyoScarSeg.ReaderSeconds"
IDLE_S = 30.0
"""After so long without a sign of the reader he is taken to do something else, and the time is not counted."""
_VERSION = 2


@dataclass(frozen=True)
class SavedVentricle:
    """The fields of a :class:`VentricleState` without its masks; of the slices the checksum of what was proposed."""

    proposed: Mapping[int, str] = field(default_factory=dict)
    source: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    landmarks: Landmarks | None = None
    levels: Mapping[int, ReadersLevel] = field(default_factory=dict)

    @classmethod
    def of(cls, state: VentricleState) -> SavedVentricle:
        """Of a state."""
        proposed = {k: one.proposed for k, one in state.slices.items() if one.proposed}
        return cls(proposed, state.source, state.provenance, state.landmarks, state.levels)


@dataclass(frozen=True)
class SavedStudy:
    """What a scene says of a study: fields of a :class:`StudyState`."""

    threshold: Probability = DEFAULT_THRESHOLD
    growth_mm: float = 0.0
    slices: Mapping[int, ModelMask] = field(default_factory=dict)
    proposals: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Mapping[str, str], ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    ventricle: SavedVentricle = SavedVentricle()
    method: str = ""

    def __post_init__(self) -> None:
        beyond = sorted(k for k, of_slice in self.slices.items() if of_slice.run >= max(len(self.runs), 1))
        if beyond:
            raise SceneError(_("slice {slice} is of a run that is not there").format(slice=beyond[0]))
        try:
            for run in self.runs:
                MassError.of_text(run.get(MASS_ERROR, ""))
        except MyoScarSegError as error:
            raise SceneError(str(error)) from error


class StudyRecord:
    """A ``vtkMRMLScriptedModuleNode`` per study, hidden; made when there is something to keep, and anew if it was deleted.

    Attributes:
        tag: a text unlike that of any other study, by which segment and folder are known in every copy of the scene.
        reader_s: seconds that readers have spent on the study: between their signs, not while it is open.
    """

    def __init__(self, volume_node: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.volume_node = volume_node
        self._node = node_of(volume_node, ROLE_STUDY)
        kept = "" if self._node is None else self._node.GetParameter(_READER_S)
        self.reader_s = float(kept) if kept.isdecimal() else 0.0
        self._clock = clock
        self._signed_s: float | None = None
        self.tag = (self._node.GetParameter(_TAG) if self._node is not None else "") or uuid.uuid4().hex[:12]

    @property
    def node(self) -> Any:
        """The node if it is in the scene, else None."""
        if self._node is not None and self._node.GetScene() is None:
            self._node = None
        return self._node

    def ensure_node(self) -> Any:
        """The node, made if it is not there."""
        if self.node is None:
            name = _("{name} scar study").format(name=self.volume_node.GetName())
            self._node = make_node(self.volume_node, "vtkMRMLScriptedModuleNode", ROLE_STUDY, name, hidden=True)
            self._node.SetModuleName("MyoScarSeg.Study")
            self._node.SetParameter(_TAG, self.tag)
            self.bring_to_front()
        return self._node

    @property
    def order(self) -> int:
        """The study of a scene with the greatest number was in hand last; 0 if there is nothing to keep of it yet."""
        return 0 if self.node is None else _order_of(self._node)

    def bring_to_front(self) -> None:
        """Note that this is the study in hand now, if there is something to keep of it."""
        node = self.node
        if node is not None:
            volumes = volumes_with(node.GetScene(), ROLE_STUDY)
            latest = max((_order_of(node_of(volume, ROLE_STUDY)) for volume in volumes), default=0)
            if not 0 < _order_of(node) == latest:
                node.SetParameter(_ORDER, str(latest + 1))

    @property
    def segmentation_node(self) -> Any:
        """The segmentation node that the study's scar is in, None if there is none."""
        node = self.node
        return None if node is None else node.GetNodeReference(SEGMENTATION)

    def sign(self) -> None:
        """The reader has done something: a step, painting, scrolling."""
        now = self._clock()
        if self._signed_s is not None and now - self._signed_s <= IDLE_S:
            self.reader_s += now - self._signed_s
        self._signed_s = now

    def keep_time(self) -> None:
        """Keep :attr:`reader_s`, if there is something to keep of the study."""
        if self.node is not None and self.reader_s >= 1:
            _set(self._node, _READER_S, f"{self.reader_s:.0f}")

    def save(self, state: StudyState, segmentation_node: Any, grid: str) -> None:
        """Keep the settings, per slice what the model wrote, and how the volume lies (``grid``)."""
        slices = {k: model.mask for k, model in state.models.items()}
        ventricle = SavedVentricle.of(state.ventricle)
        fields = state.threshold, state.growth_mm, slices, state.proposals, state.runs, state.failed, ventricle, state.method
        document = to_json(SavedStudy(*fields), version=_VERSION)
        wanted = None if segmentation_node is None else segmentation_node.GetID()
        with slicer.util.NodeModify(self.ensure_node()) as node:
            _set(node, _RECORD, json.dumps(document, allow_nan=False))  # ASCII without line breaks: all ways of saving keep it
            _set(node, GRID, grid)
            if node.GetNodeReferenceID(SEGMENTATION) != wanted:
                node.SetNodeReferenceID(SEGMENTATION, wanted)

    def load(self) -> tuple[SavedStudy, str]:
        """What the node says; of a node that is not there, a new study's.

        If it makes no sense, the record is a new study's, too, and the second value a sentence that says why; else that is empty.
        """
        node = self.node
        text = "" if node is None else node.GetParameter(_RECORD)
        if not text:
            return SavedStudy(), ""
        try:
            document = json.loads(text)
            return read(SavedStudy, document, SceneError, _("its record"), version=_VERSION), ""
        except (ValueError, RecursionError, SceneError) as error:
            sentence = _(
                "What {name} says of the study cannot be read: {why}. Boxes, points and the segmentation are there; the masks "
                "count as drawn by you."
            )
            return SavedStudy(), sentence.format(name=node.GetName(), why=str(error).rstrip("."))


def _set(node: Any, name: str, text: str) -> None:
    """Set a parameter, which is a change of the scene only where it is another one."""
    if node.GetParameter(name) != text:
        node.SetParameter(name, text)


def _order_of(node: Any) -> int:
    text = node.GetParameter(_ORDER)
    return int(text) if text.isdecimal() else 0
