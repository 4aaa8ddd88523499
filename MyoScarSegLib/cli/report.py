"""``myoscarseg report``: scar burden of cases that were segmented, or of a study with a mask."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import add_options, folder
from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.utils.words import counted, numbers_in

if TYPE_CHECKING:
    from MyoScarSegLib.outputs.edited import Edited
    from MyoScarSegLib.outputs.report_content import Report
    from MyoScarSegLib.quantification.aha import InsertionPoints, Level
    from MyoScarSegLib.quantification.anatomy import Anatomy
    from MyoScarSegLib.result import Result
    from MyoScarSegLib.study.study import Study


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "report",
        help="scar burden as HTML, PDF, JSON and CSV; as DICOM for studies from DICOM",
        description="Measure each input and write OUT/<case>/report.html, report.pdf and measurements.json, and OUT/burden*.csv "
        "over all. An input is a case folder of `segment --report`, with what was edited since; or a study, with its --mask.",
    )
    parser.add_argument(
        "input", metavar="CASE_OR_STUDY", nargs="+", type=Path, help="case folder, or study as `segment` takes it"
    )
    parser.add_argument("-o", "--out", metavar="OUT", type=folder, required=True, help="folder for the reports")
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="scar, and the wall if it is there, drawn on the study, DICOM SEG and RTSTRUCT too; or its case folder",
    )
    parser.add_argument(
        "--labels", metavar="MAP", help="what the mask's values mean: 'cavity=1 myocardium=2 scar=3,4', or emidec"
    )
    insertions = parser.add_mutually_exclusive_group()
    insertions.add_argument(
        "--landmarks", type=Path, metavar="FILE", help="insertion points as .mrk.json, labels anterior and inferior"
    )
    insertions.add_argument(
        "--rotation",
        type=_degrees,
        metavar="DEGREES",
        help="insertion points by an angle from where the patient's axes have the septum; positive turns it to the inferior wall",
    )
    parser.add_argument(
        "--reader", metavar="NAME", help="of a case of `batch`: as this reader left it at the review (review-NAME.json)"
    )
    parser.add_argument(
        "--levels",
        type=levels,
        metavar="MAP",
        help="level of each slice, counted from 0, instead of the rules': 'base=0-2 mid=3-5 apex=6,7 tip=8'",
    )
    parser.add_argument("--format", choices=("html", "pdf", "both"), default="both", help="of the report (both)")
    parser.add_argument("--dicom", action="store_true", help="write a DICOM segmentation and a structured report, too")
    parser.add_argument("--pseudonym", metavar="NAME", help="instead of the case's name; replaces the patient in DICOM, too")
    parser.add_argument("--with-patient-name", action="store_true", help="name the patient on the page (only from DICOM)")
    parser.add_argument("--minutes", type=float, metavar="N", help="that the reader spent on the study")
    add_options(parser, "series", "axis", spacing="mm between columns, rows and slices, for images without")
    parser.set_defaults(run=run)


def levels(text: str) -> dict[int, Level]:
    """The value of ``--levels``: slice index to level.

    Raises:
        argparse.ArgumentTypeError: it cannot be read, or names a slice twice.
    """
    from MyoScarSegLib.quantification.aha import LEVELS

    found: dict[int, Level] = {}
    for part in text.split():
        level, _, slices = part.partition("=")
        try:
            if level not in LEVELS:
                raise ValueError(level)
            named = numbers_in(slices)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{part!r} must be one of {', '.join(LEVELS)}, '=', and slices such as 0-2,5"
            ) from None
        for k in named:
            if k in found:
                raise argparse.ArgumentTypeError(f"slice {k} has two levels")
            found[k] = level
    if not found:
        raise argparse.ArgumentTypeError("it names no slice")
    return found


def run(args: argparse.Namespace) -> int:
    """Run ``report``. Returns the exit status."""
    from MyoScarSegLib.outputs.measurement_files import write_burden_tables
    from MyoScarSegLib.study.names import case_name, case_names

    if len(args.input) > 1 and (args.mask or args.landmarks or args.levels or args.pseudonym):
        args.parser.error("--mask, --landmarks, --levels and --pseudonym are for one CASE_OR_STUDY")
    if args.with_patient_name and args.pseudonym:
        args.parser.error("--pseudonym and --with-patient-name exclude each other")
    if args.minutes is not None and not 0 <= args.minutes < 10000:
        args.parser.error("--minutes must be from 0 up")
    if args.pseudonym is not None and case_name(Path(args.pseudonym)) != args.pseudonym:
        args.parser.error(f"--pseudonym {args.pseudonym!r} must be letters, digits, '_', '-' and '.'")
    failed = 0
    for path, name in zip(args.input, case_names(args.input), strict=True):
        try:
            folder = args.out / (args.pseudonym or name)
            report = _report(args, path, folder.name)
            _write(args, folder, report)
            sys.stdout.write(f"{folder.name}: scar {_amount(report)}; {report.tiles[1].value} of the myocardium\n")
        except MyoScarSegError as error:
            failed += 1
            sys.stderr.write(f"{name}: failed: {error}\n")
    if failed < len(args.input):
        write_burden_tables(args.out)
    return int(failed > 0)


def _amount(report: Report) -> str:
    """The scar, with its interval where that is known."""
    from MyoScarSegLib.quantification.mass_interval import mass_in_words

    scar = report.measurements.scar
    if scar.mass_g is None or scar.volume_ml is None:
        return f"{counted(scar.pixels, 'pixel')} (no spacing, so neither mL nor g)"
    return mass_in_words(scar.mass_g, scar.volume_ml, report.result.mass_interval)


def _report(args: argparse.Namespace, path: Path, name: str) -> Report:
    from MyoScarSegLib.outputs.case_folders import is_case_folder
    from MyoScarSegLib.outputs.case_walls import read_case
    from MyoScarSegLib.outputs.report_content import make_report
    from MyoScarSegLib.study import read_study
    from MyoScarSegLib.study.patient import patient_of

    source, case = "", path
    if is_case_folder(path):
        options = {"--mask": args.mask, "--labels": args.labels, "--series": args.series, "--axis": args.axis != "auto"}
        options |= {"--spacing": args.spacing_mm, "--dicom": args.dicom, "--with-patient-name": args.with_patient_name}
        if given := [option for option, value in options.items() if value]:
            raise StudyError(
                f"{path} is a case folder, which has its own image and mask and no DICOM files, so {', '.join(given)} cannot be "
                f"heeded. Give the study, and the case as --mask {path}."
            )
        result, walls = read_case(path)
    else:
        if args.mask is None:
            raise StudyError(f"{path} is no case folder: give the mask that was drawn on it with --mask, or segment it first.")
        study = read_study(path, series=args.series, axis=args.axis, spacing_mm=args.spacing_mm)
        if is_case_folder(args.mask):
            case = args.mask
            result, walls = read_case(args.mask, study)
        else:
            if args.reader is not None:
                raise StudyError(f"--reader {args.reader} needs a case folder, and {args.mask} is none.")
            result, walls = _from_mask(args, study)
            source = f"read from {args.mask.name}"
    if args.reader is not None and (left := _left(case, args.reader, result.study)):
        result, walls = _with_edits(result, walls, left)
    result = replace(result, study=replace(result.study, case=name))
    walls = replace(walls, insertions=_insertions(args, walls, result.study), levels=args.levels or walls.levels)
    if not result.study.files:
        if args.with_patient_name:
            raise StudyError(f"{name} did not come from DICOM, so nothing names its patient. Leave out --with-patient-name.")
        if args.dicom:
            raise StudyError(f"{name} did not come from DICOM, so nothing can be written as DICOM. Leave out --dicom.")
    patient = patient_of(result.study) if args.with_patient_name else None
    return make_report(result, walls, name=name, mask_source=source, reader_minutes=args.minutes, patient=patient)


def _degrees(text: str) -> float:
    """An option's value that is a finite angle in degrees."""
    degrees = float(text)
    if not math.isfinite(degrees):
        raise ValueError(text)
    return degrees


