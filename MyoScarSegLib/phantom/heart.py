"""The left ventricle, its infarcts and the truth about them, in continuous space.

In each slice the ventricle is described in polar coordinates about its axis: radii of epicardium and endocardium and of
the infarct's outer border, tabulated around the circle and linear in between. Along the slice normal the solid is
constant over the tissue for which a slice stands, so the area of each part, and with it volume and mass, is an exact
integral that owes nothing to pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.phantom.grid import Grid
from MyoScarSegLib.phantom.phantom_settings import Infarct, Territory

ANGLES = 1440
"""Number of tabulated directions around the ventricle."""

_TERRITORIES: dict[Territory, tuple[float, float]] = {"LAD": (115.0, 0.6), "RCx": (-15.0, 0.45), "RCA": (255.0, 0.4)}
"""Center angle in degrees and level of each coronary artery's territory (the AHA's assignment of the 17 segments)."""

_THINNEST_MM = 2.0
"""Scar thinner than this is left out: it could not be seen, and no reader would draw it."""

_NO_REFLOW_SHARE = 0.4
"""Probability of a dark core in a drawn infarct of more than 0.6 transmurality, about what is seen in the first week."""

_PAPILLARY_DEG = (35.0, 235.0)


@dataclass(frozen=True)
class Heart:
    """The ventricle in every slice. Tables are ``[k, ANGLES + 1]`` radii in mm, the last column equal to the first.

    Attributes:
        level: ``[k]`` 0 base, 1 apex; outside 0..1 the slice misses the ventricle's wall.
        axis_mm: ``[k, 2]`` right and down position of the ventricle's axis in the anatomy's frame.
        epicardium, endocardium: radii of the wall; both 0 where the slice misses it.
        scar: outer radius of the infarct, which starts at the endocardium; equal to the endocardium where there is none.
        core_inner, core_outer: radii of the no-reflow core within the infarct; equal where there is none.
        outflow: bool, where the wall is open into the aortic root.
        papillary: ``[k, muscles, 3]`` right, down (from the axis) and radius in mm; radius 0 where there is none.
        infarcts: that were made.
    """

    level: np.ndarray
    axis_mm: np.ndarray
    epicardium: np.ndarray
    endocardium: np.ndarray
    scar: np.ndarray
    core_inner: np.ndarray
    core_outer: np.ndarray
    outflow: np.ndarray
    papillary: np.ndarray
    infarcts: tuple[Infarct, ...]

    def scar_areas_mm2(self) -> np.ndarray:
        """``[k]`` exact area of the infarct, its core included."""
        return sector_area(self.scar) - sector_area(self.endocardium)


def sector_area(radii: np.ndarray) -> np.ndarray:
    """Area within tabulated radii that are linear in the angle between: exact, by integrating r²/2.

    Args:
        radii: ``[..., ANGLES + 1]`` in mm.

    Returns:
        ``[...]`` in mm².
    """
    a, b = radii[..., :-1], radii[..., 1:]
    return ((a * a + a * b + b * b) / 6 * (2 * np.pi / ANGLES)).sum(axis=-1)


def radius_at(table: np.ndarray, slices: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Radius of a table in slice ``slices`` at ``turn`` (0..ANGLES), linear between the tabulated directions."""
    low = np.minimum(turn.astype(np.int32), ANGLES - 1)
    part = turn - low
    flat = table.ravel()
    index = slices * (ANGLES + 1) + low
    return flat[index] * (1 - part) + flat[index + 1] * part


