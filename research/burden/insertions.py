"""How far the proposed insertion points lie from points set by hand, on 20 exams of EMIDEC.

    python -m research.burden.insertions EMIDEC

The points in ``insertions.json`` were set on a basal and a mid slice of each exam, before the proposal was looked at. A
point's angle is taken around the middle of wall and cavity of its slice; of an exam it is the mean of both slices.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from MyoScarSegLib.quantification.aha import InsertionPoints, angles_of, center_of
from MyoScarSegLib.quantification.insertions import insertions_at, propose_insertions
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Geometry
from research.burden.cohort import exams

POINTS = Path(__file__).parent / "insertions.json"


def errors(found: InsertionPoints, by_hand: list[dict], ventricle: Ventricle, geometry: Geometry) -> dict[str, float]:
    """Degrees by which the points and the middle of the septum are off; positive towards the inferior wall over the septum."""
    planes = Planes.of(geometry, len(ventricle.myocardium))
    # The turn is that of the hand-set points, so that a proposal that runs the wrong way round is far off.
    frame = angles_of(InsertionPoints(**{k: tuple(v) for k, v in by_hand[1].items()}), ventricle, planes)

    def angle(point: np.ndarray) -> float:
        k = planes.nearest(np.array(point), ventricle.closed)
        return float(frame.degrees(planes.in_plane(k, np.array(point)) - center_of(ventricle, planes, k)))

    hand = {name: [angle(one[f"{name}_mm"]) for one in by_hand] for name in ("anterior", "inferior")}
    middle = {name: np.degrees(np.angle(np.exp(1j * np.radians(of)).mean())) for name, of in hand.items()}
    proposed = {"anterior": angle(found.anterior_mm), "inferior": angle(found.inferior_mm)}
    off = {name: float(_signed(proposed[name] - middle[name])) for name in middle}
    septum = float(_signed(middle["inferior"] - middle["anterior"]))
    slices = float(np.mean([abs(_signed(of[1] - of[0])) for of in hand.values()]))
    return off | {"rotation": (off["anterior"] + off["inferior"]) / 2, "septum": septum, "slices": slices}


def _signed(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def stored(geometry: Geometry, shape: tuple[int, ...], permutation: tuple[int, int], flips: tuple[bool, bool, bool]) -> Geometry:
    """The geometry of a stack whose rows and columns were exchanged (``(1, 0)``) and then axes k, j, i flipped: same world."""
    direction, spacing = (
        np.array(geometry.direction)[:, :2][:, list(permutation)],
        np.array(geometry.spacing_mm)[:2][list(permutation)],
    )
    columns = np.column_stack([direction, np.array(geometry.direction)[:, 2]])
    spacings = (*spacing, geometry.spacing_mm[2])
    sizes = np.array(shape)[::-1][[*permutation, 2]]
    origin = np.array(geometry.origin_mm, dtype=float)
    for axis, flip in enumerate(flips[::-1]):
        if flip:
            origin += columns[:, axis] * spacings[axis] * (sizes[axis] - 1)
            columns[:, axis] *= -1
    return replace(geometry, spacing_mm=tuple(map(float, spacings)), origin_mm=tuple(origin), direction=columns)


def rotated(array: np.ndarray, degrees: float, *, labels: bool) -> np.ndarray:
    """Resampled on a grid turned in the plane around the middle of the slice."""
    return ndimage.rotate(array, degrees, axes=(1, 2), reshape=False, order=0 if labels else 1, mode="nearest")


def rotated_geometry(geometry: Geometry, shape: tuple[int, ...], degrees: float) -> Geometry:
    """The geometry of :func:`rotated` of square pixels: same world."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    columns = np.array(geometry.direction, dtype=float)
    spacing = np.array(geometry.spacing_mm)
    # Index (i, j) of the new grid is R (i, j) of the old one about the middle.
    turn = np.array([[c, -s], [s, c]])
    middle = (np.array(shape[:0:-1]) - 1) / 2
    shift = middle - turn @ middle
    matrix = columns[:, :2] * spacing[:2]
    origin = np.array(geometry.origin_mm) + matrix @ shift
    turned = matrix @ turn
    lengths = np.linalg.norm(turned, axis=0)
    return replace(
        geometry,
        spacing_mm=(float(lengths[0]), float(lengths[1]), float(spacing[2])),
        origin_mm=tuple(origin),
        direction=np.column_stack([turned / lengths, columns[:, 2]]),
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    by_hand = json.loads(POINTS.read_text())
    rows: dict[str, list[dict[str, float]]] = {}
    for exam in exams(parser.parse_args().data):
        if exam.case not in by_hand:
            continue
        points, shape = by_hand[exam.case], exam.voxels.shape
        found = propose_insertions(exam.voxels, exam.expert, exam.geometry)
        rows.setdefault("proposed", []).append(
            errors(found, points, exam.expert, exam.geometry) | {"case": exam.case, "by": found.source}
        )
        axes = insertions_at(0.0, exam.expert, exam.geometry)
        rows.setdefault("patient axes alone", []).append(errors(axes, points, exam.expert, exam.geometry))
        for name, permutation, flips in (
            ("rows mirrored", (0, 1), (False, True, False)),
            ("columns mirrored", (0, 1), (False, False, True)),
            ("slices reversed", (0, 1), (True, False, False)),
            ("quarter turn", (1, 0), (False, True, False)),
            ("exchanged, all mirrored", (1, 0), (True, True, True)),
        ):
            geometry = stored(exam.geometry, shape, permutation, flips)

            def turned(array: np.ndarray, permutation: tuple = permutation, flips: tuple = flips) -> np.ndarray:
                array = array.transpose(0, 2, 1) if permutation == (1, 0) else array
                return np.flip(array, [axis for axis, flip in enumerate(flips) if flip])

            heart = Ventricle(turned(exam.expert.myocardium), turned(exam.expert.cavity), "labels")
            rows.setdefault(name, []).append(
                errors(propose_insertions(turned(exam.voxels), heart, geometry), points, heart, geometry)
            )
        if abs(exam.geometry.spacing_mm[0] / exam.geometry.spacing_mm[1] - 1) < 0.02:
            rows.setdefault("those with square pixels", []).append(rows["proposed"][-1])
            for degrees in (30.0, 135.0):
                labels = [
                    rotated(m.astype(np.uint8), degrees, labels=True) > 0 for m in (exam.expert.myocardium, exam.expert.cavity)
                ]
                heart = Ventricle(labels[0], labels[1] & ~labels[0], "labels")
                geometry = rotated_geometry(exam.geometry, shape, degrees)
                voxels = rotated(exam.voxels, degrees, labels=False)
                rows.setdefault(f"resampled at {degrees:g} degrees", []).append(
                    errors(propose_insertions(voxels, heart, geometry), points, heart, geometry)
                )
    for row in rows["proposed"]:
        print(
            f"{row['case']}: anterior {row['anterior']:+.0f}, inferior {row['inferior']:+.0f}, rotation {row['rotation']:+.0f}, "
            f"septum {row['septum']:.0f}, slices differ by {row['slices']:.0f}, by {row['by']}"
        )
    print("| | exams | point: mean | median | most | rotation: mean (signed) | median | most |")
    print("|---|---|---|---|---|---|---|---|")
    for name, of in rows.items():
        single = np.abs([row[key] for row in of for key in ("anterior", "inferior")])
        turns = np.array([row["rotation"] for row in of])
        print(
            f"| {name} | {len(of)} | {single.mean():.1f} | {np.median(single):.1f} | {single.max():.0f} | "
            f"{np.abs(turns).mean():.1f} ({turns.mean():+.1f}) | {np.median(np.abs(turns)):.1f} | {np.abs(turns).max():.0f} |"
        )


if __name__ == "__main__":
    main()
