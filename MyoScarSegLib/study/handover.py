"""A study on its way from one process to another: one ``.npz``, quick to write and without pickle."""

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


def write_handover(path: Path, study: Study, **arrays: np.ndarray) -> None:
    """Write a study, without its names and texts, and arrays ``[k, j, i]`` that belong to it: its ``labels``, ``probability``.

    Raises:
        OutputError: the file cannot be written.
    """
    data, bad = io.BytesIO(), {str(k): reason for k, reason in study.bad_slices.items()}
    known: dict[str, Any] = {name: value for name in _GEOMETRY if (value := getattr(study.geometry, name)) is not None}
    known |= {"reconstruction": study.reconstruction.value, "bad_slices": json.dumps(bad), "voxels": study.voxels, **arrays}
    np.savez(data, **known)
    write_bytes(path, data.getvalue())


def read_handover(path: Path, case: str, *names: str) -> tuple[Any, ...]:
    """What :func:`write_handover` wrote: the study ``case``, and the arrays of these names.

    Raises:
        StudyError: the file is missing or damaged, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            known: dict[str, Any] = {name: stored.get(name) for name in _GEOMETRY}
            for name in ("spacing_mm", "origin_mm"):
                known[name] = None if known[name] is None else tuple(known[name].tolist())
            kind = Reconstruction(str(stored["reconstruction"]))
            bad = {int(k): reason for k, reason in json.loads(str(stored["bad_slices"])).items()}
            study = Study(case, stored["voxels"], Geometry(**known), kind, bad_slices=bad)
            return study, *(stored[name] for name in names)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise StudyError(f"{case} was not handed over: {path} cannot be read ({error}). Try it again.") from error
