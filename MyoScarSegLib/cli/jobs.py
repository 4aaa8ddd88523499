"""``myoscarseg segment`` and ``myoscarseg detect``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import ConsoleProgress, cancel_on_interrupt, device, probability, spacing
from MyoScarSegLib.errors import ModelError

if TYPE_CHECKING:
    from MyoScarSegLib.batch.runner import Job, Outcome
    from MyoScarSegLib.pipeline import Pipeline

_FORMATS = ("seg.nrrd", "nii.gz", "both")


def add_parsers(subparsers: Any) -> None:
    """Add both commands."""
    segment = subparsers.add_parser(
        "segment",
        help="boxes, scar mask, volume and mass of each input",
        description="Segment scar in each INPUT and write OUT/<case>/ (mask, probabilities, boxes, overlay), OUT/results.csv "
        "and OUT/slices.csv.",
    )
    _common(segment)
    segment.add_argument(
        "--boxes", type=Path, metavar="FILE", help="boxes.json, or a folder with <case>/boxes.json; no detection"
    )
    segment.add_argument("--points", type=Path, metavar="FILE", help="points.json, or a folder with <case>/points.json")
    segment.add_argument("--segmenter", metavar="NAME|PATH", help="segmenter to use (default: the one of `models list`)")
    segment.add_argument("--threshold", type=probability, default=0.5, help="probability from which on a pixel is scar (0.5)")
    segment.add_argument("--format", choices=_FORMATS, default="both", help="of the mask (both)")
    segment.add_argument("--preprocessing", metavar="ID", help="what a foreign segmenter was trained with, if it is unknown")
    segment.add_argument("--view", choices=("auto", "heart", "slice"), default="auto", help="what the segmenter looks at (auto)")
    segment.add_argument("--precision", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="of its encoder")
    segment.add_argument(
        "--report", action="store_true", help="propose the wall of the left ventricle, too; write it and a report of scar burden"
    )
    segment.set_defaults(run=run_segment)

    detect = subparsers.add_parser(
        "detect",
        help="boxes only",
        description="Propose boxes around scar in each INPUT and write OUT/<case>/boxes.json and boxes.png.",
    )
    _common(detect)
    detect.add_argument(
        "--segmenter", metavar="NAME|PATH", help="segmenter whose map of tissues has a say, if it has one (default: as `segment`)"
    )
    detect.set_defaults(run=run_detect)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="INPUT", nargs="+", type=Path, help="DICOM folder, NIfTI, NRRD or MHA file, or folder of PNG/JPEG slices"
    )
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, required=True, help="folder for the results")
    parser.add_argument("--detector", metavar="NAME|PATH", help="detector to use (default: the one of `models list`)")
    parser.add_argument(
        "--confidence",
        type=probability,
        help="least confidence of a proposed box, as boxes.json tells it (default: the models' own)",
    )
    parser.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda, cuda:1, mps (auto)")
    parser.add_argument("--trust", action="store_true", help="unpickle a foreign checkpoint; it can run any program")
    parser.add_argument("--series", metavar="KEY", help="DICOM series to read, as `myoscarseg info` lists them")
    parser.add_argument("--axis", choices=("auto", "i", "j", "k"), default="auto", help="the file's axis through the slices")
    parser.add_argument(
        "--spacing", type=spacing, metavar="X,Y,Z", help="mm between columns, rows and slices, for images without"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="write also over boxes.json and points.json in OUT that were edited"
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")


def run_segment(args: argparse.Namespace) -> int:
    """Run ``segment``. Returns the exit status."""
    from MyoScarSegLib.batch.runner import segment_all

    job = _job(args, boxes=args.boxes, points=args.points, threshold=args.threshold, formats=args.format, report=args.report)
    pipeline = _pipeline(
        args, segmenter=args.segmenter, precision=args.precision, view=args.view, preprocessing_id=args.preprocessing
    )
    progress = ConsoleProgress()
    with cancel_on_interrupt() as cancel:
        outcomes = segment_all(job, pipeline, progress=progress, cancel=cancel)
    progress.close()
    if args.report:
        from MyoScarSegLib.outputs.measurement_files import write_burden_tables

        write_burden_tables(args.out)
    return _report(args, outcomes, _segment_line)


def run_detect(args: argparse.Namespace) -> int:
    """Run ``detect``. Returns the exit status."""
    from MyoScarSegLib.batch.runner import detect_all

    progress = ConsoleProgress()
    with cancel_on_interrupt() as cancel:
        outcomes = detect_all(_job(args), _pipeline(args, segmenter=args.segmenter), progress=progress, cancel=cancel)
    progress.close()
    return _report(args, outcomes, _detect_line)


def _job(args: argparse.Namespace, **more: Any) -> Job:
    from MyoScarSegLib.batch.runner import Job

    prompts = [(option, path) for option in ("boxes", "points") if (path := more.get(option)) is not None]
    for option, path in prompts:
        if path.is_file() and len(args.input) > 1:
            args.parser.error(
                f"--{option} {path} is one file for {len(args.input)} inputs: give a folder with <case>/{option}.json instead"
            )
    return Job(
        args.input, args.out, series=args.series, axis=args.axis, spacing_mm=args.spacing, overwrite=args.overwrite, **more
    )


def _pipeline(args: argparse.Namespace, **more: Any) -> Pipeline:
    from MyoScarSegLib.pipeline import Pipeline

    for option, model in (("detector", args.detector), ("segmenter", more.get("segmenter"))):
        check_model(args.parser, option, model)
    return Pipeline(detector=args.detector, device=args.device, trust=args.trust, confidence=args.confidence, **more)


def check_model(parser: argparse.ArgumentParser, option: str, model: str | None) -> None:
    """A name that no model has is a bad argument. A path is none: what is wrong with its file is said for each case."""
    from MyoScarSegLib.models import CHECKPOINT_ENDINGS, registry

    if (
        model is None
        or Path(model).suffix in CHECKPOINT_ENDINGS["segment"]
        or len(Path(model).parts) != 1
        or Path(model).is_file()
    ):
        return
    try:
        registry().entry(model)
    except ModelError as error:
        parser.error(f"--{option}: {error}")


def _report(args: argparse.Namespace, outcomes: Sequence[Outcome], line: Any) -> int:
    if args.json:
        cases = [{**o.summary, "case": o.case, "status": o.status, "message": o.message} for o in outcomes]
        sys.stdout.write(json.dumps({"version": 1, "out": str(args.out), "cases": cases}, indent=2, allow_nan=False) + "\n")
    for outcome in outcomes:
        if outcome.summary and not args.json:
            sys.stdout.write(line(outcome) + "\n")
            for note in outcome.summary.get("notes", ()):
                sys.stderr.write(f"  note: {note}\n")
        if outcome.status != "done":
            sys.stderr.write(f"{outcome.case}: {outcome.status}: {outcome.message}\n")
    failed = sum(o.status != "done" for o in outcomes)
    if failed and len(outcomes) > 1:
        others = f"; the others are written to {args.out}" if failed < len(outcomes) else ""
        sys.stderr.write(f"{failed} of {len(outcomes)} cases are not done{others}.\n")
    return int(failed > 0)


def _segment_line(outcome: Outcome) -> str:
    summary = outcome.summary
    with_scar = sum(s["scar_pixels"] > 0 for s in summary["slices"])
    where = f"in {with_scar} of {len(summary['slices'])} slices"
    if summary["scar_mass_g"] is None:
        return f"{outcome.case}: scar {summary['scar_pixels']} pixels {where}; no spacing, so neither mL nor g (see --spacing)"
    return f"{outcome.case}: scar {summary['scar_mass_g']:.2f} g, {summary['scar_volume_ml']:.2f} mL {where}"


def _detect_line(outcome: Outcome) -> str:
    per_slice = outcome.summary["boxes_per_slice"]
    return f"{outcome.case}: {outcome.summary['boxes']} boxes on {sum(n > 0 for n in per_slice)} of {len(per_slice)} slices"
