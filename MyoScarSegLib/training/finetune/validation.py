"""The figures of the validation patients that a training looks at on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.training.finetune.training_slices import TISSUE, VENTRICLE, TrainingSlice, context_window
from MyoScarSegLib.utils.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from torch import nn

    from MyoScarSegLib.training.augmentation import Augmenter

_SCAR = 3


def context_figures(
    network: nn.ModuleDict,
    samples: Sequence[TrainingSlice],
    augmenter: Augmenter,
    window_mm: float,
    cancel: CancelToken | None = None,
) -> dict[str, float]:
    """How well the context network knows the tissues of whole patients without prompts; the ``augmenter`` is of the preset
    ``none``.

    ``scar_dice``: mean per-patient Dice of the patients with scar; ``ventricle_dice``: of those whose wall is labeled;
    ``false_scar_cm2``: mean area in patients without scar, over their stack; and ``score``, the first of these that there is.
    """
    import torch

    context: Any = network["context"]
    device = next(context.parameters()).device
    no_prompts = prompt_maps(augmenter.side)
    counts: dict[str, np.ndarray] = {}
    walls: dict[str, bool] = {}
    for number, sample in enumerate(samples):
        check_cancel(cancel)
        item = context_window(sample, augmenter, window_mm, (0, number), vary=False)
        with torch.inference_mode():
            found = context(item.image[None].to(device), no_prompts[None].to(device))[0].argmax(dim=0).cpu().numpy()
        true = item.targets.numpy()
        scar, ventricle = true[TISSUE] == _SCAR, true[VENTRICLE] > 0
        of_slice = [
            (found == _SCAR)[scar].sum(), (found == _SCAR).sum(), scar.sum(),
            (found > 0)[ventricle].sum(), (found > 0).sum(), ventricle.sum(),
        ]  # fmt: skip
        counts[sample.patient] = counts.get(sample.patient, np.zeros(6)) + np.array(of_slice, dtype=float)
        walls[sample.patient] = sample.wall_known
    pixel_cm2 = (window_mm / augmenter.side / 10) ** 2
    with_scar = [c for c in counts.values() if c[2] > 0]
    without = [c for c in counts.values() if c[2] == 0]
    known = [c for p, c in counts.items() if walls[p] and c[5] > 0]
    figures: dict[str, float] = {}
    if with_scar:
        figures["scar_dice"] = float(np.mean([2 * c[0] / (c[1] + c[2]) for c in with_scar]))
    if known:
        figures["ventricle_dice"] = float(np.mean([2 * c[3] / (c[4] + c[5]) for c in known]))
    if without:
        figures["false_scar_cm2"] = float(np.mean([c[1] for c in without])) * pixel_cm2
    figures["score"] = figures.get("scar_dice", figures.get("ventricle_dice", 0.0))
    return figures
