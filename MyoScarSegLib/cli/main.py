"""The command ``myoscarseg``: exit status 0 all done, 1 some case failed (the others are written), 2 bad arguments."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from MyoScarSegLib import __version__
from MyoScarSegLib.cli import agree, batch, convert, demo, evaluate, info, jobs, library, models, report, runs, train
from MyoScarSegLib.errors import MyoScarSegError, UnnamedLabelsError

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (the process's own if None). Returns the exit status."""
    parser = _parser()
    try:
        args = parser.parse_args(arguments)
        args.parser = parser
        return _run(args)
    except MyoScarSegError as error:
        sys.stderr.write(f"myoscarseg: {error}\n")
        return 2 if isinstance(error, UnnamedLabelsError) else 1
    except KeyboardInterrupt:
        sys.stderr.write("myoscarseg: stopped.\n")
        return 1
    except BrokenPipeError:
        # Whoever read our output has gone (`myoscarseg info ... | head`); that is no failure of ours.
        sys.stderr.close()
        return 0
    except OSError as error:  # a folder that may not be entered, a name that is too long
        if error.filename is None:
            raise
        _log.debug("What could not be reached", exc_info=True)  # --verbose shows where, if it is a defect after all
        sys.stderr.write(f"myoscarseg: {error.filename} cannot be reached: {error.strerror}.\n")
        return 1


def _run(args: argparse.Namespace) -> int:
    # What a user can act on is said by the commands themselves; the log is for whoever looks for a defect.
    shown = logging.StreamHandler()
    # The handler's level, too: a study's own log may have the library say more than is shown here.
    shown.setLevel(logging.DEBUG if args.verbose else logging.CRITICAL)
    logging.basicConfig(level=shown.level, format="%(name)s: %(message)s", handlers=[shown])
    return int(args.run(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="myoscarseg",
        description="Myocardial scar on LGE cardiac MRI: boxes, masks, volume and mass. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"MyoScarSeg {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log what happens, with tracebacks of unexpected errors")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (jobs, batch, report, info, models, demo, library, convert, evaluate, agree, train, runs):
        command.add_parser(subparsers)
    return parser
