"""A labeled study on its way from one process to another: one ``.npz`` file, quick to write and without pickle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.files import write_bytes

_GEOMETRY = ("spacing_mm", "origin_mm", "direction", "slice_positions_mm", "slice_origins_mm")


def write_handover(path: Path, study: Study, labels: np.ndarray) -> None:
    """Write a study and its labels; names and texts of the study are left out.

    Args:
        path: of the ``.npz``.
        study: the stack.
        labels: ``[k, j, i]`` shaped like its voxels: bool (scar) or uint8 classes.

    Raises:
        OutputError: the file cannot be written.
    """
    data, bad = io.BytesIO(), {str(k): reason for k, reason in study.bad_slices.items()}
    known = {name: value for name in _GEOMETRY if (value := getattr(study.geometry, name)) is not None}
    facts: dict[str, Any] = {"reconstruction": study.reconstruction.value, "bad_slices": json.dumps(bad)}
    np.savez(data, voxels=study.voxels, labels=labels, **known, **facts)
    write_bytes(path, data.getvalue())


def read_handover(path: Path, case: str) -> tuple[Study, np.ndarray]:
    """What :func:`write_handover` wrote, as the study ``case`` and its labels.

    Raises:
        StudyError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            known: dict[str, Any] = {name: stored.get(name) for name in _GEOMETRY}
            for name in ("spacing_mm", "origin_mm"):
                known[name] = None if known[name] is None else tuple(known[name].tolist())
            kind = Reconstruction(str(stored["reconstruction"]))
            bad = {int(k): reason for k, reason in json.loads(str(stored["bad_slices"])).items()}
            return Study(case, stored["voxels"], Geometry(**known), kind, bad_slices=bad), stored["labels"]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise StudyError(f"The study on its way to the library, {path}, cannot be read: {error}. Add it again.") from error
