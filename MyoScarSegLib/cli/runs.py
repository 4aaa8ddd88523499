"""``myoscarseg runs list|show|new|start|pause|stop|cancel|remove|import``: a library's trainings, as the panel shows them."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import device, print_json, whole_number
from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.training.train_settings import CHOICES, TrainSettings
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import duration

if TYPE_CHECKING:
    from MyoScarSegLib.training.runs.run import Run
    from MyoScarSegLib.training.runs.run_status import RunStatus
    from MyoScarSegLib.training.splits import Split

_WAIT_S = 35.0
"""After the time for the step in hand: for the files to be written."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to ``subparsers``; its ``run`` default carries it out."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "runs",
        help="plan, start, watch and stop the trainings of a library",
        description="A run is a folder in the library, worked on by a process of its own. Slicer's panel shows the same runs.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="all runs, newest first")
    listing.add_argument("library", metavar="LIBRARY", type=Path)
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_list)

    _one(actions, "show", "where a run stands, and what came of it", _show).add_argument(
        "--json", action="store_true", help="print JSON"
    )
    _add_new(actions.add_parser("new", help="plan a run, and start it if wished"))
    starting = _one(actions, "start", "start a planned run, or go on with one, in a process of its own", _start)
    starting.add_argument("--processes", type=_positive, default=1, metavar="N", help="that train together (1)")
    _one(actions, "pause", "end the run's process; `start` goes on to the same result", _send)
    _one(actions, "stop", "end the training and keep the best model so far", _send)
    _one(actions, "cancel", "end the training and remove its models; the record stays", _send)
    _one(actions, "remove", "remove a run with its models and its record", _remove)

    importing = actions.add_parser("import", help="take back a run that was done on another computer")
    importing.add_argument("folder", metavar="RUN", type=Path, help="the run's folder, as it came back")
    importing.add_argument("library", metavar="LIBRARY", type=Path)
    importing.set_defaults(run=_import)
    return parser


def _one(actions: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text)
    parser.add_argument("library", metavar="LIBRARY", type=Path)
    parser.add_argument("name", metavar="NAME", help="of the run, as `runs list` shows it")
    parser.set_defaults(run=run)
    return parser


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("library", metavar="LIBRARY", type=Path)
    helps = {"what": "is trained", "mode": "what learns", "preset": "how long", "augmentation": "how far pictures are varied"}
    for name, choices in CHOICES.items():
        usual = getattr(TrainSettings(), name)
        parser.add_argument(f"--{name}", choices=[c.name for c in choices], default=usual, help=f"{helps[name]} ({usual})")
    parser.add_argument("--start-segmenter", metavar="NAME|PATH", help="to start from (the default one)")
    parser.add_argument("--start-detector", metavar="NAME|PATH", help="to start from (the default one; fresh for new weights)")
    parser.add_argument("--epochs", type=whole_number, help="passes over the data (as many as the preset says)")
    parser.add_argument("--patience", type=whole_number, help="epochs without a better figure that end the training")
    parser.add_argument("--seed", type=whole_number, default=0, help="of everything that is drawn (0)")
    parser.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda, cuda:1, mps (auto)")
    parser.add_argument("--model-name", default="", metavar="NAME", help="of the model that is made")
    parser.add_argument(
        "--set", dest="options", action="append", default=[], type=_setting, metavar="NAME=VALUE", help="any other setting"
    )
    parser.add_argument("--split", type=Path, metavar="FILE", help="split.json or model card (default: the library's split)")
    parser.add_argument("--name", help="of the run (default: the date and what is trained)")
    parser.add_argument("--with-data", action="store_true", help="copy the cases into the run's folder, for another computer")
    parser.add_argument("--go", action="store_true", help="start it at once")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_new)


def _positive(text: str) -> int:
    value = whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give at least 1")
    return value


def _setting(text: str) -> tuple[str, str]:
    from MyoScarSegLib.cli.train import setting

    return setting(text)


# ---- what they do


def open_run(library: Path, name: str) -> Run:
    """A run by its name, in a library.

    Raises:
        StudyError: there is no library, or no such run in it.
    """
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.runs.run import RUNS, Run, runs_of

    folder = Library.open(library).folder / RUNS / name
    if Path(name).name != name or not folder.is_dir():
        known = ", ".join(run.name for run in runs_of(library)[0]) or "none"
        raise StudyError(f"The library {library} has no run {name!r}; it has: {known}.")
    return Run.open(folder)


