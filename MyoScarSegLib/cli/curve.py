"""``myoscarseg curve``: how much each further patient teaches."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from MyoScarSegLib.cli.console import ConsoleProgress, cancel_on_interrupt, device, whole_number
from MyoScarSegLib.cli.train import setting


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to ``subparsers``; its ``run`` default carries it out."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "curve",
        help="validation figures against the number of patients trained on",
        description="Train on more and more patients from the same model, judge each on the same others, and draw the curve.",
        epilog="A stopped curve goes on with the same command; more draws may be asked for later.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of labelled data")
    parser.add_argument(
        "--split", type=Path, required=True, metavar="FILE", help="split.json or model card: who trains, who judges"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the figures and the picture")
    parser.add_argument("--counts", type=whole_number, nargs="+", metavar="N", help="numbers of patients (5 10 20 40)")
    parser.add_argument("--draws", type=whole_number, metavar="N", help="how often patients are drawn anew (1)")
    parser.add_argument("--steps", type=whole_number, metavar="N", help="steps of each training, at least (150)")
    parser.add_argument("--start", default="litemedsam", metavar="NAME|FILE", help="model to start from (%(default)s)")
    parser.add_argument(
        "--set", dest="options", action="append", default=[], type=setting, metavar="NAME=VALUE", help="another setting"
    )
    parser.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda, cuda:1, mps (%(default)s)")
    parser.set_defaults(run=_run)
    return parser


def _run(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.datasets.reading import read_dataset
    from MyoScarSegLib.training.learning_curve import PICTURE, SETTINGS, Plan, learning_curve, table
    from MyoScarSegLib.training.options import with_options
    from MyoScarSegLib.training.splits import Split

    given = {"counts": args.counts, "draws": args.draws, "steps": args.steps}
    given |= {"settings": with_options(SETTINGS, dict(args.options))}
    plan = Plan(args.start, **{name: value for name, value in given.items() if value is not None})
    progress = ConsoleProgress()
    with cancel_on_interrupt("this step") as cancel:
        data = read_dataset(args.data, progress=progress, cancel=cancel)
        document = learning_curve(
            data.slices, Split.read(args.split), args.out, plan, device=args.device, progress=progress, cancel=cancel
        )
    progress.close()
    for note in document["notes"]:
        sys.stderr.write(f"note: {note}\n")
    sys.stdout.write(table(document) + f"{args.out / PICTURE}\n")
    return 0
