"""Fine-tune and evaluate the segmenter::

    python -m MyoScarSegLib.training.segmenter --data EMIDEC --out FOLDER
    python -m MyoScarSegLib.training.segmenter evaluate --data EMIDEC --split FOLDER/split.json --segmenter NAME|PATH

The first starts from LiteMedSAM and writes ``segmenter.safetensors`` (the model), ``segmenter.json`` (settings, losses and
figures, for the model card) and ``split.json`` (which patients trained and which validated) into FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.files import atomic_path, sha256_of, write_json
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.study.normalise import NORMALISATION
from MyoScarSegLib.training.datasets.emidec import read_emidec, strata
from MyoScarSegLib.training.detector_data import phantom_samples, samples_of
from MyoScarSegLib.training.segmenter_loop import SegmenterSettings, fine_tune
from MyoScarSegLib.training.splits import Split, split_patients

if TYPE_CHECKING:
    from torch import nn

PREPROCESSING = "myoscarseg-1"
START = "litemedsam"


def train_segmenter(
    data: Path,
    out: Path,
    settings: SegmenterSettings,
    *,
    split: Split | None = None,
    start: str | Path = START,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Fine-tune on EMIDEC's training patients and phantoms, save after every epoch, and evaluate on the validation patients.

    Args:
        data: folder with ``images`` and ``labels``.
        out: where the three files go.
        settings: of the training.
        split: which patients train and validate; None deals five folds by the settings' seed and holds the first out.
        start: LiteMedSAM checkpoint to start from.
        progress: called after every step.
        cancel: asked at every step; the last epoch's file stays.

    Returns:
        The content of ``segmenter.json``.

    Raises:
        StudyError: the data or split cannot be used.
        ModelError: training broke down, or ``start`` cannot be loaded.
        OutputError: the files cannot be written.
        Cancelled: the token was set.
    """
    from MyoScarSegLib.segmentation.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(start)
    slices = read_emidec(data)
    split = split or split_patients(strata(slices), seed=settings.seed)
    split.write(out / "split.json")
    path = out / "segmenter.safetensors"
    record: dict[str, Any] = {
        "program": __version__,
        "started_from": {"name": checkpoint.name, "sha256": checkpoint.sha256},
        "settings": asdict(settings),
        "split": split.to_json(),
        "cores": os.cpu_count(),
        "epochs": [],
    }
    started = time.monotonic()

    def each_epoch(epoch: int, averaged: nn.ModuleDict, figures: dict[str, float]) -> None:
        save_segmenter(path, averaged, settings)
        record["epochs"].append({"epoch": epoch, **{key: round(value, 4) for key, value in figures.items()}})
        record["seconds"] = round(time.monotonic() - started)
        write_json(out / "segmenter.json", record)

    fine_tune(
        checkpoint.state,
        samples_of(s for s in slices if s.patient in split.training),
        phantom_samples(settings.seed + 1, settings.phantoms) if settings.phantoms else [],
        settings,
        each_epoch=each_epoch,
        progress=progress,
        cancel=cancel,
    )
    record["sha256"], record["size"] = sha256_of(path), path.stat().st_size
    record["metrics"] = {"validation": evaluate(path, data, split, progress=progress, cancel=cancel)}
    write_json(out / "segmenter.json", record)
    return record


def save_segmenter(path: Path, network: nn.ModuleDict, settings: SegmenterSettings) -> None:
    """Write a network as half-precision safetensors with what loading needs to know, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    metadata = {
        "preprocessing": PREPROCESSING,
        "normalisation_version": str(NORMALISATION.version),
        "low_percentile": str(NORMALISATION.low_percentile),
        "high_percentile": str(NORMALISATION.high_percentile),
        "input_side": str(settings.side),
        "window_mm": str(settings.window_mm),
        "program": __version__,
        "licence": "CC-BY-NC-SA-4.0",
    }
    with atomic_path(path) as temporary:
        save_file({key: value.contiguous() for key, value in tensors.items()}, str(temporary), metadata)


def evaluate(
    segmenter: str | Path,
    data: Path,
    split: Split,
    *,
    part: str = "validation",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Figures of a segmenter, with the default detector, on the ``validation`` or ``training`` patients of a split."""
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.training.evaluation.settings import evaluate_models

    patients = split.validation if part == "validation" else split.training
    slices = [s for s in read_emidec(data) if s.patient in patients]
    return evaluate_models(Pipeline(segmenter=segmenter), slices, progress=progress, cancel=cancel).figures()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module's docstring. Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _evaluate_command(given[1:]) if given[:1] == ["evaluate"] else _train_command(given)
    except MyoScarSegError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _train_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m MyoScarSegLib.training.segmenter", description="Fine-tune the segmenter.")
    parser.add_argument("--data", type=Path, required=True, help="folder with EMIDEC's images and labels")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, its figures and the split")
    parser.add_argument("--split", type=Path, help="a split.json to use again")
    parser.add_argument("--start", default=START, help=f"LiteMedSAM checkpoint to start from ({START})")
    for setting in fields(SegmenterSettings):
        if isinstance(setting.default, (int, float)):
            parser.add_argument(f"--{setting.name.replace('_', '-')}", type=type(setting.default), default=setting.default)
    options = parser.parse_args(arguments)
    simple = {f.name: getattr(options, f.name) for f in fields(SegmenterSettings) if isinstance(f.default, (int, float))}
    split = Split.read(options.split) if options.split else None
    record = train_segmenter(
        options.data, options.out, SegmenterSettings(**simple), split=split, start=options.start, progress=_print_progress
    )
    sys.stdout.write(_table(record["metrics"]["validation"]))
    return 0


def _evaluate_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m MyoScarSegLib.training.segmenter evaluate", description="Figures of a segmenter on EMIDEC."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with EMIDEC's images and labels")
    parser.add_argument("--split", type=Path, required=True, help="split.json of the training, or the model card with it")
    parser.add_argument("--part", choices=("validation", "training"), default="validation")
    parser.add_argument("--segmenter", help="name or path (default: the one that comes with the program)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    from MyoScarSegLib.models import DEFAULT_SEGMENTER

    figures = evaluate(options.segmenter or DEFAULT_SEGMENTER, options.data, Split.read(options.split), part=options.part)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n" if options.json else _table(figures))
    return 0


def _table(figures: dict[str, Any]) -> str:
    lines = ["| setting | Dice per patient (95% interval) | median | mass bias | mean mass error |", "|---|---|---|---|---|"]
    for setting, row in figures.items():
        low, high = row["dice_interval_95"] or (float("nan"),) * 2
        lines.append(
            f"| {setting.replace('_', ' ')} | {row['dice_mean']:.3f} ({low:.3f} to {high:.3f}) | {row['dice_median']:.3f} "
            f"| {row['mass_bias_percent']:+.0f}% | {row['mass_mean_absolute_error_g']:.1f} g |"
        )
    last = figures["end_to_end"]
    few, free = last["scar_free_patients_at_most_1_g"], last["scar_free_patients"]
    lines.append(f"\nScar-free patients with at most 1 g end to end: {few} of {free}.")
    return "\n".join(lines) + "\n"


def _print_progress(done: int, total: int, message: str) -> None:
    if done % 10 == 0 or done == total:
        sys.stdout.write(f"[{done}/{total}] {message}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
