"""What of an installation outlives Slicer: the user's choices, and that one was under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from MyoScarSegLib.errors import InstallationError
from MyoScarSegLib.installation.plan import Choices
from MyoScarSegLib.utils.files import cache_folder, read_json, write_json


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
        """What was remembered; a file that is damaged or of another version counts as none."""
        if not self.file.is_file():
            return Remembered()
        try:
            stored = read_json(self.file, InstallationError)
            folder = stored["wheel_folder"]
            choices = Choices(
                Path(folder) if folder else None,
                bool(stored["cpu_only"]),
                bool(stored["pytorch_extension"]),
                bool(stored["training"]),
            )
            return Remembered(choices, bool(stored["unfinished"]), str(stored["action"]))
        except (InstallationError, KeyError, TypeError):
            return Remembered()

    def write(self, remembered: Remembered) -> None:
        """Remember.

        Raises:
            OutputError: the file cannot be written.
        """
        choices = remembered.choices
        document = {
            "wheel_folder": str(choices.wheel_folder) if choices.wheel_folder else "",
            "cpu_only": choices.cpu_only,
            "pytorch_extension": choices.pytorch_extension,
            "training": choices.training,
            "unfinished": remembered.unfinished,
            "action": remembered.action,
        }
        write_json(self.file, document)
