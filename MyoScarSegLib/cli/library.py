"""``myoscarseg library add|import|list|check|split|export|accept|remove``: a folder of labeled cases to train on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import (
    add_options,
    cancel_on_interrupt,
    print_json,
    say_failures,
    shown_and_cancellable,
    taken,
    whole_number,
)
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.utils.words import counted, numbers_in

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.splits import Split

LABELS = (
    "what the values in label files mean: 'cavity=1 myocardium=2 scar=3,4', or 'emidec' for just that with no-reflow=4 (default: "
    "what a record, EMIDEC's layout, or names of files and folders say; segments go by code and name)"
)


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "library",
        help="collect labeled cases to train on",
        description="A training library is a folder of labeled cases. Several programs may add to it at the same time.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|import|list|check|split|export|accept|remove")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str, *, json: str = "") -> argparse.ArgumentParser:
        of: argparse.ArgumentParser = actions.add_parser(name, help=text)
        of.add_argument("library", metavar="LIBRARY", type=Path)
        if json:
            add_options(of, json=json)
        of.set_defaults(run=run)
        return of

    text = "add a study with its labels; the library is made if it is missing"
    adding = action("add", _add, text, json="print the record as JSON")
    adding.add_argument("study", metavar="STUDY", type=Path, help="DICOM folder, NIfTI, NRRD or MHA file, or folder of PNG/JPEG")
    adding.add_argument(
        "labels_file",
        metavar="LABELS",
        type=Path,
        help=".seg.nrrd, NIfTI, NRRD or MHA on the study's grid, or DICOM SEG or RTSTRUCT of its images",
    )
    adding.add_argument("--patient", metavar="CODE", required=True, help="code of the patient; never the name")
    adding.add_argument("--case", metavar="NAME", help="name of the case, for a patient's further exams (default: the code)")
    adding.add_argument("--source", metavar="TEXT", default="", help="where the data comes from, for the record")
    add_options(adding, "reviewer", labels=LABELS)
    adding.add_argument("--replace", action="store_true", help="put this in the place of the case that is there")
    add_options(adding, "series", "axis", "spacing")
    adding.add_argument(
        "--reviewed", type=_slices, metavar="K", help="slices that are right, from 0, such as 2-9,11 (default: all)"
    )
    add_options(adding, "tags")

    text = "add folders of any layout, and scenes that 3D Slicer saved (.mrb, .mrml)"
    importing = action("import", _import, text, json="print what became of each case as JSON")
    importing.add_argument("paths", metavar="PATH", type=Path, nargs="+")
    patients = (
        "regular expression that finds the patient's code in file names, such as '.+' (default: what the layout says; but "
        "scenes, and names that could be a person's, get codes P001, P002, ...)"
    )
    add_options(importing, patients=patients, reviewer="code of who drew or checked the labels")
    add_options(importing, tags="words to find the cases by", labels=LABELS)

    exporting = action("export", _export, "copy cases into a folder, as a library of their own")
    accepting = action("accept", _accept, "take cases as their files are now: somebody edited them")
    action("list", _list, "show the cases", json="print JSON")
    action("check", _check, "read everything and compare checksums, geometry and split", json="print JSON")
    splitting = action("split", _split, "decide which patients train and which validate", json="print the manifest")
    add_drawing(splitting)
    splitting.add_argument("--extend", action="store_true", help="keep the split that is there; patients added since train")
    splitting.add_argument("--replace", action="store_true", help="draw anew; patients may change sides")
    removing = action("remove", _remove, "take cases out, with their files")
    for naming in (exporting, accepting, removing):
        naming.add_argument("cases", metavar="CASE", nargs="+")
    exporting.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER")


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """The options of a split that is drawn."""
    add_options(parser, seed="of the draw (0)")
    parser.add_argument("--folds", type=whole_number, default=5, metavar="N", help="parts that the patients are dealt into (5)")
    parser.add_argument("--held-out", type=whole_number, default=0, metavar="N", help="number of the part that validates (0)")


def check_drawing(args: argparse.Namespace) -> None:
    """Numbers of folds that make no sense are bad arguments."""
    if args.folds < 2 or args.held_out >= args.folds:
        args.parser.error(f"--folds must be at least 2 and --held-out below it, not {args.folds} and {args.held_out}")


def _open(args: argparse.Namespace) -> Library:
    from MyoScarSegLib.training.datasets.training_library import Library

    return Library.open(args.library)


def _add(args: argparse.Namespace) -> int:
    from MyoScarSegLib.study.reader import read_study
    from MyoScarSegLib.training.datasets.case_record import checked_code
    from MyoScarSegLib.training.datasets.training_library import Library

    try:
        checked_code(args.patient, "patient code")
        if args.case is not None:
            checked_code(args.case, "case name")
    except StudyError as error:
        args.parser.error(str(error))
    with cancel_on_interrupt() as cancel:
        study = read_study(args.study, **taken(args, "series", "axis", "spacing_mm"))
        cancel.raise_if_cancelled()
        told = taken(args, "patient", "case", "source", "reviewer", "reviewed", "tags", "replace")
        case = Library.create(args.library).add(study, args.labels_file, label_map=args.labels, **told, cancel=cancel)
    if args.json:
        print_json(case.to_json())
    else:
        scar = f"scar on {case.slices_with_scar} of {counted(case.slices, 'slice')}" if case.scar_pixels else "no scar"
        sys.stdout.write(f"{case.case}: {scar}; segments: {', '.join(case.labels)}\n")
    return 0


def _import(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.datasets.import_export import PROBLEM, import_cases
    from MyoScarSegLib.training.datasets.training_library import Library

    facts = {"patient_pattern": args.patients, "label_map": args.labels, **taken(args, "reviewer", "tags")}
    with shown_and_cancellable("this case") as (progress, cancel):
        report = import_cases(Library.create(args.library), args.paths, **facts, progress=progress, cancel=cancel)
    if args.json:
        print_json(report.to_json())
    else:
        for case in report.cases:
            sys.stdout.write(f"{case.source}: {case.message or f'{case.status} as {case.case} of patient {case.patient}'}\n")
    return 2 if report.unnamed is not None else int(any(case.status == PROBLEM for case in report.cases))


def _export(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.datasets.import_export import export_cases

    with shown_and_cancellable("this case") as (progress, cancel):
        exported = export_cases(_open(args), args.cases, args.out, progress, cancel)
    sys.stdout.write(f"{counted(len(exported), 'case')} in {args.out}\n")
    return 0


def _accept(args: argparse.Namespace) -> int:
    library = _open(args)
    with cancel_on_interrupt("this case") as cancel:
        for name in args.cases:
            library.accept(name, cancel=cancel)
            sys.stdout.write(f"{name}: accepted\n")
    return 0


def _slices(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted(set(numbers_in(text))))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of slices, such as 2-9,11") from None


def _list(args: argparse.Namespace) -> int:
    library = _open(args)
    cases, damaged = library.scan()
    split = library.split_manifest()
    if args.json:
        listed = [{**case.to_json(), "part": _part(split, case.patient)} for case in cases]
        print_json({"version": 1, "cases": listed, "damaged": damaged})
    else:
        width = max((len(case.case) for case in cases), default=0)
        for case in cases:
            of = counted(case.slices, "slice")
            notes = [
                f"patient {case.patient}",
                f"scar on {case.slices_with_scar} of {of}" if case.scar_pixels else f"{of}, no scar",
                case.source,
                case.reviewer and f"by {case.reviewer}",
                _part(split, case.patient) or "",
                "" if case.mass_g is None else f"{case.mass_g:.1f} g",
                f"{counted(len(case.unreviewed), 'slice')} not reviewed" if case.unreviewed else "",
                ", ".join(case.tags),
                case.date[:10],
            ]
            sys.stdout.write(f"{case.case:<{width}}  {'; '.join(note for note in notes if note)}\n")
        patients = len({case.patient for case in cases})
        sys.stdout.write(f"{counted(len(cases), 'case')} of {counted(patients, 'patient')}\n")
    return say_failures(damaged, what="")


def _part(split: Split | None, patient: str) -> str | None:
    return None if split is None else split.side_of(patient) or "not in the split"


def _check(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.datasets.library_state import check_library

    library = _open(args)
    with shown_and_cancellable() as (progress, cancel):
        findings = check_library(library, progress=progress, cancel=cancel)
    errors = sum(finding.level == "error" for finding in findings)
    if args.json:
        print_json({"version": 1, "library": str(args.library), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            where = f"{finding.case}: " if finding.case else ""
            sys.stdout.write(f"{finding.level}: {where}{finding.message}\n")
        sys.stdout.write(f"{errors} errors, {len(findings) - errors} warnings\n")
    return int(errors > 0)


def _split(args: argparse.Namespace) -> int:
    check_drawing(args)
    told = taken(args, "seed", "folds", "held_out", "extend", "replace")
    with shown_and_cancellable() as (progress, cancel):
        split = _open(args).split(**told, progress=progress, cancel=cancel)
    if args.json:
        print_json(split.to_json())
    else:
        for side, patients in (("training", split.training), ("validation", split.validation)):
            sys.stdout.write(f"{side} ({len(patients)}): {', '.join(patients)}\n")
    return 0


def _remove(args: argparse.Namespace) -> int:
    library, failed = _open(args), 0
    with cancel_on_interrupt() as cancel:
        for case in args.cases:
            try:
                library.remove(case, cancel=cancel)
                sys.stdout.write(f"{case}: removed\n")
            except StudyError as error:
                sys.stderr.write(f"{error}\n")
                failed = 1
    return failed
