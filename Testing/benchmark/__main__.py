"""``make bench``: what MyoScarSeg costs on this computer, beside the way of SAM-MedUI, in one run.

SAM-MedUI encodes the slice again with SAM ViT-B at 1024 x 1024 in float32 at every press of Generate. The session compared
is a reader's: ten slices segmented once, then three edits on each. Weights do not change the time of a network, so ViT-B
has random ones here.
"""

from __future__ import annotations

import argparse
import importlib.util
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

from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.prompts import Box, box_of_mask
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import write_bytes, write_json
from Testing.benchmark import burden, cohort, workflow

SLICES, EDITS = 10, 3


def main() -> int:
    """Measure, print a table, and write ``bench.json`` and ``bench.md``. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmark", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--vit-passes", type=int, default=3, help="encodings of ViT-B to take the median of (3)")
    args = parser.parse_args()

    import torch

    figures: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }
    }
    # First, while this process is small: a child's peak counts what its parent held when it forked.
    print("measuring the command's memory ...", file=sys.stderr)  # noqa: T201
    figures["memory"] = _memory(args.out)
    print("measuring imports ...", file=sys.stderr)  # noqa: T201
    figures["import_s"] = _import_seconds()
    study, boxes = _study()
    for model in ("litemedsam", DEFAULT_SEGMENTER):
        print(f"measuring {model} ...", file=sys.stderr)  # noqa: T201
        figures[model] = _ours(model, study, boxes)
    print(f"measuring SAM ViT-B, {args.vit_passes} passes ...", file=sys.stderr)  # noqa: T201
    figures["vit_b"] = _vit_b(study, boxes, args.vit_passes)
    print("measuring the worker process ...", file=sys.stderr)  # noqa: T201
    figures["engine"] = _engine(study, boxes)
    if importlib.util.find_spec("slicer") is not None:
        print("measuring the workflow on a real scene ...", file=sys.stderr)  # noqa: T201
        figures["workflow"] = {model: workflow.measure(model) for model in ("litemedsam", DEFAULT_SEGMENTER)}
    print("measuring scar burden ...", file=sys.stderr)  # noqa: T201
    figures["burden"] = burden.measure()
    print("measuring a cohort ...", file=sys.stderr)  # noqa: T201
    figures["cohort"] = cohort.measure()
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


def _ours(model: str, study: Study, boxes: list[Box]) -> dict[str, Any]:
    from MyoScarSegLib.pipeline import Pipeline, sigmoid
    from MyoScarSegLib.segmentation import EmbeddingCache, SegmenterImage, load_segmenter

    figures: dict[str, Any] = {}
    spacing = study.geometry.pixel_spacing_mm
    for view in ("slice", "auto") if model == "litemedsam" else ("auto",):
        segmenter = load_segmenter(model, view=view)
        image = SegmenterImage(study.voxels[0], spacing)

        def encode(segmenter: Any = segmenter, image: Any = image) -> None:
            segmenter.cache = EmbeddingCache()
            segmenter.encode(image)

        encode()
        figures["encode_whole_slice_s" if view == "slice" else "encode_s"] = statistics.median(_seconds(encode, 5))
    figures["precision"] = str(segmenter.precision).removeprefix("torch.")

    pipeline = Pipeline(segmenter=segmenter)
    _ = pipeline.networks.detector
    figures["find_heart_s"] = _seconds(lambda: pipeline.networks.heart_center(study), 1)[0]
    center = pipeline.networks.heart_center(study)
    figures["propose_s"] = statistics.median(_seconds(lambda: pipeline.propose(study), 3))
    segmenter.cache = EmbeddingCache()
    figures["segment_s"] = _seconds(lambda: pipeline.segment(study, boxes), 1)[0]
    figures["first_pass_s"] = figures["find_heart_s"] + figures["segment_s"]

    edits = []
    rng = np.random.default_rng(0)
    before = segmenter.cache.misses
    for box in boxes:
        for _ in range(EDITS):
            dx0, dy0, dx1, dy1 = rng.uniform(-2, 2, 4)
            moved = Box(box.slice, box.x0 + dx0, box.y0 + dy0, max(box.x1 + dx1, box.x0 + 3), max(box.y1 + dy1, box.y0 + 3))
            start = time.perf_counter()
            prediction = segmenter.predict(SegmenterImage(study.voxels[box.slice], spacing, center), [moved])
            _ = sigmoid(prediction.logits) >= 0.5
            edits.append(time.perf_counter() - start)
    figures["edit_median_s"] = statistics.median(edits)
    figures["edit_slowest_s"] = max(edits)
    figures["edits_encoded_again"] = segmenter.cache.misses - before
    figures["edits_s"] = sum(edits)
    return figures


def _engine(study: Study, boxes: list[Box]) -> dict[str, Any]:
    """The same through the worker process that the module uses, with the default models."""
    from MyoScarSegLib.engine.client import Engine

    engine = Engine()
    try:
        engine.open_study(study)
        start = time.perf_counter()
        encoding = engine.encode(study)
        while encoding.progress.done < 1 and not encoding.finished:
            engine.pump()
            time.sleep(0.002)
        first = time.perf_counter() - start
        engine.wait(encoding)
        figures: dict[str, Any] = {"start_to_first_slice_s": first, "start_to_all_slices_s": time.perf_counter() - start}
        figures["segment_all_encoded_s"] = _seconds(lambda: engine.wait(engine.segment(study, boxes)), 1)[0]
        edits = []
        rng = np.random.default_rng(0)
        for box in boxes:
            for _ in range(EDITS):
                x, y = rng.uniform(-2, 2, 2)
                moved = Box(box.slice, box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)
                edits += _seconds(lambda box=moved: engine.wait(engine.segment(study, [box], slices=[box.slice])), 1)  # type: ignore[misc]
        figures["edit_median_s"], figures["edit_slowest_s"] = statistics.median(edits), max(edits)
        overhead = _seconds(lambda: engine.wait(engine.segment(study, [], slices=[0])), 30)
        figures["request_overhead_s"] = statistics.median(overhead)
    finally:
        engine.stop()
    return figures


def _vit_b(study: Study, boxes: list[Box], passes: int) -> dict[str, Any]:
    import torch
    from segment_anything import sam_model_registry

    from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint
    from MyoScarSegLib.segmentation.segmenter import Segmenter
    from MyoScarSegLib.segmentation.segmenter_image import SegmenterImage

    state = sam_model_registry["vit_b"]().state_dict()
    state = {key: value for key, value in state.items() if not key.startswith("pixel_")}
    checkpoint = Checkpoint("sam-vit-b (random weights)", "0" * 64, state, "sam-vit-b", "sam", 1024)
    segmenter = Segmenter(checkpoint, precision="float32")
    torch.manual_seed(0)
    encoded: list[float] = []
    decoded: list[float] = []
    for index in range(passes):
        image = SegmenterImage(study.voxels[index])
        encoded += _seconds(lambda image=image: segmenter.encode(image), 1)  # type: ignore[misc]
        decoded += _seconds(lambda image=image, box=boxes[index]: segmenter.predict(image, [box]), 2)  # type: ignore[misc]
    return {"encode_s": statistics.median(encoded), "decode_s": statistics.median(decoded), "passes": passes}


def _import_seconds() -> float:
    """Median extra time of a fresh interpreter that imports the library."""

    def run(code: str) -> float:
        command = [sys.executable, "-c", code]
        return statistics.median(_seconds(lambda: subprocess.run(command, check=True), 7))

    return run("import MyoScarSegLib, MyoScarSegLib.pipeline, MyoScarSegLib.study") - run("pass")


def _memory(out: Path) -> dict[str, float]:
    """Peak resident memory of the whole command on a ten-slice study, and its time from start to exit."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "MyoScarSegLib", "demo", "-o", str(out / "demo")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale
    return {"peak_gib": peak / 2**30, "demo_command_s": time.perf_counter() - start}


