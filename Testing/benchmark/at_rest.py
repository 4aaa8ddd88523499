"""Processor time of a real Slicer while nothing happens: ``python -m Testing.benchmark.at_rest SLICER [--seconds S]``.

Application and worker together, as a share of one core: in the module with the sample study, after leaving it for another module,
and with an empty scene. The driver's folder of questions is looked at meanwhile, which is part of all three.
"""

# ruff: noqa: T201 (a program for the command line)

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from Testing.application.driver import running


def processor_s(session: int) -> float:
    """Seconds of processor time that all processes of a session have used so far."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slicer", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with running(chosen.slicer.resolve(), home / "home", home / "pictures") as slicer:

            def share(name: str) -> None:
                slicer.rest()
                time.sleep(8)
                session = slicer.process_id
                before = processor_s(session)
                time.sleep(chosen.seconds)
                print(f"{name}: {(processor_s(session) - before) / chosen.seconds:.1%} of a core", flush=True)

            slicer.press("sampleButton")
            slicer.until("panel().workflow.session is not None")
            slicer.press("proposeButton")
            slicer.until("not panel().workflow.busy and not panel().workflow.session.pending.slices", 180)
            share("in the module, sample study with boxes")
            slicer.ask("slicer.util.selectModule('Data')")
            share("after leaving it for Data")
            slicer.ask("slicer.mrmlScene.Clear(0)")
            share("scene closed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
