"""``myoscarseg models``: the only command that may use the network, and only for ``fetch``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError, MyoScarSegError
from MyoScarSegLib.utils.files import cache_folder, clear_embeddings, embeddings_bytes
from MyoScarSegLib.utils.progress import Progress

if TYPE_CHECKING:
    from MyoScarSegLib.models import Entry, Registry, VerifyResult


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command ``models`` to an argument parser's subparsers; :func:`run` carries it out."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "models", help="list, fetch, import, verify and keep models", description="The models that the program can use."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|import|verify|keep|export|remove|cache")

    listing = actions.add_parser("list", help="show all models and whether they are installed")
    listing.add_argument("--json", action="store_true", help="print everything the registry knows, as JSON")

    fetching = actions.add_parser("fetch", help="download models; an interrupted download is continued")
    fetching.add_argument("names", nargs="+", metavar="NAME")
    _add_accept_change(fetching)

    importing = actions.add_parser(
        "import", help="install a model from a file, without network", usage="%(prog)s [-h] [--accept-change] [NAME] FILE"
    )
    importing.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="a listed model that FILE is, or a new name for a model of your own"
    )
    importing.add_argument("file", metavar="FILE", type=Path, help="the checkpoint, or the wheel that holds it")
    importing.set_defaults(fail=importing.error)
    _add_accept_change(importing)

    verifying = actions.add_parser("verify", help="read installed models in full and compare their checksums")
    verifying.add_argument("names", nargs="*", metavar="NAME", help="default: all that are installed")

    keeping = actions.add_parser("keep", help="keep a model that was trained here, to be used by its name")
    keeping.add_argument("file", metavar="MODEL.safetensors", type=Path, help="with its card MODEL.json beside it")
    keeping.add_argument("name", metavar="NAME")

    exporting = actions.add_parser("export", help="write a model of your own and its card into a folder")
    exporting.add_argument("name", metavar="NAME")
    exporting.add_argument("folder", metavar="FOLDER", type=Path)

    removing = actions.add_parser("remove", help="delete models of your own")
    removing.add_argument("names", nargs="+", metavar="NAME")

    cache = actions.add_parser("cache", help="what the slices encoded for the panel and for trainings take on disk")
    cache.add_argument("--clear", action="store_true", help="delete them; they are made anew when they are needed")
    return parser


def run(args: argparse.Namespace) -> int:
    """Carry out ``models``.

    Returns:
        0 all done; 1 a model could not be fetched or imported, is damaged, or (if named) is missing; 2 an unknown name.
    """
    from MyoScarSegLib.models import registry

    if args.action == "cache":
        freed = f"{clear_embeddings() / 1e9:.2f} GB deleted, " if args.clear else ""
        _say(f"{freed}{embeddings_bytes() / 1e9:.2f} GB of encoded slices in {cache_folder()}")
        return 0
    models = registry()
    if args.action == "import" and not args.name and args.file.suffix not in (".safetensors", ".json"):
        args.fail("give NAME FILE, or the .safetensors FILE of a model of your own")
    if args.action in ("keep", "export", "remove") or (args.action == "import" and _is_own(models, args.name, args.file)):
        return _own(args)
    named = [args.name] if args.action == "import" else getattr(args, "names", [])
    try:
        for name in named:
            models.entry(name)
    except ModelError as error:
        _complain(str(error))
        return 2
    try:
        if args.action == "list":
            return _list(models, as_json=args.json)
        if args.action == "verify":
            return _verify(models, named)
    except MyoScarSegError as error:
        _complain(str(error))
        return 1
    if args.action == "fetch":
        return _get(named, lambda name, report: models.fetch(name, report, accept_change=args.accept_change))
    return _get(named, lambda name, report: models.import_file(name, args.file, report, accept_change=args.accept_change))


def _is_own(models: Registry, name: str, file: Path) -> bool:
    """Whether an import is of a model of the user's own, and not of one that the index describes."""
    return not models.ships(name) and (not name or file.suffix == ".safetensors")


