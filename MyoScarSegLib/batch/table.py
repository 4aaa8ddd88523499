"""The table over a cohort's records, on demand: CSV, Parquet, SQLite. Each can be made anew."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.reviews import read_reviews
from MyoScarSegLib.batch.study_record import StudyRecord
from MyoScarSegLib.errors import MyoScarSegError, OutputError
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.outputs.measurement_files import MEASUREMENTS
from MyoScarSegLib.utils.files import atomic_path, read_json, write_bytes

COLUMNS: Mapping[str, str] = {
    "case": "TEXT",
    "state": "TEXT",
    "message": "TEXT",
    "cause": "TEXT",
    "slices": "INTEGER",
    "slices_with_scar": "INTEGER",
    "boxes": "INTEGER",
    "faint_places": "INTEGER",
    "scar_pixels": "INTEGER",
    "scar_volume_ml": "REAL",
    "scar_mass_g": "REAL",
    "scar_mass_low_g": "REAL",
    "scar_mass_high_g": "REAL",
    "likely_wrong": "INTEGER",
    "reconstruction": "TEXT",
    "slice_distance_mm": "REAL",
    "threshold": "REAL",
    "detector": "TEXT",
    "segmenter": "TEXT",
    "reviewed": "TEXT",
    "review_mass_g": "REAL",
    "seconds": "REAL",
    "program": "TEXT",
    "image_sha256": "TEXT",
    "content_sha256": "TEXT",
    "place_sha256": "TEXT",
    "signal_to_noise": "REAL",
    "reference_mass_g": "REAL",
    "reference_methods": "INTEGER",
}
"""Names of the columns and their types; a column keeps its meaning, new ones come last."""
_TABLE = "cohort"


def cohort_rows(cohort: Cohort) -> list[dict[str, Any]]:
    """A row for each study with a record, by the names of :data:`COLUMNS`; None where nothing is known."""
    return [_row(cohort, record) for record in cohort.records()]


def _row(cohort: Cohort, record: StudyRecord) -> dict[str, Any]:
    results = record.results
    slices = results.get("slices") or []
    provenance = results.get("provenance") or {}
    reviews = [review for review in read_reviews(cohort.out / record.case) if review.is_of(record)]
    row = {name: results.get(name) for name in COLUMNS}
    row |= {name: getattr(record, name) for name in ("case", "state", "message", "cause", "seconds", "program")}
    row |= {name: getattr(record, name) for name in ("content_sha256", "place_sha256", "signal_to_noise")}
    row |= {name: provenance.get(name) for name in ("detector", "segmenter")}
    row["image_sha256"] = record.basis.image_sha256
    row["reviewed"] = " ".join(f"{review.reader}:{review.verdict}" for review in reviews) or None
    row["review_mass_g"] = next((review.mass_g for review in reviews if review.mass_g is not None), None)
    if results:
        row["slices"], row["slices_with_scar"] = len(slices), sum(one["scar_pixels"] > 0 for one in slices)
        row["reference_mass_g"], row["reference_methods"] = _reference_mass(cohort.out / record.case)
    return row


def _reference_mass(folder: Path) -> tuple[float | None, int | None]:
    """The median mass of the reference methods of a case's report, and how many had an answer; None without a report."""
    try:
        methods = read_json(folder / MEASUREMENTS, OutputError)["methods"]
        masses = [float(one["mass_g"]) for one in methods if one["mass_g"] is not None]
    except (OutputError, KeyError, TypeError, ValueError):
        return None, None
    return (float(np.median(masses)), len(masses)) if masses else (None, None)


def write_cohort_table(cohort: Cohort, kind: str) -> Path:
    """Write the table as ``cohort.csv``, ``cohort.parquet`` or ``cohort.sqlite`` into the results folder. Returns its path.

    Raises:
        MyoScarSegError: Parquet needs pyarrow, which is not installed.
        OutputError: it cannot be written.
    """
    file = cohort.out / f"cohort.{kind}"
    if kind == "sqlite":
        write_bytes(file, _sqlite(cohort_rows(cohort)))
    elif kind == "csv":
        write_table(file, COLUMNS, cohort_rows(cohort))
    else:
        _write_parquet(file, cohort_rows(cohort))
    return file


def _sqlite(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A database with the one table. It is made on a local disk, since SQLite's locks do not hold on network folders."""
    columns = ", ".join(f'"{name}" {kind}' + (" PRIMARY KEY" if name == "case" else "") for name, kind in COLUMNS.items())
    values = [tuple(row[name] for name in COLUMNS) for row in rows]
    try:
        with tempfile.TemporaryDirectory(prefix="myoscarseg-table-") as folder:
            file = Path(folder, "cohort.sqlite")
            with closing(sqlite3.connect(file)) as base, base:
                base.execute(f"CREATE TABLE {_TABLE} ({columns})")
                base.executemany(f"INSERT INTO {_TABLE} VALUES ({', '.join('?' * len(COLUMNS))})", values)  # noqa: S608 (our own names)
            return file.read_bytes()
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"Cannot make the table: {error}. Free some space, or set TMPDIR to a disk that has some.") from error


def _write_parquet(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MyoScarSegError("Parquet needs pyarrow: pip install 'myoscarseg[parquet]'. Or write --table csv.") from error
    kinds = {"TEXT": pyarrow.string(), "INTEGER": pyarrow.int64(), "REAL": pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    whole = [
        {name: int(row[name]) if kind == "INTEGER" and row[name] is not None else row[name] for name, kind in COLUMNS.items()}
        for row in rows
    ]
    table = pyarrow.Table.from_pylist(whole, schema=schema)
    with atomic_path(file) as temporary:
        parquet.write_table(table, temporary)
