"""Checkpoints as attackers and accidents leave them: pickles that run something when they are opened, changed members."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ATTACKS = ("system", "eval", "getattr")


class Touch:
    """Unpickling this makes a file, by one of :data:`ATTACKS`."""

    def __init__(self, path: Path, how: str = "system") -> None:
        self.path, self.how = path, how

    def __reduce__(self) -> Any:
        if self.how == "system":
            return os.system, (f"touch '{self.path}'",)
        if self.how == "eval":
            return eval, (f"open({str(self.path)!r}, 'w').close()",)
        return getattr, (self.path, "touch")


def rewrite(path: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Copy an archive, with what ``change`` makes of each member's name and bytes; what becomes empty is left out."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            if data := change(name, source.read(name)):
                archive.writestr(name, data)
    return target