def make_heart(grid: Grid, shape_rng: np.random.Generator, infarct_rng: np.random.Generator) -> Heart:
    """Draw a ventricle and its infarcts.

    Args:
        grid: where the slices lie.
        shape_rng: draws the ventricle.
        infarct_rng: draws number, place and shape of the infarcts, so that they can vary on the same heart.
    """
    settings = grid.settings
    scale = float(shape_rng.uniform(0.92, 1.2))
    radius, wall = 33.0 * scale, float(shape_rng.uniform(8.0, 10.5)) * scale
    length = float(shape_rng.uniform(86.0, 98.0)) * scale
    # The base lies in the first or second slice of a clinical stack; a short or long stack is centerd on the ventricle.
    along = grid.positions_mm if not settings.apex_first else -grid.positions_mm
    level = 0.5 + (along + float(shape_rng.uniform(-3.0, 3.0))) / length

    degrees = np.linspace(0.0, 360.0, ANGLES + 1)
    epicardium_profile = radius * _taper(level, 1.0)
    endocardium_profile = (radius - wall) * _taper(level, 1.0 - 0.9 * wall / length)
    inside = (level > -0.02) & (epicardium_profile > 6.0)
    outline = 1.0 + _harmonics(shape_rng, degrees, (2, 3, 4), 0.025)
    epicardium = np.where(inside, epicardium_profile, 0.0)[:, None] * outline
    thickness = 1.0 + _harmonics(shape_rng, degrees, (1, 2, 3), 0.06)
    trabeculae = _harmonics(shape_rng, degrees, (7, 9, 11, 14, 19), 0.03)
    wall_mm = np.maximum(epicardium_profile - endocardium_profile, 0.0)[:, None] * thickness
    endocardium = np.clip(epicardium - wall_mm + endocardium_profile[:, None] * trabeculae, 0.0, None)
    endocardium = np.where(endocardium_profile[:, None] > 1.5, np.minimum(endocardium, epicardium), 0.0)

    sway = shape_rng.normal(0.0, 0.6, size=(len(level), 2)).clip(-1.5, 1.5)
    lean = shape_rng.normal(0.0, 4.0, size=2).clip(-8.0, 8.0)
    axis = (level[:, None] - 0.5) * lean + sway + grid.drift_mm()

    outflow = np.zeros(epicardium.shape, dtype=bool)
    opening = float(shape_rng.uniform(0.03, 0.09))
    half_opening = 38.0 * np.clip(1.0 - level / opening, 0.0, 1.0) ** 0.5
    outflow |= (np.abs(_turn_from(degrees, 140.0))[None] < half_opening[:, None]) & inside[:, None]

    infarcts = settings.infarcts
    if infarcts is None:
        infarcts = _draw_infarcts(settings.infarct_counts, infarct_rng)
    scar_part = np.zeros_like(epicardium)
    core_part = np.zeros_like(epicardium)
    for infarct in infarcts:
        depth, core = _infarct(infarct, level, degrees, infarct_rng)
        scar_part, core_part = np.maximum(scar_part, depth), np.maximum(core_part, core)
    thinned = endocardium + 0.18 * (epicardium - endocardium) * np.clip(scar_part, 0.0, 1.0)
    endocardium = np.where(endocardium > 0, thinned, endocardium)
    wall_mm = epicardium - endocardium
    cavity_open = endocardium.min(axis=1, keepdims=True) > 3.0
    scarred = (scar_part * wall_mm >= _THINNEST_MM) & cavity_open & ~outflow
    scarred[:, -1] = scarred[:, 0]
    scar = np.where(scarred, endocardium + scar_part * wall_mm, endocardium)
    has_core = scarred & (core_part * wall_mm >= _THINNEST_MM)
    rim = np.minimum(0.15 * wall_mm, 0.2 * (scar - endocardium))
    core_inner = np.where(has_core, endocardium + rim, endocardium)
    core_outer = np.where(has_core, np.minimum(endocardium + rim + core_part * wall_mm, scar - rim), endocardium)
    core_outer = np.maximum(core_outer, core_inner)

    papillary = _papillary_muscles(level, endocardium, scale, shape_rng)
    return Heart(level, axis, epicardium, endocardium, scar, core_inner, core_outer, outflow, papillary, infarcts)


def _taper(level: np.ndarray, end: float) -> np.ndarray:
    """Radius along the ventricle over the widest one: nearly a cylinder at the base, rounded towards the apex."""
    along = np.clip(level / end, 0.0, 1.0)
    narrowing = 1.0 - 0.06 * np.clip(0.35 - level, 0.0, 1.0) / 0.35
    return np.asarray(np.sqrt(1.0 - along**2.8) * narrowing)


