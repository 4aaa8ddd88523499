"""Words for sentences that name what is wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things: ``1 case``, ``2 cases``; ``many`` where it is more than ``one`` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[object], most: int) -> str:
    """Names for a sentence, the first of many: ``a, b and 3 more``."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def slices_listed(slices: Collection[int], most: int = 1000) -> str:
    """Slices for a sentence, the first of many: ``slice 7``, ``slices 7, 8``."""
    return f"{'slice' if len(slices) == 1 else 'slices'} {listed(slices, most)}"


def numbers_in(text: str) -> list[int]:
    """The numbers of a list with ranges, such as ``2-9, 11``, in its order; ValueError if it is no such list."""
    found: list[int] = []
    for part in re.split(r"[,;\s]+", text.strip()):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if match is None:
            raise ValueError(f"{text!r} is no list of numbers, such as 2-9,11")
        first, last = sorted((int(match[1]), int(match[2] or match[1])))
        found += range(first, last + 1)
    return found


def first_line(error: Exception) -> str:
    """What an error says, in a line of at most 100 characters; its kind if it says nothing."""
    return (str(error).split("\n")[0] or type(error).__name__)[:100]


def shortened(words: str, most: int) -> str:
    """At most so many characters, the middle left out: a name's beginning and its number stay."""
    return words if len(words) <= most else f"{words[: most - most // 2 - 1]}…{words[-(most // 2) :]}"