def _ratios(figures: dict[str, Any]) -> dict[str, dict[str, float]]:
    """How many times faster each of ours is than ViT-B encoded again at every press."""
    generate = figures["vit_b"]["encode_s"] + figures["vit_b"]["decode_s"]
    return {
        model: {
            "edit": generate / figures[model]["edit_median_s"],
            "first_pass": SLICES * generate / figures[model]["first_pass_s"],
            "session": SLICES * (1 + EDITS) * generate / (figures[model]["first_pass_s"] + figures[model]["edits_s"]),
        }
        for model in ("litemedsam", DEFAULT_SEGMENTER)
    }


def _table(figures: dict[str, Any]) -> str:
    engine = figures["engine"]
    small, own, vit, ratios = figures["litemedsam"], figures[DEFAULT_SEGMENTER], figures["vit_b"], figures["ratios"]
    generate = vit["encode_s"] + vit["decode_s"]
    machine, many = figures["machine"], figures["cohort"]

    def row(what: str, key: str, theirs: str, ratio: str = "") -> str:
        cells = [_readable(f[key]) for f in (small, own)]
        times = [f"{ratios[m][ratio]:.0f} x" if ratio else "" for m in ("litemedsam", DEFAULT_SEGMENTER)]
        return f"| {what} | {cells[0]} | {times[0]} | {cells[1]} | {times[1]} | {theirs} |"

    for f in (small, own):
        f["session_s"] = f["first_pass_s"] + f["edits_s"]
    lines = [
        f"{machine['cores']} cores, torch {machine['torch']} with {machine['threads']} threads, encoder in {own['precision']}",
        "",
        f"| | LiteMedSAM | ratio | {DEFAULT_SEGMENTER} | ratio | SAM ViT-B float32, encoded at every press |",
        "|---|---|---|---|---|---|",
        row("encode one slice", "encode_s", _readable(vit["encode_s"])),
        row("one edit, answered (median)", "edit_median_s", _readable(generate), "edit"),
        row("one edit, slowest", "edit_slowest_s", ""),
        row("propose boxes, 10 slices", "propose_s", ""),
        row("first pass, 10 slices", "first_pass_s", _readable(SLICES * generate), "first_pass"),
        row("session: 10 slices, 30 edits", "session_s", _readable(SLICES * (1 + EDITS) * generate), "session"),
        "",
        f"LiteMedSAM on a whole slice (`--view slice`) takes {_readable(small['encode_whole_slice_s'])} to encode. ViT-B: median "
        f"of {vit['passes']} measured slices, its session is {SLICES * (1 + EDITS)} times that. Edits that had to encode again: "
        f"{own['edits_encoded_again']} of {SLICES * EDITS}.",
        f"Through the worker process, {DEFAULT_SEGMENTER}: one edit {_readable(engine['edit_median_s'])} "
        f"({generate / engine['edit_median_s']:.0f} x, slowest {_readable(engine['edit_slowest_s'])}), of which "
        f"{engine['request_overhead_s'] * 1000:.1f} ms for asking; all {SLICES} slices, already encoded, "
        f"{_readable(engine['segment_all_encoded_s'])}. From nothing running to the first slice encoded "
        f"{_readable(engine['start_to_first_slice_s'])}, to all {_readable(engine['start_to_all_slices_s'])}.",
        *(_workflow_line(model, found) for model, found in figures.get("workflow", {}).items()),
        _burden_line(figures["burden"]),
        f"A study of {many['slices']} slices takes {many['batch_s']:.1f} s in one `batch` of {many['studies']}, "
        f"{many['segment_each_s']:.1f} s by a `segment` for each ({many['ratio']:.1f} x).",
        f"Importing the library: {figures['import_s']:.2f} s. Whole `demo` command: {figures['memory']['demo_command_s']:.1f} s, "
        f"peak memory {figures['memory']['peak_gib']:.2f} GiB.",
        "",
    ]
    return "\n".join(lines)


def _workflow_line(model: str, found: dict[str, Any]) -> str:
    edit, blocked = found["edit_to_mask_ms"], max(found["longest_pump_ms"].values())
    return (
        f"In a Slicer scene, {model}: from an edit to its mask {edit['median']:.0f} ms (slowest {edit['longest']:.0f} ms); from "
        f"Segment all to the segment, already encoded, {_readable(found['segment_all_s'])}; the panel's thread was kept busy for "
        f"{blocked:.0f} ms at most."
    )


def _burden_line(found: dict[str, Any]) -> str:
    numbers, pictures = found["numbers_ms"], found["pictures_ms"]
    slowest = max(pictures, key=pictures.__getitem__)
    return (
        f"Scar burden of twelve slices: numbers {numbers['median']:.0f} ms after an edit (longest "
        f"{numbers['longest']:.0f} ms), reference methods {found['methods_ms']:.0f} ms; a picture {pictures[slowest]:.0f} ms at "
        f"most ({slowest})."
    )


def _readable(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
