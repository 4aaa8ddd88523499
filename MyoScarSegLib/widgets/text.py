"""Sentences in the user's language, of this layer and of the ones below."""

from __future__ import annotations

import sys

from slicer.i18n import getContext, translate

from MyoScarSegLib.scene.translation import set_translator

UNKNOWN = "–"


def _(text: str) -> str:
    """``text`` in the application's language; the context is the file that calls, as Slicer's own translation tools have it."""
    return translate(getContext(sys._getframe(1).f_code.co_filename), text)


def translate_lower_layers() -> None:
    """Let the scene layer, which knows no application, speak the user's language too."""
    set_translator(lambda text: translate(getContext(sys._getframe(2).f_code.co_filename), text))


def in_words(seconds: float) -> str:
    """A time left, as roughly as it is known."""
    if seconds < 1.5:
        return _("1 s")
    if seconds < 90:
        return _("{n} s").format(n=round(seconds))
    return _("{n} min").format(n=round(seconds / 60))


def devices() -> dict[str, str]:
    """Each device that can be chosen, and what a list calls it."""
    return {"auto": _("automatic"), "cpu": _("processor"), "cuda": _("graphics card (CUDA)"), "mps": _("graphics (Apple)")}


def number(value: float | None, decimals: int) -> str:
    """A number for a cell or a label; :data:`UNKNOWN` for None."""
    return UNKNOWN if value is None else f"{value:.{decimals}f}"
