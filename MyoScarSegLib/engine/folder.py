"""Many studies in a process of their own: what :func:`MyoScarSegLib.batch.runner.segment_all` does, without blocking the caller.

The child's standard input says whether it is still wanted: when it is closed, by a cancel or because the parent is gone, the
child ends within one slice. Progress comes as lines of JSON in a file, which needs no thread and cannot block either side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import MyoScarSegError

if TYPE_CHECKING:
    from MyoScarSegLib.engine.client import EngineSettings


@dataclass(frozen=True)
class FolderProgress:
    """How far a run is: ``done`` of ``total`` steps of the case that ``message`` names."""

    done: int = 0
    total: int = 0
    message: str = ""


class FolderRun:
    """A running child process. Ask :meth:`poll` now and then.

    Attributes:
        progress: as of the last poll.
        outcomes: after the end, per study: ``{"case", "status", "message"}`` of :class:`~MyoScarSegLib.batch.runner.Outcome`.
        error: sentence, if the process as a whole failed.
        cancelled: :meth:`cancel` was called.
    """

    def __init__(
        self,
        inputs: list[Path],
        out: Path,
        settings: EngineSettings,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        threshold: float = 0.5,
    ) -> None:
        """Start it.

        Args:
            inputs: files or folders, one study each.
            out: folder for the results.
            settings: models, device and confidence.
            python: interpreter with torch; this process's own if None.
            environment: of the child; this process's own if None.
            threshold: probability from which on a pixel counts as scar.

        Raises:
            MyoScarSegError: the interpreter cannot be started.
        """
        self.progress = FolderProgress()
        self.outcomes: list[dict[str, str]] = []
        self.error = ""
        self.cancelled = False
        self._ended = False
        self._unread = b""
        self._folder = tempfile.TemporaryDirectory(prefix="myoscarseg-")
        folder = Path(self._folder.name)
        job = {
            "inputs": [str(path) for path in inputs],
            "out": str(out),
            "threshold": threshold,
            "pipeline": {
                "detector": _text(settings.detector),
                "segmenter": _text(settings.segmenter),
                "device": settings.device,
                "confidence": settings.confidence,
                "trust": settings.trust,
            },
            "threads": settings.threads,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        environment = dict(os.environ if environment is None else environment)
        package = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(part for part in (package, environment.get("PYTHONPATH", "")) if part)
        self._errors = (folder / "errors.txt").open("w+b")
        self._lines = (folder / "lines.json").open("w+b")
        self._reader = (folder / "lines.json").open("rb")
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                [python or sys.executable, "-m", "MyoScarSegLib.engine.folder", str(folder / "job.json")],
                stdin=subprocess.PIPE,
                stdout=self._lines,
                stderr=self._errors,
                env=environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._close()
            raise MyoScarSegError(f"Python cannot be started for the folder ({python}): {error.strerror}.") from error

    def poll(self) -> bool:
        """Read what the child wrote since. Returns whether it has ended."""
        if self._ended:
            return True
        status = self._process.poll()
        self._unread += self._reader.read()
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if status is None:
            return False
        self._ended = True
        if status != 0 and not self.outcomes and not self.error and not self.cancelled:
            self._errors.seek(0)
            tail = self._errors.read().decode(errors="replace").strip().splitlines()
            self.error = f"Processing the folder ended unexpectedly (status {status}). {tail[-1] if tail else ''}".strip()
        self._close()
        return True

    def cancel(self) -> None:
        """Ask the child to stop after its slice; what it finished stays written."""
        self.cancelled = True
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End the child at once; the case in hand is lost, the ones before it stay written."""
        self.cancelled = True
        if not self._ended:
            self._process.kill()
            self._process.wait()
            self.poll()

    def _take(self, line: dict[str, Any]) -> None:
        if "progress" in line:
            self.progress = FolderProgress(*line["progress"])
        elif "outcomes" in line:
            self.outcomes = line["outcomes"]
        else:
            self.error = line["error"]

    def _close(self) -> None:
        self._errors.close()
        self._lines.close()
        self._reader.close()
        if getattr(self, "_process", None) is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._folder.cleanup()


def _text(model: Any) -> str | None:
    return None if model is None else str(model)


def main(job_file: str) -> int:
    """The child. Returns the exit status: 0 if every case was attempted or the run was cancelled."""
    from MyoScarSegLib.batch.runner import Job, segment_all
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.progress import CancelToken

    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that a library's print cannot end up among the lines

    def say(line: dict[str, Any]) -> None:
        lines.write(json.dumps(line) + "\n")
        lines.flush()

    cancel = CancelToken()

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the parent closes it, or is gone
        cancel.cancel()

    threading.Thread(target=watch, daemon=True).start()
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    if job["threads"]:
        import torch

        torch.set_num_threads(job["threads"])
    try:
        outcomes = segment_all(
            Job([Path(path) for path in job["inputs"]], Path(job["out"]), threshold=job["threshold"]),
            Pipeline(**job["pipeline"]),
            progress=lambda done, total, message: say({"progress": [done, total, message]}),
            cancel=cancel,
        )
    except MyoScarSegError as error:
        say({"error": str(error)})
        return 1
    say({"outcomes": [{"case": o.case, "status": o.status, "message": o.message} for o in outcomes]})
    return 0


if __name__ == "__main__":
    # A daemon thread that waits for standard input must not hold up the end of the process.
    _status = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(_status)
