"""What outlives the application: the user's choices, in its settings under ``MyoScarSeg/``."""

from __future__ import annotations

from typing import Any

import slicer

_GROUP = "MyoScarSeg/"


class Settings:
    """Values by name. Settings files hold text, so each value is read as what its default is."""

    def flag(self, name: str, default: bool) -> bool:
        """A kept yes or no."""
        value = self._value(name)
        return default if value is None else str(value).lower() in ("true", "1", "yes")

    def number(self, name: str, default: float) -> float:
        """A kept number; the default if what was kept is none."""
        try:
            return float(self._value(name))
        except (TypeError, ValueError):
            return default

    def text(self, name: str, default: str = "") -> str:
        """A kept text."""
        value = self._value(name)
        return default if value is None else str(value)

    def keep(self, name: str, value: Any) -> None:
        """Keep a value from now on."""
        slicer.app.settings().setValue(_GROUP + name, value)

    def _value(self, name: str) -> Any:
        return slicer.app.settings().value(_GROUP + name)
