"""The same heart gives the same numbers however its slices are stored: flipped, turned, transposed, tilted, reversed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.quantification.insertions import propose_insertions
from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Geometry
from Testing.support.analytic_ventricle import Rings, rings

AXES = ("flip rows", "flip columns", "flip slices", "transpose", "turn", "turn and flip")


def stored(arrays: list[np.ndarray], geometry: Geometry, how: str) -> tuple[list[np.ndarray], Geometry]:
    """The arrays otherwise in memory, and a geometry that says so."""
    for step in how.split(" and "):
        arrays, geometry = _step(arrays, geometry, step)
    return arrays, geometry


def _step(arrays: list[np.ndarray], geometry: Geometry, how: str) -> tuple[list[np.ndarray], Geometry]:
    i, j, k = geometry.spacing_mm
    direction, origin = geometry.direction, np.array(geometry.origin_mm)
    slices, rows, columns = arrays[0].shape
    if how == "transpose":
        moved = replace(geometry, spacing_mm=(j, i, k), direction=direction[:, [1, 0, 2]])
        return [array.transpose(0, 2, 1) for array in arrays], moved
    if how == "turn":
        return stored(arrays, geometry, "transpose and flip rows")
    axis, column, length = {
        "flip columns": (2, 0, (columns - 1) * i), "flip": (2, 0, (columns - 1) * i),
        "flip rows": (1, 1, (rows - 1) * j), "flip slices": (0, 2, (slices - 1) * k),
    }[how]  # fmt: skip
    signs = np.ones(3)
    signs[column] = -1
    origins, positions = geometry.slice_origins_mm, geometry.slice_positions_mm
    if origins is not None and positions is not None:
        step = direction[:, column] * length if axis else np.zeros(3)
        origins, positions = (origins[::-1], positions[::-1]) if axis == 0 else (origins + step, positions)
        origin = origins[0] - direction[:, column] * length
    moved = Geometry(
        geometry.spacing_mm, tuple(origin + direction[:, column] * length), direction * signs,
        None if positions is None else positions.copy(), None if origins is None else origins.copy(),
    )  # fmt: skip
    return [np.flip(array, axis=axis).copy() for array in arrays], moved


def values_of(made: Rings, how: str | None) -> dict[str, object]:
    image = np.where(made.ventricle.cavity, 90.0, np.where(made.scar, 120.0, np.where(made.ventricle.myocardium, 10.0, 0.0)))
    arrays = [made.ventricle.myocardium, made.ventricle.cavity, made.scar, image]
    geometry = made.geometry
    if how is not None:
        arrays, geometry = stored(arrays, geometry, how)
    wall, cavity, scar, voxels = arrays
    ventricle = Ventricle(wall, cavity, "labels")
    numbers = measure(scar, geometry, ventricle=ventricle, insertions=made.insertions, voxels=voxels)
    depths = numbers.transmurality
    proposed = propose_insertions(voxels, ventricle, geometry)
    order = -1 if how == "flip slices" else 1
    return {
        "amounts": [e.mass_g for e in (numbers.scar, numbers.scar_in_wall, numbers.myocardium, numbers.cavity)],
        "percent": numbers.percent_of_myocardium,
        "burden": [value.burden_percent for value in numbers.segments],
        "depth": [depths.mean_all_percent, depths.mean_scar_percent, depths.maximum_percent, depths.above_50_percent],
        "extent": [depths.endocardial_extent_percent, depths.wall_thickness_mm],
        "segments": [value.transmurality_percent for value in numbers.segments[:16]],
        "lesions": [(lesion.extent.mass_g, lesion.diameter_mm, lesion.length_mm) for lesion in numbers.lesions],
        "grey": [numbers.grey_zone.core.mass_g, numbers.grey_zone.grey.mass_g],
        "levels": [numbers.levels.get(k) for k in range(len(scar))][::order],
        "slices": [e.transmurality_percent for e in numbers.slices][::order],
        "points": [*proposed.anterior_mm, *proposed.inferior_mm],
    }


def agree(first: dict[str, object], second: dict[str, object]) -> None:
    for name, value in first.items():
        if name in ("levels", "slices", "burden", "segments"):
            plain = [v if v is None or isinstance(v, str) else pytest.approx(v, abs=0.2) for v in second[name]]
            assert value == plain, name
        elif name == "points":
            assert value == pytest.approx(second[name], abs=0.6), name
        elif name == "lesions":
            assert np.allclose(value, second[name], rtol=1e-3), name
        else:
            assert value == pytest.approx(second[name], rel=2e-3), name


SHAPES = {
    "plain": {},
    "pixels that are not square": {"pixel_mm": (1.5, 1.1)},
    "sheared": {"shear": (0.2, -0.15)},
    "uneven": {"positions_mm": (0.0, 8.0, 17.0, 24.0, 33.0, 41.0, 49.0, 60.0, 68.0)},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", AXES)
def test_numbers_do_not_hang_on_the_order_of_rows_columns_and_slices(how, shape):
    made = rings(angles=(30.0, 100.0), depth=(0.0, 0.6), scarred=(0, 1, 2, 3, 6), **SHAPES[shape])
    agree(values_of(made, how), values_of(made, None))


@pytest.mark.parametrize("turned", [25.0, 90.0, 200.0])
def test_numbers_do_not_hang_on_how_the_stack_is_turned_in_its_plane(turned):
    """The pixels sample the heart elsewhere, so this holds to within a few points."""
    made = rings(angles=(30.0, 100.0), depth=(0.0, 0.6))
    other = rings(angles=(30.0, 100.0), depth=(0.0, 0.6), septum_deg=17.0 + turned)
    first, second = values_of(made, None), values_of(other, None)
    assert first["percent"] == pytest.approx(second["percent"], rel=0.02)
    assert first["depth"][0] == pytest.approx(second["depth"][0], abs=1)
    assert first["segments"] == pytest.approx(second["segments"], abs=5)


def test_numbers_do_not_hang_on_where_the_patient_lay():
    made = rings(angles=(30.0, 100.0))
    turn, upper = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turn = turn * np.sign(np.diag(upper))
    turn = turn * np.sign(np.linalg.det(turn))
    geometry = replace(made.geometry, origin_mm=tuple(turn @ made.geometry.origin_mm), direction=turn @ made.geometry.direction)
    points = [tuple(turn @ point) for point in (made.insertions.anterior_mm, made.insertions.inferior_mm)]
    moved = Rings(made.ventricle, made.scar, geometry, type(made.insertions)(*points))
    first, second = values_of(made, None), values_of(moved, None)
    for name in ("amounts", "percent", "depth", "extent", "burden", "segments"):
        plain = [v if v is None else pytest.approx(v, rel=1e-3, abs=0.2) for v in np.atleast_1d(second[name]).tolist()]
        assert np.atleast_1d(first[name]).tolist() == plain, name
