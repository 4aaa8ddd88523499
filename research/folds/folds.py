"""Five-fold cross-validation of the context network, by the program's own training, pipeline and protocol.

    python -m research.folds.folds anatomy ACDC -o OUT            learn the ventricle once: none of the folds' patients is in it
    python -m research.folds.folds train EMIDEC FOLD -o OUT       train on the four other folds; goes on where it was stopped
    python -m research.folds.folds score EMIDEC FOLD -o OUT [--model FILE]   figures, and masks as fold-N.npz
    python -m research.folds.folds table FOLDER                   all folds together, from the masks
    python -m research.folds.folds wall EMIDEC -o FOLDER          how good those masks were if the wall were the expert's
    python -m research.folds.folds ask EMIDEC FOLD --model FILE [--sam-share S]   box and clicks alone, unshifted; writes nothing

Models of the folds are scored with the shipped model's numbers for putting answers together (`Answers`), but for SAM's share.

The detector that finds the heart is the shipped one, which was trained on fold 0's training patients.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.networks import image_of
from MyoScarSegLib.pipeline import Pipeline, sigmoid
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.segmentation.answers import Answers
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.model_evaluation import CLICKS, END_TO_END, JITTERED, evaluate_models, stacks_of
from MyoScarSegLib.training.evaluation.statistics import interval
from MyoScarSegLib.training.finetune.fine_tuning import Patients, fine_tune
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.splits import split_patients
from MyoScarSegLib.utils.files import write_json
from MyoScarSegLib.utils.json_fields import read

SETTINGS = SegmenterSettings(epochs=0, phantoms=40, phantom_share=0.05, answers=Answers(first=0.2))
CROP = 112
"""Pixels a side, around the heart, of what is kept of a slice."""
FAINTEST = 0.03
"""Probability of scar that is kept of whole windows, at least: what is below takes two thirds of the place."""
CARD = Path(__file__).parents[2] / "Resources" / "Models" / f"{DEFAULT_SEGMENTER}.json"
DETAILS = (
    "hd95_3d_mm_mean", "dice_basal_mean", "dice_mid_mean", "dice_apical_mean", "myocardium_dice_mean", "cavity_dice_mean",
)  # fmt: skip
"""Of a fold's figures, which ``table`` shows beside what it computes from the masks."""
ASKED = (JITTERED, *(f"{CLICKS}_{n}" for n in (1, 2, 3)))


def shipped_answers() -> Answers:
    """How the shipped model puts its networks' answers together."""
    return read(Answers, json.loads(CARD.read_text())["settings"]["answers"], ModelError, str(CARD))


def patients(data: Path, fold: int) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """The slices that train and those that validate, of one fold."""
    found = read_dataset(data)
    split = split_patients(dict(found.strata), held_out=fold)
    return [[s for s in found.slices if s.patient in side] for side in (split.training, split.validation)]


def train(
    start: str | Path,
    slices: list[LabeledSlice],
    out: Path,
    name: str,
    anatomy: list[LabeledSlice],
) -> None:
    """Train, or go on."""
    fine_tune(start, Patients(slices, (), anatomy), SETTINGS, out / name, name=name, device="cpu", resume=(out / name).exists())


def score(data: Path, fold: int, model: Path, out: Path) -> None:
    """Figures of a fold's patients by the protocol, and their masks."""
    _, slices = patients(data, fold)
    pipeline = Pipeline(segmenter=model, device="cpu", precision="float32")
    answers = pipeline.networks.segmenter.answers
    pipeline.networks.segmenter.answers = replace(shipped_answers(), sam_share=answers.sam_share)
    kept: dict[str, np.ndarray] = {}
    centers: dict[str, tuple[int, int]] = {}
    stacks = stacks_of(slices)
    segmenter = pipeline.networks.segmenter
    for stack in stacks:
        center = pipeline.networks.heart_center(stack.study)
        centers[stack.case] = corner_of(center, stack.study.slice_shape)
        looks = [(image_of(stack.study, k, center), pipeline.beside(stack.study, k, center)) for k in range(stack.study.slices)]
        tissue = np.stack([segmenter.tissue(image, beside) for image, beside in looks])
        alone = [unasked(pipeline, stack.study, k, center) for k in range(stack.study.slices)]
        for name, probability in (("alone", np.stack(alone)), ("map", tissue[:, TISSUES.index("scar")])):
            likely = np.where(probability < FAINTEST, 0, probability)
            kept[f"{stack.case}/{name}"] = cropped((likely * 255).round().astype(np.uint8), centers[stack.case])
        kept[f"{stack.case}/tissue"] = cropped(tissue.argmax(axis=1).astype(np.uint8), centers[stack.case])
        kept[f"{stack.case}/truth"] = cropped(stack.scar, centers[stack.case])
        extents = stack.study.geometry.slice_extents_mm(stack.study.slices)
        volume_ml = (stack.study.geometry.pixel_area_mm2 or 0.0) * np.asarray(extents) / MM3_PER_ML
        kept[f"{stack.case}/pixel_g"] = volume_ml * MYOCARDIAL_DENSITY_G_PER_ML

    def on_result(setting, stack, result) -> None:
        probability = (result.probability * 255).round().astype(np.uint8)
        kept[f"{stack.case}/{setting}"] = cropped(probability, centers[stack.case])

    found = evaluate_models(pipeline, slices, settings=(JITTERED, CLICKS, END_TO_END), on_result=on_result)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"fold-{fold}.json", json.loads(json.dumps(found.figures(), default=float)))
    np.savez_compressed(out / f"fold-{fold}.npz", **kept)


