"""From one layout of labeled data to another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.study.tissue import BACKGROUND, INFARCT
from MyoScarSegLib.study.writer import write_volume
from MyoScarSegLib.training.datasets.label_pictures import write_gray
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledStudy, none_of, noted_in
from MyoScarSegLib.training.datasets.stored_stacks import CaseFacts, Sidecar, straight, write_image
from MyoScarSegLib.training.datasets.training_library import Library, is_library
from MyoScarSegLib.training.splits import SPLIT, Split, check_split, split_patients
from MyoScarSegLib.utils.files import folder_aside, move, os_errors_as, write_bytes, write_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps

LAYOUTS = ("yolosam", "yolo", "library", "volumes")
PER_SCAR, MERGED = "per-scar", "merged"

_DATASET_JSON = {"background": 0, "cavity": 1, "myocardium": 2, "scar": 3, "no-reflow": 4}


@dataclass
class Conversion:
    """What a conversion did.

    Attributes:
        layout: one of :data:`LAYOUTS`.
        cases, slices, slices_with_scar: how many were written.
        known: cases that a library had already.
        skipped: name of a case or slice to the reason why it was not converted.
        warnings: sentences on the split.
        split: who went where, in layouts that are divided.
    """

    layout: str
    cases: int = 0
    slices: int = 0
    slices_with_scar: int = 0
    known: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    split: Split | None = None


@dataclass(frozen=True)
class Options:
    """How to convert.

    Attributes:
        boxes: ``"per-scar"`` or ``"merged"``; for YOLO's labels.
        split: who trains and who validates; None for the split that came with the data, else one drawn from the seed.
        seed, folds, held_out: of the split that is drawn.
        source, reviewer: for the records of a library.
    """

    boxes: str = PER_SCAR
    split: Split | None = None
    seed: int = 0
    folds: int = 5
    held_out: int = 0
    source: str = ""
    reviewer: str = ""


def convert(
    data: DataSet,
    destination: Path | str,
    layout: str,
    options: Options | None = None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Conversion:
    """Write a data set in another layout, one of :data:`LAYOUTS`.

    ``yolosam`` gives ``train|val`` with ``images`` (8-bit PNG, normalized), ``masks`` (0 and 255) and ``labels``; ``yolo`` gives
    ``images|labels`` with ``train`` and ``val``; both with a ``data.yaml`` for ultralytics. ``volumes`` gives ``images`` and
    ``labels`` with a NIfTI file per case. ``library`` makes a training library or adds to one.

    The destination is missing, empty, or a library to add to. All of it is written, or nothing; to a library, one whole case
    after the other.

    Raises:
        StudyError: the destination is taken, the options make no sense, or no case can be converted.
        OutputError: a file cannot be written.
    """
    options = options or Options()
    destination = Path(destination)
    if layout not in LAYOUTS:
        raise StudyError(f"There is no layout {layout!r}; there are {', '.join(LAYOUTS)}.")
    if options.boxes not in (PER_SCAR, MERGED):
        raise StudyError(f"Boxes are {PER_SCAR} or {MERGED}, not {options.boxes!r}.")
    work = _Conversion(data, options, Conversion(layout, skipped=dict(data.skipped)), progress, cancel)
    if layout == "library" and is_library(destination):
        work.add_to_library(destination)
        return work.report
    writers = {"library": work.add_to_library, "volumes": work.write_volumes}
    with _new_folder(destination) as folder:
        writers.get(layout, work.write_pictures)(folder)
    return work.report


@contextmanager
def _new_folder(destination: Path) -> Iterator[Path]:
    """A folder beside ``destination`` that takes its name when the block ends well, and goes away when it does not."""
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise StudyError(f"{destination} exists and is not empty. Choose a new folder; nothing is overwritten.")
    with folder_aside(destination.absolute().parent, ".converting-", parents=True) as temporary:
        yield temporary
        with os_errors_as(OutputError, f"Cannot write {destination}", "Choose another folder."):
            if destination.exists():
                destination.rmdir()
            move(temporary, destination)


def scar_boxes(scar: np.ndarray, pixel_spacing_mm: tuple[float, float] | None = None, *, merged: bool = False) -> np.ndarray:
    """Boxes around the :func:`~MyoScarSegLib.lesions.lesions` of a slice ``[rows, columns]``, or one (``merged``) around all of
    it.

    Returns float64 ``[boxes, 4]``, ``(x0, y0, x1, y1)`` in pixel edges; none where there is no scar.
    """
    numbered = lesions(scar, pixel_spacing_mm)
    return boxes_of(numbered > 0 if merged else numbered)


def yolo_text(boxes: np.ndarray, shape: tuple[int, int]) -> str:
    """The label file of a picture of ``shape`` ``(rows, columns)`` with boxes ``[boxes, 4]`` in pixel edges; empty without boxes,
    which YOLO takes as background.
    """
    rows, columns = shape
    lines = []
    for x0, y0, x1, y1 in np.asarray(boxes, dtype=np.float64).reshape(-1, 4):
        shares = ((x0 + x1) / 2 / columns, (y0 + y1) / 2 / rows, (x1 - x0) / columns, (y1 - y0) / rows)
        # Eight digits keep an edge to a ten-thousandth of a pixel in any picture.
        lines.append("0 " + " ".join(f"{share:.8f}" for share in shares) + "\n")
    return "".join(lines)


@dataclass
class _Conversion:
    """One conversion under way."""

    data: DataSet
    options: Options
    report: Conversion
    progress: Progress
    cancel: CancelToken | None

    def write_pictures(self, folder: Path) -> None:
        """Both layouts of pictures. Slices of one case are named ``<case>_slice_003``."""
        data, options, report = self.data, self.options, self.report
        given = options.split or data.given_split
        split = given or split_patients(data.strata, seed=options.seed, folds=options.folds, held_out=options.held_out)
        yolosam = report.layout == "yolosam"
        report.split, report.warnings = split, check_split(split, data.slices)
        part_of = {**dict.fromkeys(split.training, "train"), **dict.fromkeys(split.validation, "val")}
        sidecar, facts = Sidecar(), self._facts_of_pictures()
        written = [labeled for labeled in data.slices if labeled.patient in part_of]
        for labeled in steps(written, lambda labeled: f"Writing {labeled.stack}", self.progress, self.cancel):
            name = f"{_file_name(labeled.stack)}_slice_{labeled.index:03d}"
            if name in sidecar.slices:
                raise StudyError(f"Two slices would be called {name}; give their cases different names.")
            part = part_of[labeled.patient]
            homes = {kind: folder / (f"{part}/{kind}" if yolosam else f"{kind}/{part}") for kind in ("images", "masks", "labels")}
            write_gray(homes["images"] / f"{name}.png", np.round(normalize(labeled.image) * 255))
            if yolosam:
                write_gray(homes["masks"] / f"{name}.png", np.where(labeled.scar, 255, 0))
            boxes = scar_boxes(labeled.scar, labeled.pixel_spacing_mm, merged=options.boxes == MERGED)
            write_bytes(homes["labels"] / f"{name}.txt", yolo_text(boxes, labeled.scar.shape).encode())
            sidecar.slices[name] = (labeled.stack, labeled.index)
            sidecar.cases[labeled.stack] = facts[labeled.stack]
            report.slices += 1
            report.slices_with_scar += int(labeled.scar.any())
        report.cases = len(sidecar.cases)
        places = ("train/images", "val/images") if yolosam else ("images/train", "images/val")
        # Without a `path`, ultralytics looks beside the file, so the folder may be moved.
        yaml = f"train: {places[0]}\nval: {places[1]}\nnames:\n  0: scar\n"
        write_bytes(folder / "data.yaml", yaml.encode())
        split.write(folder / SPLIT)
        sidecar.write(folder)

    def _facts_of_pictures(self) -> dict[str, CaseFacts]:
        """What pictures cannot say: whose they are and how far apart. The wall is not in the masks, so it is not known."""
        facts: dict[str, CaseFacts] = {}
        for one in self.data.stacks:
            known = CaseFacts.of(one.patient, False, one.study)
            if known.spacing_mm is not None:
                distance = one.study.geometry.slice_distance_mm or known.spacing_mm[2]
                known = dataclasses.replace(known, spacing_mm=(*known.spacing_mm[:2], distance))
            facts[one.case] = known
        for labeled in self.data.slices:
            row, column = labeled.pixel_spacing_mm or (None, None)
            spacing = None if row is None or column is None else (column, row, labeled.slice_spacing_mm or 1.0)
            facts.setdefault(labeled.stack, CaseFacts(patient=labeled.patient, wall_known=False, spacing_mm=spacing))
        return facts

    def write_volumes(self, folder: Path) -> None:
        """A NIfTI file of the image and one of the labels for each case."""
        studies = self._studies()
        plain = all(set(np.unique(one.labels)) <= {BACKGROUND, INFARCT} for one in studies)
        sidecar = Sidecar()
        for one in steps(studies, lambda one: f"Writing {one.case}", self.progress, self.cancel):
            name = _file_name(one.case)
            if name in sidecar.cases:
                raise StudyError(f"Two cases would be called {name}; give them different names.")
            write_image(folder / "images" / f"{name}.nii.gz", one.study)
            labels = (one.labels == INFARCT).astype(np.uint8) if plain else one.labels
            write_volume(folder / "labels" / f"{name}.nii.gz", labels, straight(one.study))
            sidecar.cases[name] = CaseFacts.of(one.patient, one.wall_known, one.study)
            self._count(one)
        named = {"background": 0, "scar": 1} if plain else _DATASET_JSON
        write_json(folder / "dataset.json", {"channel_names": {"0": "LGE"}, "labels": named, "file_ending": ".nii.gz"})
        if self.data.given_split is not None:
            self.data.given_split.write(folder / SPLIT)
        sidecar.write(folder)

    def add_to_library(self, folder: Path) -> None:
        """Each case that the library in ``folder``, which is made if it is missing, does not have."""
        data, report = self.data, self.report
        new = not is_library(folder)
        library = Library.create(folder)
        before = {case.case for case in library.scan()[0]}
        source, reviewer = self.options.source or data.kind, self.options.reviewer
        for one in steps(self._studies(), lambda one: f"Adding {one.case}", self.progress, self.cancel):
            with noted_in(report.skipped, one.case):
                name = None if one.case == one.patient else case_name(one.case)
                case = library.add(
                    one.study, one.labels, patient=one.patient, case=name, source=source, reviewer=reviewer,
                    wall_known=one.wall_known, reviewed=one.reviewed, cancel=self.cancel,
                )  # fmt: skip
                if case.case in before:
                    report.known.append(case.case)
                else:
                    self._count(one)
        if not report.cases and not report.known:
            raise none_of(report.skipped, "cases can be added")
        if new and data.given_split is not None:
            data.given_split.write(folder / SPLIT)

    def _studies(self) -> list[LabeledStudy]:
        studies, failed = self.data.studies()
        self.report.skipped |= failed
        if not studies:
            raise none_of(failed, "cases can be converted")
        return studies

    def _count(self, one: LabeledStudy) -> None:
        self.report.cases += 1
        self.report.slices += one.study.slices
        self.report.slices_with_scar += one.slices_with_scar


def _file_name(name: str) -> str:
    return case_name(Path(name).name)
