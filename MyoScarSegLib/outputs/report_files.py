"""Writing a report: all of its files or none."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.measurement_files import MEASUREMENTS, document_of
from MyoScarSegLib.outputs.report import Report
from MyoScarSegLib.outputs.report_html import html_page
from MyoScarSegLib.outputs.report_page import pdf_page
from MyoScarSegLib.utils.files import atomic_path

HTML, PDF = "report.html", "report.pdf"


def write_report(folder: Path, report: Report, formats: Collection[str] = ("html", "pdf")) -> list[Path]:
    """Write ``report.html``, ``report.pdf`` and ``measurements.json``.

    They are written beside their places, and moved there when all are whole: a disk that fills up leaves what was there before.

    Args:
        folder: made if it is not there.
        report: to write.
        formats: of ``html`` and ``pdf``; an earlier file of the other is taken away, since it would show other numbers.

    Returns:
        The files.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    made: dict[str, bytes] = {MEASUREMENTS: (json.dumps(document_of(report), indent=2, allow_nan=False) + "\n").encode()}
    if "html" in formats:
        made[HTML] = html_page(report).encode()
    if "pdf" in formats:
        made[PDF] = pdf_page(report)
    with ExitStack() as stack:
        # Entered first, moved last: where measurements.json lies, the others do, too.
        for name, data in made.items():
            stack.enter_context(atomic_path(folder / name)).write_bytes(data)
    for name in {HTML, PDF} - set(made):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot take away {folder / name}, which shows earlier numbers: {error.strerror}.") from error
    return [folder / name for name in made]
