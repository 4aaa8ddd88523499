"""Many studies in a process of its own, without blocking the caller: ``python -m MyoScarSegLib.engine.process_folder``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from MyoScarSegLib.batch.finding import study_inputs
from MyoScarSegLib.engine.engine_settings import EngineSettings
from MyoScarSegLib.result import DEFAULT_THRESHOLD
from MyoScarSegLib.utils.background_task import BackgroundTask, serve
from MyoScarSegLib.utils.progress import CancelToken, Progress

__all__ = ["folder_task", "study_inputs"]

CANCEL_S = 60.0
"""After a cancel, how long the process may take: the slice in hand ends, and its case is written as far as it got."""


def folder_task(
    inputs: Iterable[Path], out: Path, settings: EngineSettings, *, threshold: float = DEFAULT_THRESHOLD, growth_mm: float = 0.0
) -> BackgroundTask:
    """A task that segments every input; it is not started yet.

    Args:
        inputs: files or folders, one study each.
        out: folder for the results.
        settings: of the networks.
        threshold: probability from which on a pixel counts as scar.
        growth_mm: by which masks are grown, or below 0 shrunk, in the slice.

    Returns:
        The task. Its result is a list with ``{"case", "status", "message"}`` of each study's
        :class:`~MyoScarSegLib.batch.runner.Outcome`, also after a cancel.
    """
    job = {
        "inputs": [str(path) for path in inputs],
        "out": str(out),
        "threshold": threshold,
        "growth_mm": growth_mm,
        "settings": settings.to_json(),
    }
    return BackgroundTask("MyoScarSegLib.engine.process_folder", job, "folder", cancel_s=CANCEL_S)


def _segment_folder(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> list[dict[str, str]]:
    from MyoScarSegLib.batch.runner import Job, segment_all

    outcomes = segment_all(
        Job([Path(path) for path in job["inputs"]], Path(job["out"]), threshold=job["threshold"], growth_mm=job["growth_mm"]),
        EngineSettings.from_json(job["settings"]).pipeline(),
        progress=progress,
        cancel=cancel,
    )
    return [{"case": o.case, "status": o.status, "message": o.message} for o in outcomes]


if __name__ == "__main__":
    serve(_segment_folder)
