"""What is known of a model, in words: beside its name in the panel, and in the command's list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from MyoScarSegLib.scene.translation import _


def metrics_in_words(metrics: Mapping[str, Any]) -> list[str]:
    """The figures that say most, with nothing that the registry does not hold."""
    dice = metrics.get("per_patient_dice")  # of the models that come with the program; the user's own have one figure each
    measured = dict(metrics)
    for setting, found in dice.items() if isinstance(dice, Mapping) else ():
        measured[f"{setting}_dice"] = found.get("dice_mean") if isinstance(found, Mapping) else None
    texts = {
        "oracle_dice": _("Dice {value:.2f} with experts' boxes"),
        "end_to_end_dice": _("Dice {value:.2f} on its own"),
        "scar_area_covered": _("covers {value:.0%} of scar"),
        "lesions_found": _("finds {value:.0%} of the lesions"),
        "false_boxes_per_slice": _("{value:.1f} false boxes per slice"),
    }
    values = {key: measured.get(key) for key in texts}
    return [texts[key].format(value=value) for key, value in values.items() if isinstance(value, (int, float))]
