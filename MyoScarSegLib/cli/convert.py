"""``myoscarseg convert``: labeled data from one layout to another."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from MyoScarSegLib.cli.console import add_options, print_json, say_failures, shown_and_cancellable, taken
from MyoScarSegLib.cli.library import LABELS, add_drawing, check_drawing
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.words import counted


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "convert",
        help="turn labeled data from one layout into another",
        description="Read labeled data (a training library, YoloSAM's train|val/images and masks, EMIDEC's folders, other "
        "folders of volumes with labels) and write it in another layout. The destination appears when all of it is written.",
    )
    parser.add_argument("folder", metavar="SOURCE", type=Path)
    parser.add_argument("destination", metavar="DEST", type=Path, help="a new folder; or a training library to add to")
    parser.add_argument("--to", required=True, choices=("yolosam", "yolo", "library", "volumes"), help="the layout of DEST")
    parser.add_argument("--from", dest="kind", choices=("emidec", "library", "yolosam", "volumes"), help="the layout of SOURCE")
    default = "a name up to _slice_ or its last number; a volume's whole name"
    add_options(parser, labels=LABELS, patients=f"finds the patient in names of slices or cases (default: {default})")
    parser.add_argument("--boxes", choices=("per-scar", "merged"), default="per-scar", help="of YOLO's labels (per-scar)")
    add_options(parser, split="manifest that says who trains (default: SOURCE's own, or drawn)")
    add_drawing(parser)
    parser.add_argument(
        "--source-text", dest="source", metavar="TEXT", default="", help="where the data comes from, for a library's records"
    )
    add_options(parser, reviewer="who drew the labels, for a library's records", json="print what was done as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert. Returns 0, or 1 if some case could not be converted."""
    from MyoScarSegLib.training.datasets.conversion import Options, convert
    from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
    from MyoScarSegLib.training.splits import Split

    check_drawing(args)
    with shown_and_cancellable() as (progress, cancel):
        told = taken(args, "boxes", "seed", "folds", "held_out", "source", "reviewer")
        options = Options(**told, split=None if args.split is None else Split.read(args.split))
        data = read_dataset(
            args.folder, kind=args.kind, label_map=args.labels, patient_pattern=args.patients, progress=progress, cancel=cancel
        )
        report = convert(data, args.destination, args.to, options, progress=progress, cancel=cancel)
    if args.json:
        split = None if report.split is None else report.split.to_json()
        print_json({"version": 1, "destination": str(args.destination), **to_json(report), "split": split})
    else:
        known = f"; {counted(len(report.known), 'case was', 'cases were')} there already" if report.known else ""
        sys.stdout.write(
            f"{args.destination}: {counted(report.cases, 'case')}, {counted(report.slices, 'slice')}, "
            f"{report.slices_with_scar} of them with scar{known}\n"
        )
    return say_failures(report.skipped, report.warnings, what="skipped: ")
