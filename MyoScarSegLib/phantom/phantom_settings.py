"""What a phantom is asked to be: the grid, the infarcts, the acquisition."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.study.study import Reconstruction
from MyoScarSegLib.utils.json_fields import Count, Limits, check

Territory = Literal["LAD", "RCx", "RCA"]
_Length = Annotated[float, Limits(above=0)]


@dataclass(frozen=True)
class Infarct:
    """One infarct; it starts at the endocardium, as ischaemic scar does.

    Attributes:
        territory: coronary artery whose territory it lies in.
        transmurality: 0..1, the part of the wall's thickness that it takes at its thickest.
        half_width_deg: half of its extent around the ventricle, at its widest.
        half_length: half of its extent along the ventricle, as a part of the ventricle's length.
        no_reflow: whether it has a dark core (microvascular obstruction).
        angle_deg: center around the ventricle: 0 the lateral wall, 90 anterior, 180 the septum, 270 inferior.
            None takes the middle of the territory.
        level: center along the ventricle, 0 base to 1 apex; None takes the middle of the territory.
    """

    territory: Territory = "LAD"
    transmurality: Annotated[float, Limits(above=0, most=1)] = 0.7
    half_width_deg: Annotated[float, Limits(5, 120)] = 40.0
    half_length: Annotated[float, Limits(0.02, 1)] = 0.3
    no_reflow: bool = False
    angle_deg: float | None = None
    level: float | None = None

    def __post_init__(self) -> None:
        check(self, MyoScarSegError, "The infarct")


@dataclass(frozen=True)
class PhantomSettings:
    """How a phantom is made. What is None is drawn from the seed.

    Attributes:
        slices, rows, columns: size of the stack.
        pixel_spacing_mm: ``(row, column)`` spacing, as DICOM orders it.
        slice_spacing_mm: distance between neighboring slice planes.
        slice_thickness_mm: of the slab that was excited; smaller than the spacing where there is a gap. It never enters a mass.
        slice_positions_mm: position of each slice along the normal, rising, for uneven stacks; ``slices`` values.
        slice_jitter: else, unevenness: each distance between slices is drawn within this part (0..0.9) of the spacing.
        shear: drift of the slices along columns and rows, in mm per mm of the stack's normal.
        orientation: ``"short-axis"`` (a usual double-oblique plane) or ``"random"`` (any rotation, half of them mirrored).
        in_plane_rotation_deg: how the anatomy is turned on the screen; 0 has the right ventricle on the left, lung above.
        mirrored: whether rows run the other way.
        apex_first: order of the slices.
        infarcts: given infarcts; ``()`` makes a normal heart.
        infarct_counts: probabilities of 0, 1, 2, ... infarcts when they are drawn.
        reconstruction: PSIR (signed) or magnitude.
        noise: standard deviation over the signal of blood.
        bias: strength of the receive coil's smooth shading; 0.3 is 30% from the mean.
        blur_px: standard deviation of the point spread, in pixels.
    """

    slices: Count = 10
    rows: Annotated[int, Limits(64)] = 256
    columns: Annotated[int, Limits(64)] = 208
    pixel_spacing_mm: tuple[_Length, _Length] = (1.4, 1.4)
    slice_spacing_mm: _Length = 10.0
    slice_thickness_mm: _Length = 8.0
    slice_positions_mm: tuple[float, ...] | None = None
    slice_jitter: Annotated[float, Limits(0, 0.9)] = 0.0
    shear: tuple[float, float] = (0.0, 0.0)
    orientation: Literal["short-axis", "random"] = "short-axis"
    in_plane_rotation_deg: float = 0.0
    mirrored: bool = False
    apex_first: bool = False
    infarcts: tuple[Infarct, ...] | None = None
    infarct_counts: tuple[Annotated[float, Limits(0)], ...] = (0.15, 0.6, 0.2, 0.05)
    reconstruction: Reconstruction = Reconstruction.PSIR
    noise: float = 0.08
    bias: float = 0.2
    blur_px: float = 0.6

    def __post_init__(self) -> None:
        check(self, MyoScarSegError, "The phantom")
        positions = self.slice_positions_mm
        if positions is not None and (len(positions) != self.slices or any(b <= a for a, b in pairwise(positions))):
            raise MyoScarSegError(f"slice_positions_mm needs {self.slices} rising values, one per slice.")
        if sum(self.infarct_counts) <= 0:
            raise MyoScarSegError("infarct_counts are probabilities of 0, 1, 2, ... infarcts.")
