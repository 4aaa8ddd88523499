"""Train and evaluate the detector::

    python -m MyoScarSegLib.training.detector --data EMIDEC --out FOLDER
    python -m MyoScarSegLib.training.detector evaluate --data EMIDEC --split FOLDER/split.json --detector NAME|PATH

The first writes ``detector.safetensors`` (the model), ``detector.json`` (settings, losses and figures, for the model card)
and ``split.json`` (which patients trained and which validated) into FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.detection.checkpoint import DetectorRecord, SecondLook, load_checkpoint, save_checkpoint
from MyoScarSegLib.detection.yolo import YoloDetector
from MyoScarSegLib.errors import ModelError, MyoScarSegError
from MyoScarSegLib.files import sha256_of, write_json
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.datasets.emidec import read_emidec, strata
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.detector_data import CLASSES, phantom_samples, samples_of
from MyoScarSegLib.training.detector_evaluation import choose_confidence, find_on, measure, table
from MyoScarSegLib.training.detector_loop import DetectorSettings, train_network
from MyoScarSegLib.training.splits import Split, split_patients

if TYPE_CHECKING:
    from torch import nn

IOU = 0.2
"""Two boxes of one class that overlap more are one: lesions that lie so close were boxed as one."""
SECOND_LOOK_MARGIN = 1.6
SECOND_LOOK_CONFIDENCE = 0.05
TEST_PHANTOM_SEED = 900_001
_TEST_PHANTOMS = 60


def train_detector(
    data: Path,
    out: Path,
    settings: DetectorSettings,
    *,
    split: Split | None = None,
    start: Path | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Train a detector on EMIDEC slices and phantoms, choose its threshold, evaluate and save it.

    Args:
        data: folder with ``images`` and ``labels``.
        out: where the three files go.
        settings: of the training.
        split: which patients train and validate; None deals five folds by the settings' seed and holds the first out.
        start: a checkpoint of ours to start from instead of fresh weights.
        device: where to train.
        progress: called after every epoch.
        cancel: asked at every step.

    Returns:
        The content of ``detector.json``.

    Raises:
        StudyError: the data or split cannot be used.
        ModelError: training broke down, or ``start`` does not fit.
        OutputError: the files cannot be written.
    """
    slices = read_emidec(data)
    split = split or split_patients(strata(slices), seed=settings.seed)
    split.write(out / "split.json")
    initial = None
    if start is not None:
        network, record = load_checkpoint(start)
        if record.architecture != settings.architecture or record.classes != CLASSES:
            raise ModelError(
                f"{start} is a {record.architecture} for {record.classes}; it cannot start a {settings.architecture}."
            )
        initial = network.state_dict()
    phantoms = phantom_samples(settings.seed + 1, settings.phantoms) if settings.phantoms else []
    losses: list[dict[str, float]] = []
    started = time.monotonic()
    network = train_network(
        samples_of(s for s in slices if s.patient in split.training),
        phantoms,
        settings,
        start=initial,
        device=device,
        each_epoch=lambda epoch, averaged, sums: losses.append({"epoch": epoch, **sums}),
        progress=progress,
        cancel=cancel,
    )
    return finish(network, slices, split, settings, out, losses=losses, seconds=time.monotonic() - started)


def finish(
    network: nn.Module,
    slices: Sequence[LabelledSlice],
    split: Split,
    settings: DetectorSettings,
    out: Path,
    *,
    losses: Sequence[dict[str, float]],
    seconds: float,
) -> dict[str, Any]:
    """Choose the threshold of a trained network on the validation patients, save it, and evaluate the saved file."""
    path = out / "detector.safetensors"
    training = {
        "data": "EMIDEC (CC BY-NC-SA 4.0) and MyoScarSeg phantoms",
        "patients": len(split.training),
        "settings": asdict(settings),
    }
    look = SecondLook(settings.window, SECOND_LOOK_MARGIN, SECOND_LOOK_CONFIDENCE) if settings.second_look_share > 0 else None
    record = DetectorRecord(settings.architecture, CLASSES, settings.size, 0.5, IOU, look, training=training)
    save_checkpoint(path, network, record)
    # Of the file, not of the network in memory: half precision is part of the model.
    findings = find_on(_detector(path), [s for s in slices if s.patient in split.validation])
    confidence = choose_confidence(findings)
    save_checkpoint(path, network, replace(record, confidence=confidence))
    report = {
        "program": __version__,
        "sha256": sha256_of(path),
        "size": path.stat().st_size,
        "architecture": settings.architecture,
        "classes": list(CLASSES),
        "confidence": confidence,
        "confidence_chosen_on": "the validation patients, whose figures are therefore optimistic",
        "iou": IOU,
        "second_look": None if look is None else asdict(look),
        "seconds": round(seconds),
        "cores": os.cpu_count(),
        "settings": asdict(settings),
        "split": split.to_json(),
        "metrics": evaluate(path, slices, split, confidence=confidence),
        "losses": list(losses),
    }
    write_json(out / "detector.json", report)
    return report