_degrees.__name__ = "number of degrees"  # as argparse says it


def _insertions(args: argparse.Namespace, walls: Anatomy, study: Study) -> InsertionPoints | None:
    """The insertion points that were given, or the case's; None for those to be proposed.

    Raises:
        StudyError: an angle was given, and there is no wall or no spacing to measure it in.
    """
    from MyoScarSegLib.outputs.landmarks import read_landmarks
    from MyoScarSegLib.quantification.insertions import insertions_at

    if args.landmarks is not None:
        return read_landmarks(args.landmarks)
    if args.rotation is None:
        return walls.insertions
    if walls.ventricle is None:
        raise StudyError(f"--rotation turns the septum of a wall, and {study.case} has none.")
    return insertions_at(args.rotation, walls.ventricle, study.geometry)


def _left(case: Path, reader: str, study: Study) -> Edited | None:
    """What a reader left of a case at its review; None if he accepted it as it is.

    Raises:
        StudyError: he did not review it, or not this result of it, or he rejected it; or his review is damaged.
    """
    from MyoScarSegLib.batch.reviews import read_left, read_review
    from MyoScarSegLib.batch.study_record import read_study_record

    review, record = read_review(case, reader), read_study_record(case)
    if review is None:
        read_left(case, reader, study)  # it says so if his review is there, but damaged
    if review is None or record is None or not review.is_of(record):
        raise StudyError(f"{reader} has not reviewed {case}, or it was run again since.")
    if review.verdict == "reject":
        raise StudyError(f"{case} was rejected by {reader}: {review.comment or 'no reason given'}")
    return read_left(case, reader, study)


