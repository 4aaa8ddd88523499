"""Downloads models for a panel that must not wait: the process of a background task."""

from __future__ import annotations

from typing import Any

from MyoScarSegLib.models.registry import registry
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.progress import CancelToken, Progress


def _fetch(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> None:
    for name in job["names"]:
        registry().fetch(name, progress, cancel)


if __name__ == "__main__":
    serve(_fetch)
