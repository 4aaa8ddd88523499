"""Who was examined and when: read where somebody asks for it, and kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from MyoScarSegLib.study.pydicom_guard import import_pydicom
from MyoScarSegLib.study.study import Study


@dataclass(frozen=True)
class Patient:
    """A patient and an exam, as they are shown; what is not known is empty.

    Attributes:
        name, number, birth_date, study_date: texts; the number is the hospital's.
    """

    name: str = ""
    number: str = ""
    birth_date: str = ""
    study_date: str = ""


def patient_of(study: Study) -> Patient:
    """Who the headers of the images of a study from DICOM name."""
    header = import_pydicom().dcmread(study.files[0].path, stop_before_pixels=True)
    name, *rest = (str(header.get(tag, "") or "") for tag in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate"))
    return Patient(shown_name(name), rest[0], shown_date(rest[1]), shown_date(rest[2]))


def shown_name(text: str) -> str:
    """A name as DICOM writes it (``Doe^Jane^^Dr.``), to be read; of several spellings the first."""
    return " ".join(text.split("=")[0].replace("^", " ").split())


def shown_date(text: str) -> str:
    """A date of DICOM with dashes; another text as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else text
