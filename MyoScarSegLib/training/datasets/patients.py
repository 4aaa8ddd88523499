"""Whose slice is it? What a file's name says about the patient."""

from __future__ import annotations

import re

from MyoScarSegLib.errors import StudyError

_EMIDEC = re.compile(r"Case_([PNE]?\d+)", re.IGNORECASE)
_BEFORE_SLICE = re.compile(r"^(.+?)[_\-. ]*(?:slice|slc|sl)[_\-. ]*\d+", re.IGNORECASE)
_BEFORE_LAST_NUMBER = re.compile(r"^(.*?)[_\-. ]*\d+\D*$")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


class PatientRule:
    """How names of cases and slices tell the patient.

    Args:
        pattern: a regular expression that is searched in the name; the patient is its group ``patient``, else its first group,
            else all that it matches. Without one: a slice's patient is its name up to ``_slice_`` and a number, else up to the
            last number (``A12_007`` and ``A12-slice3`` are ``A12``); a stack's patient is its whole name. EMIDEC's
            ``Case_P004`` is ``P004`` in both.

    Raises:
        StudyError: the pattern is no regular expression.
    """

    def __init__(self, pattern: str | None = None) -> None:
        try:
            self._pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise StudyError(f"{pattern!r} is no regular expression: {error}.") from error

    def of_slice(self, name: str) -> str:
        """The patient of the slice in a file called ``name`` (without extension).

        Raises:
            StudyError: the name does not say.
        """
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
        """The patient of the stack called ``name``.

        Raises:
            StudyError: the name does not fit the pattern.
        """
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
    match = _EMIDEC.fullmatch(name)
    return match[1] if match else name
