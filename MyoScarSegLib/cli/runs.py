"""``myoscarseg runs list|show|new|start|pause|stop|cancel|remove|import``: a library's trainings, as the panel shows them."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import add_options, positive_number, print_json, say_failures, whole_number
from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.training.train_settings import CHOICES, TrainSettings
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import duration
from MyoScarSegLib.utils.words import counted

if TYPE_CHECKING:
    from MyoScarSegLib.training.runs.run import Run
    from MyoScarSegLib.training.runs.run_status import RunStatus
    from MyoScarSegLib.training.splits import Split

_WAIT_S = 35.0
"""After the time for the step in hand: for the files to be written."""


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "runs",
        help="plan, start, watch and stop the trainings of a library",
        description="A run is a folder in the library, worked on by a process of its own. Slicer's panel shows the same runs.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str, *before: str, named: bool = True) -> Any:
        of = actions.add_parser(name, help=text)
        for argument in before:
            of.add_argument(argument, metavar="RUN", type=Path, help="the run's folder, as it came back")
        of.add_argument("library", metavar="LIBRARY", type=Path)
        if named:
            of.add_argument("name", metavar="NAME", help="of the run, as `runs list` shows it")
        of.set_defaults(run=run)
        return of

    add_options(action("list", _list, "all runs, newest first", named=False), "json")
    add_options(action("show", _show, "where a run stands, and what came of it"), "json")
    _add_new(action("new", _new, "plan a run, and start it if wished", named=False))
    starting = action("start", _start, "start a planned run, or go on with one, in a process of its own")
    starting.add_argument("--processes", type=positive_number, default=1, metavar="N", help="that train together (1)")
    action("pause", _send, "end the run's process; `start` goes on to the same result")
    action("stop", _send, "end the training and keep the best model so far")
    action("cancel", _send, "end the training and remove its models; the record stays")
    action("remove", _remove, "remove a run with its models and its record")
    action("import", _import, "take back a run that was done on another computer", "folder", named=False)


def _add_new(parser: argparse.ArgumentParser) -> None:
    helps = {"what": "is trained", "mode": "what learns", "preset": "how long", "augmentation": "how far pictures are varied"}
    for name, choices in CHOICES.items():
        usual = getattr(TrainSettings(), name)
        parser.add_argument(f"--{name}", choices=[c.name for c in choices], default=usual, help=f"{helps[name]} ({usual})")
    parser.add_argument("--start-segmenter", metavar="NAME|PATH", help="to start from (the default one)")
    parser.add_argument("--start-detector", metavar="NAME|PATH", help="to start from (the default one; fresh for new weights)")
    parser.add_argument(
        "--epochs",
        type=whole_number,
        help="passes over the data in the last phase (as many as the preset says); the phases before it: --set context_epochs=N",
    )
    parser.add_argument("--patience", type=whole_number, help="epochs without a better figure that end the training")
    add_options(parser, "device", seed="of everything that is drawn (0)")
    parser.add_argument("--model-name", default="", metavar="NAME", help="of the model that is made")
    add_options(parser, "set", split="split.json or model card (default: the library's split)")
    parser.add_argument("--name", help="of the run (default: the date and what is trained)")
    parser.add_argument("--with-data", action="store_true", help="copy the cases into the run's folder, for another computer")
    parser.add_argument("--go", action="store_true", help="start it at once")
    add_options(parser, "json")


# ---- what they do


def open_run(library: Path, name: str) -> Run:
    """A run by its name, in a library; StudyError if there is no library, or no such run in it."""
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
        print_json({"version": 1, "runs": [_document(run) for run in runs], "damaged": damaged})
        return 0
    for run in runs:
        sys.stdout.write(f"{run.name}: {line_of(run.status())}\n")
    if not runs:
        sys.stdout.write("There is no run yet. Plan one with `myoscarseg runs new`.\n")
    return say_failures(damaged, what="")


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
        f"{counted(len(split.training), 'patient trains', 'patients train')}, "
        f"{counted(len(split.validation), 'validates', 'validate')}. Planned {run.record.created}.",
        *status.notes,
    ]
    for part, best in status.best.items():
        lines.append(f"Best {part}: " + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in best.items()))
    lines += [f"{part}: {path}" for part, path in run.models().items()]
    if run.comparison.is_file():
        from MyoScarSegLib.training.runs.comparison_files import read_comparison

        lines.append(read_comparison(run.comparison)["verdict"]["sentence"])
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _new(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.runs.run import Run

    try:
        told = {f.name: getattr(args, f.name) for f in fields(TrainSettings) if hasattr(args, f.name)}
        settings = TrainSettings(**{**told, "name": args.model_name, "options": dict(args.options)})
    except MyoScarSegError as error:
        args.parser.error(str(error))
    run = Run.create(args.library, settings, _split(args), name=args.name, with_data=args.with_data)
    if args.go:
        run.start()
    if args.json:
        print_json(_document(run))
        return 0
    sys.stdout.write(f"{run.folder}\n{settings.explain(len(run.split.training))}\n")
    if not args.go:
        sys.stdout.write(f"Start it: myoscarseg runs start {shlex.quote(str(args.library))} {run.name}\n")
        sys.stdout.write(f"or here:  myoscarseg train --resume {shlex.quote(str(run.folder))}\n")
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
    run = open_run(args.library, args.name)
    run.start(processes=args.processes)
    show = f"myoscarseg runs show {shlex.quote(str(args.library))} {run.name}"
    sys.stdout.write(f"{run.name} is started. `{show}` says where it stands.\n")
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
    return say_failures({}, run.status().notes)


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