def evaluate(
    detector: str | Path, slices: Sequence[LabelledSlice], split: Split, *, confidence: float | None = None
) -> dict[str, dict[str, Any]]:
    """Figures of a detector on the validation patients, the training patients, and phantoms that it has not seen.

    Args:
        detector: name or path.
        slices: all slices of the data.
        split: which of them are which.
        confidence: threshold; None for the detector's own.
    """
    loaded = _detector(detector)
    threshold = loaded.confidence if confidence is None else confidence
    sets = {
        "validation": [s for s in slices if s.patient in split.validation],
        "training": [s for s in slices if s.patient in split.training],
        "phantoms": _test_phantoms(),
    }
    return {name: measure(find_on(loaded, chosen), threshold) for name, chosen in sets.items() if chosen}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module's docstring. Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _evaluate_command(given[1:]) if given[:1] == ["evaluate"] else _train_command(given)
    except MyoScarSegError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _train_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m MyoScarSegLib.training.detector", description="Train the detector.")
    parser.add_argument("--data", type=Path, required=True, help="folder with EMIDEC's images and labels")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, its figures and the split")
    parser.add_argument("--split", type=Path, help="a split.json to use again")
    parser.add_argument("--start", type=Path, help="a detector.safetensors to start from")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="processor threads (default: torch's choice)")
    for setting in fields(DetectorSettings):
        if isinstance(setting.default, (int, float, str)):
            parser.add_argument(f"--{setting.name.replace('_', '-')}", type=type(setting.default), default=setting.default)
    options = parser.parse_args(arguments)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    names = [f.name for f in fields(DetectorSettings) if f.name != "augmentation"]
    settings = DetectorSettings(**{name: getattr(options, name) for name in names})
    report = train_detector(
        options.data,
        options.out,
        settings,
        split=Split.read(options.split) if options.split else None,
        start=options.start,
        device=options.device,
        progress=_print_progress,
    )
    sys.stdout.write(f"\nThreshold {report['confidence']}, chosen on the validation patients.\n\n{table(report['metrics'])}")
    return 0


def _evaluate_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m MyoScarSegLib.training.detector evaluate", description="Figures of a detector on EMIDEC."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with EMIDEC's images and labels")
    parser.add_argument("--split", type=Path, required=True, help="split.json of the training, or the model card with it")
    parser.add_argument("--detector", help="name or path (default: the one that comes with the program)")
    parser.add_argument("--confidence", type=float, help="threshold (default: the detector's own)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    from MyoScarSegLib.models import DEFAULT_DETECTOR

    detector = options.detector or DEFAULT_DETECTOR
    metrics = evaluate(detector, read_emidec(options.data), Split.read(options.split), confidence=options.confidence)
    sys.stdout.write(json.dumps(metrics, indent=2) + "\n" if options.json else table(metrics))
    return 0


def _detector(name_or_path: str | Path) -> YoloDetector:
    from MyoScarSegLib.detection.detector import load_detector

    loaded = load_detector(name_or_path, device="cpu")
    if not isinstance(loaded, YoloDetector) or loaded.labels != CLASSES:
        raise ModelError(
            f"{name_or_path} finds {', '.join(loaded.labels)}; only detectors of {' and '.join(CLASSES)} are evaluated."
        )
    return loaded


def _test_phantoms() -> list[LabelledSlice]:
    from MyoScarSegLib.phantom import phantom_slices

    pairs = enumerate(phantom_slices(TEST_PHANTOM_SEED, _TEST_PHANTOMS))
    return [LabelledSlice("phantom", number, image, labels) for number, (image, labels) in pairs]


def _print_progress(done: int, total: int, message: str) -> None:
    sys.stdout.write(f"epoch {done} of {total}: {message}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
