"""The process beside Slicer that looks at its Python and runs pip there.

Run by its path, with the Python that is looked at::

    python child.py look                      # writes what Report holds, as JSON
    python child.py run pip install ...       # runs a module as `python -m` does

It ends, and pip with it, when its standard input does: PythonSlicer is a launcher, and killing that would leave pip running.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import sysconfig
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

#: Exit status after the standard input ended.
CANCELLED = 75


def look() -> dict[str, Any]:
    """What :class:`~MyoScarSegLib.installation.report.Report` is made from."""
    from MyoScarSegLib.installation.computer import this_computer
    from MyoScarSegLib.installation.installed import importable, installed_packages
    from MyoScarSegLib.installation.requirements import SLICERS_MODULES
    from MyoScarSegLib.installation.sources import configured_index

    folder = sysconfig.get_path("purelib")
    return {
        "packages": [asdict(found) for found in installed_packages().values()],
        "modules": sorted(importable(SLICERS_MODULES)),
        "computer": asdict(this_computer()),
        "index": configured_index(),
        "folder": folder,
        "writable": os.access(folder, os.W_OK),
        "free_bytes": _free_bytes(folder),
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def run(module: str, arguments: list[str]) -> None:
    """Run ``module`` as ``python -m module arguments`` does."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _free_bytes(folder: str) -> int:
    import shutil

    existing = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
    return shutil.disk_usage(existing).free


def _end_with_stdin() -> None:
    """End this process as soon as the other end of the standard input is closed."""
    while os.read(0, 1024):
        pass
    os._exit(CANCELLED)


def main(arguments: list[str]) -> None:
    """Do what the command line asks for."""
    here = Path(__file__).resolve()
    # A script's own folder is on the path first: its files must not be taken for other modules.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here.parent]
    sys.path.append(str(here.parents[2]))
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    if arguments[:1] == ["look"]:
        print(json.dumps(look()), flush=True)  # noqa: T201 (the answer)
        return
    os.dup2(1, 2)  # one log, in order
    run(arguments[1], arguments[2:])


if __name__ == "__main__":
    main(sys.argv[1:])
