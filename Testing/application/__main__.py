"""The self-tests and the ideal path in a real Slicer: ``python -m Testing.application [--slicer SLICER] [-o PICTURES]``.

0: all passed. 1: something failed. 2: there is no Slicer, or a program that drives it is missing; it is said which.
Slicer runs on a screen and with a home of its own, so it is neither seen nor does it touch the user's settings.
"""

# ruff: noqa: T201 (a program for the command line)

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from Testing.application.driver import HERE, REPOSITORY, missing_programs, screen
from Testing.run_in_slicer import FAILED, NO_SLICER, PASSED, find_slicer

TESTS = ("first_use.py", "reader_path.py", "ideal_path.py", "burden.py", "review.py")


def main(arguments: list[str] | None = None) -> int:
    """Run all of it; the status of the first that fails."""
    parser = argparse.ArgumentParser(description="Test MyoScarSeg in a real 3D Slicer, by mouse and keyboard.")
    parser.add_argument("--slicer", help="the program Slicer; else $SLICER, the path, and where installers put it")
    parser.add_argument("-o", "--pictures", type=Path, default=Path("out/application"), help="folder for pictures of each step")
    chosen = parser.parse_args(arguments)
    slicer = Path(chosen.slicer).resolve() if chosen.slicer else find_slicer()
    if slicer is None or not slicer.is_file():
        where = f" at {slicer}" if slicer else ""
        print(f"There is no Slicer{where}: nothing was tested. Name it: make test-application SLICER=...")
        return NO_SLICER
    if missing_programs():
        print(f"Nothing was tested: {', '.join(missing_programs())} missing. On Debian: apt-get install xvfb xdotool imagemagick")
        return NO_SLICER
    variables = {**os.environ, "SLICER": str(slicer), "PICTURES": str(chosen.pictures.resolve())}
    with screen() as display, tempfile.TemporaryDirectory(prefix="myoscarseg-", ignore_cleanup_errors=True) as home:
        own = {name: value for name, value in variables.items() if not name.startswith("XDG_")}
        own |= {"DISPLAY": display, "HOME": home, "XDG_RUNTIME_DIR": home, "LIBGL_ALWAYS_SOFTWARE": "1"}
        tests = subprocess.run([sys.executable, "Testing/run_in_slicer.py"], cwd=REPOSITORY, env=own, check=False)
        if tests.returncode != PASSED:
            return FAILED
    command = [sys.executable, "-m", "pytest", "-x", "-n0", "--timeout=1800", *(HERE / name for name in TESTS)]
    ran = subprocess.run(command, cwd=REPOSITORY, env=variables, check=False)
    print(f"Pictures: {chosen.pictures}")
    return PASSED if ran.returncode == 0 else FAILED


if __name__ == "__main__":
    sys.exit(main())
