"""Many studies in a process of their own, without blocking the caller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.engine.link import TransportFactory
from MyoScarSegLib.engine.task import ChildTask
from MyoScarSegLib.engine.transport import SubprocessTransport
from MyoScarSegLib.utils.child import serve
from MyoScarSegLib.utils.progress import CancelToken, Progress

if TYPE_CHECKING:
    from MyoScarSegLib.engine.client import EngineSettings


class FolderRun(ChildTask):
    """A running child process. Ask :meth:`poll` now and then. A cancel takes effect within one slice."""

    def __init__(
        self,
        inputs: list[Path],
        out: Path,
        settings: EngineSettings,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        threshold: float = 0.5,
        growth_mm: float = 0.0,
        transport: TransportFactory = SubprocessTransport,
    ) -> None:
        """Start it.

        Args:
            inputs: files or folders, one study each.
            out: folder for the results.
            settings: models, device and confidence.
            python: interpreter with torch; this process's own if None.
            environment: of the child; this process's own if None.
            threshold: probability from which on a pixel counts as scar.
            growth_mm: by which masks are grown, or below 0 shrunk, in the slice.
            transport: what the process hangs on.

        Raises:
            MyoScarSegError: the interpreter cannot be started.
        """
        job = {
            "inputs": [str(path) for path in inputs],
            "out": str(out),
            "threshold": threshold,
            "growth_mm": growth_mm,
            "pipeline": {
                "detector": _text(settings.detector),
                "segmenter": _text(settings.segmenter),
                "device": settings.device,
                "confidence": settings.confidence,
                "trust": settings.trust,
            },
            "threads": settings.threads,
        }
        super().__init__("MyoScarSegLib.engine.folder", job, python=python, environment=environment, transport=transport)

    @property
    def outcomes(self) -> list[dict[str, str]]:
        """After the end, per study: ``{"case", "status", "message"}`` of :class:`~MyoScarSegLib.batch.runner.Outcome`."""
        return self.result or []


def _text(model: Any) -> str | None:
    return None if model is None else str(model)


def _segment_folder(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> list[dict[str, str]]:
    from MyoScarSegLib.batch.runner import Job, segment_all
    from MyoScarSegLib.pipeline import Pipeline

    if job["threads"]:
        import torch

        torch.set_num_threads(job["threads"])
    outcomes = segment_all(
        Job([Path(path) for path in job["inputs"]], Path(job["out"]), threshold=job["threshold"], growth_mm=job["growth_mm"]),
        Pipeline(**job["pipeline"]),
        progress=progress,
        cancel=cancel,
    )
    return [{"case": o.case, "status": o.status, "message": o.message} for o in outcomes]


if __name__ == "__main__":
    serve(_segment_folder)
