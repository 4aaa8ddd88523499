"""What commands share: options, progress on the terminal, Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.utils.json_fields import limits_of
from MyoScarSegLib.utils.processes import on_interrupt
from MyoScarSegLib.utils.progress import CancelToken

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.labelmaps import LabelMap


class ConsoleProgress:
    """A bar with time left on a terminal; a plain line per step, or per tenth of some bytes, otherwise. On standard error."""

    def __init__(self, *, in_bytes: bool = False) -> None:
        self._in_bytes = in_bytes
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._total = 0
        self._last = ""

    def __call__(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.utils.progress.Progress`."""
        if not self._terminal:
            shown = f"[{done}/{total}] {message}"
            line = f"{message}, tenth {10 * done // total if total else done // 10_000_000}" if self._in_bytes else shown
            if line != self._last:
                shown = f"{message}: {done / 1e6:.1f} of {total / 1e6:.1f} MB" if self._in_bytes else shown
                sys.stderr.write(shown + "\n")
                sys.stderr.flush()
            self._last = line
            return
        from tqdm import tqdm

        if self._bar is None or total != self._total or done < self._bar.n:
            self.close()
            self._bar = tqdm(total=total, leave=False, dynamic_ncols=True, bar_format=_BAR, unit_scale=self._in_bytes)
            self._total = total
        self._bar.set_description_str(message, refresh=False)
        self._bar.n = done
        self._bar.refresh()
        if done >= total:
            self.close()

    def close(self) -> None:
        """Remove the bar from the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"


@contextmanager
def cancel_on_interrupt(after: str = "this slice") -> Iterator[CancelToken]:
    """A token that the first Ctrl-C (or SIGTERM) sets; a second Ctrl-C stops the program at once.

    ``after`` says what is still finished then.
    """
    token = CancelToken()

    def ask(number: int) -> None:
        if token.cancelled and number == signal.SIGINT:
            raise KeyboardInterrupt
        token.cancel()
        # Not through sys.stderr: the signal may have come in the middle of a write to it, which cannot be entered twice.
        with suppress(OSError):
            os.write(2, f"\nCancelling after {after}; press Ctrl-C again to stop at once.\n".encode())

    with on_interrupt(ask):
        yield token


@contextmanager
def shown_and_cancellable(
    after: str = "this slice", progress: ConsoleProgress | None = None
) -> Iterator[tuple[ConsoleProgress, CancelToken]]:
    """Progress on the terminal, and a token that Ctrl-C sets; see :func:`cancel_on_interrupt`."""
    progress = progress or ConsoleProgress()
    try:
        with cancel_on_interrupt(after) as cancel:
            yield progress, cancel
    finally:
        progress.close()


def say_failures(failures: Mapping[str, str], notes: Iterable[str] = (), *, what: str = "failed: ") -> int:
    """Say on standard error what was noted, and what could not be done and why. Returns the exit status: 1 if there was some."""
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    for name, reason in failures.items():
        sys.stderr.write(f"{name}: {what}{reason}\n")
    return int(bool(failures))


def report(
    args: argparse.Namespace, document: Any, text: str, failures: Mapping[str, str], notes: Iterable[str], written: str
) -> int:
    """Print what was found, as ``--json`` or not, and what could not be; and say which files are in ``--out``, if it is given."""
    print_json(document) if args.json else sys.stdout.write(text)
    status = say_failures(failures, notes)
    if args.out is not None and not args.json:
        sys.stdout.write(f"\nWritten to {args.out}: {written}.\n")
    return status


def print_json(document: Any) -> None:
    """Write ``document`` to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def probability(text: str) -> float:
    """An option's value strictly between 0 and 1."""
    value = _float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability between 0 and 1")
    return value


def whole_number(text: str) -> int:
    """An option's value 0, 1, 2, ..."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def folder(text: str) -> Path:
    """An option's value that is a folder, or will be one."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file; give a folder")
    return path


def positive_number(text: str) -> int:
    """An option's value 1, 2, 3, ..."""
    if not (value := whole_number(text)):
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return value


