"""The studies of a scene as files, the same that ``myoscarseg segment`` writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from MyoScarSegLib.batch.outputs import RESULT_COLUMNS, SLICE_COLUMNS, result_row, slice_rows, write_case, write_table
from MyoScarSegLib.batch.runner import case_names
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.text import _


def export_sessions(sessions: Iterable[StudySession], folder: Path) -> list[Path]:
    """Write ``results.csv`` and ``slices.csv``, and a folder per study that was segmented.

    The picture of the slices is left out: what draws it is not in the application.

    Args:
        sessions: studies of the scene; those without a mask are left out.
        folder: made if it is not there.

    Returns:
        The folders of the studies.

    Raises:
        MyoScarSegError: none was segmented yet.
        OutputError: the folder cannot be written, or the disk is full.
    """
    results = [session.to_result() for session in sessions if session.segmented]
    if not results:
        raise MyoScarSegError(_("There is nothing to export yet: segment a study first."))
    names = case_names([Path(result.study.case) for result in results])
    rows, slices, folders = [], [], []
    for name, found in zip(names, results, strict=True):
        result = replace(found, study=replace(found.study, case=name))
        write_case(folder / name, result, picture=False)
        message = " ".join([*result.study.problems, *(f"Slice {k}: {why}" for k, why in result.all_failures().items())])
        row = result_row(result, "done" if result.complete else "incomplete", message, 0.0)
        rows.append({**row, "seconds": None})
        slices.extend(slice_rows(result))
        folders.append(folder / name)
    write_table(folder / "results.csv", RESULT_COLUMNS, rows)
    write_table(folder / "slices.csv", SLICE_COLUMNS, slices)
    return folders
