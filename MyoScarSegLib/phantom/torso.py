"""What surrounds the left ventricle in an LGE short-axis slice: chest wall, lungs, abdomen, right ventricle.

Structures are painted one over another, each with an edge one pixel wide (its partial volume), in units of the signal of
blood. Positions are millimeters right and down from the ventricle's axis, as a short-axis slice is usually displayed:
right ventricle and front of the chest to the left, lung above, diaphragm, liver and stomach below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from MyoScarSegLib.phantom.grid import Grid
from MyoScarSegLib.phantom.heart import Heart
from MyoScarSegLib.phantom.painter import Painter


@dataclass(frozen=True)
class Tissue:
    """Signal of each tissue over that of blood, late after contrast agent, with healthy myocardium nearly nulled.

    Signed as in PSIR; a magnitude image shows the absolute value.
    """

    lung: float = -0.03
    muscle: float = -0.05
    fat: float = 1.75
    marrow: float = 0.9
    liver: float = 0.75
    spleen: float = 0.6
    stomach: float = 0.35
    bowel: float = 0.7
    kidney: float = 1.9
    blood: float = 1.0
    myocardium: float = 0.13
    scar: float = 1.0
    no_reflow: float = 0.45


def paint_torso(grid: Grid, heart: Heart, tissue: Tissue, rng: np.random.Generator) -> np.ndarray:
    """The slices without the left ventricle.

    Returns:
        float32 ``[k, j, i]``, signal over that of blood; air is 0.
    """
    painter = Painter.on(grid, rng)
    axis = (heart.axis_mm - grid.drift_mm()).astype(np.float32)
    radius = heart.epicardium.max(axis=1).astype(np.float32)[:, None, None]
    level = np.clip(heart.level, 0.0, 1.0).astype(np.float32)[:, None, None]
    skin, chest = _paint_chest(painter, level, tissue)
    _paint_abdomen(painter, np.maximum(radius, 12.0), chest, tissue)
    _paint_right_heart(painter.near((-15.0, 5.0), 85.0), heart, axis, radius, tissue)
    # The coil lies on the chest: what is near it shines.
    painter.canvas *= 1.0 + np.float32(rng.uniform(0.2, 0.9)) * np.exp(np.minimum(skin, 0.0) / np.float32(22.0))
    return painter.canvas


def _paint_chest(painter: Painter, level: np.ndarray, tissue: Tissue) -> tuple[np.ndarray, np.ndarray]:
    """Skin, fat, muscles, ribs, and lung with its vessels.

    Returns:
        Distances to the skin and to the lung's border, ``[k, j, i]`` in mm, negative inside.
    """
    rng, edge, paint, texture = painter.rng, painter.edge, painter.paint, painter.texture
    # Towards the apex the slices come nearer to the front of the chest, at the left.
    center = (rng.normal(34.0, 5.0) + 24.0 * level, rng.normal(30.0, 6.0))
    radii = (rng.normal(150.0, 8.0), rng.normal(172.0, 9.0))
    skin, angle = painter.blob(center, radii, rng.normal(12.0, 6.0), 0.03)
    fat_mm = np.maximum(rng.uniform(9.0, 19.0) * (1.0 + painter.wave(angle, 0.45, (1, 2, 3, 5))), 3.5)
    muscle_mm = np.maximum(rng.uniform(13.0, 19.0) * (1.0 + painter.wave(angle, 0.35, (1, 2, 3))), 6.0)
    # The breast muscle in front, the broad muscle of the back under the arm.
    for place, thick, broad in ((np.pi, rng.uniform(0.0, 14.0), 0.5), (-0.9, rng.uniform(0.0, 24.0), 0.4)):
        away = np.minimum(np.abs(angle - np.float32(place)), np.float32(2 * np.pi) - np.abs(angle - np.float32(place)))
        muscle_mm = muscle_mm + np.float32(thick) * np.exp(-((away / np.float32(broad)) ** 2))
    paint(edge(skin), tissue.fat * (1.0 + 0.07 * texture(7.0)))
    septa = np.abs(texture(4.0)) < 0.05
    paint(edge(skin + 3.0) * septa * 0.4, tissue.muscle)
    paint(edge(skin + fat_mm), tissue.muscle + 0.05 * texture(4.0))
    # Sheets of fat between the layers of muscle, thick under the arm.
    sheet = np.abs(skin + fat_mm + (0.4 + painter.wave(angle, 0.12)) * muscle_mm) - (
        0.6 + 2.2 * np.abs(painter.wave(angle, 0.7, (1, 2, 3)))
    )
    paint(edge(sheet, 1.5), tissue.fat * 0.85 * (1.0 + 0.08 * texture(7.0)))
    inner = skin + fat_mm + muscle_mm
    _paint_ribs(painter, inner, angle, tissue)
    lung = edge(inner + 3.0)
    paint(lung, tissue.lung + 0.07 * texture(4.0))
    _paint_vessels(painter, lung, tissue)
    return skin, inner


def _paint_ribs(painter: Painter, inner: np.ndarray, angle: np.ndarray, tissue: Tissue) -> None:
    """Ribs cut across at uneven distances, with fat and vessels between them."""
    rng = painter.rng
    places = np.cumsum(rng.uniform(0.1, 0.32, size=40)) - np.pi
    places = places[places < np.pi - 0.1]
    widths, weights = rng.uniform(0.015, 0.055, size=len(places)), rng.uniform(0.1, 1.0, size=len(places))
    table_angle = np.linspace(-np.pi, np.pi, 2881)
    table = np.max(
        weights[:, None] * np.clip(2.0 - 2.0 * np.abs(table_angle - places[:, None]) / widths[:, None], 0.0, 1.0), axis=0
    )
    drawn = table.astype(np.float32)[
        ((angle + np.float32(np.pi)) * np.float32(2880 / (2 * np.pi))).astype(np.int32).clip(0, 2880)
    ]
    depth = np.abs(inner + 1.0 - 2.0 * painter.texture(12.0)) - 2.4
    painter.paint(painter.edge(depth, 1.5) * drawn, tissue.marrow * (1.0 + 0.25 * painter.texture(4.0)))


def _paint_vessels(painter: Painter, lung: np.ndarray, tissue: Tissue) -> None:
    """Bright dots and short branches in the lung, most of them some way from the chest wall."""
    rng, x, y, canvas = painter.rng, painter.x, painter.y, painter.canvas
    half = max(2, round(7.0 / painter.pixel_mm))
    for k in range(len(canvas)):
        inside = np.flatnonzero((lung[k] > 0.99) & (y[k] < 10.0))
        if len(inside) == 0:
            continue
        for spot in rng.choice(inside, size=min(60, len(inside)), replace=False):
            row, column = divmod(int(spot), canvas.shape[2])
            size, bright = 0.4 + rng.exponential(0.35), rng.uniform(0.2, 0.9)
            turn, length = rng.normal(-0.6, 0.7), rng.exponential(2.2)
            rows, columns = slice(max(row - half, 0), row + half + 1), slice(max(column - half, 0), column + half + 1)
            right, down = x[k, rows, columns] - x[k, row, column], y[k, rows, columns] - y[k, row, column]
            along = right * np.float32(np.cos(turn)) + down * np.float32(np.sin(turn))
            across = down * np.float32(np.cos(turn)) - right * np.float32(np.sin(turn))
            distance = np.hypot(np.maximum(np.abs(along) - np.float32(length), 0.0), across) - np.float32(size)
            window = canvas[k, rows, columns]
            window += painter.edge(distance, 1.3) * lung[k, rows, columns] * (np.float32(bright * tissue.blood) - window)


def _paint_abdomen(painter: Painter, radius: np.ndarray, chest: np.ndarray, tissue: Tissue) -> None:
    """Below the diaphragm: fat, liver, stomach, spleen, kidney, bowel.

    Args:
        painter: on the whole canvas.
        radius: ``[k, 1, 1]`` of the heart, which rests on the diaphragm.
        chest: distance to the lung's border.
        tissue: signals.
    """
    rng = painter.rng
    crest, width = rng.normal(70.0, 6.0), rng.uniform(26.0, 36.0)
    floor = radius + np.float32(rng.uniform(2.0, 6.0))
    rise = floor + np.float32(rng.normal(4.0, 6.0))
    left = np.maximum(-painter.x - 25.0, 0.0) * np.float32(rng.uniform(0.1, 0.5))
    dome = floor + left - rise * np.exp(-(((painter.x - np.float32(crest)) / np.float32(width)) ** 2))
    dome += 0.006 * np.maximum(painter.x - np.float32(crest), 0.0) ** 2
    depth = dome - painter.y
    inside = painter.edge(chest + 1.0)
    painter.paint(painter.edge(depth) * inside, tissue.muscle)
    below = painter.edge(depth + 2.5) * inside
    painter.paint(below, tissue.fat * 0.9 * (1.0 + 0.08 * painter.texture(7.0)))

    for center, radii, turn_deg, waviness, layers in _organs(rng, tissue):
        part = painter.near(center, max(radii) * (1.0 + 2.5 * waviness) + 4.0)
        distance, _ = part.blob(center, radii, turn_deg, waviness)
        for inset_mm, signal, roughness, grain_mm in layers:
            part.paint(part.edge(distance + inset_mm) * below[part.window], signal + roughness * part.texture(grain_mm))


Layer = tuple[float, float, float, float]
"""Inset in mm from the organ's outline, signal, roughness of the signal, grain of the roughness in mm."""
Organ = tuple[tuple[float, float], tuple[float, float], float, float, list[Layer]]
"""Center, radii, turn in degrees, waviness, layers from the outside inwards."""


