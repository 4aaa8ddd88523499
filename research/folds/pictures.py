"""How models do on other pictures of the same patients: turned, finer, blurred, noisier.

python -m research.folds.pictures EMIDEC [NAME ...] [--model FILE]      fold 0's infarct patients, with a box and without a human
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, JITTERED, evaluate_models
from research.folds.folds import patients

NOISE = 0.06
"""Standard deviation as a share of the 99th percentile."""
BLUR_PX = 1.0
"""Standard deviation of the blur."""


def turned(change: Callable[[np.ndarray], np.ndarray], *, exchanged: bool = False) -> Callable[[LabeledSlice], LabeledSlice]:
    """Picture and labels turned or mirrored alike; ``exchanged`` where rows become columns."""

    def of(one: LabeledSlice) -> LabeledSlice:
        spacing = one.pixel_spacing_mm[::-1] if exchanged and one.pixel_spacing_mm else one.pixel_spacing_mm
        image, labels = (np.ascontiguousarray(change(array)) for array in (one.image, one.labels))
        return replace(one, image=image, labels=labels, pixel_spacing_mm=spacing)

    return of


def finer(one: LabeledSlice) -> LabeledSlice:
    """Twice as many rows and columns."""
    image = zoom(one.image.astype(np.float32), 2, order=1, grid_mode=True, mode="nearest")
    spacing = one.pixel_spacing_mm and tuple(mm / 2 for mm in one.pixel_spacing_mm)
    return replace(one, image=image, labels=np.kron(one.labels, np.ones((2, 2), one.labels.dtype)), pixel_spacing_mm=spacing)


def noisy(one: LabeledSlice) -> LabeledSlice:
    """With noise, the same at every run."""
    generator = np.random.default_rng([one.index, *one.patient.encode()])
    noise = generator.normal(0, NOISE * np.percentile(one.image, 99), one.image.shape)
    return replace(one, image=(one.image + noise).astype(np.float32))


def blurred(one: LabeledSlice) -> LabeledSlice:
    """As with fewer measured lines."""
    return replace(one, image=gaussian_filter(one.image.astype(np.float32), BLUR_PX, mode="nearest"))


VARIANTS: dict[str, Callable[[LabeledSlice], LabeledSlice]] = {
    "as they are": lambda one: one,
    "turned by half": turned(lambda array: array[::-1, ::-1]),
    "upside down": turned(lambda array: array[::-1]),
    "turned by a quarter": turned(np.rot90, exchanged=True),
    "finer": finer,
    "blurred": blurred,
    "noisy": noisy,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(VARIANTS))
    parser.add_argument("--model", type=Path, help="the shipped segmenter if it is not said")
    told = parser.parse_args()
    slices = [one for one in patients(told.data, 0)[1] if one.patient.startswith("P")]
    for name in told.names or VARIANTS:
        pipeline = Pipeline(segmenter=told.model, device="cpu", precision="float32")
        found = evaluate_models(pipeline, [VARIANTS[name](one) for one in slices], settings=(JITTERED, END_TO_END)).figures()
        said = "; ".join(f"{s} Dice {of['dice_mean']:.2f}, mass {of['mass_bias_percent']:+.0f}%" for s, of in found.items())
        print(f"{name:20} {said}", flush=True)


if __name__ == "__main__":
    main()
