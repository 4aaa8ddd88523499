"""One entry of what an input offers: a stack that could be read, and how much it looks like short-axis LGE."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """A stack of slices that an input holds.

    Attributes:
        key: what to give as ``series=`` (``--series``) to choose it.
        description: the scanner's name for it, free of the patient's name and number; may be empty.
        modality: DICOM modality, or the file format.
        slices: number of slice positions.
        images: number of images; more than ``slices`` if positions repeat (phases, repetitions).
        rows, columns: size of a slice in pixels.
        reconstruction: ``"PSIR"``, ``"magnitude"``, another kind (``"phase"``, ...), or ``""`` where the headers do not say.
        short_axis: whether orientation and description suggest a short-axis stack; None if unknown.
        evidence: whether anything in the headers says LGE.
        score: how much it looks like short-axis LGE; higher is better.
        reasons: why it got that score.
        rejected: why it is not taken unless chosen; empty if it may be.
        unreadable: why it cannot be read at all; empty if it can.
        chosen: whether it is read when the caller chooses none.
    """

    key: str
    description: str = ""
    modality: str = ""
    slices: int = 0
    images: int = 0
    rows: int = 0
    columns: int = 0
    reconstruction: str = ""
    short_axis: bool | None = None
    evidence: bool = False
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    rejected: str = ""
    unreadable: str = ""
    chosen: bool = False

    def __str__(self) -> str:
        size = f"{self.slices} slices of {self.rows} x {self.columns}"
        repeats = f", {self.images} images" if self.images != self.slices else ""
        kind = f", {self.reconstruction}" if self.reconstruction else ""
        return f"{self.key}: {self.description or 'no description'} ({self.modality}{kind}, {size}{repeats})"
