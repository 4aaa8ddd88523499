"""``make bench``: what MyoScarSeg costs on this computer, beside the way of SAM-MedUI, in one run.

SAM-MedUI encodes the slice again with SAM ViT-B at 1024 x 1024 in float32 at every press of Generate. The session compared
is a reader's: ten slices segmented once, then three edits on each. Weights do not change the time of a network, so ViT-B
has random ones here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.files import write_bytes, write_json
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.prompts import Box, box_of_mask
from MyoScarSegLib.study.study import Study

SLICES, EDITS = 10, 3


def main() -> int:
    """Measure, print a table, and write ``bench.json`` and ``bench.md``. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmark", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--vit-passes", type=int, default=3, help="encodings of ViT-B to take the median of (3)")
    args = parser.parse_args()

    import torch

    study, boxes = _study()
    figures: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }
    }
    print("measuring imports ...", file=sys.stderr)  # noqa: T201
    figures["import_s"] = _import_seconds()
    print("measuring LiteMedSAM ...", file=sys.stderr)  # noqa: T201
    figures["litemedsam"] = _litemedsam(study, boxes)
    print(f"measuring SAM ViT-B, {args.vit_passes} passes ...", file=sys.stderr)  # noqa: T201
    figures["vit_b"] = _vit_b(study, boxes, args.vit_passes)
    print("measuring the command's memory ...", file=sys.stderr)  # noqa: T201
    figures["memory"] = _memory(args.out)
    figures["ratios"] = _ratios(figures)
    table = _table(figures)
    write_json(args.out / "bench.json", figures)
    write_bytes(args.out / "bench.md", table.encode())
    print(table)  # noqa: T201
    return 0


def _study() -> tuple[Study, list[Box]]:
    """A ten-slice phantom and one box on every slice."""
    phantom = make_phantom(7)
    study = phantom.study
    assert study.slices == SLICES
    known = [box_of_mask(phantom.scar[k], k) for k in range(SLICES)]
    anyone = next(box for box in known if box is not None)
    return study, [b or Box(k, *anyone.xyxy) for k, b in enumerate(known)]


