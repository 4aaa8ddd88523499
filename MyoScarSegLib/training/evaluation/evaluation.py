"""What every evaluation comes to, whether of masks, models or thresholds: scores of cases, by setting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.training.evaluation.scores import CaseScore
from MyoScarSegLib.training.evaluation.summary import summarise

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """Scores of cases in one or several settings.

    Attributes:
        settings: name of the setting to the score of each case.
        failures: what could not be done, and why.
        provenance: models, checksums, versions, as of a result.
        how: what was chosen (threshold, seed, ...).
        notes: sentences for the reader.
    """

    settings: dict[str, tuple[CaseScore, ...]]
    failures: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def figures(self) -> dict[str, dict[str, Any]]:
        """Setting to its figures; see :func:`~MyoScarSegLib.training.evaluation.summary.summarise`."""
        return {setting: summarise(cases) for setting, cases in self.settings.items()}

    def document(self, name: str = "") -> dict[str, Any]:
        """All of it, JSON-ready: the content of ``evaluation.json``, from which tables and pictures are made.

        Args:
            name: what legends call it, such as the model's name.
        """
        return {
            "version": FORMAT_VERSION,
            "name": name,
            "program": f"MyoScarSeg {__version__}",
            "how": self.how,
            "provenance": self.provenance,
            "failures": self.failures,
            "notes": list(self.notes),
            "settings": {
                setting: {"figures": summarise(cases), "cases": [case.row() for case in cases]}
                for setting, cases in self.settings.items()
            },
        }

    def merged(self, other: Evaluation) -> Evaluation:
        """Both, the other's settings last; of equal keys the other's."""
        return Evaluation(
            {**self.settings, **other.settings},
            {**self.failures, **other.failures},
            {**self.provenance, **other.provenance},
            {**self.how, **other.how},
            self.notes + other.notes,
        )


def setting_name(name: str) -> str:
    """A setting's name as people read it."""
    plain = {
        "oracle": "expert's box",
        "jittered": "hurried box",
        "end_to_end": "end to end",
        "masks": "masks",
    }
    if name.startswith("clicks_"):
        count = int(name.removeprefix("clicks_"))
        return f"+ {count} click{'s' if count > 1 else ''}"
    return plain.get(name, name)
