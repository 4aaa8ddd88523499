"""Settings changed by name, as a command line or a form gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any, TypeVar

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.json_fields import field_types, from_text

_T = TypeVar("_T")


def with_options(settings: _T, options: Mapping[str, Any]) -> _T:
    """Settings with some values changed.

    Args:
        settings: a frozen dataclass, whose fields may be further ones.
        options: name to new value, as itself or as text; ``prompting.empty`` reaches into the setting ``prompting``, and a
            pair is ``"0.5,1.4"``.

    Raises:
        ModelError: there is no such setting, or the value is not of its kind.
    """
    types = field_types(type(settings))
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        outer, _, inner = name.partition(".")
        known = names_of(settings)
        if name not in known:
            of = [one for one in known if one.startswith(f"{outer}.")] or known
            raise ModelError(f"There is no setting {name!r}. There are: {', '.join(of)}.")
        if inner:
            nested.setdefault(outer, {})[inner] = value
        else:
            text = ",".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
            changes[name] = from_text(types[name], text, ModelError, "The training", name)
    for outer, inner_options in nested.items():
        changes[outer] = with_options(getattr(settings, outer), inner_options)
    return replace(settings, **changes)  # type: ignore[type-var]  # a dataclass, as asked for


def names_of(settings: Any) -> list[str]:
    """The names that can be set; of a setting that is a dataclass those within, as ``outer.inner``."""
    names = []
    for name in field_types(type(settings)):
        value = getattr(settings, name)
        names += [f"{name}.{inner}" for inner in names_of(value)] if is_dataclass(value) else [name]
    return names
