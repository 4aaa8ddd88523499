"""``myoscarseg evaluate``: masks against masks, models on labeled data, and evaluations side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from MyoScarSegLib.cli.console import (
    ConsoleProgress,
    device,
    print_json,
    probability,
    shown_and_cancellable,
    spacing,
    whole_number,
)

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.labeled import LabeledSlice
    from MyoScarSegLib.training.datasets.labelmaps import LabelMap
    from MyoScarSegLib.training.evaluation.summary import Evaluation
    from MyoScarSegLib.utils.progress import CancelToken

_SETTINGS = ("oracle", "jittered", "clicks", "end_to_end")
_PARTS = ("validation", "training", "all")


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to ``subparsers``; its ``run`` default is :func:`run`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="how good masks or models are: Dice, distances, mass, false scar",
        description="Compare masks with reference masks (PRED TRUTH), or evaluate models on labeled data (--models --data), or "
        "put finished evaluations side by side (--compare). Writes OUT/evaluation.json, evaluation.csv, slices.csv and pictures.",
        usage="myoscarseg evaluate PRED TRUTH [options]\n"
        "       myoscarseg evaluate --models --data FOLDER --split FILE [options]\n"
        "       myoscarseg evaluate --compare EVALUATION EVALUATION ... -o OUT",
    )
    parser.add_argument("pred", metavar="PRED", nargs="?", type=Path, help="mask, or folder of masks or of `segment`'s results")
    parser.add_argument("truth", metavar="TRUTH", nargs="?", type=Path, help="reference mask or label volume, or folder of them")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, help="folder for the files (default: the table alone)")
    parser.add_argument("--json", action="store_true", help="print the evaluation as JSON instead of a table")
    parser.add_argument("--name", help="what legends call it")
    parser.add_argument(
        "--labels",
        metavar="MAP",
        help="label values, such as 'cavity=1 myocardium=2 scar=3,4', or emidec (default: what names of files and segments say)",
    )

    masks = parser.add_argument_group("masks")
    masks.add_argument("--pred-labels", metavar="MAP", help="of PRED (default: as its files' places say, or as --labels)")
    masks.add_argument("--spacing", type=spacing, metavar="X,Y,Z", help="mm between columns, rows and slices, for files without")

    models = parser.add_argument_group("models")
    models.add_argument("--models", action="store_true", help="evaluate a detector and a segmenter on --data")
    models.add_argument("--reference", action="store_true", help="also, or without --models only, the field's thresholds")
    models.add_argument("--data", metavar="FOLDER", type=Path, help="labeled data: EMIDEC, a library, YoloSAM's, or volumes")
    models.add_argument("--split", metavar="FILE", type=Path, help="split.json of the training, or the model card with it")
    models.add_argument("--part", choices=_PARTS, help="the patients to evaluate on (validation)")
    models.add_argument("--detector", metavar="NAME|PATH", help="detector to use (default: the one of `models list`)")
    models.add_argument("--segmenter", metavar="NAME|PATH", help="segmenter to use (default: the one of `models list`)")
    models.add_argument("--confidence", type=probability, help="least confidence of a box (default: the detector's own)")
    models.add_argument("--threshold", type=probability, default=0.5, help="probability from which on a pixel is scar (0.5)")
    models.add_argument(
        "--settings", nargs="+", choices=_SETTINGS, default=_SETTINGS, metavar="S", help=f"some of {', '.join(_SETTINGS)} (all)"
    )
    models.add_argument("--clicks", type=whole_number, default=3, help="clicks on each slice with scar, one after the other (3)")
    models.add_argument("--seed", type=whole_number, default=0, help="of box errors (0)")
    models.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda, cuda:1, mps (auto)")
    models.add_argument("--trust", action="store_true", help="unpickle a foreign checkpoint; it can run any program")

    parser.add_argument("--compare", metavar="EVALUATION", nargs="+", type=Path, help="evaluation.json of several models")
    parser.set_defaults(run=run, parser_of_command=parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Evaluate. Returns 0; 1 if a case or slice could not be done; 2 for bad arguments."""
    _check(args)
    if args.compare:
        return _compare(args)
    with shown_and_cancellable() as (progress, cancel):
        evaluation, name = _models(args, progress, cancel) if args.data else _masks(args, progress, cancel)
    return _report(args, evaluation, name)


def _check(args: argparse.Namespace) -> None:
    of_masks, of_models = args.pred is not None, args.models or args.reference or args.data is not None
    if of_masks + of_models + bool(args.compare) != 1:
        _bad(args, "give either PRED and TRUTH, or --models (or --reference) with --data, or --compare")
    if of_masks and args.truth is None:
        _bad(args, f"give the reference, too: myoscarseg evaluate {args.pred} TRUTH")
    if of_models and args.data is None:
        _bad(args, "--models and --reference need --data FOLDER")
    if of_models and not (args.models or args.reference):
        _bad(args, "--data is for --models or --reference; say which")
    if of_masks:
        for option in ("split", "part", "detector", "segmenter", "confidence"):
            if getattr(args, option) is not None:
                _bad(args, f"--{option} is for --models, not for masks")
    if args.compare and args.out is None:
        _bad(args, "--compare needs -o OUT for its picture and tables")
    if args.part == "all" and args.split is not None:
        _bad(args, "--part all takes every patient; leave out --split")


