"""Sentences for the user, in their language.

The library knows no translations: the application's module gives a translator once, and until then the English text shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

_MOST_LISTED = 6
_translator: Callable[[str], str] | None = None


def set_translator(translator: Callable[[str], str] | None) -> None:
    """Let ``translator`` turn every English text of this layer into the user's language; None shows English."""
    global _translator
    _translator = translator


def _(text: str) -> str:
    """``text`` in the user's language. Texts with values are formatted afterwards: ``_("{n} boxes").format(n=3)``."""
    return text if _translator is None else _translator(text)


def slice_list(slices: Iterable[int]) -> str:
    """Slices for a sentence, counted from 0 as in every table and file: ``slice 2``, ``slices 2, 5, 6``, shortened after six."""
    numbers = [str(k) for k in sorted(slices)]
    listed = ", ".join(numbers[:_MOST_LISTED])
    if len(numbers) > _MOST_LISTED:
        listed = _("{first} and {more} more").format(first=listed, more=len(numbers) - _MOST_LISTED)
    return (_("slice {numbers}") if len(numbers) == 1 else _("slices {numbers}")).format(numbers=listed)
