"""A child for the tests of :mod:`MyoScarSegLib.utils.background_task`: it does what its job asks, well or badly."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.progress import CancelToken, Progress


def work(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> Any:
    progress(1, 3, "begun")
    match job["what"]:
        case "answer":
            print("a library prints")  # noqa: T201
            os.write(1, b"and one below Python\n")
            return {"got": job["text"]}
        case "nothing":
            return None
        case "refuse":
            raise StudyError("The study is no study.")
        case "break":
            if "mark" in job:
                with Path(job["mark"]).open("a") as file:
                    file.write("once")
            raise ValueError("half of it was missing")
        case "die once":
            mark = Path(job["mark"])
            if not mark.exists():
                mark.touch()
                os._exit(0)
            return "alive"
        case "die":
            os._exit(0)
        case "wait":
            while True:
                cancel.raise_if_cancelled()
                time.sleep(0.01)
        case "deaf":
            time.sleep(60)
    sys.exit("unknown")


if __name__ == "__main__":
    serve(work)
