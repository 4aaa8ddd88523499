"""Whose slice is it? What a file's name says about the patient."""

from __future__ import annotations

import re

from MyoScarSegLib.errors import StudyError

CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
"""What a patient code or the name of a case looks like."""
_EMIDEC = re.compile(r"Case_([PNE]?\d+)", re.IGNORECASE)
_ACDC = re.compile(r"(patient\d+)_frame\d+")
_BEFORE_SLICE = re.compile(r"^(.+?)[_\-. ]*(?:slice|slc|sl)[_\-. ]*\d+", re.IGNORECASE)
_BEFORE_LAST_NUMBER = re.compile(r"^(.*?)[_\-. ]*\d+\D*$")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")

_LONG_WORD_LETTERS = 4
_DATA_WORDS = frozenset(
    """
    acq anon anonymized anonymised baseline cardiac cardio case center center cmr cohort control data dataset demo emidec exam
    followup gad group healthy heart image img infarct label labels lge mag magnitude mask mri normal nor pat patho patient
    phantom phase post pre psir pseudo ring sample scan scar seg segmentation series session set short axis sax site slice stack
    study sub subj subject synthetic test time train training val validation visit vol volume
    """.split()  # noqa: SIM905 (a list of eighty strings is not read more easily)
)


def may_be_a_persons(name: str) -> bool:
    """Whether a name found in data could be that of a person, so that it must not become a code.

    It could if it holds a word that no data set's file names have, or if it is not fit to be a code at all. ``P012``,
    ``Case_P004``, ``patient-3`` and ``AKH_017`` could not; ``Meier_1961``, ``Kim`` and ``DOE^JANE`` could.
    """
    if not CODE.fullmatch(name):
        return True
    coded = any(letter.isdigit() for letter in name)
    return any(
        word.lower() not in _DATA_WORDS and (len(word) >= _LONG_WORD_LETTERS or word.istitle() or not coded)
        for word in re.findall(r"[A-Za-z]{3,}", name)
    )


class PatientRule:
    """How names of cases and slices tell the patient.

    Args:
        pattern: a regular expression that is searched in the name; the patient is its group ``patient``, else its first group,
            else all that it matches. Without one: a slice's patient is its name up to ``_slice_`` and a number, else up to the
            last number (``A12_007`` and ``A12-slice3`` are ``A12``); a stack's patient is its whole name. EMIDEC's
            ``Case_P004`` is ``P004`` in both, ACDC's ``patient001_frame01`` is ``patient001``.

    Raises:
        StudyError: the pattern is no regular expression.
    """

    def __init__(self, pattern: str | None = None) -> None:
        try:
            self._pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise StudyError(f"{pattern!r} is no regular expression: {error}.") from error

    def of_slice(self, name: str) -> str:
        """The patient of the slice in a file called ``name`` (without extension); StudyError if it does not say."""
        if self._pattern is not None:
            return self._matched(name)
        match = _BEFORE_SLICE.match(name) or _BEFORE_LAST_NUMBER.match(name)
        patient = match[1] if match else name
        if not patient:
            raise StudyError(
                f"The name {name!r} says nothing of the patient. Name slices like PATIENT_slice_003, or give a regular "
                "expression that finds the patient in the names (--patients)."
            )
        return _plain(patient)

    def of_stack(self, name: str) -> str:
        """The patient of the stack called ``name``."""
        return _plain(name) if self._pattern is None else self._matched(name)

    def _matched(self, name: str) -> str:
        assert self._pattern is not None  # noqa: S101 - both callers have looked
        match = self._pattern.search(name)
        if match is None:
            raise StudyError(f"The name {name!r} does not fit the regular expression {self._pattern.pattern!r} for patients.")
        groups = match.groupdict()
        patient = groups.get("patient") or (match[1] if self._pattern.groups else match[0])
        if not patient:
            raise StudyError(f"The regular expression {self._pattern.pattern!r} finds no patient in the name {name!r}.")
        return str(patient)


def slice_number(name: str) -> int | None:
    """The last number in a slice's name; None if there is none."""
    match = _LAST_NUMBER.search(name)
    return int(match[1]) if match else None


def _plain(name: str) -> str:
    match = _EMIDEC.fullmatch(name) or _ACDC.fullmatch(name)
    return match[1] if match else name