def _with_edits(result: Result, walls: Anatomy, left: Edited) -> tuple[Result, Anatomy]:
    """The case as a reader left it."""
    from MyoScarSegLib.quantification.aha import known_levels

    painted = {k for k, (now, before) in enumerate(zip(left.scar, result.mask, strict=True)) if (now != before).any()}
    result = replace(result, drawn=left.scar, painted=tuple(sorted(painted | set(result.painted))))
    drawn: dict[str, Any] = {"ventricle": left.ventricle, "no_reflow": left.no_reflow, "remote": left.remote}
    walls = replace(walls, **{name: part for name, part in drawn.items() if part is not None})
    if left.marks is not None:
        levels = known_levels(walls.ventricle, left.study, left.marks.levels)
        walls = replace(walls, insertions=left.marks.insertion_points, levels=levels)
    return result, walls


def _from_mask(args: argparse.Namespace, study: Study) -> tuple[Result, Anatomy]:
    """What a file of masks or labels shows, drawn by whomever."""
    import numpy as np

    from MyoScarSegLib.outputs.case_walls import walls_of
    from MyoScarSegLib.quantification.anatomy import Anatomy
    from MyoScarSegLib.quantification.ventricle import ventricle_of_labels
    from MyoScarSegLib.result import Result
    from MyoScarSegLib.study.masks import read_labels, read_mask
    from MyoScarSegLib.study.tissue import INFARCT, MYOCARDIUM, NO_REFLOW
    from MyoScarSegLib.training.datasets.labelmaps import all_classes_on, parse_label_map

    stored = read_labels(args.mask, study)
    one = stored.values is not None and len(np.unique(stored.values[stored.values != 0])) <= 1
    if args.labels is None and (stored.segments or one):
        scar = read_mask(args.mask, study)
        walls = walls_of(stored, scar)
    else:
        label_map = None if args.labels is None else parse_label_map(args.labels)
        classes, _known = all_classes_on(study, args.mask, label_map)
        scar = classes >= INFARCT
        walls = Anatomy(ventricle_of_labels(classes) if (classes == MYOCARDIUM).any() else None, classes == NO_REFLOW)
    return Result(study, scar.astype(np.float32), 0.5, drawn=scar), walls


def _write(args: argparse.Namespace, folder: Path, report: Report) -> None:
    from MyoScarSegLib.outputs.report_files import remove_report_dicom, write_report, write_report_dicom

    write_report(folder, report, ("html", "pdf") if args.format == "both" else (args.format,))
    if not args.dicom:
        remove_report_dicom(folder)
        return
    if not args.pseudonym:
        sys.stderr.write(f"{folder.name}: the DICOM files carry the patient and exam of the source; --pseudonym replaces them.\n")
    write_report_dicom(folder, report, report.result.study, pseudonym=args.pseudonym or "")
