"""The process beside Slicer that looks at its Python and runs pip there: ``python -m MyoScarSegLib.installation.pip_process``.

It ends, and pip with it, when its standard input does: PythonSlicer is a launcher, and killing that would leave pip running.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.progress import CancelToken, Progress

CANCELLED_STATUS = 75
"""Exit status after the standard input ended."""


def run(module: str, arguments: Sequence[str], progress: Progress) -> int:
    """Run ``module`` as ``python -m module arguments`` does, and tell each line that it writes by ``progress``.

    Returns:
        Its exit status.
    """
    reading, writing = os.pipe()
    for descriptor in (1, 2):  # one log, in order
        os.dup2(writing, descriptor)
    os.close(writing)

    def tell() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                progress(0, 0, line.rstrip())

    told = threading.Thread(target=tell)
    told.start()
    status = 0
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)
    told.join()
    return status


def _work(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> Any:
    """The report of this Python, or the exit status of the ``module`` that the job names."""
    package = str(Path(__file__).resolve().parents[2])
    # Behind Slicer's own: what lies beside this package must not be taken for a library.
    sys.path[:] = [*(entry for entry in sys.path if entry != package), package]
    threading.Thread(target=_end_with, args=(cancel,), daemon=True).start()
    if "module" in job:
        return run(job["module"], job["arguments"], progress)
    from MyoScarSegLib.installation.python_report import look

    return look()


def _end_with(cancel: CancelToken) -> None:
    """End this process as soon as nobody wants it any more, whatever pip does."""
    cancel.wait()
    os._exit(CANCELLED_STATUS)


if __name__ == "__main__":
    serve(_work)
