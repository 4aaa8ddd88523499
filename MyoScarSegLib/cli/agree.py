"""``myoscarseg agree``: how well two readers, or a reader and a model, agree on scar."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from MyoScarSegLib.cli.console import print_json, shown_and_cancellable, spacing


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to ``subparsers``; its ``run`` default is :func:`run`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "agree",
        help="how well two readers, or a reader and a model, agree: Dice, HD95, mass, Bland-Altman, ICC",
        description="Compare two masks, or two folders of masks or of results, whose cases are matched by name. Differences are "
        "B less A. Writes OUT/agreement.csv (a row per case), agreement.json and bland_altman.png.",
    )
    parser.add_argument("a", metavar="A", type=Path, help="mask or label volume, or folder of them or of `segment`'s results")
    parser.add_argument("b", metavar="B", type=Path, help="the same of the other reader")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, help="folder for the files (default: the figures alone)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument(
        "--labels",
        metavar="MAP",
        help="label values, such as 'cavity=1 myocardium=2 scar=3,4', or emidec (default: what names of files and segments say)",
    )
    parser.add_argument("--labels-b", metavar="MAP", help="of B (default: as --labels)")
    parser.add_argument("--spacing", type=spacing, metavar="X,Y,Z", help="mm between columns, rows and slices, for files without")
    parser.set_defaults(run=run, parser_of_command=parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Compare. Returns 0; 1 if a case could not be compared; 2 for bad arguments."""
    from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
    from MyoScarSegLib.training.datasets.labelmaps import parse_label_map
    from MyoScarSegLib.training.evaluation.agreement_files import summary_of, text_of, write_agreement
    from MyoScarSegLib.training.evaluation.mask_comparison import MASKS, compare_masks

    maps = []
    for option, text in (("--labels", args.labels), ("--labels-b", args.labels_b)):
        try:
            maps.append(None if text is None else parse_label_map(text))
        except StudyError as error:
            args.parser_of_command.error(f"{option}: {error}")
    labels, labels_b = maps[0], maps[1] or maps[0]
    with shown_and_cancellable() as (progress, cancel):
        try:
            found = compare_masks(
                args.b, args.a, labels=labels, pred_labels=labels_b, spacing_mm=args.spacing, progress=progress, cancel=cancel
            )
        except UnnamedLabelsError as error:
            error.args = (str(error).replace("--pred-labels", "--labels-b"),)
            raise
    cases, names = found.settings[MASKS], (args.a.name, args.b.name)
    if not cases:
        raise StudyError("No case could be compared: " + "; ".join(f"{name}: {why}" for name, why in found.failures.items()))
    summary = summary_of(cases, names) if args.out is None else write_agreement(args.out, cases, names)
    print_json(summary) if args.json else sys.stdout.write(text_of(summary))
    for note in found.notes:
        sys.stderr.write(f"note: {note.replace('has no reference in', 'is not in')}\n")
    for what, reason in found.failures.items():
        sys.stderr.write(f"{what}: failed: {reason}\n")
    if args.out is not None and not args.json:
        sys.stdout.write(f"\nWritten to {args.out}: agreement.csv, agreement.json and bland_altman.png.\n")
    return int(bool(found.failures))