def _own(args: argparse.Namespace) -> int:
    from MyoScarSegLib.models import own
    from MyoScarSegLib.training.model_import import import_model

    failed = False
    for name in args.names if args.action == "remove" else [getattr(args, "name", "")]:
        try:
            if args.action == "remove":
                own.remove(name)
                text = f"{name}: removed"
            elif args.action == "export":
                text = f"{name}: {own.export(name, args.folder)}"
            else:
                if args.action == "keep":
                    entry = own.keep(args.file, args.file.with_suffix(".json"), name)
                else:
                    entry = import_model(args.file, name)
                text = f"{entry.name}: {own.models_folder() / entry.name / entry.filename}"
        except MyoScarSegError as error:
            _complain(str(error))
            failed = True
        else:
            _say(text)
    return int(failed)


def _add_accept_change(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-change",
        action="store_true",
        help="for a model without a published checksum: accept another file than at its first use",
    )


def _get(names: list[str], get: Callable[[str, Progress], Path]) -> int:
    failed = False
    for name in dict.fromkeys(names):
        try:
            with _reporter() as report:
                path = get(name, report)
        except MyoScarSegError as error:
            _complain(str(error))
            failed = True
        else:
            _say(f"{name}: {path}")
    return int(failed)


def _verify(models: Registry, names: list[str]) -> int:
    failed = False
    for name in names or [entry.name for entry in models.entries()]:
        try:
            with _reporter() as report:
                found = models.verify(name, report)
        except MyoScarSegError as error:
            _complain(f"{name}: {error}")
            failed = True
            continue
        if found.ok:
            _say(f"{name}: correct, SHA-256 {found.sha256}")
        elif found.state == "damaged" or names:
            _complain(f"{name}: {found.message}")
            failed = True
    for reason in () if names else models.problems().values():
        _complain(reason)
        failed = True
    return int(failed)


def _list(models: Registry, *, as_json: bool) -> int:
    found = [(entry, models.status(entry.name)) for entry in models.entries()]
    if as_json:
        documents = [_document(entry, state) for entry, state in found]
        _say(json.dumps({"version": 1, "models": documents, "problems": models.problems()}, indent=2))
        return 0
    rows = [("NAME", "TASK", "SIZE", "STATE", "LICENCE", "METRICS")]
    for entry, state in found:
        size = "?" if entry.size is None else f"{entry.size / 1e6:.0f} MB"
        metrics = ", ".join(f"{key} {value}" for key, value in entry.metrics.items())
        rows.append((entry.name, entry.task, size, state.state, entry.licence, metrics or "-"))
    for reason in models.problems().values():
        _complain(reason)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _document(entry: Entry, found: VerifyResult) -> dict[str, Any]:
    source = entry.source
    return {
        "name": entry.name,
        "title": entry.title,
        "task": entry.task,
        "architecture": entry.architecture,
        "preprocessing": entry.preprocessing,
        "licence": entry.licence,
        "citation": entry.citation,
        "source": {"kind": source.kind, **vars(source)},
        "size": entry.size,
        "sha256": entry.sha256,
        "metrics": dict(entry.metrics),
        "state": found.state,
        "path": str(found.path) if found.state != "missing" else None,
        "installed_sha256": found.sha256,
    }


@contextmanager
def _reporter() -> Iterator[Progress]:
    """A progress bar on a terminal, else a line at each new step and each tenth of it; on standard error."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, unit_divisor=1000, leave=False, file=sys.stderr) as bar:

        def report(done: int, total: int, message: str) -> None:
            if bar.desc != f"{message}: ":
                bar.set_description(message, refresh=False)
                bar.reset(total or None)
            bar.total = total or None
            bar.update(done - bar.n)

        yield report


class _Lines:
    """Progress as plain lines."""

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None

    def __call__(self, done: int, total: int, message: str) -> None:
        tenth = 10 * done // total if total else done // 10_000_000
        if (message, tenth) == self._last:
            return
        self._last = (message, tenth)
        amount = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        print(f"{message}: {amount}", file=sys.stderr, flush=True)  # noqa: T201


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _complain(text: str) -> None:
    print(f"myoscarseg: {text}", file=sys.stderr, flush=True)  # noqa: T201