def unasked(pipeline: Pipeline, study: Study, index: int, center: tuple[float, float] | None) -> np.ndarray:
    """Probability of scar ``[rows, columns]`` where nobody asked, also beyond the boxes that are proposed."""
    segmenter, image = pipeline.networks.segmenter, image_of(study, index, center)
    beside, seen_beside = pipeline.beside(study, index, center), pipeline.beside(study, index, center, seen=True)
    return sigmoid(segmenter.answers.seen(segmenter.agreed_logits(image, beside, seen_beside)))


def corner_of(center: tuple[float, float] | None, shape: tuple[int, int]) -> tuple[int, int]:
    """Row and column at which the crop around a heart begins; around the middle of a slice of that shape where none was found."""
    x, y = center or (shape[1] / 2, shape[0] / 2)
    return int(y) - CROP // 2, int(x) - CROP // 2


def cropped(stack: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """``[slices, CROP, CROP]`` from a corner on, 0 beyond the slice."""
    result = np.zeros((len(stack), CROP, CROP), stack.dtype)
    rows, columns = (np.arange(c, c + CROP) for c in corner)
    inside = np.ix_((rows >= 0) & (rows < stack.shape[1]), (columns >= 0) & (columns < stack.shape[2]))
    source = np.ix_(range(len(stack)), rows[inside[0].ravel()], columns[inside[1].ravel()])
    result[:, inside[0], inside[1]] = stack[source]
    return result


def masses(masks: np.lib.npyio.NpzFile, setting: str) -> list[tuple[str, float, float, float]]:
    """Case, Dice, mass and true mass of each case of a fold."""
    rows = []
    for key in [k for k in masks.files if k.endswith("/truth")]:
        case = key.split("/")[0]
        truth, found = masks[key].astype(bool), masks[f"{case}/{setting}"] > 127
        gram = masks[f"{case}/pixel_g"]
        dice = 2 * (found & truth).sum() / max(1, found.sum() + truth.sum())
        rows.append((case, float(dice), float(found.sum((1, 2)) @ gram), float(truth.sum((1, 2)) @ gram)))
    return rows


def table(folder: Path) -> None:
    """Figures over all folds that are there, and the bias of each."""
    folds = [np.load(path) for path in sorted(folder.glob("fold-*.npz"))]
    for setting in ("alone", END_TO_END, *ASKED):
        each = [np.array([row[1:] for row in masses(masks, setting)]) for masks in folds]
        rows = np.concatenate(each)
        scarred, normal = rows[rows[:, 2] > 0], rows[rows[:, 2] == 0]
        difference = scarred[:, 1] - scarred[:, 2]
        low, high = interval(scarred[:, 0])
        biases = [of[of[:, 2] > 0][:, 1].sum() / of[:, 2].sum() - 1 for of in each]
        print(
            f"{setting:11} Dice {scarred[:, 0].mean():.3f} ({low:.2f} to {high:.2f}) median {np.median(scarred[:, 0]):.3f} bias "
            f"{difference.sum() / scarred[:, 2].sum():+.1%} limits {difference.mean() - 1.96 * difference.std():+.1f} to "
            f"{difference.mean() + 1.96 * difference.std():+.1f} g, r {np.corrcoef(scarred[:, 1], scarred[:, 2])[0, 1]:.2f}, "
            f"challenge {np.concatenate([scarred[:, 0], normal[:, 1] == 0]).mean():.3f}, normals {sum(normal[:, 1] <= 1)} of "
            f"{len(normal)}, {len(scarred)} infarcts; bias by fold {', '.join(f'{bias:+.0%}' for bias in biases)}"
        )
    found = [
        worsened(({s: masks[f"{case}/{s}"] > 127 for s in ASKED}, truth.astype(bool)) for case, truth in truths(masks))
        for masks in folds
    ]
    print(f"{sum(w for w, _ in found)} of {sum(n for _, n in found)} clicks made their slice worse")
    documents = [json.loads(path.read_text()) for path in sorted(folder.glob("fold-*.json"))]
    for setting in (END_TO_END, *ASKED):
        said = (f"{name} {mean_of([document[setting] for document in documents], name):.2f}" for name in DETAILS)
        print(f"{setting:11} " + ", ".join(said))


def within_wall(data: Path, folder: Path) -> None:
    """Dice per infarct patient of the folds' masks as they are, cut off at the expert's wall, and so with a lower threshold."""
    stacks = {stack.case: stack for stack in stacks_of(read_dataset(data).slices)}
    found: dict[str, list[list[float]]] = {}
    for masks in (np.load(path) for path in sorted(folder.glob("fold-*.npz"))):
        for case, truth in truths(masks):
            stack, scar = stacks[case], truth.astype(bool)
            assert stack.wall is not None and stack.cavity is not None  # noqa: S101 - EMIDEC's walls are drawn
            if not scar.any():
                continue
            corner = tuple(np.argwhere(stack.scar)[0][1:] - np.argwhere(scar)[0][1:])
            wall, cavity = cropped(stack.wall, corner), cropped(stack.cavity, corner)
            for setting in (END_TO_END, *ASKED):
                likely = masks[f"{case}/{setting}"]
                mask = likely > 127
                dices = [2 * (m & scar).sum() / (m.sum() + scar.sum()) for m in (mask, mask & wall, (likely > 89) & wall)]
                outside = [(mask & place).sum() / max(1, mask.sum()) for place in (~wall, cavity)]
                found.setdefault(setting, []).append([*dices, *outside])
    for setting, rows in found.items():
        plain, cut, lower, outside, blood = np.mean(rows, axis=0)
        print(
            f"{setting:11} Dice {plain:.3f}, within the expert's wall {cut:.3f}, there from probability 0.35 on {lower:.3f}; "
            f"{outside:.0%} of the mask outside the wall, {blood:.0%} in the cavity"
        )


def mean_of(figures: list[dict], name: str) -> float:
    """A figure's mean over all folds' patients that have one; of 0 patients it is nothing."""
    place = name.split("_")[1]
    counts = [of[f"dice_{place}_patients" if f"dice_{place}_patients" in of else "patients"] for of in figures]
    known = [(of[name], count) for of, count in zip(figures, counts, strict=True) if of[name] is not None]
    return float(np.average([of for of, _ in known], weights=[count for _, count in known])) if known else float("nan")


def truths(masks: np.lib.npyio.NpzFile) -> list[tuple[str, np.ndarray]]:
    """Each case of a fold with its reference."""
    return [(key.split("/")[0], masks[key]) for key in masks.files if key.endswith("/truth")]


def worsened(cases: Iterable[tuple[dict[str, np.ndarray], np.ndarray]]) -> tuple[int, int]:
    """Of masks by setting and their reference: how many clicks made a slice worse by over a hundredth of Dice, of how many."""
    worse = clicked = 0
    for masks, truth in cases:
        steps = [masks[setting] for setting in ASKED]
        dices = [2 * (m & truth).sum((1, 2)) / np.maximum(1, m.sum((1, 2)) + truth.sum((1, 2))) for m in steps]
        for before, after in pairwise(dices):
            changed = truth.any((1, 2)) & (before < 1)
            clicked += int(changed.sum())
            worse += int((changed & (after < before - 0.01)).sum())
    return worse, clicked


def ask(data: Path, fold: int, model: Path | None, sam_share: float | None) -> None:
    """Answers to box and clicks of a fold's infarct patients, at an unshifted threshold, with another share of SAM's."""
    slices = [s for s in patients(data, fold)[1] if s.patient.startswith("P")]
    pipeline = Pipeline(segmenter=model, device="cpu", precision="float32")
    segmenter = pipeline.networks.segmenter
    share = segmenter.answers.sam_share if sam_share is None else sam_share
    segmenter.answers = replace(segmenter.answers, sam_share=share, asked=(1.0, 0.0))
    kept: dict[str, tuple[dict[str, np.ndarray], np.ndarray]] = {}

    def on_result(setting, stack, result) -> None:
        kept.setdefault(stack.case, ({}, stack.scar))[0][setting] = result.probability > 0.5

    for setting, figures in evaluate_models(pipeline, slices, settings=(JITTERED, CLICKS), on_result=on_result).figures().items():
        print(f"{setting:11} Dice {figures['dice_mean']:.3f}, mass {figures['mass_bias_percent']:+.0f}%")
    print("{} of {} clicks made their slice worse".format(*worsened(kept.values())))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("anatomy", "train", "score", "table", "wall", "ask"))
    parser.add_argument("data", type=Path)
    parser.add_argument("fold", type=int, nargs="?", default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path())
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sam-share", type=float)
    told = parser.parse_args()
    if told.what == "anatomy":
        train("litemedsam", [], told.out, "anatomy", list(read_dataset(told.data).slices))
    elif told.what == "train":
        start = told.out / "anatomy" / "anatomy.safetensors"
        train(start, patients(told.data, told.fold)[0], told.out, f"fold-{told.fold}", [])
    elif told.what == "score":
        name = f"fold-{told.fold}"
        score(told.data, told.fold, told.model or told.out / name / f"{name}.safetensors", told.out / "scores")
    elif told.what == "wall":
        within_wall(told.data, told.out)
    elif told.what == "ask":
        ask(told.data, told.fold, told.model, told.sam_share)
    else:
        table(told.data)


if __name__ == "__main__":
    main()