def _organs(rng: np.random.Generator, tissue: Tissue) -> list[Organ]:
    """Organs below the diaphragm, in the order of painting."""

    def place(right: float, down: float, spread: float) -> tuple[float, float]:
        return float(rng.normal(right, spread)), float(rng.normal(down, spread))

    # Center and its spread, bounds of both radii, turn and its spread, waviness, layers.
    usual: tuple[tuple[Any, ...], ...] = (
        ((25.0, 118.0, 9.0), (45.0, 65.0), (28.0, 40.0), (0.0, 15.0), 0.16,
         [(0.0, tissue.bowel, 0.3, 4.0), (7.0, 1.2 * tissue.bowel, 0.5, 7.0)]),
        ((66.0, 26.0, 5.0), (26.0, 34.0), (11.0, 17.0), (25.0, 14.0), 0.12,
         [(-1.0, tissue.muscle, 0.0, 7.0), (0.5, tissue.spleen, 0.05, 4.0)]),
        ((88.0, 76.0, 6.0), (27.0, 34.0), (20.0, 25.0), (65.0, 15.0), 0.06,
         [(-1.5, tissue.muscle, 0.0, 7.0), (0.5, tissue.kidney, 0.06, 4.0), (8.0, 0.85 * tissue.kidney, 0.08, 4.0),
          (15.0, tissue.fat, 0.7, 4.0)]),
        ((-38.0, 84.0, 6.0), (48.0, 64.0), (24.0, 34.0), (-38.0, 8.0), 0.09,
         [(-1.0, tissue.muscle, 0.0, 7.0), (0.5, tissue.liver, 0.05, 4.0)]),
        ((28.0, 58.0, 6.0), (20.0, 30.0), (11.0, 17.0), (-42.0, 14.0), 0.18,
         [(0.0, 0.8 * tissue.liver, 0.06, 4.0), (6.0, tissue.stomach, 0.22, 4.0)]),
    )  # fmt: skip
    organs: list[Organ] = [
        (place(*center), (float(rng.uniform(*long)), float(rng.uniform(*wide))), float(rng.normal(*turn)), waviness, layers)
        for center, long, wide, turn, waviness, layers in usual
    ]
    if rng.random() < 0.4:
        # Gas in the stomach or colon: no signal, and a fringe where it disturbs the field.
        organs.append(
            (
                place(10.0, 72.0, 12.0),
                (float(rng.uniform(14.0, 26.0)), float(rng.uniform(9.0, 16.0))),
                float(rng.uniform(0.0, 180.0)),
                0.2,
                [(0.0, 0.3, 0.3, 4.0), (3.0, -0.25, 0.12, 4.0)],
            )
        )
    return organs