def _seconds(work: Callable[[], Any], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def _litemedsam(study: Study, boxes: list[Box]) -> dict[str, Any]:
    from MyoScarSegLib.pipeline import Pipeline, sigmoid
    from MyoScarSegLib.segmentation import load_segmenter

    figures: dict[str, Any] = {}
    for view in ("slice", "heart"):
        segmenter = load_segmenter("litemedsam", view=view)
        frame = segmenter.frame(study.slice_shape, study.geometry.pixel_spacing_mm)

        def encode(segmenter: Any = segmenter, frame: Any = frame) -> None:
            segmenter.cache.clear()
            segmenter.encode(study.voxels[0], frame)

        encode()
        figures[f"encode_{view}_s"] = statistics.median(_seconds(encode, 5))
        figures["precision"] = str(segmenter.precision).removeprefix("torch.")

    pipeline = Pipeline(segmenter=segmenter)
    centre = pipeline.heart_centre(study)
    figures["find_heart_s"] = statistics.median(_seconds(lambda: pipeline.heart_centre(study), 3))
    pipeline.propose(study)
    figures["propose_s"] = statistics.median(_seconds(lambda: pipeline.propose(study), 3))

    segmenter.cache.clear()
    figures["first_pass_s"] = _seconds(lambda: pipeline.segment(study, boxes), 1)[0]

    edits = []
    rng = np.random.default_rng(0)
    spacing = study.geometry.pixel_spacing_mm
    before = segmenter.cache.misses
    for box in boxes:
        for _ in range(EDITS):
            dx0, dy0, dx1, dy1 = rng.uniform(-2, 2, 4)
            moved = Box(box.slice, box.x0 + dx0, box.y0 + dy0, max(box.x1 + dx1, box.x0 + 3), max(box.y1 + dy1, box.y0 + 3))
            start = time.perf_counter()
            prediction = segmenter.predict(study.voxels[box.slice], [moved], pixel_spacing_mm=spacing, centre=centre)
            _ = sigmoid(prediction.logits) >= 0.5
            edits.append(time.perf_counter() - start)
    figures["edit_median_s"] = statistics.median(edits)
    figures["edit_slowest_s"] = max(edits)
    figures["edits_encoded_again"] = segmenter.cache.misses - before
    figures["edits_s"] = sum(edits)
    return figures


def _vit_b(study: Study, boxes: list[Box], passes: int) -> dict[str, Any]:
    import torch
    from segment_anything import sam_model_registry

    from MyoScarSegLib.segmentation.checkpoint import Checkpoint
    from MyoScarSegLib.segmentation.segmenter import Segmenter

    state = sam_model_registry["vit_b"]().state_dict()
    state = {key: value for key, value in state.items() if not key.startswith("pixel_")}
    checkpoint = Checkpoint("sam-vit-b (random weights)", "0" * 64, state, "sam-vit-b", "sam", 1024)
    segmenter = Segmenter(checkpoint, precision="float32")
    torch.manual_seed(0)
    encoded: list[float] = []
    decoded: list[float] = []
    for index in range(passes):
        image = study.voxels[index]
        encoded += _seconds(lambda image=image: segmenter.encode(image), 1)  # type: ignore[misc]
        decoded += _seconds(lambda image=image, box=boxes[index]: segmenter.predict(image, [box]), 2)  # type: ignore[misc]
    return {"encode_s": statistics.median(encoded), "decode_s": statistics.median(decoded), "passes": passes}


def _import_seconds() -> float:
    """Median extra time of a fresh interpreter that imports the library."""

    def run(code: str) -> float:
        command = [sys.executable, "-c", code]
        return statistics.median(_seconds(lambda: subprocess.run(command, check=True), 7))  # noqa: S603

    return run("import MyoScarSegLib, MyoScarSegLib.pipeline, MyoScarSegLib.study") - run("pass")


def _memory(out: Path) -> dict[str, float]:
    """Peak resident memory of the whole command on a ten-slice study, and its time from start to exit."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "MyoScarSegLib", "demo", "-o", str(out / "demo")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale
    return {"peak_gib": peak / 2**30, "demo_command_s": time.perf_counter() - start}


def _ratios(figures: dict[str, Any]) -> dict[str, float]:
    ours, theirs = figures["litemedsam"], figures["vit_b"]
    generate = theirs["encode_s"] + theirs["decode_s"]
    first_pass = ours["find_heart_s"] + ours["first_pass_s"]
    return {
        "edit": generate / ours["edit_median_s"],
        "first_pass": SLICES * generate / first_pass,
        "session": SLICES * (1 + EDITS) * generate / (first_pass + ours["edits_s"]),
        "encoder_window_against_slice": ours["encode_slice_s"] / ours["encode_heart_s"],
    }


def _table(figures: dict[str, Any]) -> str:
    ours, theirs, ratios = figures["litemedsam"], figures["vit_b"], figures["ratios"]
    generate = theirs["encode_s"] + theirs["decode_s"]
    first_pass = ours["find_heart_s"] + ours["first_pass_s"]
    machine = figures["machine"]
    rows = [
        (
            "encode one slice",
            f"{ours['encode_heart_s']:.3f} s (window), {ours['encode_slice_s']:.2f} s (whole slice)",
            f"{theirs['encode_s']:.2f} s",
            "",
        ),
        ("decode one prompt", f"{ours['edit_median_s']:.3f} s", f"{theirs['decode_s']:.3f} s", ""),
        ("propose boxes, 10 slices", f"{ours['propose_s']:.2f} s", "", ""),
        ("first pass, 10 slices", f"{first_pass:.2f} s", f"{SLICES * generate:.1f} s", f"{ratios['first_pass']:.0f} x"),
        ("one edit, median", f"{ours['edit_median_s'] * 1000:.0f} ms", f"{generate:.2f} s", f"{ratios['edit']:.0f} x"),
        (
            "session, 10 slices and 30 edits",
            f"{first_pass + ours['edits_s']:.1f} s",
            f"{SLICES * (1 + EDITS) * generate:.0f} s",
            f"{ratios['session']:.0f} x",
        ),
    ]
    lines = [
        f"{machine['cores']} cores, torch {machine['torch']} with {machine['threads']} threads, encoder in {ours['precision']}",
        "",
        "| | MyoScarSeg (LiteMedSAM) | SAM ViT-B float32, encoded at every edit | ratio |",
        "|---|---|---|---|",
        *(f"| {a} | {b} | {c} | {d} |" for a, b, c, d in rows),
        "",
        f"Session of ViT-B: {SLICES * (1 + EDITS)} times the median of {theirs['passes']} measured passes. "
        f"Edits that had to encode again: {ours['edits_encoded_again']} of {SLICES * EDITS}.",
        f"Importing the library: {figures['import_s']:.2f} s. Whole `demo` command: {figures['memory']['demo_command_s']:.1f} s, "
        f"peak memory {figures['memory']['peak_gib']:.2f} GiB.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
