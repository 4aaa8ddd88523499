"""The files of one case and the tables over all of them."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.case_folders import prompts_path, read_case_boxes, same_prompts
from MyoScarSegLib.outputs.case_walls import IMAGE, LABELS, NIFTI, RESULT, SEGMENTATION, facts_of, write_walls
from MyoScarSegLib.outputs.landmarks import LANDMARKS
from MyoScarSegLib.outputs.overlay import write_boxes_picture, write_overlay
from MyoScarSegLib.prompts import Box, read_points, write_boxes, write_points
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import write_segmentation, write_volume
from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import read_json, remove, write_bytes, write_json

_PROVENANCE = (
    "threshold",
    "detector",
    "detector_sha256",
    "detector_confidence",
    "segmenter",
    "segmenter_sha256",
    "preprocessing",
    "precision",
    "program",
)
RESULT_COLUMNS = (
    "case",
    "status",
    "message",
    "slices",
    "slices_with_scar",
    "boxes",
    "scar_pixels",
    "scar_area_mm2",
    "scar_volume_ml",
    "scar_mass_g",
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
    "slice_distance_mm",
    "reconstruction",
    *_PROVENANCE,
    "seconds",
    "notes",
    "scar_mass_low_g",
    "scar_mass_high_g",
    "likely_wrong",
)
SLICE_COLUMNS = (
    "case",
    "slice",
    "boxes",
    "scar_pixels",
    "scar_area_mm2",
    "slice_extent_mm",
    "scar_volume_ml",
    "scar_mass_g",
    "score",
    "message",
)
_WITHOUT_RESULT = ("failed", "cancelled")


def write_case(
    folder: Path,
    result: Result,
    formats: str = "both",
    truth: np.ndarray | None = None,
    *,
    picture: bool = True,
    seconds: float | None = None,
    walls: Anatomy | None = None,
) -> None:
    """Write all files of a segmented case into ``folder``, each atomically.

    ``boxes.json`` (and ``points.json`` if there are points) come first, so that even a disk that fills up leaves the prompts;
    those that hold the very same prompts already stay as they are. ``result.json`` comes last: where it lies, the case is whole.

    Args:
        folder: made if it is not there.
        formats: of the mask: ``seg.nrrd``, ``nii.gz`` or ``both``.
        truth: bool ``[k, j, i]``, drawn into the overlay for comparison.
        picture: draw the overlay, which needs matplotlib; else an earlier one is taken away.
        seconds: how long the case took.
        walls: the ventricle around the scar, written with it, see :func:`~MyoScarSegLib.outputs.case_walls.write_walls`.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    study = result.study
    remove(folder / RESULT)
    _write_boxes(folder, study, result.boxes)
    if result.points and not same_prompts(folder / "points.json", result.points, read_points):
        # Without points a file that is there stays: it may be the user's, for a later run.
        with prompts_path(folder / "points.json") as file:
            write_points(file, study.case, result.points)
    segmentation, nifti = folder / SEGMENTATION, folder / NIFTI
    if formats in ("seg.nrrd", "both") and walls is None:
        write_segmentation(segmentation, result.mask, study, dict(result.provenance))
    elif formats == "nii.gz":
        remove(segmentation)
    if formats in ("nii.gz", "both"):
        write_volume(nifti, result.mask.astype(np.uint8), study)
    else:
        remove(nifti)
    write_volume(folder / "probability.nii.gz", result.probability, study)
    if study.geometry.slice_positions_mm is not None and walls is None:
        write_volume(folder / IMAGE, study.voxels, study)  # on the even grid of the masks, which no viewer makes by itself
    elif walls is None:
        remove(folder / IMAGE)
    if picture:
        write_overlay(folder / "overlay.png", result, truth)
    else:
        remove(folder / "overlay.png")
    if walls is None:
        for name in (LABELS, LANDMARKS):
            remove(folder / name)
    else:
        write_walls(folder, result, walls, formats)
    write_json(folder / RESULT, {**result.summary(), "seconds": seconds, **({} if walls is None else facts_of(walls))})