def _paint_right_heart(painter: Painter, heart: Heart, axis: np.ndarray, radius: np.ndarray, tissue: Tissue) -> None:
    """Fat around the heart, the pericardium, the right ventricle's wall and blood."""
    rng = painter.rng
    level = np.clip(heart.level, 0.0, 1.1).astype(np.float32)[:, None, None]
    x, y = painter.x - axis[:, 0, None, None], painter.y - axis[:, 1, None, None]
    angle, distance = np.arctan2(-y, x), np.hypot(x, y)

    turn = np.deg2rad(rng.normal(12.0, 7.0))
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    shrink = np.sqrt(np.clip(1.0 - (level / np.float32(rng.uniform(0.78, 0.92))) ** 2.2, 0.0, 1.0))
    reach, height = np.float32(rng.uniform(26.0, 36.0)) * shrink, np.float32(rng.uniform(36.0, 43.0)) * shrink
    back, lift = x + 0.72 * radius, y - 4.0
    along, across = back * cosine + lift * sine, lift * cosine - back * sine
    bulge = np.arctan2(across, along)
    size = np.maximum(np.minimum(reach, height), 1.0)
    ratio = np.hypot(along / np.maximum(reach, 1.0), across / np.maximum(height, 1.0))
    oval = (ratio - 1.0 - painter.wave(bulge, 0.06)) * size
    oval = np.where((radius > 0) & (shrink > 0.25), np.maximum(oval, along - 0.55 * radius), np.float32(99.0))

    outline = np.where(radius > 0, np.minimum(distance - radius, oval - 3.0), np.float32(99.0))
    # A pad of fat holds the apex between chest wall and diaphragm.
    pad, _ = painter.blob(
        (float(rng.normal(-14.0, 5.0)), float(rng.normal(14.0, 4.0))), (30.0, 20.0), float(rng.normal(25.0, 15.0)), 0.15
    )
    pad = pad + np.float32(45.0) * np.maximum(np.float32(rng.uniform(0.55, 0.8)) - level, 0.0)
    painter.paint(painter.edge(pad, 1.5), tissue.fat * 0.8 * (1.0 + 0.12 * painter.texture(4.0)))
    # Fat lies in front of the right ventricle and in the grooves; the free wall almost touches the lung.
    front = np.clip(-np.cos(angle - np.float32(rng.normal(-0.3, 0.4))), 0.0, 1.0) ** 2
    fat_mm = 0.3 + front * np.float32(rng.uniform(2.0, 9.0)) * (1.0 + painter.wave(angle, 0.5, (1, 2, 3, 5)))
    fat_mm += np.maximum(painter.wave(angle, 1.6, (2, 3, 5)), 0.0)
    painter.paint(painter.edge(outline - fat_mm, 1.5), tissue.fat * 0.85 * (1.0 + 0.1 * painter.texture(4.0)))
    painter.paint(painter.edge(np.abs(outline - 0.8) - 0.5), tissue.muscle)
    painter.paint(painter.edge(oval - 2.6), tissue.myocardium + 0.05 * painter.texture(4.0))
    rough = 1.2 * np.abs(painter.texture(4.0))
    painter.paint(painter.edge(oval + rough), tissue.blood * 0.97 + 0.04 * painter.texture(7.0))
