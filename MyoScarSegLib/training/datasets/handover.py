"""A labeled study on its way from one process to another: one ``.npz`` file, quick to write and without pickle."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.files import parse_json, write_bytes
from MyoScarSegLib.utils.json_fields import read, to_json

_Vector = tuple[float, float, float]


@dataclass(frozen=True)
class _Facts:
    spacing_mm: _Vector | None
    origin_mm: _Vector
    direction: tuple[_Vector, _Vector, _Vector]
    slice_positions_mm: tuple[float, ...] | None
    slice_origins_mm: tuple[_Vector, ...] | None
    reconstruction: Reconstruction
    bad_slices: dict[int, str]


def write_handover(path: Path, study: Study, labels: np.ndarray) -> None:
    """Write a study and its labels; names and texts of the study are left out.

    Args:
        path: of the ``.npz``.
        study: the stack.
        labels: ``[k, j, i]`` shaped like its voxels: bool (scar) or uint8 classes.

    Raises:
        OutputError: the file cannot be written.
    """
    geometry = study.geometry
    facts = _Facts(
        geometry.spacing_mm,
        geometry.origin_mm,
        np.asarray(geometry.direction).tolist(),
        None if geometry.slice_positions_mm is None else np.asarray(geometry.slice_positions_mm).tolist(),
        None if geometry.slice_origins_mm is None else np.asarray(geometry.slice_origins_mm).tolist(),
        study.reconstruction,
        dict(study.bad_slices),
    )
    data = io.BytesIO()
    text = json.dumps(to_json(facts)).encode()
    np.savez(data, voxels=study.voxels, labels=labels, facts=np.frombuffer(text, dtype=np.uint8))
    write_bytes(path, data.getvalue())


def read_handover(path: Path, case: str) -> tuple[Study, np.ndarray]:
    """What :func:`write_handover` wrote, as the study ``case`` and its labels.

    Raises:
        StudyError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = read(_Facts, parse_json(stored["facts"].tobytes(), StudyError, str(path)), StudyError, str(path))
            voxels, labels = stored["voxels"], stored["labels"]
        positions, origins = facts.slice_positions_mm, facts.slice_origins_mm
        geometry = Geometry(
            facts.spacing_mm,
            facts.origin_mm,
            np.array(facts.direction, dtype=np.float64),
            None if positions is None else np.array(positions, dtype=np.float64),
            None if origins is None else np.array(origins, dtype=np.float64),
        )
        return Study(case, voxels, geometry, facts.reconstruction, bad_slices=facts.bad_slices), labels
    except (OSError, KeyError, ValueError, BadZipFile, StudyError) as error:
        raise StudyError(f"The study on its way to the library, {path}, cannot be read: {error}. Add it again.") from error