def _list(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.runs.run import runs_of

    runs, damaged = runs_of(Library.open(args.library).folder)
    if args.json:
        document = {"version": 1, "runs": [_document(run) for run in runs], "damaged": damaged}
        print_json(document)
        return 0
    for run in runs:
        sys.stdout.write(f"{run.name}: {line_of(run.status())}\n")
    for name, reason in damaged.items():
        sys.stderr.write(f"{name}: {reason}\n")
    if not runs:
        sys.stdout.write("There is no run yet. Plan one with `myoscarseg runs new`.\n")
    return 1 if damaged else 0


def _show(args: argparse.Namespace) -> int:
    run = open_run(args.library, args.name)
    if args.json:
        print_json(_document(run))
        return 0
    status = run.status()
    split = run.split
    lines = [
        f"{run.name}: {line_of(status)}",
        run.settings.explain(len(split.training)),
        f"{len(split.training)} patients train, {len(split.validation)} validate. Planned {run.record.created}.",
        *status.notes,
    ]
    for part, best in status.best.items():
        lines.append(f"Best {part}: " + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in best.items()))
    lines += [f"{part}: {path}" for part, path in run.models().items()]
    if run.comparison.is_file():
        from MyoScarSegLib.training.runs.model_comparison import read_comparison

        lines.append(read_comparison(run.comparison)["verdict"]["sentence"])
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _new(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.runs import run_start
    from MyoScarSegLib.training.runs.run import Run

    try:
        told = {f.name: getattr(args, f.name) for f in fields(TrainSettings) if hasattr(args, f.name)}
        settings = TrainSettings(**{**told, "name": args.model_name, "options": dict(args.options)})
    except MyoScarSegError as error:
        args.parser.error(str(error))
    run = Run.create(args.library, settings, _split(args), name=args.name, with_data=args.with_data)
    if args.go:
        run_start.start(run)
    if args.json:
        print_json(_document(run))
        return 0
    sys.stdout.write(f"{run.folder}\n{settings.explain(len(run.split.training))}\n")
    if not args.go:
        sys.stdout.write(f"Start it: myoscarseg runs start {args.library} {run.name}\n")
        sys.stdout.write(f"or here:  myoscarseg train --resume {run.folder}\n")
    return 0


def _split(args: argparse.Namespace) -> Split:
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.splits import Split

    if args.split is not None:
        return Split.read(args.split)
    split = Library.open(args.library).split_manifest()
    if split is None:
        raise StudyError(f"{args.library} has no split yet. Draw one with `myoscarseg library split`, or give --split.")
    return split


def _start(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.runs import run_start

    run = open_run(args.library, args.name)
    run_start.start(run, processes=args.processes)
    sys.stdout.write(f"{run.name} is started. `myoscarseg runs show {args.library} {run.name}` says where it stands.\n")
    return 0


def _send(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.runs.run_commands import SAFE_PLACE_S
    from MyoScarSegLib.training.runs.run_status import RunState

    run = open_run(args.library, args.name)
    run.send(args.action)
    until = time.monotonic() + SAFE_PLACE_S + _WAIT_S
    if run.status().state is RunState.RUNNING:
        sys.stderr.write("The step in hand ends first. That may take some minutes.\n")
    while (status := run.status()).state is RunState.RUNNING and time.monotonic() < until:
        time.sleep(0.1)
    sys.stdout.write(f"{run.name}: {line_of(status)}\n")
    return 1 if status.state is RunState.RUNNING else 0


def _remove(args: argparse.Namespace) -> int:
    run = open_run(args.library, args.name)
    run.remove()
    sys.stdout.write(f"{run.name} is removed.\n")
    return 0


def _import(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.runs.transfer import import_run

    run = import_run(args.folder, args.library)
    sys.stdout.write(f"{run.folder}\n{line_of(run.status())}\n")
    for note in run.status().notes:
        sys.stderr.write(f"note: {note}\n")
    return 0


# ---- what is shown


def line_of(status: RunStatus) -> str:
    """Where a run stands, in one line."""
    from MyoScarSegLib.training.runs.run_status import RunState

    parts = [status.state.value]
    if status.state is RunState.RUNNING:
        parts.append(" ".join(word for word in (status.part, status.stage) if word))
        if status.epoch:
            parts.append(f"epoch {status.epoch} of {status.epochs}")
        if status.total:
            parts.append(f"{status.done}/{status.total}")
        if status.seconds_left is not None:
            parts.append(f"about {duration(status.seconds_left)} left")
    if status.seconds:
        parts.append(f"worked {duration(status.seconds)}")
    for part, best in status.best.items():
        if (dice := best.get("end_to_end_dice")) is not None:
            parts.append(f"best {part} Dice {dice:.3f} (epoch {best['epoch']:g})")
    if status.error:
        parts.append(status.error)
    elif status.state is RunState.INTERRUPTED:
        parts.append(status.message)
    return ", ".join(parts)


def _document(run: Run) -> dict[str, Any]:
    from MyoScarSegLib.training.runs.run_status import VERSION

    return {
        "name": run.name,
        "folder": str(run.folder),
        "created": run.record.created,
        "settings": run.record.settings.to_json(),
        "status": to_json(run.status(), version=VERSION),
        "models": {part: str(path) for part, path in run.models().items()},
    }
