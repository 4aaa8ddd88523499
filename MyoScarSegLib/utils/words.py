"""Words for sentences that name what is wrong."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[object], most: int) -> str:
    """Names for a sentence, the first of many: ``a, b and 3 more``."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
