"""Settings changed by name, as a command line or a form gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from MyoScarSegLib.errors import ModelError

Option = float | int | str | bool
_T = TypeVar("_T")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def with_options(settings: _T, options: Mapping[str, Any]) -> _T:
    """Settings with some values changed.

    Args:
        settings: a frozen dataclass of numbers, texts, pairs of numbers, and further such dataclasses.
        options: name to new value, as itself or as text; ``variation.noise`` reaches into the setting ``variation``, and a
            pair is ``"0.5,1.4"``.

    Raises:
        ModelError: there is no such setting, or the value is not of its kind.
    """
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        outer, _, inner = name.partition(".")
        if outer not in names_of(settings, deep=False):
            raise ModelError(f"There is no setting {name!r}. There are: {', '.join(names_of(settings))}.")
        if is_dataclass(getattr(settings, outer)):
            nested.setdefault(outer, {})[inner] = value
        elif inner:
            raise ModelError(f"The setting {outer!r} has no parts; there is no {name!r}.")
        else:
            changes[outer] = _like(getattr(settings, outer), value, name)
    for outer, parts in nested.items():
        if "" in parts:
            known = names_of(getattr(settings, outer))
            raise ModelError(f"The setting {outer!r} has parts; set one of them: {', '.join(f'{outer}.{n}' for n in known)}.")
        changes[outer] = with_options(getattr(settings, outer), parts)
    return replace(settings, **changes)  # type: ignore[type-var]


def names_of(settings: Any, *, deep: bool = True) -> list[str]:
    """The names that can be set, with those of the parts as ``outer.inner`` if ``deep``."""
    names = []
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if deep and is_dataclass(value):
            names += [f"{setting.name}.{inner}" for inner in names_of(value)]
        else:
            names.append(setting.name)
    return names


def plain(value: Any) -> Any:
    """A value as JSON gives it back: pairs are lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def _like(old: Any, value: Any, name: str) -> Any:
    """``value`` as the kind of ``old``."""
    try:
        if isinstance(old, bool):
            return value if isinstance(value, bool) else _WORDS[str(value).lower()]
        if isinstance(value, bool):
            raise ValueError
        if isinstance(old, int):
            return int(str(value))
        if isinstance(old, float):
            return _finite(value)
        if isinstance(old, tuple):
            parts = tuple(_finite(part) for part in (value.split(",") if isinstance(value, str) else value))
            if len(parts) != len(old):
                raise ValueError
            return parts
        return str(value)
    except (KeyError, TypeError, ValueError) as error:
        shown = ",".join(str(part) for part in old) if isinstance(old, tuple) else old
        raise ModelError(f"The setting {name} cannot be {value!r}; it is {shown!r} by default.") from error


def _finite(value: Any) -> float:
    number = float(str(value))
    if not math.isfinite(number):
        raise ValueError
    return number
