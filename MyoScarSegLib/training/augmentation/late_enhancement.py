"""Late enhancement drawn over cine, to learn the inner border of scar from hearts of which no LGE is there.

The labels of a cine stack say where cavity and wall are. The wall's signal is taken out, scar is painted from the cavity outward
in a sector that goes on from slice to slice, and contrast, sharpness and noise are LGE's: healthy wall 0, blood 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, by_stack

_WITH_SCAR, _NO_REFLOW = 0.75, 0.2
"""Shares of the stacks."""
_FEWEST_WALL_PX, _FEWEST_SCAR_PX = 20, 6
_CORE_DEPTH_PX = 2.2
"""How deep in scar no-reflow begins."""
_DARKEST_BLOOD = 0.05
"""Of a stack's range: in cine blood is among the brightest."""
_WOBBLES = 12
"""Waves of the scar's outer border around the heart, at most."""


@dataclass(frozen=True)
class _Scar:
    """Where a stack's scar lies: angles in radians, lengths in slices."""

    value: float
    angle: float
    half: float
    depth: float
    middle: float
    extent: float
    twist: float
    no_reflow: bool
    border: np.ndarray

    def on(self, k: int, cavity: np.ndarray, wall: np.ndarray) -> np.ndarray:
        """bool ``[rows, columns]`` of slice ``k``."""
        strength = 1 - abs(k + 0.5 - self.middle) / self.extent
        if strength <= 0 or not cavity.any() or wall.sum() <= _FEWEST_WALL_PX:
            return np.zeros_like(wall)
        y, x = np.mgrid[: wall.shape[0], : wall.shape[1]]
        middle_y, middle_x = ndimage.center_of_mass(cavity | wall)
        angle = np.arctan2(y - middle_y, x - middle_x)
        off = np.abs((angle - (self.angle + self.twist * k) + np.pi) % (2 * np.pi) - np.pi)
        inner, outer = ndimage.distance_transform_edt(~cavity), ndimage.distance_transform_edt(cavity | wall)
        depth = (inner - 0.5) / np.maximum(inner + outer - 1, 1e-3)
        degrees = ((np.degrees(angle) + 360) % 360).astype(int) % 360
        reach = np.clip((self.half * np.sqrt(strength) - off) / 0.35, 0, 1) ** 0.5
        scar = wall & (depth < self.depth * (0.6 + 0.4 * strength) * reach * (1 + self.border[degrees]))
        pieces, _ = ndimage.label(scar)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        return (sizes >= _FEWEST_SCAR_PX)[pieces]


def enhanced(slices: Iterable[LabeledSlice], copies: int, seed: int = 0) -> list[LabeledSlice]:
    """So many copies of each labeled cine stack as LGE, most with scar; cases and patients have names of their own."""
    generator = np.random.default_rng(seed)
    stacks = list(by_stack(slices).values())
    return [drawn for _ in range(copies) for stack in stacks for drawn in _enhanced(stack, generator)]


def _enhanced(stack: Sequence[LabeledSlice], generator: np.random.Generator) -> list[LabeledSlice]:
    draw = generator.uniform
    pictures = [np.asarray(one.image, float) for one in stack]
    low, high = np.percentile(np.concatenate([picture.ravel() for picture in pictures]), [1, 99.5])
    extent = max(high - low, 1e-6)
    value = float(np.clip(generator.normal(1.12, 0.28), 0.5, 1.9))
    gamma, texture, noise, grain_px = draw(0.7, 1.4), draw(0.1, 0.6), draw(0.03, 0.17), draw(0.6, 1.1)
    blur_px, papillary, muscle = draw(0.6, 1.1), draw(0.45, 0.8), draw(0.25, 0.45) ** gamma
    cavities = [picture[one.labels == CAVITY] for picture, one in zip(pictures, stack, strict=True)]
    blood = (np.median(np.concatenate(cavities)) - low) / extent if any(c.size for c in cavities) else 1.0
    blood = max(blood, _DARKEST_BLOOD)
    has_scar = generator.random() < _WITH_SCAR
    scar = _Scar(
        value, draw(0, 2 * np.pi), draw(0.35, 1.9), draw(0.45, 1.5), draw(0, len(stack)), draw(1.5, max(2.0, 0.8 * len(stack))),
        generator.normal(0, 0.12), generator.random() < _NO_REFLOW, _closed_curve(generator) * 0.25,
    )  # fmt: skip
    result, case = [], ""
    for k, (one, picture) in enumerate(zip(stack, pictures, strict=True)):
        cine = np.clip((picture - low) / extent, 0, 1.3)
        cavity, wall = one.labels == CAVITY, one.labels >= MYOCARDIUM
        labels = np.minimum(one.labels, MYOCARDIUM).astype(np.uint8)
        around = (np.clip(cine / blood, 0, 1.8) ** gamma - muscle) / (1 - muscle)
        signal = 0.75 * _cloud(generator, cine.shape, 3)
        where = scar.on(k, cavity, wall) if has_scar else np.zeros_like(wall)
        if where.any():
            signal = np.where(where, scar.value * (1 + 1.05 * _cloud(generator, cine.shape, 1.5)), signal)
            if scar.no_reflow:
                signal = np.where(ndimage.distance_transform_edt(where) > _CORE_DEPTH_PX, scar.value * 0.45, signal)
            labels[where] = INFARCT
        smooth = ndimage.gaussian_filter(cine, 1.5)
        in_cavity, in_wall = (ndimage.gaussian_filter(place.astype(float), blur_px) for place in (cavity, wall))
        muscles = np.clip(smooth / max(np.median(smooth[cavity]), 0.05), papillary, 1.1) if cavity.any() else 1.0
        drawn = around * (1 - np.clip(in_cavity + in_wall, 0, 1)) + ndimage.gaussian_filter(np.where(wall, signal, 0), blur_px)
        drawn += np.where(cavity, muscles, 1) * (1 + 0.8 * _cloud(generator, cine.shape, 8)) * in_cavity
        drawn += (cine - smooth) / blood * texture * (0.3 + 0.7 * (1 - in_wall))
        grain = _cloud(generator, cine.shape, grain_px)
        case = case or f"{one.stack}-enhanced-{generator.integers(1 << 30)}"
        image = ((drawn + grain / grain.std() * noise) * 1000 + 3000).astype(np.float32)
        result.append(replace(one, image=image, labels=labels, patient=f"{one.patient}-enhanced", case=case))
    return result


def _cloud(generator: np.random.Generator, shape: tuple[int, ...], smooth_px: float) -> np.ndarray:
    return ndimage.gaussian_filter(generator.normal(size=shape), smooth_px)


def _closed_curve(generator: np.random.Generator) -> np.ndarray:
    """A wavy curve around a circle, by the degree."""
    values = generator.normal(size=_WOBBLES)
    return np.interp(np.linspace(0, _WOBBLES, 360, endpoint=False), np.arange(_WOBBLES + 1), np.r_[values, values[0]])
