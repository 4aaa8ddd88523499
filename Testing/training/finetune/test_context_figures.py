"""The figures of the validation patients in the context phase."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from MyoScarSegLib.errors import Cancelled
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.finetune.context_phase import context_figures
from MyoScarSegLib.training.finetune.training_slices import TISSUE, context_window, training_slices
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.tiny_training import SIDE, WINDOW_MM, slices_of

PLAIN = Augmenter("none", SIDE)
INFARCT, NORMAL = training_slices(slices_of("a", 1)), training_slices(slices_of("n", 2, scar=False))


class Told(nn.Module):
    """Answers with tissues that it is told, one window after the other, and looks that nothing is asked."""

    def __init__(self, answers: list[torch.Tensor]) -> None:
        super().__init__()
        self.answers = iter(answers)
        self.some = nn.Parameter(torch.zeros(1))

    def forward(self, slices: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        assert slices.shape == (1, 3, SIDE, SIDE) and not maps.any()
        return nn.functional.one_hot(next(self.answers), 4).movedim(-1, 0)[None].float()


def truth(samples) -> list[torch.Tensor]:
    return [context_window(s, PLAIN, WINDOW_MM, (0, n), vary=False).targets[TISSUE] for n, s in enumerate(samples)]


def figures(samples, answers: list[torch.Tensor], cancel: CancelToken | None = None) -> dict[str, float]:
    return context_figures(nn.ModuleDict({"context": Told(answers)}), samples, PLAIN, WINDOW_MM, cancel)


def test_the_truth_has_full_marks():
    found = figures([*INFARCT, *NORMAL], truth([*INFARCT, *NORMAL]))
    assert found == {"scar_dice": 1, "ventricle_dice": 1, "false_scar_cm2": 0, "score": 1}


def test_scar_is_counted_over_all_slices_of_a_patient():
    answers = truth(INFARCT)
    pixels = [int((one == 3).sum()) for one in answers]
    answers[0] = torch.where(answers[0] == 3, 2, answers[0])
    found = figures(INFARCT, answers)
    left = sum(pixels[1:])
    assert found["scar_dice"] == found["score"] == pytest.approx(2 * left / (left + sum(pixels)))
    assert found["ventricle_dice"] == 1 and "false_scar_cm2" not in found


def test_scar_where_there_is_none_is_an_area():
    answers = truth(NORMAL)
    answers[1][4:8, 10:15] = 3
    found = figures(NORMAL, answers)
    assert found["false_scar_cm2"] == pytest.approx(20 * (WINDOW_MM / SIDE / 10) ** 2)
    assert "scar_dice" not in found and found["score"] == found["ventricle_dice"] < 1


def test_ventricles_count_where_they_are_labeled():
    found = figures([replace(s, wall_known=False) for s in INFARCT], truth(INFARCT))
    assert set(found) == {"scar_dice", "score"}


def test_it_can_be_cancelled():
    with pytest.raises(Cancelled):
        figures(INFARCT, truth(INFARCT), CancelToken(0))
