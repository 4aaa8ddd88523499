"""What the user chose for an installation, and what of it outlives Slicer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from MyoScarSegLib.errors import InstallationError
from MyoScarSegLib.utils import json_fields
from MyoScarSegLib.utils.files import cache_folder


@dataclass(frozen=True)
class Choices:
    """What the user may choose.

    Attributes:
        wheel_folder: a folder with all wheels; then no network is used.
        cpu_only: take the small torch without graphics support.
        training: also what fine-tuning needs.
    """

    wheel_folder: Path | None = None
    cpu_only: bool = False
    training: bool = False


@dataclass(frozen=True)
class Remembered:
    """What was remembered.

    Attributes:
        choices: of the last time.
        unfinished: an installation was begun and did not end well.
        action: what the user had asked for when it turned out that something was missing (``propose``, ``segment``, ...).
    """

    choices: Choices = field(default_factory=Choices)
    unfinished: bool = False
    action: str = ""


class Memory:
    """A small file in the program's cache folder. Names no study and no patient."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or cache_folder() / "installation.json"

    def read(self) -> Remembered:
        """What was remembered; nothing if the file is damaged or of another version."""
        if not self.file.is_file():
            return Remembered()
        try:
            return json_fields.load(Remembered, self.file, InstallationError, ignore=True)
        except InstallationError:
            return Remembered()

    def write(self, remembered: Remembered) -> None:
        """Remember; OutputError if the file cannot be written."""
        json_fields.save(self.file, remembered)
