"""The segments of the left ventricle beside the scar: wall, blood pool, no-reflow and remote region."""

from __future__ import annotations

from typing import Any

from MyoScarSegLib.scene.packed_masks import pack, unpack
from MyoScarSegLib.scene.tissue_segment import TissueSegment
from MyoScarSegLib.scene.ventricle_state import VentricleSlice, VentricleState
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study.tissue import BLOOD_POOL, MVO, REMOTE, WALL, Term

_PARTS: dict[str, Term] = {"myocardium": WALL, "cavity": BLOOD_POOL, "no_reflow": MVO, "remote": REMOTE}
"""Fields of a :class:`VentricleSlice`, and the tissues that they show."""


class VentricleSegments:
    """Segments in the node that the scar is in, made together with the first wall; the remote region's when it is drawn."""

    def __init__(self, volume_node: Any, geometry: VolumeGeometry, tag: str, node: Any) -> None:
        """As of :class:`TissueSegment`; their tags begin with ``tag``. Of what happens in the node the scar's segment tells."""
        self._segments = {
            part: TissueSegment(volume_node, geometry, f"{tag} {part}", node, tissue=tissue) for part, tissue in _PARTS.items()
        }

    @property
    def version(self) -> tuple[Any, ...]:
        """Changes whenever voxels of a segment may have changed."""
        return tuple(segment.version for segment in self._segments.values())

    @property
    def exist(self) -> bool:
        """Whether the wall's segment is there."""
        return bool(self._segments["myocardium"].segment_id)

    def read(self) -> dict[int, VentricleSlice]:
        """Every slice with anything on it."""
        masks = [segment.mask() for segment in self._segments.values()]
        found = {}
        for k in range(len(masks[0])):
            myocardium, cavity, no_reflow, remote = (pack(mask[k]) for mask in masks)
            found[k] = VentricleSlice(myocardium, cavity, no_reflow, remote)
        return {k: one for k, one in found.items() if one != VentricleSlice()}

    def write(self, now: VentricleState, target: VentricleState, shape: tuple[int, int]) -> None:
        """Write the slices in which ``target`` has other masks than ``now``.

        Raises:
            SceneError: the node cannot be written.
        """
        for part, segment in self._segments.items():
            changed = [k for k in now.slices.keys() | target.slices.keys() if _bits(now, k, part) != _bits(target, k, part)]
            there = bool(segment.segment_id)
            segment.write_slices({k: unpack(_bits(target, k, part), shape) for k in changed})
            if not there and (segment.segment_id or (target.has_wall and part != "remote")):
                self._outline(segment)

    def follow_volume(self) -> None:
        """See :meth:`TissueSegment.follow_volume`."""
        for segment in self._segments.values():
            segment.follow_volume()

    def remove(self) -> None:
        """Take the segments out of their node."""
        for segment in self._segments.values():
            segment.remove_segment()

    def close(self) -> None:
        """Observe nothing any more."""
        for segment in self._segments.values():
            segment.close()

    @staticmethod
    def _outline(segment: TissueSegment) -> None:
        """Show borders alone: a filled wall would hide the scar in it. An empty segment is made, to be painted in."""
        display = segment.ensure_node().GetDisplayNode()
        if display is not None:
            display.SetSegmentOpacity2DFill(segment.segment_id, 0.3 if segment.tissue is MVO else 0.0)


def _bits(state: VentricleState, k: int, part: str) -> bytes:
    bits: bytes = getattr(state.of(k), part)
    return bits
