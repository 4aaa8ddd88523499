"""Run the module's self-tests in a real Slicer, from the command line, with an exit status.

    python Testing/run_in_slicer.py                          # finds Slicer
    python Testing/run_in_slicer.py --slicer /opt/Slicer-5.12/Slicer --no-window

0: all passed. 1: a test failed, or Slicer reported an error. 2: there is no Slicer to be found. 3: it took too long.
Nothing is downloaded or installed, and the user's settings are not touched. Needs no package but Python itself; on Linux without
a screen, run it under xvfb-run.
"""

# ruff: noqa: T201 (a program for the command line)

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PASSED, FAILED, NO_SLICER, TOO_LONG = 0, 1, 2, 3

# Runs inside Slicer. `runUnitTest` ends with the status of the tests; what was raised in observers of the scene it does not see,
# and neither how many tests there were: a module that could not be loaded has none, and would pass.
_INSIDE = """
import sys, unittest
import slicer
folder, module, report = {folder!r}, {module!r}, {report!r}
sys.path.insert(0, folder)
suite = unittest.defaultTestLoader.loadTestsFromName(module)
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
with open(report, "w") as file:
    file.write(f"{{result.testsRun}} {{len(result.failures) + len(result.errors)}} {{len(result.skipped)}}")
slicer.util.exit(0 if result.wasSuccessful() else 1)
"""


def candidates(environment: Mapping[str, str], system: str = sys.platform) -> Iterator[Path]:
    """Where Slicer may be, the likeliest first; not all of them exist."""
    if environment.get("SLICER"):
        yield Path(environment["SLICER"])
    found = shutil.which("Slicer", path=environment.get("PATH", ""))
    if found:
        yield Path(found)
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or Path.home())
    if system == "win32":
        local = Path(environment.get("LOCALAPPDATA", home / "AppData" / "Local"))
        folders = [local / "slicer.org", local / "NA-MIC", Path(environment.get("PROGRAMFILES", "C:/Program Files")), Path("C:/")]
        yield from _newest(folder.glob("*Slicer *.*/Slicer.exe") for folder in folders)
    elif system == "darwin":
        applications = [Path("/Applications"), home / "Applications"]
        yield from _newest(folder.glob("Slicer*.app/Contents/MacOS/Slicer") for folder in applications)
    else:
        yield from _newest(folder.glob("Slicer-*/Slicer") for folder in (home, home / "opt", Path("/opt"), Path("/usr/local")))


def find_slicer(environment: Mapping[str, str] | None = None) -> Path | None:
    """The program Slicer: ``$SLICER``, on the path, or where installers put it; the newest. None if there is none."""
    environment = os.environ if environment is None else environment
    return next((program for program in candidates(environment) if program.is_file()), None)


def command_for(slicer: Path, script: Path, module_folders: list[Path], window: bool) -> list[str]:
    """How Slicer is started. ``--testing`` keeps settings and start-up file of the user out."""
    return [
        str(slicer),
        "--testing",
        "--no-splash",
        *([] if window else ["--no-main-window"]),
        # Takes a list: another option must follow it.
        "--additional-module-paths",
        *(str(folder) for folder in module_folders),
        "--python-script",
        str(script),
    ]


def run(slicer: Path, module: str, folder: Path, window: bool, timeout_s: float) -> int:
    """Run the tests in the file ``folder/module.py`` and say how it went."""
    with tempfile.TemporaryDirectory(prefix="myoscarseg-tests-", ignore_cleanup_errors=True) as temporary:
        report, script = Path(temporary) / "report.txt", Path(temporary) / "tests.py"
        script.write_text(_INSIDE.format(folder=str(folder), module=module, report=str(report)), encoding="utf-8")
        command = command_for(slicer, script, [REPOSITORY / "MyoScarSeg"], window)
        print(f"== {module} in {slicer}", flush=True)
        output, status = _follow(command, timeout_s)
        if status is None:
            print(f"Slicer did not end within {timeout_s:g} s.")
            return TOO_LONG
        return verdict(output, status, report.read_text() if report.is_file() else "")


def verdict(output: str, status: int, report: str) -> int:
    """What Slicer's output, its exit status and the report of the tests come to.

    An exception in an observer of the scene prints its traceback and changes nothing else, so tracebacks count.
    """
    if not report:
        print(f"The tests did not run to their end; Slicer's exit status is {status}.")
        return FAILED
    count, failed, skipped = (int(number) for number in report.split())
    loose = len(re.findall(r"Traceback \(most recent call last\):", _without_unittest_report(output)))
    print(f"{count} tests, {failed} failed, {skipped} skipped; {loose} errors outside the tests; exit status {status}.")
    return PASSED if count and not failed and not loose and status == 0 else FAILED


def main(arguments: list[str] | None = None) -> int:
    """Run the tests."""
    parser = argparse.ArgumentParser(description="Run MyoScarSeg's self-tests in a real 3D Slicer.")
    parser.add_argument("--slicer", type=Path, help="the program Slicer; else $SLICER, the path, and where installers put it")
    parser.add_argument("--no-window", action="store_true", help="without the main window; tests that need it are skipped")
    parser.add_argument("--timeout", type=float, default=1800, metavar="S", help="seconds for each file (default: %(default)s)")
    parser.add_argument("tests", nargs="*", type=Path, help="files with tests (default: the module's own)")
    chosen = parser.parse_args(arguments)
    slicer = chosen.slicer or find_slicer()
    if slicer is None or not slicer.is_file():
        print(f"There is no Slicer{f' at {slicer}' if slicer else ''}. Name it with --slicer, or set SLICER.", file=sys.stderr)
        return NO_SLICER
    worst = PASSED
    for file in chosen.tests or [REPOSITORY / "MyoScarSeg" / "MyoScarSeg.py"]:
        worst = max(worst, run(slicer, file.stem, file.resolve().parent, not chosen.no_window, chosen.timeout))
    return worst


def _follow(command: list[str], timeout_s: float) -> tuple[str, int | None]:
    """Run a program, pass on what it writes as it comes; all of that, and the exit status, None if it took too long."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    with subprocess.Popen(
        command,
        env=environment,  # without the paths of the Python that runs this: Slicer has its own
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        late = threading.Event()

        def end() -> None:
            late.set()
            _end_all(process)

        timer = threading.Timer(timeout_s, end)
        timer.start()
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.decode(errors="replace"))
            print(lines[-1], end="", flush=True)
        status = process.wait()
        timer.cancel()
    return "".join(lines), None if late.is_set() else status


def _end_all(process: subprocess.Popen) -> None:
    """End a program and those that it started: Slicer is started by a launcher of the same name."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        os.killpg(process.pid, signal.SIGKILL)


def _newest(found: Iterator[Iterator[Path]]) -> list[Path]:
    """The programs found, by the version in their path, the newest first."""
    programs = [program for some in found for program in some]
    return sorted(programs, key=lambda program: [int(number) for number in re.findall(r"\d+", str(program))], reverse=True)


def _without_unittest_report(output: str) -> str:
    """The output without the tracebacks that unittest prints at its end for failed tests; these are counted as failures."""
    return re.sub(r"^={70}$.*?^-{70}\nRan ", "", output, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
