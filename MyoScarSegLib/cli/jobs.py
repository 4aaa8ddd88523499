"""``myoscarseg segment`` and ``myoscarseg detect``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import add_options, folder, print_json, shown_and_cancellable, taken
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.words import counted

if TYPE_CHECKING:
    from MyoScarSegLib.batch.runner import Job, Outcome
    from MyoScarSegLib.pipeline import Pipeline


def add_parser(subparsers: Any) -> None:
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
    add_options(segment, "segmenter", "threshold", "format")
    preprocessing = "what a foreign segmenter was trained with, if it is unknown"
    segment.add_argument("--preprocessing", dest="preprocessing_id", metavar="ID", help=preprocessing)
    segment.add_argument("--view", choices=("auto", "heart", "slice"), default="auto", help="what the segmenter looks at (auto)")
    add_options(segment, precision="of its encoder")
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
    add_options(detect, segmenter="segmenter whose map of tissues has a say, if it has one (default: as `segment`)")
    detect.set_defaults(run=run_detect)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="INPUT", nargs="+", type=Path, help="DICOM folder, NIfTI, NRRD or MHA file, or folder of PNG/JPEG slices"
    )
    parser.add_argument("-o", "--out", metavar="OUT", type=folder, required=True, help="folder for the results")
    confidence = "least confidence of a proposed box, as boxes.json tells it (default: the models' own)"
    add_options(parser, "detector", confidence=confidence)
    add_options(parser, "device", "trust", "series", "axis", spacing="mm between columns, rows and slices, for images without")
    add_options(parser, overwrite="write also over boxes.json and points.json in OUT that were edited")
    add_options(parser, json="print the results as one JSON object")


def run_segment(args: argparse.Namespace) -> int:
    """Run ``segment``. Returns the exit status."""
    from MyoScarSegLib.batch.runner import segment_all

    job = _job(args, **taken(args, "boxes", "points", "threshold", "report"), formats=args.format)
    pipeline = _pipeline(args, "precision", "view", "preprocessing_id")
    with shown_and_cancellable() as (progress, cancel):
        outcomes = segment_all(job, pipeline, progress=progress, cancel=cancel)
    if args.report:
        from MyoScarSegLib.outputs.measurement_files import write_burden_tables

        write_burden_tables(args.out)
    return _report(args, outcomes, _segment_line)


def run_detect(args: argparse.Namespace) -> int:
    """Run ``detect``. Returns the exit status."""
    from MyoScarSegLib.batch.runner import detect_all

    with shown_and_cancellable() as (progress, cancel):
        outcomes = detect_all(_job(args), _pipeline(args), progress=progress, cancel=cancel)
    return _report(args, outcomes, _detect_line)


def _job(args: argparse.Namespace, **more: Any) -> Job:
    from MyoScarSegLib.batch.runner import Job

    for option in ("boxes", "points"):
        if (path := more.get(option)) is not None and path.is_file() and len(args.input) > 1:
            args.parser.error(
                f"--{option} {path} is one file for {len(args.input)} inputs: give a folder with <case>/{option}.json instead"
            )
    return Job(args.input, args.out, **taken(args, "series", "axis", "spacing_mm", "overwrite"), **more)


def _pipeline(args: argparse.Namespace, *more: str) -> Pipeline:
    from MyoScarSegLib.pipeline import Pipeline

    check_models(args.parser.error, args)
    return Pipeline(**taken(args, "detector", "segmenter", "device", "trust", "confidence", *more))


def check_models(fail: Callable[[str], Any], args: argparse.Namespace) -> None:
    """A name that no model has is a bad argument. A path is none: what is wrong with its file is said for each case."""
    from MyoScarSegLib.models import path_of, registry

    for option, model in taken(args, "detector", "segmenter").items():
        if model is None or path_of(model) is not None:
            continue
        try:
            registry().entry(model)
        except ModelError as error:
            fail(f"--{option}: {error}")


def _report(args: argparse.Namespace, outcomes: Sequence[Outcome], line: Any) -> int:
    if args.json:
        cases = [{**o.summary, "case": o.case, "status": o.status, "message": o.message} for o in outcomes]
        print_json({"version": 1, "out": str(args.out), "cases": cases})
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
    where = f"in {with_scar} of {counted(len(summary['slices']), 'slice')}"
    if summary["scar_mass_g"] is None:
        pixels = counted(summary["scar_pixels"], "pixel")
        return f"{outcome.case}: scar {pixels} {where}; no spacing, so neither mL nor g (see --spacing)"
    from MyoScarSegLib.quantification.mass_interval import MassInterval, mass_in_words

    low, high = summary["scar_mass_low_g"], summary["scar_mass_high_g"]
    within = None if low is None else MassInterval(low, high, bool(summary["likely_wrong"]))
    return f"{outcome.case}: scar {mass_in_words(summary['scar_mass_g'], summary['scar_volume_ml'], within)} {where}"


def _detect_line(outcome: Outcome) -> str:
    per_slice, boxes = outcome.summary["boxes_per_slice"], counted(outcome.summary["boxes"], "box", "boxes")
    return f"{outcome.case}: {boxes} on {sum(n > 0 for n in per_slice)} of {counted(len(per_slice), 'slice')}"
