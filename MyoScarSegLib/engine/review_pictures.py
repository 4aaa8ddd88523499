"""The pictures of a cohort's list, copied small to this computer by a process: the folder of results may be slow, or gone."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from MyoScarSegLib.batch.study_record import read_study_record
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.overlay import tile_in
from MyoScarSegLib.utils.background_task import BackgroundTask, serve
from MyoScarSegLib.utils.files import write_bytes
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel

ROW_PX, TIP_PX = 48, 480
"""Height of the picture in a row, and width of the one in its tip."""
_COLORS = 64
_TOLD_EVERY_S = 0.3


def pictures_task(out: Path, cases: Sequence[str], folder: Path) -> BackgroundTask:
    """A task that makes pictures of the cases of a results folder in ``folder``; it is not started yet.

    It tells how many cases it has gone through, in their order; see :func:`picture_files`.
    """
    return BackgroundTask("MyoScarSegLib.engine.review_pictures", {"out": str(out), "cases": [*cases], "folder": str(folder)})


def picture_files(folder: Path, number: int) -> tuple[Path, Path]:
    """The pictures for row and tip of the case of that number, from 0: the slice with most scar, and all of the overlay.

    They are missing if the case has no overlay, or one that cannot be read.
    """
    return folder / f"{number}-row.png", folder / f"{number}-tip.png"


def _work(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> None:
    out, folder, cases = Path(job["out"]), Path(job["folder"]), job["cases"]
    told_at = -math.inf
    for number, case in enumerate(cases):
        check_cancel(cancel)
        _draw(out / case, *picture_files(folder, number))
        if time.monotonic() - told_at > _TOLD_EVERY_S:
            told_at = time.monotonic()
            progress(number + 1, len(cases), "")
    progress(len(cases), len(cases), "")


def _draw(case: Path, row: Path, tip: Path) -> None:
    from PIL import Image

    try:
        with Image.open(BytesIO((case / "overlay.png").read_bytes())) as picture:
            overlay = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return
    record = read_study_record(case)
    slices = [] if record is None else record.results.get("slices") or []
    if slices:
        most = max(range(len(slices)), key=lambda k: slices[k]["scar_pixels"])
        tile = overlay.crop(tile_in(overlay.size, len(slices), most))
        _write(row, tile.resize((round(ROW_PX * tile.width / tile.height), ROW_PX), Image.Resampling.BOX))
    height = round(TIP_PX * overlay.height / overlay.width)
    _write(tip, overlay.resize((TIP_PX, height), Image.Resampling.BOX).quantize(_COLORS))


def _write(file: Path, picture: Any) -> None:
    data = BytesIO()
    picture.save(data, format="PNG")
    try:
        write_bytes(file, data.getvalue())
    except OutputError:  # the disk of this computer is full: the list does without
        return


if __name__ == "__main__":
    serve(_work)
