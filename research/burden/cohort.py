"""The exams of EMIDEC with the experts' labels and, of the five folds, masks and tissues by networks that had not seen them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from MyoScarSegLib.quantification.ventricle import Ventricle, ventricle_of_tissue
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.study.tissue import INFARCT
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.evaluation.model_evaluation import Stack, stacks_of

FOLDS = Path(__file__).parents[1] / "folds"
CORNERS = Path(__file__).parent / "corners.json"
"""Of each exam in the folds the first row and column of what ``fold-N.npz`` keeps of it; of ``burden corners``."""

ALONE, CLICKED = "end_to_end", "clicks_3"
SETTINGS = (ALONE, CLICKED)


@dataclass(frozen=True, eq=False)
class Exam:
    """One exam.

    Attributes:
        case: its name.
        voxels, geometry: of its study.
        expert: wall and cavity as the expert drew them; scar: bool ``[k, j, i]``, the expert's with no-reflow.
        model: wall and cavity of the map of tissues, cleaned; raw_model: as the map has them. None without a fold.
        masks: the program's masks by setting of the folds: without a human, and after three clicks.
    """

    case: str
    voxels: np.ndarray
    geometry: Geometry
    expert: Ventricle
    scar: np.ndarray
    model: Ventricle | None = None
    raw_model: Ventricle | None = None
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)


@cache
def stacks(data: Path) -> list[Stack]:
    """All exams, sorted by name."""
    return stacks_of(read_dataset(data).slices)


def exams(data: Path, *, folds: bool = False) -> Iterator[Exam]:
    """The exams; with ``folds`` only those that are in one, with the model's tissues."""
    tissues = _kept("tissue") if folds else {}
    settings = {setting: _kept(setting) for setting in SETTINGS} if folds else {}
    for stack in stacks(data):
        if folds and stack.case not in tissues:
            continue
        geometry, expert = stack.study.geometry, Ventricle(stack.wall, stack.cavity, "labels")
        exam = Exam(stack.case, stack.study.voxels, geometry, expert, stack.scar)
        if folds:
            corner = _corners()[stack.case]
            classes = whole(tissues[stack.case], stack.scar.shape, corner)
            # The folds keep the most likely tissue alone.
            tissue = np.stack([classes == n for n in range(INFARCT + 1)], axis=1).astype(np.float32)
            model = ventricle_of_tissue(tissue, geometry)
            raw = Ventricle(classes > 1, classes == 1, "model")
            masks = {s: whole(of[stack.case], stack.scar.shape, corner) > 127 for s, of in settings.items()}
            exam = Exam(stack.case, stack.study.voxels, geometry, expert, stack.scar, model, raw, masks)
        yield exam


def whole(part: np.ndarray, shape: tuple[int, ...], corner: tuple[int, int]) -> np.ndarray:
    """Of ``[k, CROP, CROP]`` the full slices; 0 where nothing was kept."""
    result = np.zeros(shape, dtype=part.dtype)
    rows, columns = (np.arange(part.shape[1]) + first for first in corner)
    r, c = ((at >= 0) & (at < size) for at, size in zip((rows, columns), shape[1:], strict=True))
    result[np.ix_(range(shape[0]), rows[r], columns[c])] = part[:, r][:, :, c]
    return result


def find_corners(data: Path) -> None:
    """Find again where the folds' pieces were cut, by the heart that the shipped detector finds, and check them by their scar."""
    from MyoScarSegLib.pipeline import Pipeline
    from research.folds.folds import CROP

    pipeline, corners = Pipeline(device="cpu", precision="float32"), {}
    kept = _kept("truth")
    for stack in stacks(data):
        if stack.case not in kept:
            continue
        rows, columns = stack.study.slice_shape
        x, y = pipeline.networks.heart_center(stack.study) or (columns / 2, rows / 2)
        corners[stack.case] = int(y) - CROP // 2, int(x) - CROP // 2
        if not np.array_equal(whole(kept[stack.case].astype(bool), stack.scar.shape, corners[stack.case]), stack.scar):
            raise SystemExit(f"{stack.case}: the fold's scar is not the data's there; the detector is another than the folds'.")
    CORNERS.write_text(json.dumps(corners, indent=0) + "\n")


def _folds() -> list[np.lib.npyio.NpzFile]:
    return [np.load(path) for path in sorted(FOLDS.glob("fold-[0-9].npz"))]


def _kept(what: str) -> dict[str, np.ndarray]:
    return {key.split("/")[0]: masks[key] for masks in _folds() for key in masks.files if key.endswith(f"/{what}")}


@cache
def _corners() -> dict[str, tuple[int, int]]:
    return {case: tuple(corner) for case, corner in json.loads(CORNERS.read_text()).items()}
