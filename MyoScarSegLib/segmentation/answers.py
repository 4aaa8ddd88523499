"""How the answers of SAM and of the context network become one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.json_fields import Limits, Share, read

if TYPE_CHECKING:
    import torch

METADATA_KEY = "answers"
"""Of a checkpoint's metadata."""


@dataclass(frozen=True)
class Answers:
    """How the answers of SAM and the context network become one; a checkpoint of ours says it of itself.

    Attributes:
        sam_share: how much SAM's logits weigh.
        mapped, alone, asked: slope and shift that bring the logits to where probability 0.5 is the threshold without bias in
            mass, and probabilities are as often right as they say: of the map that boxes are proposed from, of masks in those
            boxes, and of answers to a reader.
        first: probability from which on a first look at a slice tells its neighbors of scar, for their second look.
        alone_error, asked_error: the three numbers of :class:`~MyoScarSegLib.quantification.mass_interval.MassError`, of studies
            that no reader has looked at, and of those with a reader's prompts.
    """

    sam_share: Share = 0.0
    mapped: tuple[float, float] = (1.0, 0.0)
    alone: tuple[float, float] = (1.0, 0.0)
    asked: tuple[float, float] = (1.0, 0.0)
    first: Annotated[float, Limits(above=0, below=1)] = 0.5
    alone_error: tuple[float, float, float] = (0.0, 0.0, 0.0)
    asked_error: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Answers:
        """Those of a checkpoint's metadata.

        Raises:
            ModelError: they are not numbers.
        """
        try:
            return read(cls, json.loads(metadata.get(METADATA_KEY, "{}")), ModelError, "The checkpoint's answers")
        except ValueError as error:
            raise ModelError("The checkpoint's answers are not JSON: the file is damaged.") from error

    def on_map(self, context: Any) -> Any:
        """Calibrated logits of scar on the map, from the context network's; an array or a tensor of any shape."""
        return self.mapped[0] * context + self.mapped[1]

    def seen(self, agreed: Any) -> Any:
        """Likewise in boxes that no reader drew, from what both networks agree on."""
        return self.alone[0] * agreed + self.alone[1]

    def asked_for(self, context: torch.Tensor, sam: torch.Tensor | None) -> torch.Tensor:
        """Calibrated logits of answers to a reader, from those of both networks, of the same shape."""
        mixed = context if sam is None else self.sam_share * sam + (1 - self.sam_share) * context
        return self.asked[0] * mixed + self.asked[1]
