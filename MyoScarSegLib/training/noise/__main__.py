"""``python -m MyoScarSegLib.training.noise``: run the label-noise study, or go on with it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.training.noise.study import MASKS, PICTURE, RESULTS, Plan, run_study
from MyoScarSegLib.training.noise.summary import table
from MyoScarSegLib.training.noise.trial import SETTINGS

_QUIET_S = 10.0
"""Seconds between lines about the same thing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 0 done, 1 it failed or was stopped; argparse leaves with 2 for bad arguments."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.seeds < 1 or args.epochs < 1 or args.patients < 0 or (args.runs_limit is not None and args.runs_limit < 0):
        parser.error("--seeds and --epochs must be 1 or more, --patients and --runs-limit 0 or more")
    try:
        _run(args)
    except Cancelled:
        sys.stderr.write("Stopped; what is done is kept, and the same command goes on.\n")
        return 1
    except MyoScarSegError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m MyoScarSegLib.training.noise",
        description="What the loss for noisy labels buys: train on masks spoilt on purpose, with and without its KL term.",
        epilog="A stopped study goes on with the same command.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of labelled data")
    parser.add_argument("--split", type=Path, required=True, metavar="FILE", help="split.json or model card: who trains")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=f"folder for {RESULTS}, {PICTURE} and {MASKS}")
    parser.add_argument("--seeds", type=int, default=Plan.seeds, help="number of seeds (%(default)s)")
    parser.add_argument("--runs-limit", type=int, metavar="N", help="do at most this many trainings now (all)")
    parser.add_argument("--patients", type=int, default=Plan.patients, help="training patients, 0 for all (%(default)s)")
    parser.add_argument("--epochs", type=int, default=SETTINGS.epochs, help="passes over the slices (%(default)s)")
    parser.add_argument("--start", default=Plan.start, metavar="NAME|PATH", help="model to start from (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (%(default)s)")
    return parser


def _run(args: argparse.Namespace) -> None:
    from MyoScarSegLib.training.datasets.reading import read_dataset
    from MyoScarSegLib.training.splits import Split

    progress, cancel = _Lines(), CancelToken()

    def ask(_number: int, _frame: FrameType | None) -> None:
        cancel.cancel()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        data = read_dataset(args.data, progress=progress, cancel=cancel)
        document = run_study(
            data.slices,
            Split.read(args.split),
            args.out,
            Plan(args.start, args.patients, args.seeds, settings=replace(SETTINGS, epochs=args.epochs)),
            runs_limit=args.runs_limit,
            device=args.device,
            progress=progress,
            cancel=cancel,
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for note in document["notes"]:
        sys.stderr.write(f"note: {note}\n")
    sys.stdout.write(table(document["summary"]))
    sys.stdout.write(f"The start model, not trained at all: Dice {document['start']['figures']['dice']:.3f}.\n")
    sys.stdout.write("".join(f"{args.out / name}\n" for name in (RESULTS, PICTURE, MASKS) if (args.out / name).is_file()))


class _Lines:
    """A line when something new begins, and now and then."""

    def __init__(self) -> None:
        self._told, self._what = 0.0, ""

    def __call__(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.progress.Progress`."""
        now, what = time.monotonic(), message.partition(":")[0].partition(" ")[0] + str(total)
        if done >= total or what != self._what or now - self._told >= _QUIET_S:
            self._told, self._what = now, what
            sys.stderr.write(f"[{done}/{total}] {message}\n")
            sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
