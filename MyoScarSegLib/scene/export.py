"""The studies of a scene as files, the same that ``myoscarseg segment`` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.outputs.case_files import write_case, write_tables
from MyoScarSegLib.outputs.case_folders import CaseFolders, content_of, keep_edits
from MyoScarSegLib.scene.study_session import sessions
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.study.names import case_names


def export_scene(scene: Any, folder: Path) -> list[Path]:
    """Write ``results.csv`` and ``slices.csv``, and a folder per study of the scene that was segmented; returns these folders.

    The picture of the slices is left out: what draws it is not in the application.

    Raises:
        MyoScarSegError: none was segmented yet.
        OutputError: the folder cannot be written, the disk is full, or prompts in the folder were edited.
    """
    studies = sessions(scene)
    for session in studies:
        session.refresh()
    results = [(session.case, session.to_result()) for session in studies if session.state.has_masks]
    if not results:
        raise MyoScarSegError(_("There is nothing to export yet: segment a study first."))
    cases, written = CaseFolders(folder), []
    for wanted, (_case, found) in zip(case_names([Path(case) for case, _result in results]), results, strict=True):
        with cases.writing(wanted, None, content_of(found.study)) as case:
            keep_edits(case, found.boxes, found.points)
            write_case(case, replace(found, study=replace(found.study, case=case.name)), picture=False)
        cases.take(case.name)
        written.append(case)
    with cases.locked():
        write_tables(folder, {}, [case.name for case in written])
    return written
