"""The errors that a user can act on. Each message says what was wrong, where, and what to do."""

from collections.abc import Collection
from typing import Any


class Sentence(str):
    """What an error says to a user.

    Attributes:
        kind: the error's class in this file by name, under which the page on troubleshooting has an entry.
    """

    kind = ""

    def __str__(self) -> "Sentence":
        return self


class MyoScarSegError(Exception):
    """Base of every error that the program raises on purpose; the message is fit to show to a user."""

    def __str__(self) -> Sentence:
        said = Sentence(super().__str__())
        said.kind = next(one.__name__ for one in type(self).__mro__ if one.__module__ == __name__)
        return said


class StudyError(MyoScarSegError):
    """An input cannot be read as an LGE study."""


class NoStackError(StudyError):
    """An input is whole, but no stack in it shows that it is LGE."""


class UnnamedLabelsError(StudyError):
    """Labels whose meaning nothing says: their values are not guessed.

    Attributes:
        values: that occur, 0 left out.
        fitting: what ``--labels`` would have to say, if the values are what they often are.
        example: an image ``[row, column]`` and its values, to show the user; None if there is none.
    """

    def __init__(self, where: str, values: Collection[int], fitting: str, what: str = "", option: str = "--labels") -> None:
        listed = ", ".join(map(str, sorted(values)[:12])) + (" and more" if len(values) > 12 else "")
        super().__init__(
            f"Nothing says what the labels in {where} mean (values {listed}{what and f': {what}'}). Say it: if it fits, with "
            f"{option} '{fitting}'; every value is background, cavity, myocardium, scar or no-reflow."
        )
        self.values, self.fitting = tuple(sorted(values)), fitting
        self.example: tuple[Any, Any] | None = None


class PromptError(MyoScarSegError):
    """A box or point is malformed, empty, or outside the image."""


class ModelError(MyoScarSegError):
    """A checkpoint is missing, damaged, untrusted, or of another architecture or preprocessing."""


class DownloadError(ModelError):
    """A model could not be fetched."""


class OutputError(MyoScarSegError):
    """A result cannot be written (permission, full disk, ...)."""


class EngineError(MyoScarSegError):
    """The worker process cannot be started, has ended, or does not answer."""


class SceneError(MyoScarSegError):
    """A node of the scene is missing, locked, or of another geometry, or a step cannot be undone."""


class InstallationError(MyoScarSegError):
    """What the networks need cannot be installed, or the installation ended with an error."""


class Cancelled(MyoScarSegError):
    """The caller's cancel token was set. What had been finished is kept by whoever catches this."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
