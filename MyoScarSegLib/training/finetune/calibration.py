"""The probability from which on a pixel counts as scar, chosen on validation patients and put into the model.

What a network has learned by heart it marks boldly, and on patients that it has not seen it is in doubt and marks too little.
So half of that doubt is taken out: the refiner's last bias is moved until 0.5 is a good threshold for jittered boxes. Of those
that are nearly as good as the best, the one nearest to what the network learned is taken: a best one at the far end, of few
patients, drew a third too much scar on phantoms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.evaluation.scores import THRESHOLDS, CaseScore
from MyoScarSegLib.utils.files import atomic_path, write_json
from MyoScarSegLib.utils.json_fields import Count, Limits, load, to_json

_BIAS = "refiner.leave.bias"
_LEAST, _MOST = 0.1, 0.9
"""Of the thresholds that are considered: beyond, a few pixels decide."""
_NEARLY = 0.01
"""What a threshold nearer to 0.5 may cost in mean Dice: less than any two sets of a dozen patients differ by."""
FEWEST_PATIENTS = 5
"""Patients with scar that a threshold is chosen on, at least; fewer would say more of themselves than of others."""


@dataclass(frozen=True)
class Calibration:
    """What was chosen for a model, and what it is worth.

    Attributes:
        threshold: probability of the model as it was trained that becomes 0.5.
        patients: number of patients with scar it was chosen on.
        dice_before, dice_after: their mean Dice with jittered boxes at 0.5, before and after.
        dice_left_out: the same where each patient's threshold is chosen on the others: what to expect of new patients.
        bias: of the model's refiner before the threshold was moved, by which a model is known: checksums of files with the
            same tensors differ.
    """

    threshold: Annotated[float, Limits(above=0, below=1)]
    patients: Count
    dice_before: float
    dice_after: float
    dice_left_out: float
    bias: tuple[float, ...] = ()

    def apply(self, model: Path) -> None:
        """Move the threshold of the model, unless that was done.

        Raises:
            OutputError: the file cannot be written.
        """
        if bias_of(model) == self.bias:
            shift_threshold(model, self.threshold)

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_json(path, to_json(self, version=1))

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read what :meth:`write` wrote.

        Raises:
            ModelError: it is something else.
        """
        return load(cls, path, ModelError, version=1)

    def to_json(self) -> dict[str, Any]:
        """For the model card."""
        return {name: value for name, value in asdict(self).items() if name != "bias"}


def choose_threshold(scores: Sequence[CaseScore]) -> Calibration | None:
    """The threshold nearest to 0.5 with nearly the best mean Dice per patient.

    Args:
        scores: of patients, with curves; those without scar are left out.

    Returns:
        None with fewer than :data:`FEWEST_PATIENTS` patients with scar.
    """
    allowed = [n for n, threshold in enumerate(THRESHOLDS) if _LEAST <= threshold <= _MOST]
    usual = int(np.argmin([abs(threshold - 0.5) for threshold in THRESHOLDS]))
    curves = np.array([_dice(score) for score in scores if score.curve is not None and score.truth_px > 0])
    if len(curves) < FEWEST_PATIENTS:
        return None
    total = curves.sum(axis=0)
    best = _best(total, len(curves), allowed)
    left_out = [curve[_best(total - curve, len(curves) - 1, allowed)] for curve in curves]
    return Calibration(
        threshold=float(THRESHOLDS[best]),
        patients=len(curves),
        dice_before=round(float(curves[:, usual].mean()), 5),
        dice_after=round(float(curves[:, best].mean()), 5),
        dice_left_out=round(float(np.mean(left_out)), 5),
    )


def bias_of(path: Path) -> tuple[float, ...]:
    """The bias that is moved, of a model file; empty if it has no refiner."""
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        if _BIAS not in file.keys():  # noqa: SIM118 - it is no mapping
            return ()
        return tuple(file.get_tensor(_BIAS).float().flatten().tolist())


def shift_threshold(path: Path, threshold: float) -> None:
    """Change a model file so that what had this probability gets 0.5. Nothing else in it changes.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors[_BIAS] = (tensors[_BIAS].float() - math.log(threshold / (1 - threshold))).to(tensors[_BIAS].dtype)
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata)


def _dice(score: CaseScore) -> np.ndarray:
    assert score.curve is not None  # noqa: S101 - asked before
    overlap, predicted = score.curve[:, 0], score.curve[:, 1]
    return np.asarray(2 * overlap / np.maximum(predicted + score.truth_px, 1))


def _best(total: np.ndarray, patients: int, allowed: Sequence[int]) -> int:
    """The allowed threshold nearest to 0.5 of those whose mean is nearly the greatest."""
    best = max(float(total[n]) for n in allowed)
    near = [n for n in allowed if float(total[n]) >= best - _NEARLY * patients]
    return min(near, key=lambda n: (abs(THRESHOLDS[n] - 0.5), -float(total[n])))