def write_proposal(folder: Path, study: Study, boxes: Iterable[Box]) -> None:
    """Write ``boxes.json`` and a picture of them, ``boxes.png``.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    boxes = list(boxes)
    _write_boxes(folder, study, boxes)
    write_boxes_picture(folder / "boxes.png", study, boxes)


def _write_boxes(folder: Path, study: Study, boxes: Sequence[Box]) -> None:
    if not same_prompts(folder / "boxes.json", boxes, read_case_boxes):
        with prompts_path(folder / "boxes.json") as file:
            write_boxes(file, study.case, boxes)


class CaseTables:
    """``results.csv`` and ``slices.csv`` over all cases of a results folder, as one run adds to them.

    They are made anew from the ``result.json`` in each case folder, of which only those that changed are read again; and in a
    large folder only so often that it takes little of the time, so :meth:`write_rest` ends a run.
    """

    _SHARE = 0.05

    def __init__(self, root: Path) -> None:
        """Nothing is read or written yet."""
        self.root = root
        self._ended: dict[str, tuple[str, str]] = {}
        self._written: dict[str, None] = {}  # a set that keeps its order
        self._rows: dict[tuple[str, int, int], _Rows] = {}
        self._took_s, self._last_s, self._waits = 0.0, 0.0, False

    def add(
        self, case: str, status: str, message: str, *, written: bool, alone: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """A case ended.

        Args:
            written: whether this run wrote a result for it, or found that it has the one that it would write.
            alone: holds the lock of the results folder while the tables are written.

        Raises:
            OutputError: the tables cannot be written.
        """
        if written:
            self._written.setdefault(case)
            self._ended.pop(case, None)
        elif status in _WITHOUT_RESULT:
            self._ended[case] = status, message
        self._waits = True
        if time.monotonic() - self._last_s > self._took_s / self._SHARE:
            self.write_rest(alone)

    def write_rest(self, alone: Callable[[], AbstractContextManager[None]]) -> None:
        """Write what is not written yet. Arguments and errors as :meth:`add`."""
        if not self._waits:
            return
        start = time.monotonic()
        with alone():
            write_tables(self.root, self._ended, self._written, self._rows)
        self._last_s, self._waits = time.monotonic(), False
        self._took_s = self._last_s - start


def write_tables(
    root: Path,
    ended: Mapping[str, tuple[str, str]],
    written: Collection[str],
    known: dict[tuple[str, int, int], _Rows] | None = None,
) -> None:
    """Make ``results.csv`` and ``slices.csv`` anew from the ``result.json`` in each case folder.

    A case whose last run failed or was cancelled says so, beside the numbers of the result that still lies in its folder, if any,
    until it is run again; what the tables say of that is therefore read first. Cases keep their order, new ones come last.

    Args:
        root: the results folder; whoever calls holds its lock.
        ended: ``(status, message)`` of each case of this run that ended without a result.
        written: cases whose result this run wrote, in order.
        known: rows of results that were read before, by path, time and size; those that are read are added.

    Raises:
        OutputError: the tables cannot be written.
    """
    known = {} if known is None else known
    results = {file.parent.name: file for file in root.glob(f"*/{RESULT}")}
    cases: dict[str, tuple[str, str] | None] = {}
    for row in read_table(root / "results.csv"):
        name, status = row.get("case") or "", row.get("status") or ""
        if status in _WITHOUT_RESULT and name not in written:
            cases[name] = status, row.get("message") or ""
        elif name in results:
            cases[name] = None
    for name in (*(name for name in written if name in results), *sorted(results, key=natural_order)):
        cases.setdefault(name, None)
    cases |= ended
    rows, slices = [], []
    for name, last in cases.items():
        found = _known_rows(name, results.get(name), known)
        if found is None:
            continue
        row, of_slices = found
        rows.append({**row, "status": last[0], "message": last[1]} if last else row)
        slices += of_slices
    write_table(root / "results.csv", RESULT_COLUMNS, rows)
    write_table(root / "slices.csv", SLICE_COLUMNS, slices)


_Rows = tuple[dict[str, Any], list[dict[str, Any]]] | None


def _known_rows(case: str, file: Path | None, known: dict[tuple[str, int, int], _Rows]) -> _Rows:
    try:
        status = None if file is None else file.stat()
    except OSError:
        status = None
    if file is None or status is None:
        return _rows(case, file)
    key = (str(file), status.st_mtime_ns, status.st_size)
    if key not in known:
        known[key] = _rows(case, file)
    return known[key]


def _rows(case: str, file: Path | None) -> _Rows:
    """The rows of a case in both tables; None if its ``result.json`` is another program's.

    What the file does not say is left empty. ``slices.csv`` has every slice, also those without scar.
    """
    if file is None:
        return {"case": case}, []
    try:
        document = read_json(file, OutputError)
        if not isinstance(document, dict) or "scar_pixels" not in document:
            return None
        slices, (column_mm, row_mm, _) = document["slices"], document["spacing_mm"] or (None, None, None)
        row = {column: document.get(column) for column in RESULT_COLUMNS}
        row |= {column: document["provenance"].get(column) for column in _PROVENANCE}
        row |= {"case": case, "slices": len(slices), "slices_with_scar": sum(s["scar_pixels"] > 0 for s in slices)}
        row |= {"pixel_spacing_row_mm": row_mm, "pixel_spacing_column_mm": column_mm, "notes": " ".join(document["notes"])}
        return row, [{column: entry.get(column) for column in SLICE_COLUMNS} | {"case": case} for entry in slices]
    except OutputError as error:
        return {"case": case, "status": "failed", "message": str(error)}, []
    except (KeyError, TypeError, ValueError, AttributeError):
        return {"case": case, "status": "failed", "message": f"{file} is damaged. Segment the study again."}, []


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table; none if there is none, or none that can be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV table atomically; None is an empty field, and numbers keep six significant digits.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    # A path of an old file server may not be UTF-8: it is written as the system has it, so that it is found again.
    write_bytes(path, text.getvalue().encode(errors="surrogateescape"))
