"""``myoscarseg train``: fine-tune models on labeled data, work on a run, look at the augmentation and at boxes."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from MyoScarSegLib.cli.console import (
    ConsoleProgress,
    add_options,
    folder,
    print_json,
    say_failures,
    shown_and_cancellable,
    taken,
    whole_number,
)
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.training.train_job import DETECTOR, FORMER_KINDS, KINDS, MODES, SEGMENTER, Augmentation

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.labeled import LabeledSlice
    from MyoScarSegLib.utils.progress import CancelToken

_QUIET_S = 10.0
"""Without a terminal, seconds between lines within an epoch."""


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "train",
        help="fine-tune the segmenter or the detector on labeled data",
        description="Train models on labeled data: a training library, folders of volumes (EMIDEC's too), or YoloSAM's layout.",
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="work on a training run: start it, or go on with it")
    parser.add_argument("--data", type=Path, metavar="LIBRARY", help="with --resume: its cases, where it is not in their library")
    parser.set_defaults(run=run_run)
    actions = parser.add_subparsers(dest="action", metavar="segmenter|detector|preview|boxes")
    helps = ("fine-tune a segmenter", "train a detector of scar and of the left ventricle")
    for former, kind, help in zip(FORMER_KINDS, KINDS, helps, strict=True):
        action = actions.add_parser(kind, aliases=[former], help=help)
        _add_job_options(action, kind)
        action.set_defaults(run=run_training, kind=kind)
    preview = actions.add_parser("preview", help="a picture of what the augmentation does to slices of the data")
    _add_data_options(preview)
    _add_augmentation(preview, default="standard")
    add_options(preview, seed="of the augmentation (0)")
    preview.add_argument("-o", "--out", type=Path, required=True, metavar="PNG", help="the picture to write")
    preview.set_defaults(run=run_preview)
    boxes = actions.add_parser("boxes", help="how well a detector's boxes find the lesions of labeled data")
    _add_data_options(boxes)
    boxes.add_argument("--split", type=Path, required=True, metavar="FILE", help="split.json or model card of the training")
    add_options(boxes, confidence="least confidence of a box (default: the detector's own)")
    add_options(boxes, "detector", "device", json="print JSON instead of a table")
    boxes.set_defaults(run=run_boxes)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of labeled data")
    parser.add_argument(
        "--data-kind", metavar="KIND", help="emidec, library, yolosam or volumes, where the content does not tell"
    )
    parser.add_argument("--labels", metavar="TEXT", help="what label values mean, such as 'cavity=1 myocardium=2 scar=3,4'")
    add_options(parser, "patients")


def _add_augmentation(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    # "--preset" is what it was called first.
    choices = get_args(Augmentation)
    parser.add_argument(
        "--augmentation", "--preset", choices=choices, default=default, help="how far pictures are varied (standard)"
    )


def _add_job_options(parser: argparse.ArgumentParser, kind: str) -> None:
    _add_data_options(parser)
    parser.add_argument("-o", "--out", type=folder, required=True, metavar="FOLDER", help="folder for model, card, split and log")
    fresh = "; fresh for new weights" if kind == DETECTOR else ""
    parser.add_argument(
        "--recipe",
        metavar="NAME|CARD",
        help="train as that model was (start, settings, seed, split); what is said beside it goes before",
    )
    if kind == SEGMENTER:
        parser.add_argument("--mode", choices=MODES, help="what learns (decoder)")
        parser.add_argument(
            "--anatomy", type=Path, metavar="FOLDER", help="studies with labeled ventricles (ACDC's cine) to learn first"
        )
    parser.add_argument("--start", metavar="NAME|PATH", help=f"model to start from (the default one{fresh})")
    parser.add_argument("--name", help="of the new model and its files")
    _add_augmentation(parser)
    parser.add_argument(
        "--epochs",
        type=whole_number,
        help="passes over the data; of a segmenter in its last phase, those before it have --set context_epochs=N",
    )
    parser.add_argument("--batch", type=whole_number, help="slices per step")
    parser.add_argument("--seed", type=whole_number, help="of everything that is drawn (0)")
    add_options(parser, "split")
    parser.add_argument("--folds", type=whole_number, help="of a new split (5)")
    parser.add_argument("--held-out", type=whole_number, metavar="FOLD", help="number of the fold that validates (0)")
    parser.add_argument("--resume", action="store_true", help="go on with the training that was stopped in the folder")
    add_options(parser, "device")
    parser.add_argument("--licence", help="of the data, for the model card")
    parser.add_argument("--citation", help="of the data, for the model card")
    add_options(parser, "set", json="print the result as one JSON object")


def run_training(args: argparse.Namespace) -> int:
    """Carry out ``train segmenter`` and ``train detector``. Returns the exit status."""
    from MyoScarSegLib.training.train_job import TrainJob, run

    names = [f.name for f in fields(TrainJob) if f.name not in ("options", "resume")]
    said = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    usual: dict[str, Any] = {}
    if args.recipe is not None:
        from MyoScarSegLib.training.card import recipe

        usual = recipe(args.recipe, args.kind, start=args.start)
        if args.folds is not None or args.held_out is not None:
            usual.pop("split")
    options = {**usual.pop("options", {}), **dict(args.options)}
    try:
        job = TrainJob(**{**usual, **said}, resume=args.resume, options=options)
    except MyoScarSegError as error:
        args.parser.error(str(error))
    with shown_and_cancellable("this step", TrainingProgress()) as (progress, cancel):
        result = run(job, progress, cancel)
    if args.json:
        print_json({"version": 1, **result})
    else:
        sys.stdout.write(f"Model: {result['model']}\nCard:  {result['card']}\n")
        sys.stdout.write(f"Use it: myoscarseg segment INPUT -o OUT --{args.kind} {shlex.quote(str(result['model']))}\n")
    return 0


def run_run(args: argparse.Namespace) -> int:
    """Carry out ``train --resume RUN``, also under ``accelerate launch``. Returns the exit status."""
    if args.resume is None:
        args.parser.error("train needs segmenter, detector, preview or boxes, or --resume RUN")
    from MyoScarSegLib.cli.runs import line_of
    from MyoScarSegLib.training.runs.run import Run
    from MyoScarSegLib.training.runs.run_process import carry_out
    from MyoScarSegLib.training.runs.run_status import RunState

    run = Run.open(args.resume)
    progress = TrainingProgress()
    status = carry_out(run, library=args.data, progress=progress)
    progress.close()
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(f"{run.name}: {line_of(status)}\n")
        for part, path in run.models().items():
            sys.stdout.write(f"{part}: {path}\n")
    return 1 if status.state is RunState.FAILED else 0


def run_preview(args: argparse.Namespace) -> int:
    """Carry out ``train preview``. Returns the exit status."""
    from MyoScarSegLib.training.augmentation.preview import preview

    with shown_and_cancellable(progress=TrainingProgress()) as (progress, cancel):
        slices = _slices(args, progress, cancel)
    preview(slices, args.out, augmentation=args.augmentation, seed=args.seed)
    sys.stdout.write(f"{args.out}\n")
    return 0


def run_boxes(args: argparse.Namespace) -> int:
    """Carry out ``train boxes``. Returns the exit status."""
    from MyoScarSegLib.models import DEFAULT_DETECTOR
    from MyoScarSegLib.training.splits import Split, check_split
    from MyoScarSegLib.training.yolo.detector_scores import evaluate, table

    split = Split.read(args.split)
    with shown_and_cancellable(progress=TrainingProgress()) as (progress, cancel):
        slices = _slices(args, progress, cancel)
        say_failures({}, check_split(split, slices))
        told = taken(args, "confidence", "device")
        figures = evaluate(args.detector or DEFAULT_DETECTOR, slices, split, **told, progress=progress, cancel=cancel)
    print_json(figures) if args.json else sys.stdout.write(table(figures))
    return 0


def _slices(args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken) -> list[LabeledSlice]:
    from MyoScarSegLib.training.datasets.dataset_reader import read_dataset

    told = {"kind": args.data_kind, "label_map": args.labels, "patient_pattern": args.patients}
    return read_dataset(args.data, **told, progress=progress, cancel=cancel).slices


class TrainingProgress(ConsoleProgress):
    """A bar on a terminal; otherwise a line now and then, for there are thousands of steps."""

    def __init__(self) -> None:
        super().__init__()
        self._told, self._what = 0.0, ""

    def __call__(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.utils.progress.Progress`."""
        # Each epoch has a line, and each kind of other work, but not each of its slices.
        now, what = time.monotonic(), message.partition(",")[0] if message.startswith("epoch") else message.partition(" ")[0]
        if self._terminal or done >= total or what != self._what or now - self._told >= _QUIET_S:
            self._told, self._what = now, what
            super().__call__(done, total, message)
