"""What a reader waits for in the Slicer module: from an edit to its mask in the scene, and from *Segment all* to the segment.

The scene is real MRML (slicer-core), the worker a real process, the weights the real ones; only the drawing of the slice views
is missing. ``python -m Testing.benchmark.workflow`` prints it alone.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from typing import Any

from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.prompts import Box, box_of_mask
from MyoScarSegLib.scene.mask_steps import clear_study
from MyoScarSegLib.scene.prompt_steps import add_box, nudge_box

EDITS = 30


def measure(segmenter: str = DEFAULT_SEGMENTER, threads: int | None = None) -> dict[str, Any]:
    """Milliseconds and seconds on a ten-slice phantom of 256 x 208 pixels, a box on every slice.

    Returns:
        ``encode_s`` of all slices in the background, ``segment_all_s`` once they are encoded, ``edit_to_mask_ms`` (median, 90th
        percentile, longest) over edits of boxes all over the stack, ``longest_pump_ms`` by activity: how long the thread of the
        panel was kept busy at a time.
    """
    from MyoScarSegLib.engine.client import Engine, EngineSettings
    from MyoScarSegLib.scene.demo_scene import bootstrap
    from MyoScarSegLib.scene.lge_volumes import add_study
    from MyoScarSegLib.scene.workflow import Workflow

    phantom = make_phantom(7)
    known = [box_of_mask(scar, k) for k, scar in enumerate(phantom.scar)]
    anyone = next(box for box in known if box is not None)
    boxes = [box or Box(k, *anyone.xyxy) for k, box in enumerate(known)]
    found: dict[str, Any] = {"segmenter": segmenter, "longest_pump_ms": {}}
    with tempfile.TemporaryDirectory() as folder:
        scene = bootstrap(folder)
        engine = Engine()
        engine.configure(EngineSettings(segmenter=segmenter, threads=threads))
        workflow = Workflow(scene, engine)
        pump = _Pump(workflow, found["longest_pump_ms"])
        try:
            began = time.perf_counter()
            workflow.set_automatic(live=False)
            assert workflow.select(add_study(scene, phantom.study, "LGE")), workflow.error
            pump.until("encoding", lambda: workflow.session.requests.encoded[0] == workflow.session.requests.encoded[1])
            found["encode_s"] = time.perf_counter() - began

            action = workflow.session.requests.propose()
            pump.until("propose", lambda: action.finished)
            assert action.state == "done", action.error
            clear_study(workflow.session)
            ids = [add_box(workflow.session, box) for box in boxes]

            began = time.perf_counter()
            action = workflow.session.requests.segment()
            pump.until("segment", lambda: action.finished)
            found["segment_all_s"] = time.perf_counter() - began
            assert action.state == "done", action.error

            workflow.set_automatic(live=True)
            latencies = []
            for edit in range(EDITS):
                began = time.perf_counter()
                nudge_box(workflow.session, ids[edit % len(ids)], 1.0 if edit % 2 else -1.0, 0.5)
                pump.until("edit", lambda: not workflow.session.pending.slices)
                latencies.append(1000 * (time.perf_counter() - began))
            latencies.sort()
            assert not workflow.error, workflow.error
            found["edit_to_mask_ms"] = {
                "median": statistics.median(latencies),
                "p90": latencies[int(0.9 * len(latencies))],
                "longest": latencies[-1],
            }

            action = workflow.session.requests.segment()
            pump.times("cancel", 3)
            workflow.session.requests.cancel()
            pump.times("cancel", 100)
            engine_pid = engine.status().pid
            assert engine_pid is not None
            _kill(engine_pid)
            action = workflow.session.requests.segment()
            pump.until("crash", lambda: action.finished)
        finally:
            workflow.close()
            engine.stop()
    return found


class _Pump:
    """Pumps as the application's timer does, and notes how long each turn took."""

    def __init__(self, workflow: Any, longest_ms: dict[str, float]) -> None:
        self._workflow = workflow
        self._longest_ms = longest_ms

    def until(self, activity: str, condition: Any) -> None:
        end = time.monotonic() + 600
        while not condition():
            assert time.monotonic() < end, activity
            self.times(activity, 1)

    def times(self, activity: str, turns: int) -> None:
        for _ in range(turns):
            began = time.perf_counter()
            self._workflow.pump()
            took = (time.perf_counter() - began) * 1000
            self._longest_ms[activity] = max(took, self._longest_ms.get(activity, 0.0))
            time.sleep(0.005)


def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:2]), indent=2))  # noqa: T201
