"""Where the files that come with the program are: the folder ``Resources``."""

from __future__ import annotations

import os
from pathlib import Path

from MyoScarSegLib.errors import MyoScarSegError


def resources_folder() -> Path:
    """The folder ``Resources``: ``$MYOSCARSEG_RESOURCES``, else inside the package (installed), else beside it (sources, Slicer).

    Raises:
        MyoScarSegError: there is none, because the installation is incomplete.
    """
    chosen = os.environ.get("MYOSCARSEG_RESOURCES")
    if chosen:
        folder = Path(chosen).expanduser()
        if folder.is_dir():
            return folder
        raise MyoScarSegError(f"MYOSCARSEG_RESOURCES names {folder}, which is not a folder. Correct or unset it.")
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "Resources", package.parent / "Resources"):
        if folder.is_dir():
            return folder
    raise MyoScarSegError(f"The folder Resources is neither in nor beside {package}. Install MyoScarSeg again.")
