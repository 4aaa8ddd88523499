"""A training library: a folder to which Slicer and the command line add labeled cases, one at a time or many at once.

::

    library.json                            what the folder is, and its version
    split.json                              who trains and who validates, once it was drawn
    cases/<case>/volume.nrrd                the image, k through the slices
    cases/<case>/segmentation.seg.nrrd      scar, and the wall where it was drawn
    cases/<case>/case.json                  patient code, source, reviewer, what is reviewed, checksums, geometry
    cases/<case>/thumbnail.png              the slice with most scar, for lists
    runs/<run>/                             trainings; see :mod:`MyoScarSegLib.training.runs`

A case is written into a folder of its own beside the others and takes its place by a rename: whoever reads the library sees all
of it or nothing. Changes are made under a lock, which frees itself when its holder dies.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets import labelmaps
from MyoScarSegLib.training.datasets.case_record import (
    RECORD,
    SEGMENTATION,
    THUMBNAIL,
    VOLUME,
    Case,
    checked_code,
    checked_slices,
    content_digest,
    image_digest,
    write_case,
)
from MyoScarSegLib.training.datasets.labeled import LabeledStudy, none_of, noted_in, slices_of, strata_by_content
from MyoScarSegLib.training.datasets.labelmaps import LabelMap
from MyoScarSegLib.training.datasets.places import ADDING, CASES, case_folders, put, take_away
from MyoScarSegLib.training.datasets.stored_stacks import read_written
from MyoScarSegLib.training.splits import SPLIT, Split, check_leakage, check_split, split_patients
from MyoScarSegLib.utils.files import folder_aside, os_errors_as
from MyoScarSegLib.utils.json_fields import load, save
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress, steps

_FILE = "library.json"
VERSION = 1


@dataclass(frozen=True)
class _Content:
    """The content of ``library.json``."""

    format: Literal["MyoScarSeg training library"]


def is_library(folder: Path) -> bool:
    """Whether a folder is a training library."""
    return (folder / _FILE).is_file()


class Library:
    """A training library on disk. Make one with :meth:`create` or :meth:`open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[Path, tuple[tuple[int, int, int], Case]] = {}

    @classmethod
    def create(cls, folder: Path | str) -> Library:
        """A library in ``folder``, which is made if it is missing; one that is there already is opened.

        Raises:
            StudyError: the folder holds something else.
            OutputError: it cannot be made.
        """
        folder = Path(folder)
        if is_library(folder):
            return cls.open(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StudyError(f"{folder} is not empty and no training library; choose a new folder.")
        save(folder / _FILE, _Content("MyoScarSeg training library"), version=VERSION)
        with os_errors_as(OutputError, f"Cannot make the folder {folder / CASES}", "Choose another place."):
            (folder / CASES).mkdir(exist_ok=True)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path | str) -> Library:
        """The library in ``folder``; StudyError if there is none, or it is from a newer version."""
        folder = Path(folder)
        if not is_library(folder):
            raise StudyError(f"{folder} is no training library: there is no {_FILE} in it.")
        load(_Content, folder / _FILE, StudyError, version=VERSION)
        return cls(folder)

    def check_there(self) -> None:
        """StudyError if somebody took the library away: nothing must make half of one in its place."""
        if not is_library(self.folder):
            raise StudyError(f"The training library {self.folder} is gone. Put it back, or choose another folder.")

    def add(
        self,
        study: Study | Path | str,
        labels: np.ndarray | Path | str,
        *,
        patient: str,
        case: str | None = None,
        source: str = "",
        reviewer: str = "",
        label_map: LabelMap | None = None,
        wall_known: bool | None = None,
        reviewed: Iterable[int] | None = None,
        tags: Iterable[str] = (),
        added_by: str = "",
        replace: bool = False,
        cancel: CancelToken | None = None,
    ) -> Case:
        """Add a labeled study.

        Args:
            study: the study, or what :func:`~MyoScarSegLib.study.reader.read_study` reads.
            labels: ``[k, j, i]`` shaped like the study's voxels: bool (scar), or the classes of a
                :class:`~MyoScarSegLib.training.datasets.labeled.LabeledSlice`; or a file with them on the study's grid.
            patient: code of the patient, the same for all of the patient's cases. Never the name.
            case: name of the case; the patient's code if None.
            source, reviewer: for the record, in the user's words.
            label_map: what the values in a label file mean; see :func:`~.labelmaps.parse_label_map`.
            wall_known: whether cavity and myocardium are labeled; None looks whether both are there.
            reviewed: numbers of the slices that a reader has looked at; None for all. The others are kept and not used.
            tags, added_by: for the record.
            replace: put this in the place of the case of that name (or of the one with the same image).
            cancel: is looked at before each step.

        Returns:
            The case; the one that is there already if it is the same patient and the same content.

        Raises:
            StudyError: the input cannot be read, the code is not fit, or the library has such a case already.
            OutputError: the library cannot be written.
            Cancelled: ``cancel`` was set. The library is as it was.
        """
        self.check_there()
        checked_code(patient, "patient code")
        name = checked_code(case, "case name") if case is not None else None
        if not isinstance(study, Study):
            study = read_study(study)
        classes, known = labelmaps.classes_on(study, labels, label_map, wall_known)
        labeled = LabeledStudy(name or patient, patient, study, classes, known, checked_slices(reviewed, study.slices))
        same = self._same(labeled, name, replace)
        if same is not None and same.content_sha256 == content_digest(labeled):
            return same
        with folder_aside(self.folder, ADDING) as temporary:
            check_cancel(cancel)
            record = write_case(temporary, labeled, source=source, reviewer=reviewer, tags=tags, added_by=added_by)
            with self._locked(cancel):
                same = self._same(labeled, name, replace)
                if same is not None and same.content_sha256 == record.content_sha256:
                    return same
                if same is not None and same.case != record.case:
                    record = dataclasses.replace(record, case=same.case)
                    record.write(temporary)
                put(self.folder, temporary, record.case)
        return record

    def _same(self, labeled: LabeledStudy, name: str | None, replaces: bool) -> Case | None:
        """The case that ``labeled`` repeats or is to replace; None if it is new.

        Raises:
            StudyError: there is such a case, and it is not to be replaced.
        """
        image, content = image_digest(labeled.study), content_digest(labeled)
        cases, damaged = self.scan()
        for other in (other for other in cases if other.image_sha256 == image):
            if other.patient != labeled.patient:
                raise StudyError(
                    f"The same image is in the library already as case {other.case} of patient {other.patient}: one image under "
                    f"two codes could be trained on and validated. Add it as {other.patient}, or remove that case first."
                )
            if other.content_sha256 == content or (replaces and name in (None, other.case)):
                return other
            raise StudyError(
                f"This image is in the library already as case {other.case}, with other labels. "
                f"Give --replace (replace=True) to put these in their place{'' if name is None else f', as case {other.case}'}."
            )
        wanted = labeled.case
        clash = next((other for other in cases if other.case.lower() == wanted.lower()), None)
        if clash is None and wanted.lower() not in {folder.lower() for folder in damaged}:
            return None
        if clash is not None and clash.case != wanted:
            raise StudyError(f"The library has a case {clash.case}; {wanted} differs in capitals only, which some disks ignore.")
        if clash is not None and clash.patient != labeled.patient:
            raise StudyError(f"Case {wanted} belongs to patient {clash.patient}, not {labeled.patient}. Give another case name.")
        if not replaces:
            raise StudyError(
                f"The library has a case {wanted} already, with another image. For another exam of the patient give a case name "
                "of its own (--case); to put this in its place give --replace."
            )
        return clash

    def folders(self) -> dict[str, Path]:
        """Name of each case to its folder, sorted; a case that a killed run was replacing is still where that run put it."""
        return case_folders(self.folder)

    def folder_of(self, case: str) -> Path:
        """The folder of a case; StudyError if there is no such case."""
        folders = self.folders()
        if case not in folders:
            raise StudyError(f"{self.folder} has no case {case!r}; it has {', '.join(folders) or 'none'}.")
        return folders[case]

    def scan(self) -> tuple[list[Case], dict[str, str]]:
        """All cases whose record can be read, and the others with the reason. Images are not looked at."""
        cases: list[Case] = []
        damaged: dict[str, str] = {}
        for name, folder in self.folders().items():
            with noted_in(damaged, name):
                cases.append(self._record(folder / RECORD, name))
        return cases, damaged

    def record(self, name: str) -> Case:
        """The record of a case; StudyError if there is no such case, or its record is damaged."""
        return self._record(self.folder_of(name) / RECORD, name)

    def _record(self, path: Path, name: str) -> Case:
        """A case's record, read anew only if its file is another one now: each case that is added asks for all of them."""
        try:
            facts = path.stat()
        except OSError:
            return Case.read(path)  # which says what is wrong
        file = facts.st_ino, facts.st_mtime_ns, facts.st_size
        known = self._records.get(path)
        if known is None or known[0] != file:
            known = self._records[path] = file, Case.read(path)
        if known[1].case != name:
            raise StudyError(f"{path} is of case {known[1].case}; its folder was renamed. Name it {known[1].case} again.")
        return known[1]

    def cases(self) -> list[Case]:
        """All cases, sorted by name; StudyError if a record is damaged."""
        cases, damaged = self.scan()
        for reason in damaged.values():
            raise StudyError(reason)
        return cases

    def load(self, case: Case, *, edited: bool = False) -> LabeledStudy:
        """Image and labels of a case.

        Args:
            case: which.
            edited: whether files that differ from those that were added are taken as they are now.

        Raises:
            StudyError: a file is missing, damaged, or not the one that was added.
        """
        folder = self.folder_of(case.case)
        if not edited and (problem := case.difference(folder)):
            raise StudyError(problem)
        study = dataclasses.replace(read_written(folder / VOLUME, case.geometry, case.bad_slices), case=case.case)
        if (study.slices, *study.slice_shape) != (case.slices, case.geometry.rows, case.geometry.columns):
            raise StudyError(f"{folder / VOLUME} has another size than its record says. Remove the case and add it again.")
        classes, known = labelmaps.classes_on(study, folder / SEGMENTATION, None, case.wall_known)
        return LabeledStudy(case.case, case.patient, study, classes, known, case.reviewed)

    def read(
        self, *, progress: Progress = no_progress, cancel: CancelToken | None = None
    ) -> tuple[list[LabeledStudy], dict[str, str]]:
        """All cases, and why others could not be read; StudyError if there is none that can be."""
        self.check_there()
        cases, skipped = self.scan()
        if not cases and not skipped:
            raise StudyError(f"The training library {self.folder} has no case yet. Add some with `myoscarseg library add`.")
        studies = []
        for case in steps(cases, lambda case: f"Reading {case.case}", progress, cancel):
            with noted_in(skipped, case.case):
                studies.append(self.load(case))
        if not studies:
            raise none_of(skipped, f"cases in {self.folder} can be read")
        return studies, skipped

    def accept(self, name: str, *, cancel: CancelToken | None = None) -> Case:
        """Take a case as its files are now: somebody edited them. Its record is made anew.

        Raises:
            StudyError: there is no such case, or its files make none any more.
            OutputError: the library cannot be written.
        """
        with self._locked(cancel):
            record = self.record(name)
            labeled = self.load(record, edited=True)
            with folder_aside(self.folder, ADDING) as temporary:
                kept = {name: getattr(record, name) for name in ("source", "reviewer", "tags", "added_by")}
                renewed = write_case(temporary, labeled, **kept)
                put(self.folder, temporary, renewed.case)
        return renewed

    def add_copy(self, case: Case, folder: Path, *, cancel: CancelToken | None = None) -> None:
        """Add a case of another library, which lies in ``folder``, as it is: the files that its record names, and no others.

        Raises:
            StudyError: there is such a case, or a file is missing or not the one that was added.
            OutputError: the library cannot be written.
            Cancelled: ``cancel`` was set while another changed the library.
        """
        self.check_there()
        shown = (THUMBNAIL,) if (folder / THUMBNAIL).is_file() else ()
        with folder_aside(self.folder, ADDING) as temporary:
            for file in (folder / name for name in (*case.files, RECORD, *shown)):
                try:
                    shutil.copyfile(file, temporary / file.name)
                except FileNotFoundError as error:
                    raise StudyError(f"{file} is missing. Remove the case and add it again.") from error
                except OSError as error:
                    do = "Choose another folder, or free some space."
                    raise OutputError(f"Cannot copy {file} to {self.folder}: {error.strerror}. {do}") from error
            if problem := case.difference(temporary):  # of the copy: another Slicer may have changed the file meanwhile
                raise StudyError(problem)
            with self._locked(cancel):
                if case.case in self.folders():
                    raise StudyError(f"{self.folder} has a case {case.case} already. Choose another folder.")
                put(self.folder, temporary, case.case)

    def remove(self, case: str, *, cancel: CancelToken | None = None) -> None:
        """Take a case out, with its files; StudyError if there is no such case, OutputError if it cannot be taken out."""
        with self._locked(cancel):
            self.folder_of(case)
            away = take_away(self.folder, case)
        shutil.rmtree(away, ignore_errors=True)

    def split_manifest(self) -> Split | None:
        """Who trains and who validates; None if no split was drawn yet, StudyError if the manifest is damaged."""
        path = self.folder / SPLIT
        return Split.read(path) if path.is_file() else None

    def split(
        self,
        *,
        seed: int = 0,
        folds: int = 5,
        held_out: int = 0,
        extend: bool = False,
        replace: bool = False,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Split:
        """Draw a split by patient and write it to ``split.json``.

        Args:
            seed, folds, held_out: as :func:`~MyoScarSegLib.training.splits.split_patients` takes them.
            extend: keep everybody of the split that is there on their side, and let patients added since train.
            replace: draw anew although there is a split; patients may change sides.

        Raises:
            StudyError: there is a split already, there are too few patients, a case cannot be read, or one picture would be on
                both sides.
            OutputError: the manifest cannot be written.
        """
        before = self.split_manifest() if not replace else None
        if before is not None and not extend:
            raise StudyError(
                f"{self.folder / SPLIT} exists. Give --extend to keep it and let patients added since train, or --replace to "
                "draw anew (then patients change sides, and models trained so far must not be compared on it)."
            )
        studies, skipped = self.read(progress=progress, cancel=cancel)
        for case, reason in skipped.items():
            raise StudyError(f"Case {case} cannot be read, so it cannot be split: {reason}")
        slices = slices_of(studies)
        strata = strata_by_content(slices)
        drawn = before.extended(strata) if before else split_patients(strata, seed=seed, folds=folds, held_out=held_out)
        check_leakage(drawn, slices)
        with self._locked(cancel):
            if not replace and self.split_manifest() != before:
                raise StudyError(f"{self.folder / SPLIT} was changed by somebody else meanwhile. Look at it, and draw again.")
            drawn.write(self.folder / SPLIT)
        return drawn

    def write_split(self, split: Split, *, progress: Progress = no_progress, cancel: CancelToken | None = None) -> list[str]:
        """Write a split that somebody made by hand.

        Returns:
            Sentences on patients that are on neither side, or not in the library.

        Raises:
            StudyError: a side has nobody, a case cannot be read, or one picture would be on both sides.
            OutputError: the manifest cannot be written.
        """
        notes = check_split(split, slices_of(self.read(progress=progress, cancel=cancel)[0]))
        with self._locked(cancel):
            split.write(self.folder / SPLIT)
        return notes

    @contextmanager
    def _locked(self, cancel: CancelToken | None) -> Iterator[None]:
        self.check_there()
        with locked(self.folder / ".lock", cancel):
            yield