def _harmonics(rng: np.random.Generator, degrees: np.ndarray, orders: tuple[int, ...], size: float) -> np.ndarray:
    """A smooth random periodic function, about ``size`` in amplitude."""
    radians = np.deg2rad(degrees)
    total = np.zeros_like(degrees)
    for order in orders:
        total += rng.normal(0.0, size) / len(orders) ** 0.5 * np.cos(order * radians - rng.uniform(0.0, 2 * np.pi))
    total[-1] = total[0]
    return total


def _turn_from(degrees: np.ndarray, center: float | np.ndarray) -> np.ndarray:
    """Signed difference of angles, -180..180."""
    return (degrees - center + 180.0) % 360.0 - 180.0


def _draw_infarcts(counts: tuple[float, ...], rng: np.random.Generator) -> tuple[Infarct, ...]:
    chances = np.array(counts, dtype=np.float64)
    number = int(rng.choice(len(chances), p=chances / chances.sum()))
    names: list[Territory] = ["LAD", "RCx", "RCA"]
    order = rng.permutation(3)
    infarcts = []
    for index in range(number):
        name = names[int(order[index % 3])]
        angle, level = _TERRITORIES[name]
        transmurality = float(rng.uniform(0.35, 1.0))
        infarcts.append(
            Infarct(
                territory=name,
                transmurality=transmurality,
                half_width_deg=float(rng.uniform(28.0, 75.0)),
                half_length=float(rng.uniform(0.2, 0.5)),
                no_reflow=bool(rng.random() < _NO_REFLOW_SHARE) and transmurality > 0.6,
                angle_deg=angle + float(rng.normal(0.0, 14.0)),
                level=level + float(rng.normal(0.0, 0.08)),
            )
        )
    return tuple(infarcts)


def _infarct(infarct: Infarct, level: np.ndarray, degrees: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Depth of an infarct and of its no-reflow core as parts of the wall, ``[k, ANGLES + 1]`` each."""
    center, middle = _TERRITORIES[infarct.territory]
    center = infarct.angle_deg if infarct.angle_deg is not None else center
    middle = infarct.level if infarct.level is not None else middle
    apart = np.clip(1.0 - ((level - middle) / infarct.half_length) ** 2, 0.0, 1.0) ** 0.5
    ragged = 1.0 + _harmonics(rng, degrees, (2, 3, 5, 8, 13), 0.16)
    wander = rng.normal(0.0, 5.0, size=len(level)).clip(-10.0, 10.0)
    turn = np.abs(_turn_from(degrees[None], center + wander[:, None]))
    width = np.maximum(infarct.half_width_deg * apart, 1e-6)[:, None]
    shoulder = np.clip((1.15 - turn / width) / 0.45, 0.0, 1.0)
    shoulder = shoulder * shoulder * (3.0 - 2.0 * shoulder)
    depth = infarct.transmurality * (0.65 + 0.35 * apart)[:, None] * shoulder * ragged
    depth = np.where(apart[:, None] > 0.25, np.clip(depth, 0.0, 1.0), 0.0)
    core = np.zeros_like(depth)
    if infarct.no_reflow:
        inner = np.clip(1.0 - turn / (0.55 * width), 0.0, 1.0) ** 0.5
        core = np.where(apart[:, None] > 0.6, 0.55 * infarct.transmurality * inner * ragged, 0.0)
    return depth, core


def _papillary_muscles(level: np.ndarray, endocardium: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """The two papillary muscles where a slice cuts them."""
    muscles = np.zeros((len(level), len(_PAPILLARY_DEG), 3))
    for number, angle in enumerate(_PAPILLARY_DEG):
        center = np.deg2rad(angle + rng.normal(0.0, 8.0))
        middle, reach = 0.5 + rng.normal(0.0, 0.04), 0.2
        size = rng.uniform(4.0, 6.2) * scale * np.clip(1.0 - ((level - middle) / reach) ** 2, 0.0, 1.0) ** 0.5
        around = round(float(np.rad2deg(center) % 360.0) / 360.0 * ANGLES) % ANGLES
        distance = np.maximum(endocardium[:, around] - 0.8 * size - 1.0, 0.0)
        size = np.where(endocardium.min(axis=1) > 9.0, size, 0.0)
        muscles[:, number] = np.stack([distance * np.cos(center), -distance * np.sin(center), size], axis=1)
    return muscles