def _bad(args: argparse.Namespace, message: str) -> NoReturn:
    args.parser_of_command.error(message)
    raise AssertionError(message)  # not reached: the parser ends the program


def _masks(args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken) -> tuple[Evaluation, str]:
    from MyoScarSegLib.training.evaluation.mask_comparison import compare_masks

    truth_labels, pred_labels = _label_map(args, "labels"), _label_map(args, "pred_labels")
    evaluation = compare_masks(
        args.pred,
        args.truth,
        labels=truth_labels,
        pred_labels=pred_labels,
        spacing_mm=args.spacing,
        progress=progress,
        cancel=cancel,
    )
    return evaluation, args.name or ""


def _models(args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken) -> tuple[Evaluation, str]:
    from MyoScarSegLib.cli.jobs import check_model
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_models
    from MyoScarSegLib.training.evaluation.summary import Evaluation

    for option in ("detector", "segmenter"):
        check_model(args.parser_of_command, option, getattr(args, option))
    slices, skipped = _slices(args, progress, cancel)
    evaluation, name = Evaluation({}, failures=skipped), args.name or ""
    if args.models:
        pipeline = Pipeline(
            detector=args.detector, segmenter=args.segmenter, device=args.device, trust=args.trust, confidence=args.confidence
        )
        found = evaluate_models(
            pipeline,
            slices,
            clicks=args.clicks,
            threshold=args.threshold,
            seed=args.seed,
            settings=args.settings,
            progress=progress,
            cancel=cancel,
        )
        evaluation, name = evaluation.merged(found), name or found.provenance.get("segmenter", "")
    if args.reference:
        from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_thresholds

        evaluation = evaluation.merged(evaluate_thresholds(slices, progress=progress, cancel=cancel))
    how = {"data": args.data.name, "part": args.part or "validation", "patients": sorted({s.patient for s in slices})}
    return evaluation.merged(Evaluation({}, how=how)), name


def _slices(
    args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken
) -> tuple[list[LabeledSlice], dict[str, str]]:
    """The slices of the wanted patients, and what could not be read."""
    from MyoScarSegLib.errors import StudyError
    from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
    from MyoScarSegLib.training.splits import Split

    data = read_dataset(args.data, label_map=_label_map(args, "labels"), progress=progress, cancel=cancel)
    split = Split.read(args.split) if args.split else data.given_split
    if args.part == "all":
        return data.slices, data.skipped
    if split is None:
        _bad(args, f"{args.data} says no split: give --split FILE, or --part all for every patient")
    wanted = split.training if args.part == "training" else split.validation
    slices = [one for one in data.slices if one.patient in wanted]
    missing = sorted(set(wanted) - {one.patient for one in slices})
    if not slices:
        raise StudyError(f"None of the {len(wanted)} {args.part or 'validation'} patients of the split is in {args.data}.")
    return slices, {**data.skipped, **{patient: f"The split's patient {patient} is not in {args.data}." for patient in missing}}


def _label_map(args: argparse.Namespace, option: str) -> LabelMap | None:
    from MyoScarSegLib.errors import StudyError
    from MyoScarSegLib.training.datasets.labelmaps import parse_label_map

    text = getattr(args, option)
    try:
        return None if text is None else parse_label_map(text)
    except StudyError as error:
        _bad(args, f"--{option.replace('_', '-')}: {error}")


def _report(args: argparse.Namespace, evaluation: Evaluation, name: str) -> int:
    from MyoScarSegLib.training.evaluation.evaluation_files import text_of, write_evaluation

    document = evaluation.document(name) if args.out is None else write_evaluation(args.out, evaluation, name=name)
    print_json(document) if args.json else sys.stdout.write(text_of(document))
    for note in evaluation.notes:
        sys.stderr.write(f"note: {note}\n")
    for what, reason in evaluation.failures.items():
        sys.stderr.write(f"{what}: failed: {reason}\n")
    if args.out is not None and not args.json:
        sys.stdout.write(f"\nWritten to {args.out}: evaluation.json, evaluation.csv, slices.csv and pictures.\n")
    return int(bool(evaluation.failures))


def _compare(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.evaluation.evaluation_files import read_evaluation, write_comparison

    documents = [read_evaluation(path) for path in args.compare]
    for document, path in zip(documents, args.compare, strict=True):
        document["name"] = document["name"] or (path.parent if path.suffix == ".json" else path).name
    comparison, text = write_comparison(args.out, documents)
    print_json(comparison) if args.json else sys.stdout.write(text)
    return 0
