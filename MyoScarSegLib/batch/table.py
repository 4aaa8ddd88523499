"""The table over a cohort's records: SQLite as an index to be asked, CSV and Parquet on demand. Each can be made anew."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.reviews import read_reviews
from MyoScarSegLib.batch.study_record import StudyRecord
from MyoScarSegLib.errors import MyoScarSegError, OutputError
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.utils.files import atomic_path, cache_folder

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
    reviews = read_reviews(cohort.out / record.case)
    row = {name: results.get(name) for name in COLUMNS}
    row |= {name: getattr(record, name) for name in ("case", "state", "message", "cause", "seconds", "program")}
    row |= {name: getattr(record, name) for name in ("content_sha256", "place_sha256")}
    row |= {name: provenance.get(name) for name in ("detector", "segmenter")}
    row["image_sha256"] = record.basis.image_sha256
    row["reviewed"] = " ".join(f"{review.reader}:{review.verdict}" for review in reviews) or None
    row["review_mass_g"] = next((review.mass_g for review in reviews if review.mass_g is not None), None)
    if results:
        row["slices"], row["slices_with_scar"] = len(slices), sum(one["scar_pixels"] > 0 for one in slices)
        row["faint_places"] = sum(note.count("faint place") for note in results.get("notes", ()))
    return row


def index_file(cohort: Cohort) -> Path:
    """Where the index is: on a local disk, in the program's cache, since SQLite's locks do not hold on network folders."""
    name = hashlib.sha256(str(cohort.out.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_folder() / "cohorts" / f"{name}.sqlite"


def write_index(cohort: Cohort, file: Path | None = None) -> Path:
    """Make the SQLite index anew from the records; an earlier one is replaced when the new one is whole. Returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    file = file or index_file(cohort)
    names = list(COLUMNS)
    columns = ", ".join(f'"{name}" {kind}' + (" PRIMARY KEY" if name == "case" else "") for name, kind in COLUMNS.items())
    rows = [tuple(row[name] for name in names) for row in cohort_rows(cohort)]
    with atomic_path(file) as temporary:
        try:
            with closing(sqlite3.connect(temporary)) as base, base:
                base.execute(f"CREATE TABLE {_TABLE} ({columns})")
                base.executemany(f"INSERT INTO {_TABLE} VALUES ({', '.join('?' * len(names))})", rows)  # noqa: S608 (our own names)
        except sqlite3.Error as error:
            raise OutputError(f"Cannot write {file}: {error}. Free some space, or set MYOSCARSEG_CACHE.") from error
    return file


def write_cohort_table(cohort: Cohort, kind: str) -> Path:
    """Write the table as ``cohort.csv``, ``cohort.parquet`` or ``cohort.sqlite`` into the results folder. Returns its path.

    Raises:
        MyoScarSegError: Parquet needs pyarrow, which is not installed.
        OutputError: it cannot be written.
    """
    file = cohort.out / f"cohort.{kind}"
    if kind == "sqlite":
        return write_index(cohort, file)
    rows = cohort_rows(cohort)
    if kind == "csv":
        write_table(file, COLUMNS, rows)
    else:
        _write_parquet(file, rows)
    return file


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
