"""The left ventricle of a study as a part of its state: wall, blood pool and no-reflow, slice by slice, and the landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from MyoScarSegLib.quantification.aha import BY_HAND, ReadersLevel
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.scene.packed_masks import checksum_of, pack, unpack

_FROM_MODEL, _EDITED = "model", "edited"
BY_READER: Literal["reader"] = "reader"
"""Source of :class:`Landmarks`."""


@dataclass(frozen=True)
class VentricleSlice:
    """One slice: the masks of its tissues, packed; empty where there is nothing.

    Attributes:
        myocardium: the wall, with scar and no-reflow.
        cavity: the blood pool.
        no_reflow: within the wall; drawn by the reader alone.
        remote: wall that looks normal, for the reference methods; likewise.
        proposed: checksum of the wall and blood pool that a model proposed, see
            :func:`~MyoScarSegLib.scene.packed_masks.checksum_of`; empty if none has.
    """

    myocardium: bytes = b""
    cavity: bytes = b""
    no_reflow: bytes = b""
    remote: bytes = b""
    proposed: str = ""

    @cached_property
    def edited(self) -> bool:
        """Whether wall or blood pool are the reader's: drawn, taken from elsewhere, or changed after a proposal."""
        if not self.proposed:
            return bool(self.myocardium or self.cavity)
        return checksum_of(self.myocardium, self.cavity) != self.proposed

    def with_masks(self, now: VentricleSlice, shape: tuple[int, int]) -> VentricleSlice:
        """The slice after somebody changed masks to those of ``now``. Wall and blood pool share no pixel: what was painted last
        has it."""
        if now.masks == self.masks:
            return self
        myocardium, cavity = (unpack(bits, shape) for bits in (now.myocardium, now.cavity))
        if (myocardium & cavity).any():
            painted = myocardium & ~unpack(self.myocardium, shape)
            cavity &= ~painted
            myocardium &= ~cavity
            now = replace(now, myocardium=pack(myocardium), cavity=pack(cavity))
        return replace(now, proposed=self.proposed)

    @property
    def masks(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Wall, blood pool, no-reflow and remote region."""
        return self.myocardium, self.cavity, self.no_reflow, self.remote


NOTHING = VentricleSlice()


@dataclass(frozen=True)
class Landmarks:
    """Where the right ventricle's wall meets the left one's: the insertion points, for the AHA segments.

    Attributes:
        anterior, inferior: ``(x, y, k)``, x and y in pixel edges of slice ``k``, which need not be whole.
        source: as of :class:`~MyoScarSegLib.quantification.aha.InsertionPoints`; those ``BY_HAND`` no proposal replaces.
    """

    anterior: tuple[float, float, float]
    inferior: tuple[float, float, float]
    source: Literal["reader", "image", "axes", "rotation"] = "reader"


@dataclass(frozen=True)
class VentricleState:
    """All that is known of a study's left ventricle. Slices with nothing on them are left out of ``slices``.

    Attributes:
        slices: by index.
        source: of the wall as it was last proposed or taken over: ``model``, ``labels`` or ``contours``; empty if it was drawn.
        provenance: of the model.
        landmarks: the insertion points; None before they are proposed or set.
        levels: slice index to a level of the AHA segments, or to :data:`~MyoScarSegLib.quantification.aha.NO_LEVEL`, where the
            reader says so.
    """

    slices: Mapping[int, VentricleSlice] = field(default_factory=dict)
    source: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    landmarks: Landmarks | None = None
    levels: Mapping[int, ReadersLevel] = field(default_factory=dict)

    def of(self, k: int) -> VentricleSlice:
        """One slice."""
        return self.slices.get(k, NOTHING)

    @property
    def has_wall(self) -> bool:
        """Whether there is any wall."""
        return any(one.myocardium for one in self.slices.values())

    @property
    def edited(self) -> list[int]:
        """Slices whose wall is the reader's, which a proposal therefore leaves alone."""
        return [k for k, one in self.slices.items() if one.edited]

    @property
    def unread(self) -> bool:
        """Whether all of the wall is a model's proposal that no reader has touched: no label to learn from."""
        return self.has_wall and self.source == _FROM_MODEL and not self.edited

    def ventricle(self, shape: tuple[int, int, int]) -> Ventricle | None:
        """Wall and blood pool as they are; None without a wall."""
        if not self.has_wall:
            return None
        source = _EDITED if self.source in ("", _FROM_MODEL) and self.edited else self.source
        return Ventricle(self._mask("myocardium", shape), self._mask("cavity", shape), source)  # type: ignore[arg-type]

    def no_reflow(self, shape: tuple[int, int, int]) -> np.ndarray | None:
        """bool ``[k, row, column]`` of no-reflow; None if none is drawn."""
        return self._mask("no_reflow", shape) if any(one.no_reflow for one in self.slices.values()) else None

    def remote(self, shape: tuple[int, int, int]) -> np.ndarray | None:
        """bool ``[k, row, column]`` of the remote region; None if none is drawn."""
        return self._mask("remote", shape) if any(one.remote for one in self.slices.values()) else None

    def _mask(self, part: str, shape: tuple[int, int, int]) -> np.ndarray:
        whole = np.zeros(shape, dtype=bool)
        for k, one in self.slices.items():
            whole[k] = unpack(getattr(one, part), shape[1:])
        return whole

    def with_slices(self, changes: Mapping[int, VentricleSlice], **fields: object) -> VentricleState:
        """With some slices changed, in slice order, and with other fields."""
        merged = {**self.slices, **changes}
        slices = {k: merged[k] for k in sorted(merged) if merged[k] != NOTHING}
        return replace(self, slices=slices, **fields)  # type: ignore[arg-type]  # callers name fields

    def without_masks(self) -> VentricleState:
        """With nothing drawn; landmarks and levels stay."""
        return replace(self, slices={}, source="", provenance={})

    def proposed(self, ventricle: Ventricle, provenance: Mapping[str, str]) -> VentricleState:
        """With the model's wall wherever the reader has not drawn one."""
        changes = {}
        for k in range(len(ventricle.myocardium)):
            if not self.of(k).edited:
                masks = pack(ventricle.myocardium[k]), pack(ventricle.cavity[k])
                checksum = checksum_of(*masks) if any(masks) else ""
                changes[k] = replace(self.of(k), myocardium=masks[0], cavity=masks[1], proposed=checksum)
        return self.with_slices(changes, source=_FROM_MODEL, provenance=dict(provenance))

    def with_remote(self, remote: np.ndarray) -> VentricleState:
        """With a remote region, bool ``[k, row, column]``."""
        return self.with_slices({k: replace(self.of(k), remote=pack(mask)) for k, mask in enumerate(remote)})

    def taken(self, ventricle: Ventricle, no_reflow: np.ndarray | None = None) -> VentricleState:
        """With a wall that the reader has from elsewhere, on all slices; ``no_reflow`` bool ``[k, row, column]`` if it has that,
        too."""
        slices = {}
        for k in range(len(ventricle.myocardium)):
            none = self.of(k).no_reflow if no_reflow is None else pack(no_reflow[k])
            slices[k] = VentricleSlice(pack(ventricle.myocardium[k]), pack(ventricle.cavity[k]), none, self.of(k).remote)
        return self.with_slices(slices, source=ventricle.source, provenance={})

    def cleared(self) -> VentricleState:
        """Without what the program proposed; what the reader drew and set stays."""
        slices = {k: replace(one, proposed="") for k, one in self.slices.items() if one.edited}
        drawn = {k: replace(one, myocardium=b"", cavity=b"", proposed="") for k, one in self.slices.items() if not one.edited}
        none = {k: one for k, one in drawn.items() if one != NOTHING}
        landmarks = self.landmarks if self.landmarks is not None and self.landmarks.source in BY_HAND else None
        source = "" if self.source == _FROM_MODEL else self.source
        return VentricleState({k: (slices | none)[k] for k in sorted(slices | none)}, source, {}, landmarks, self.levels)
