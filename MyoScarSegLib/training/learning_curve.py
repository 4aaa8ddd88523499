"""How much each further patient teaches: validation figures against the number of patients trained on.

Every training starts from the same model, makes the same number of steps, and is judged on the same validation patients. The
patients of a smaller number are among those of a larger one. Results are written after each training; a stopped curve goes on.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.files import read_json, write_json
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.evaluation.pictures import COLOURS, new_figure, save_figure
from MyoScarSegLib.training.evaluation.settings import END_TO_END, JITTERED, ORACLE, evaluate_models
from MyoScarSegLib.training.finetune.settings import SamSettings
from MyoScarSegLib.training.prompting import Prompting
from MyoScarSegLib.training.splits import Split, check_split

if TYPE_CHECKING:
    from MyoScarSegLib.segmentation import Segmenter

RESULTS, PICTURE = "learning-curve.json", "learning-curve.png"
COUNTS = (5, 10, 20, 40)
JUDGED = {ORACLE: "tight box", JITTERED: "hurried box", END_TO_END: "end to end"}
SETTINGS = SamSettings(
    mode="decoder",
    detail=False,
    side=112,
    window_mm=156.8,
    copies=4,
    scar_free_share=0.1,
    phantoms=0,
    phantom_share=0.0,
    prompts=2,
    corrected=0.3,
    corrections=1,
    decoder_rate=3e-4,
    averaging=0.99,
    measured_boxes=False,
    calibrate=False,
    evaluate_every=0,
    prompting=replace(Prompting(), empty=0.0, ventricle=0.0),
)
"""SAM's decoder alone learns, on embeddings that are made once, nearly always with a box that holds scar.

Chosen on twelve training patients, not on those that judge: with as many slices without scar as with, five patients taught the
model to draw nothing (docs/learning-curve.md).
"""
_RUNNING = "running"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        start: model that each training starts from, by name or path.
        counts: numbers of training patients.
        draws: how often patients are drawn anew.
        steps: of each training, at least; an epoch more is finished.
        settings: of the trainings, but for epochs and seed.

    Raises:
        ModelError: a number makes no sense.
    """

    start: str | Path = "litemedsam"
    counts: Sequence[int] = COUNTS
    draws: int = 1
    steps: int = 150
    settings: SamSettings = SETTINGS

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 1 or self.draws < 1 or self.steps < 1:
            raise ModelError("A learning curve needs numbers of patients, draws and steps of at least 1.")


def drawn_patients(slices: Sequence[LabelledSlice], split: Split, count: int, draw: int) -> list[str]:
    """The first ``count`` training patients of one draw; those with and without scar in the proportion of all, from the first on.

    Raises:
        ModelError: there are fewer.
    """
    with_scar = {s.patient for s in slices if s.scar.any()}
    present = {s.patient for s in slices}
    # An order by checksum: it does not change with the number of patients, nor with their order.
    order = sorted((p for p in split.training if p in present), key=lambda p: hashlib.sha256(f"{draw} {p}".encode()).hexdigest())
    if count > len(order):
        raise ModelError(f"There are {len(order)} training patients, not {count}.")
    groups = [[p for p in order if p in with_scar], [p for p in order if p not in with_scar]]
    # Each patient has a place between 0 and 1 within the own group; the groups are merged by it.
    placed = [((n + 0.5) / len(group), p) for group in groups for n, p in enumerate(group)]
    return [p for _, p in sorted(placed)][:count]


