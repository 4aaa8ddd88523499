"""A labeled study on its way from one process to another: one ``.npz`` file, quick to write and without pickle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.files import write_bytes


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
    facts = {
        "spacing_mm": geometry.spacing_mm,
        "origin_mm": geometry.origin_mm,
        "direction": np.asarray(geometry.direction).tolist(),
        "slice_positions_mm": None if geometry.slice_positions_mm is None else np.asarray(geometry.slice_positions_mm).tolist(),
        "slice_origins_mm": None if geometry.slice_origins_mm is None else np.asarray(geometry.slice_origins_mm).tolist(),
        "reconstruction": study.reconstruction.value,
        "bad_slices": {str(k): reason for k, reason in study.bad_slices.items()},
    }
    data = io.BytesIO()
    np.savez(data, voxels=study.voxels, labels=labels, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8))
    write_bytes(path, data.getvalue())


def read_handover(path: Path, case: str) -> tuple[Study, np.ndarray]:
    """What :func:`write_handover` wrote, as the study ``case`` and its labels.

    Raises:
        StudyError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            voxels, labels = stored["voxels"], stored["labels"]
        positions, origins = facts["slice_positions_mm"], facts["slice_origins_mm"]
        geometry = Geometry(
            None if facts["spacing_mm"] is None else tuple(facts["spacing_mm"]),
            tuple(facts["origin_mm"]),
            np.array(facts["direction"], dtype=np.float64),
            None if positions is None else np.array(positions, dtype=np.float64),
            None if origins is None else np.array(origins, dtype=np.float64),
        )
        study = Study(
            case,
            voxels,
            geometry,
            Reconstruction(facts["reconstruction"]),
            bad_slices={int(k): str(reason) for k, reason in facts["bad_slices"].items()},
        )
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise StudyError(f"The study on its way to the library, {path}, cannot be read: {error}. Add it again.") from error
    return study, labels
