"""``myoscarseg evaluate``: masks against masks, models on labeled data, and evaluations side by side."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import (
    IMAGE_OF_MASKS,
    LABELS_OF_MASKS,
    ConsoleProgress,
    add_options,
    folder,
    label_map,
    print_json,
    report,
    shown_and_cancellable,
    taken,
    whole_number,
)
from MyoScarSegLib.errors import StudyError

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.labeled import LabeledSlice
    from MyoScarSegLib.training.evaluation.summary import Evaluation
    from MyoScarSegLib.utils.progress import CancelToken

_SETTINGS = ("oracle", "jittered", "clicks", "end_to_end")
_PARTS = ("validation", "training", "all")


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
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
    parser.add_argument("-o", "--out", metavar="OUT", type=folder, help="folder for the files (default: the table alone)")
    add_options(parser, json="print the evaluation as JSON instead of a table")
    parser.add_argument("--name", default="", help="what legends call it")
    add_options(parser, labels=LABELS_OF_MASKS)

    masks = parser.add_argument_group("masks")
    masks.add_argument(
        "--pred-labels", metavar="MAP", type=label_map, help="of PRED (default: as its files' places say, or as --labels)"
    )
    add_options(masks, image=IMAGE_OF_MASKS)
    add_options(masks, spacing="mm between columns, rows and slices, for files without")

    models = parser.add_argument_group("models")
    models.add_argument("--models", action="store_true", help="evaluate a detector and a segmenter on --data")
    models.add_argument("--reference", action="store_true", help="also, or without --models only, the field's thresholds")
    models.add_argument("--data", metavar="FOLDER", type=Path, help="labeled data: EMIDEC, a library, YoloSAM's, or volumes")
    add_options(models, split="split.json of the training, or the model card with it")
    models.add_argument("--part", choices=_PARTS, help="the patients to evaluate on (validation)")
    add_options(models, "detector", "segmenter", confidence="least confidence of a box (default: the detector's own)")
    add_options(models, "threshold")
    models.add_argument(
        "--settings", nargs="+", choices=_SETTINGS, default=_SETTINGS, metavar="S", help=f"some of {', '.join(_SETTINGS)} (all)"
    )
    models.add_argument("--clicks", type=whole_number, default=3, help="clicks on each slice with scar, one after the other (3)")
    add_options(models, "device", "trust", seed="of box errors (0)")

    parser.add_argument("--compare", metavar="EVALUATION", nargs="+", type=Path, help="evaluation.json of several models")
    parser.set_defaults(run=run, fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Evaluate. Returns 0; 1 if a case or slice could not be done; 2 for bad arguments."""
    _check(args)
    if args.compare:
        return _compare(args)
    from MyoScarSegLib.training.evaluation.evaluation_files import text_of, write_evaluation

    with shown_and_cancellable() as (progress, cancel):
        evaluation, name = _models(args, progress, cancel) if args.data else _masks(args, progress, cancel)
    document = evaluation.document(name) if args.out is None else write_evaluation(args.out, evaluation, name=name)
    written = "evaluation.json, evaluation.csv, slices.csv and pictures"
    return report(args, document, text_of(document), evaluation.failures, evaluation.notes, written)


def _check(args: argparse.Namespace) -> None:
    of_masks, of_models = args.pred is not None, args.models or args.reference or args.data is not None
    if of_masks + of_models + bool(args.compare) != 1:
        args.fail("give either PRED and TRUTH, or --models (or --reference) with --data, or --compare")
    if of_masks and args.truth is None:
        args.fail(f"give the reference, too: myoscarseg evaluate {shlex.quote(str(args.pred))} TRUTH")
    if of_models and args.data is None:
        args.fail("--models and --reference need --data FOLDER")
    if of_models and not (args.models or args.reference):
        args.fail("--data is for --models or --reference; say which")
    for option in ("split", "part", "detector", "segmenter", "confidence") if of_masks else ():
        if getattr(args, option) is not None:
            args.fail(f"--{option} is for --models, not for masks")
    if args.compare and args.out is None:
        args.fail("--compare needs -o OUT for its picture and tables")
    if args.part == "all" and args.split is not None:
        args.fail("--part all takes every patient; leave out --split")


def _masks(args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken) -> tuple[Evaluation, str]:
    from MyoScarSegLib.training.evaluation.mask_comparison import compare_masks

    how = taken(args, "labels", "pred_labels", "image", "spacing_mm")
    return compare_masks(args.pred, args.truth, **how, progress=progress, cancel=cancel), args.name


def _models(args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken) -> tuple[Evaluation, str]:
    from MyoScarSegLib.cli.jobs import check_models
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_models, evaluate_thresholds
    from MyoScarSegLib.training.evaluation.summary import Evaluation

    check_models(args.fail, args)
    slices, skipped = _slices(args, progress, cancel)
    evaluation, name = Evaluation({}, failures=skipped), args.name
    if args.models:
        pipeline = Pipeline(**taken(args, "detector", "segmenter", "device", "trust", "confidence"))
        how = taken(args, "clicks", "threshold", "seed", "settings")
        found = evaluate_models(pipeline, slices, **how, progress=progress, cancel=cancel)
        evaluation, name = evaluation.merged(found), name or found.provenance.get("segmenter", "")
    if args.reference:
        evaluation = evaluation.merged(evaluate_thresholds(slices, progress=progress, cancel=cancel))
    how = {"data": args.data.name, "part": args.part or "validation", "patients": sorted({s.patient for s in slices})}
    return evaluation.merged(Evaluation({}, how=how)), name


def _slices(
    args: argparse.Namespace, progress: ConsoleProgress, cancel: CancelToken
) -> tuple[list[LabeledSlice], dict[str, str]]:
    """The slices of the wanted patients, and what could not be read."""
    from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
    from MyoScarSegLib.training.splits import Split

    data = read_dataset(args.data, label_map=args.labels, progress=progress, cancel=cancel)
    split = Split.read(args.split) if args.split else data.given_split
    if args.part == "all":
        return data.slices, data.skipped
    if split is None:
        args.fail(f"{args.data} says no split: give --split FILE, or --part all for every patient")
    wanted = getattr(split, args.part or "validation")
    slices = [one for one in data.slices if one.patient in wanted]
    missing = sorted(set(wanted) - {one.patient for one in slices})
    if not slices:
        raise StudyError(f"None of the split's {args.part or 'validation'} patients is in {args.data}.")
    return slices, {**data.skipped, **{patient: f"The split's patient {patient} is not in {args.data}." for patient in missing}}


def _compare(args: argparse.Namespace) -> int:
    from MyoScarSegLib.training.evaluation.evaluation_files import read_evaluation, write_comparison

    documents = [read_evaluation(path) for path in args.compare]
    for document, path in zip(documents, args.compare, strict=True):
        document["name"] = document["name"] or (path.parent if path.suffix == ".json" else path).name
    comparison, text = write_comparison(args.out, documents)
    print_json(comparison) if args.json else sys.stdout.write(text)
    return 0
