"""``myoscarseg agree``: how well two readers, or a reader and a model, agree on scar."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from MyoScarSegLib.cli.console import (
    IMAGE_OF_MASKS,
    LABELS_OF_MASKS,
    add_options,
    folder,
    label_map,
    report,
    shown_and_cancellable,
    taken,
)
from MyoScarSegLib.errors import StudyError, UnnamedLabelsError


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "agree",
        help="how well two readers, or a reader and a model, agree: Dice, HD95, mass, Bland-Altman, ICC",
        description="Compare two masks, or two folders of masks or of results, whose cases are matched by name. Differences are "
        "B less A. Writes OUT/agreement.csv (a row per case), agreement.json and bland_altman.png.",
    )
    parser.add_argument("a", metavar="A", type=Path, help="mask or label volume, or folder of them or of `segment`'s results")
    parser.add_argument("b", metavar="B", type=Path, help="the same of the other reader")
    parser.add_argument("-o", "--out", metavar="OUT", type=folder, help="folder for the files (default: the figures alone)")
    add_options(parser, json="print the summary as JSON", labels=LABELS_OF_MASKS)
    parser.add_argument("--labels-b", metavar="MAP", type=label_map, help="of B (default: as --labels)")
    add_options(parser, image=IMAGE_OF_MASKS)
    add_options(parser, spacing="mm between columns, rows and slices, for files without")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare. Returns 0; 1 if a case could not be compared; 2 for bad arguments."""
    from MyoScarSegLib.training.evaluation.agreement_files import summary_of, text_of, write_agreement
    from MyoScarSegLib.training.evaluation.mask_comparison import MASKS, compare_masks

    how = {"labels": args.labels, "pred_labels": args.labels_b or args.labels, **taken(args, "image", "spacing_mm")}
    with shown_and_cancellable() as (progress, cancel):
        try:
            found = compare_masks(args.b, args.a, **how, progress=progress, cancel=cancel)
        except UnnamedLabelsError as error:
            error.args = (str(error).replace("--pred-labels", "--labels-b"),)
            raise
    cases, names = found.settings[MASKS], (args.a.name, args.b.name)
    if not cases:
        reasons = [f"{name}: {why}" for name, why in found.failures.items()]
        more = f" And {len(reasons) - 3} more cases." if len(reasons) > 3 else ""
        raise StudyError("No case could be compared. " + " ".join(reasons[:3]) + more)
    summary = summary_of(cases, names) if args.out is None else write_agreement(args.out, cases, names)
    notes = [
        note.replace("has no reference in", "is not in").replace("have no reference in", "are not in") for note in found.notes
    ]
    written = "agreement.csv, agreement.json and bland_altman.png"
    return report(args, summary, text_of(summary), found.failures, notes, written)