def device(text: str) -> str:
    """An option's value ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ... or ``mps``."""
    known = limits_of(EngineSettings, "device")
    if not known.allow(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device: give {known.words}")
    return text


def spacing(text: str) -> tuple[float, float, float]:
    """An option's value ``X,Y,Z`` or ``X Y Z`` in millimeters: between columns, rows and slices."""
    parts = text.replace(",", " ").replace("x", " ").split()
    values = tuple(_float(part) for part in parts)
    if len(values) != 3 or not all(0 < v < 1000 for v in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not three distances in mm: columns,rows,slices, such as 1.4,1.4,10")
    return values[0], values[1], values[2]


def label_map(text: str) -> LabelMap:
    """An option's value such as ``cavity=1 scar=3,4``, or ``emidec``."""
    from MyoScarSegLib.training.datasets.labelmaps import parse_label_map

    try:
        return parse_label_map(text)
    except StudyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def setting(text: str) -> tuple[str, str]:
    """An option's value ``NAME=VALUE``."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()


def words(text: str) -> tuple[str, ...]:
    """An option's value ``A,B``."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


LABELS_OF_MASKS = (
    "label values, such as 'cavity=1 myocardium=2 scar=3,4', or emidec (default: what names of files and segments say)"
)
IMAGE_OF_MASKS = "study that the masks were drawn on, or folder with that of each case; where both masks are DICOM"
_OPTIONS: dict[str, dict[str, Any]] = {
    "axis": {"choices": ("auto", "i", "j", "k"), "default": "auto", "help": "the file's axis through the slices"},
    "confidence": {"type": probability, "help": "least confidence of a proposed box (default: the models' own)"},
    "detector": {"metavar": "NAME|PATH", "help": "detector to use (default: the one of `models list`)"},
    "device": {"type": device, "default": "auto", "help": "auto, cpu, cuda, cuda:1, mps (auto)"},
    "format": {"choices": ("seg.nrrd", "nii.gz", "both"), "default": "both", "help": "of the mask (both)"},
    "image": {"metavar": "STUDY", "type": Path},
    "json": {"action": "store_true", "help": "print JSON"},
    "labels": {"metavar": "MAP", "type": label_map},
    "overwrite": {"action": "store_true"},
    "patients": {"metavar": "REGEX", "help": "finds the patient in names of files"},
    "precision": {"choices": ("auto", "float32", "bfloat16", "float16"), "default": "auto", "help": "of the encoder"},
    "reviewer": {"metavar": "TEXT", "default": "", "help": "who drew or checked the labels, for the record"},
    "seed": {"type": whole_number, "default": 0},
    "segmenter": {"metavar": "NAME|PATH", "help": "segmenter to use (default: the one of `models list`)"},
    "series": {"metavar": "KEY", "help": "DICOM series to read, as `myoscarseg info` lists them"},
    "set": {
        "dest": "options",
        "action": "append",
        "default": [],
        "type": setting,
        "metavar": "NAME=VALUE",
        "help": "any other setting",
    },
    "spacing": {"dest": "spacing_mm", "type": spacing, "metavar": "X,Y,Z", "help": "mm between columns, rows and slices"},
    "split": {"type": Path, "metavar": "FILE", "help": "split.json or model card: who trains and who validates"},
    "tags": {"type": words, "default": (), "metavar": "A,B", "help": "words to find the case by"},
    "threshold": {"type": probability, "default": 0.5, "help": "probability from which on a pixel is scar (0.5)"},
    "trust": {"action": "store_true", "help": "unpickle a foreign checkpoint; it can run any program"},
}
"""What argparse takes of the options that several commands have."""


def add_options(parser: Any, *names: str, **helps: str) -> None:
    """Add options of :data:`_OPTIONS` to a parser or a group; ``helps`` are those that mean something of their own here."""
    for name in (*names, *helps):
        more = {"help": helps[name]} if name in helps else {}
        parser.add_argument(f"--{name}", **{**_OPTIONS[name], **more})


def taken(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options of these names, as keyword arguments."""
    return {name: getattr(args, name) for name in names}
