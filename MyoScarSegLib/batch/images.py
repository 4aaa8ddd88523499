"""The images that a record in a results folder was made of, found again."""

from __future__ import annotations

from typing import Any

from MyoScarSegLib.batch.cohort import INPUTS, Cohort
from MyoScarSegLib.batch.study_record import StudyRecord, image_sha256
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.outputs.case_files import read_table
from MyoScarSegLib.outputs.case_walls import IMAGE
from MyoScarSegLib.study import read_study
from MyoScarSegLib.study.study import Study


def images_of(cohort: Cohort, record: StudyRecord) -> Study | None:
    """Read the images of a study from where ``inputs.csv`` says that they are.

    Returns:
        The study; None if they are not there any more, but the case folder has a copy.

    Raises:
        StudyError: they are neither there nor in the case folder, cannot be read, or are not those of the record any more.
    """
    rows = read_table(cohort.out / INPUTS)
    path = next((row.get("input") for row in rows if row.get("place_sha256") == record.place_sha256), None)
    settings = record.basis.settings
    asked: dict[str, Any] = {n: settings[n] for n in ("series", "axis", "spacing_mm") if settings.get(n) is not None}
    try:
        if path is None:
            raise StudyError(f"{cohort.out / INPUTS} does not say where they are. Run the cohort again.")
        study = read_study(path, **asked)
    except StudyError as error:
        if (cohort.out / record.case / IMAGE).is_file():
            return None
        raise StudyError(f"The images of {record.case} cannot be read. {error}") from error
    if image_sha256(study) != record.basis.image_sha256:
        raise StudyError(f"The images of {record.case} were changed since it was segmented. Run the cohort again with --resume.")
    return study
