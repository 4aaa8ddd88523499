"""How the answers of SAM and of the context network become one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.json_fields import Share, read

if TYPE_CHECKING:
    import torch

METADATA_KEY = "answers"
"""Of a checkpoint's metadata."""


@dataclass(frozen=True)
class Answers:
    """How the answers of SAM and the context network become one; a checkpoint of ours says it of itself.

    Attributes:
        sam_share: how much SAM's logits weigh.
        alone, asked: slope and shift that bring the logits to where probability 0.5 is the threshold without bias in mass, and
            probabilities are as often right as they say: of what is seen without being asked, and of answers to a reader.
        alone_error, asked_error: the three numbers of :class:`~MyoScarSegLib.quantification.mass_interval.MassError`, of studies
            that no reader has looked at, and of those with a reader's prompts.
    """

    sam_share: Share = 0.0
    alone: tuple[float, float] = (1.0, 0.0)
    asked: tuple[float, float] = (1.0, 0.0)
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

    def logits(self, sam: torch.Tensor, context: torch.Tensor, asked: Sequence[bool]) -> torch.Tensor:
        """The logits of each object ``[objects, rows, columns]``, from those of both networks."""
        import torch

        lines = torch.tensor([self.asked if one else self.alone for one in asked]).to(context)[:, :, None, None]
        return (self.sam_share * sam + (1 - self.sam_share) * context) * lines[:, 0] + lines[:, 1]