def learning_curve(
    slices: Sequence[LabelledSlice],
    split: Split,
    out: Path,
    plan: Plan | None = None,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Do what is not done yet, and write ``learning-curve.json`` and ``learning-curve.png``.

    Args:
        slices: all labelled slices of the data.
        split: who may train, and who validates.
        out: the folder.
        plan: what is compared; None for the usual.
        device: what to compute on.
        progress: called as ``progress(trainings done, all, message)``.
        cancel: asked at every step.

    Returns:
        The content of ``learning-curve.json``.

    Raises:
        StudyError: the split does not fit the data.
        ModelError: a training is not possible, or the folder holds another curve.
        OutputError: the folder cannot be written.
        Cancelled: the token was set; what is done is written.
    """
    from MyoScarSegLib.detection import load_detector

    plan, out = plan or Plan(), Path(out)
    notes = check_split(split, slices)
    document = _opened(out / RESULTS, plan, slices, split)
    document["notes"] = notes
    detector = load_detector(device=device)
    validation = [s for s in slices if s.patient in split.validation]
    due = [(draw, count) for draw in range(plan.draws) for count in (0, *plan.counts) if count or not draw]
    for number, (draw, count) in enumerate(due):
        key = _key(draw, count)
        if key in document["points"]:
            continue

        def report(done: int, total: int, message: str, number: int = number, key: str = key) -> None:
            progress(number, len(due), f"{key}: {message}" + (f" ({done}/{total})" if total else ""))

        started = time.monotonic()
        patients = drawn_patients(slices, split, count, draw) if count else []
        model: str | Path = plan.start
        if count:
            chosen = set(patients)
            training = [s for s in slices if s.patient in chosen]
            model = _train(plan, training, detector, draw, out / _RUNNING / key, device, report, cancel)
        figures = _judge(model, detector, validation, device, report, cancel)
        document["points"][key] = {
            "draw": draw, "count": count, "patients": patients, "seconds": round(time.monotonic() - started), **figures,
        }  # fmt: skip
        write_json(out / RESULTS, document)
        draw_curve(out / PICTURE, document)
        shutil.rmtree(out / _RUNNING / key, ignore_errors=True)
    shutil.rmtree(out / _RUNNING, ignore_errors=True)
    progress(len(due), len(due), "done")
    return document


def _train(
    plan: Plan, slices: Sequence[LabelledSlice], detector: Any, draw: int, out: Path, device: str, progress: Progress,
    cancel: CancelToken | None,
) -> Path:  # fmt: skip
    from MyoScarSegLib.training.finetune.job import heart_finder
    from MyoScarSegLib.training.finetune.train import Patients, fine_tune

    with_scar = sum(bool(s.scar.any()) for s in slices)
    an_epoch = min(len(slices), math.ceil(with_scar * (1 + plan.settings.scar_free_share)))
    epochs = math.ceil(plan.steps / math.ceil(an_epoch / plan.settings.batch))
    settings = replace(plan.settings, epochs=epochs, seed=draw)
    outcome = fine_tune(
        plan.start, Patients(slices, heart_of=heart_finder(detector)), settings, out,
        resume=True, device=device, progress=progress, cancel=cancel,
    )  # fmt: skip
    return outcome.model


def _judge(
    model: str | Path | Segmenter, detector: Any, validation: Sequence[LabelledSlice], device: str, progress: Progress,
    cancel: CancelToken | None,
) -> dict[str, Any]:  # fmt: skip
    from MyoScarSegLib.pipeline import Pipeline

    pipeline = Pipeline(detector=detector, segmenter=model, device=device)
    evaluation = evaluate_models(pipeline, validation, settings=tuple(JUDGED), progress=progress, cancel=cancel)
    figures = evaluation.figures()
    return {
        "dice": {setting: figures[setting]["dice_mean"] for setting in JUDGED},
        "dice_interval_95": {setting: figures[setting]["dice_interval_95"] for setting in JUDGED},
        "patient_dice": {
            setting: {case.patient: round(case.dice_3d, 4) for case in cases if case.has_scar}
            for setting, cases in evaluation.settings.items()
        },
        "mass_bias_g": figures[END_TO_END]["mass_bias_g"],
        "false_g": figures[END_TO_END]["false_mass_g_per_scar_free_patient"],
    }


def draw_curve(path: Path, document: Mapping[str, Any]) -> None:
    """Draw validation Dice against the number of patients: marks are draws with 95% intervals, lines their means.

    Raises:
        OutputError: the file cannot be written.
    """
    points = list(document["points"].values())
    figure, axis = new_figure(6.4, 4.0)
    counts = sorted({p["count"] for p in points})
    places = {count: place for place, count in enumerate(counts)}
    for number, (setting, name) in enumerate(JUDGED.items()):
        colour, aside = COLOURS[number % len(COLOURS)], 0.05 * (number - 1)
        means = [np.mean([p["dice"][setting] for p in points if p["count"] == count]) for count in counts]
        axis.plot([places[c] + aside for c in counts], means, color=colour, lw=1.8, label=name, zorder=3)
        for point in points:
            x = places[point["count"]] + aside
            if (limits := point["dice_interval_95"][setting]) is not None:
                axis.plot([x, x], limits, color=colour, lw=1.0, alpha=0.45)
            axis.plot([x], [point["dice"][setting]], "o", color=colour, ms=5, zorder=4)
    axis.set_xticks(range(len(counts)), [f"{c}" if c else "0\n(as it comes)" for c in counts])
    axis.set_xlabel("patients trained on")
    axis.set_ylabel("Dice of the validation patients with scar")
    axis.set_ylim(0, 1)
    axis.legend(frameon=False, loc="upper left", ncols=len(JUDGED), fontsize=8.5)
    axis.set_xlim(-0.4, len(counts) - 0.6)
    start = Path(str(document["how"]["start"])).stem
    axis.set_title(f"What each further patient teaches, from {start}", loc="left", fontsize=10)
    save_figure(path, figure)


def table(document: Mapping[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = ["| patients | " + " | ".join(JUDGED.values()) + " | false scar in normals |", "|" + "---|" * (len(JUDGED) + 2)]
    for point in sorted(document["points"].values(), key=lambda p: (p["count"], p["draw"])):
        cells = []
        for setting in JUDGED:
            limits = point["dice_interval_95"][setting]
            cells.append(f"{point['dice'][setting]:.2f}" + (f" ({limits[0]:.2f} to {limits[1]:.2f})" if limits else ""))
        false = "-" if point["false_g"] is None else f"{point['false_g']:.1f} g"
        lines.append(f"| {point['count']} | {' | '.join(cells)} | {false} |")
    return "\n".join(lines) + "\n"


def _opened(path: Path, plan: Plan, slices: Sequence[LabelledSlice], split: Split) -> dict[str, Any]:
    """The file of this curve, as far as it is done."""
    digest = hashlib.sha256()
    for s in slices:
        digest.update(f"{s.patient} {s.index}".encode() + s.image.tobytes() + np.ascontiguousarray(s.scar).tobytes())
    how = {
        "start": str(plan.start), "steps": plan.steps, "settings": plan.settings.to_json(), "split": split.to_json(),
        "data_sha256": digest.hexdigest(),
    }  # fmt: skip
    how = json.loads(json.dumps(how))
    if path.is_file():
        document: dict[str, Any] = read_json(path, ModelError)
        if document.get("how") != how:
            raise ModelError(f"{path} is of another learning curve: choose another folder, or the settings it was begun with.")
        return document
    return {"version": 1, "program": __version__, "how": how, "notes": [], "points": {}}


def _key(draw: int, count: int) -> str:
    return f"draw-{draw}-patients-{count}" if count else "start"
