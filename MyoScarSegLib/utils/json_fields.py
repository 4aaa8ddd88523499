"""Dataclasses from JSON and back: the fields' types say what a file, a message, a form or a command line may hold.

A field's type is ``str``, ``int``, ``float``, ``bool``, ``Path``, ``Any``, an ``Enum`` (by its values), a ``Literal``, another
dataclass, or a list, tuple, set or mapping of those; ``| None`` makes it optional. What is of another class already, such as an
array in a message, is taken as it is. What goes beyond the type stands in it, too::

    Share = Annotated[float, Limits(0, 1)]

    @dataclass(frozen=True)
    class Settings:
        epochs: Annotated[int, Limits(1, 1000)] = 12
        warmup: Share = 0.04

        def __post_init__(self) -> None:
            check(self, ModelError, "settings")

    settings = load(Settings, path, ModelError, version=1)
    save(path, settings, version=1)

Numbers are finite and never true or false; a whole number may be written as ``3.0``. A value may also be Python's own (a tuple,
a member of the ``Enum``, numpy's number), so that the same rules hold for what code gives. The caller names the error class.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from numbers import Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.utils.files import read_json, write_json

_T = TypeVar("_T")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_LISTS: dict[Any, Any] = {list: list, tuple: tuple, Sequence: tuple, frozenset: frozenset}
_NAMES = {float: "a number", int: "a whole number", str: "a text", bool: "true or false", Path: "a path"}
_RANKS = {kind: rank for rank, kind in enumerate(_NAMES)}
_QUICK = (str, int, bool)
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = 60


@dataclass(frozen=True)
class Limits:
    """What a value must be, beyond its type; stands in ``Annotated``.

    Attributes:
        least, most: of a number.
        above, below: of a number, which must not be equal.
        multiple_of: of a number.
        also: values outside of these limits that are allowed, such as 0 for "none".
        step: by which a form changes the number.
        pattern: regular expression that the whole text must match.
        words: says what the value is where the pattern does not: "a name of lower-case letters".
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    multiple_of: float | None = None
    also: tuple[float, ...] = ()
    step: float | None = None
    pattern: str = ""
    words: str = ""

    def allow(self, value: Any) -> bool:
        """Whether ``value``, which is of the right type, is within the limits."""
        if isinstance(value, str):
            return not self.pattern or re.fullmatch(self.pattern, value) is not None
        return value in self.also or not (
            (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
            or (self.multiple_of is not None and value % self.multiple_of)
        )

    def describe(self) -> str:
        """The limits of a number in words, to stand behind "a number"; empty if there are none."""
        words = (("above {:g}", self.above), ("from {:g}", self.least), ("below {:g}", self.below), ("to {:g}", self.most))
        said = " ".join(text.format(value) for text, value in words if value is not None)
        said += " up" if self.least is not None and self.most is None and self.below is None else ""
        said += "" if self.multiple_of is None else f" in multiples of {self.multiple_of:g}"
        return said + "".join(f", or {value:g}" for value in self.also)


Text = Annotated[str, Limits(pattern=r"(?s).*\S.*", words="a text that is not empty")]
Share = Annotated[float, Limits(0, 1)]
Count = Annotated[int, Limits(1)]
Index = Annotated[int, Limits(0)]


def load(cls: type[_T], path: Path, error: type[MyoScarSegError], *, version: int | None = None, ignore: bool = False) -> _T:
    """The dataclass ``cls`` in a JSON file; see :func:`read`.

    Raises:
        error: the file cannot be read, is not JSON, or a field is wrong; the message names file and field.
    """
    return read(cls, read_json(path, error), error, str(path), version=version, ignore=ignore)


def load_if_whole(cls: type[_T], path: Path, *, version: int) -> _T | None:
    """As :func:`load`, without keys that are not known; None for no file, a damaged one, or one of another version."""
    try:
        return load(cls, path, MyoScarSegError, version=version, ignore=True)
    except MyoScarSegError:
        return None


def save(path: Path, value: Any, *, version: int | None = None) -> None:
    """Write what :func:`to_json` gives, atomically; OutputError if it cannot be written."""
    write_json(path, to_json(value, version=version))


def read(
    cls: type[_T],
    document: Any,
    error: type[MyoScarSegError],
    where: str,
    *,
    name: str = "",
    version: int | None = None,
    ignore: bool = False,
) -> _T:
    """The dataclass ``cls`` of a JSON object; fields that are left out have their default.

    Args:
        cls: what to read; also another type that a field can have, such as ``list[Box]``.
        document: as :func:`json.loads` gives it.
        error: raised if it is wrong.
        where: begins the message: the file, or what is read.
        name: of the document's place in it.
        version: that the object's ``version`` must be, if it says one; None if it is a field like others, or there is none.
        ignore: leave out keys that are not known instead of raising.

    Raises:
        error: the object is of another version, a field is missing or unknown, or a value is not what the field's type says.
    """
    if version is not None and isinstance(document, Mapping):
        if document.get("version", version) != version:
            raise error(f"{where} is of version {document['version']!r}; this program reads version {version}.")
        document = {key: value for key, value in document.items() if key != "version"}
    result: _T = _Reader(error, where, ignore).value(cls, document, name)
    return result


def from_text(hint: Any, text: str, error: type[MyoScarSegError], where: str, name: str) -> Any:
    """A value as a command line or a form gives it: ``yes``, ``0.5``, ``0.5,1.4``, or ``none`` for an optional one.

    Raises:
        error: the text is no such value.
    """
    kinds = [_split(kind)[0] for kind in _alternatives(hint)]
    value: Any = text
    if NoneType in kinds and text.lower() == "none":
        value = None
    elif bool in kinds and text.lower() in _FLAGS:
        value = _FLAGS[text.lower()]
    elif any(get_origin(kind) in _LISTS for kind in kinds):
        value = [_number(part) for part in text.split(",")]
    elif int in kinds or float in kinds:
        value = _number(text)
    return _Reader(error, where, False).value(hint, value, name)


def check(instance: Any, error: type[MyoScarSegError], where: str) -> None:
    """For ``__post_init__``: check the fields of a dataclass, and make lists tuples, texts paths, numpy's numbers Python's.

    Raises:
        error: a value is not what the field's type says; the message begins with ``where`` and names the field.
    """
    reader = _Reader(error, where, False)
    for name, hint in field_types(type(instance)).items():
        object.__setattr__(instance, name, reader.value(hint, getattr(instance, name), name))


def to_json(value: Any, *, version: int | None = None) -> Any:
    """A dataclass, or a list or mapping of such, as JSON's own types; ``version`` is written first."""
    if is_dataclass(value) and not isinstance(value, type):
        written = {name: to_json(getattr(value, name)) for name in field_types(type(value))}
        return written if version is None else {"version": version, **written}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(to_json(key)): to_json(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return [to_json(inner) for inner in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [to_json(inner) for inner in value]
    if isinstance(value, Real) and not isinstance(value, (bool, int, float)):  # numpy's
        return int(value) if hasattr(value, "__index__") else float(value)
    return value


def field_types(cls: Any) -> dict[str, Any]:
    """The fields of a dataclass that it can be made with, in order, and their types with :class:`Limits`."""
    return _field_types(cls)[0]


@cache
def _field_types(cls: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The types, and the names of those that have no default."""
    hints = get_type_hints(cls, include_extras=True)
    made_with = [field for field in fields(cls) if field.init]
    needed = tuple(f.name for f in made_with if f.default is MISSING and f.default_factory is MISSING)
    return {field.name: hints[field.name] for field in made_with}, needed


def limits_of(cls: type, name: str) -> Limits:
    """The limits of a field, for a form."""
    found = [_split(kind)[1] for kind in _alternatives(field_types(cls)[name])]
    return next((limits for limits in found if limits is not None), Limits())


def describe(hint: Any) -> str:
    """What a value of this type is, in words: "a whole number from 1 to 10, or null"."""
    plain, limits = _split(hint)
    if len(kinds := _alternatives(hint)) > 1:
        # Python caches unions by their set of types, so their order is that of whoever named the same set first.
        ordered = sorted(kinds, key=lambda kind: (kind is NoneType, _RANKS.get(_split(kind)[0], -1)))
        return " or ".join("null" if kind is NoneType else describe(kind) for kind in ordered)
    if limits is not None and limits.words:
        return limits.words
    if get_origin(plain) is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(plain))}"
    if isinstance(plain, type) and issubclass(plain, Enum):
        return f"one of {', '.join(str(choice.value) for choice in plain)}"
    if (origin := get_origin(plain) or plain) in _LISTS:
        parts = get_args(plain)
        return f"a list of {len(parts)}" if origin is tuple and parts and parts[-1] is not ... else "a list"
    return " ".join(filter(None, (_NAMES.get(plain, "an object"), limits.describe() if limits else ""))).replace(" ,", ",")


class _Reader:
    """Reads one document; keeps what its messages need."""

    def __init__(self, error: type[MyoScarSegError], where: str, ignore: bool) -> None:
        self._error, self._where, self._ignore = error, where, ignore

    def value(self, hint: Any, value: Any, at: str) -> Any:
        """``value`` as the type ``hint`` says; ``at`` is its place in the document."""
        plain, limits = _split(hint)
        plainly = type(value) is plain and (plain in _QUICK or (plain is float and math.isfinite(value)))
        if plainly and (limits is None or limits.allow(value)):  # nearly all that there is
            return value
        origin = _origin(plain)
        if origin in (Union, UnionType):
            return self._one_of(hint, value, at)
        if is_dataclass(plain):
            return self._object(plain, value, at)
        if origin in _LISTS and isinstance(value, (list, tuple, set, frozenset)):
            kinds = get_args(plain)
            if origin is not tuple or kinds[-1] is ...:
                return _LISTS[origin](self.value(kinds[0], part, f"{at}[{number}]") for number, part in enumerate(value))
            if len(kinds) == len(value):
                return tuple(
                    self.value(kind, part, f"{at}[{n}]") for n, (kind, part) in enumerate(zip(kinds, value, strict=True))
                )
        elif origin in (dict, Mapping) and isinstance(value, Mapping):
            key_kind, kind = get_args(plain)
            return {
                self.value(key_kind, _number(key) if key_kind is int else key, f"{at}'s key"): self.value(
                    kind, part, f"{at}.{key}"
                )
                for key, part in value.items()
            }
        else:
            try:
                result = _scalar(plain, value)
                if limits is None or limits.allow(result):
                    return result
            except (TypeError, ValueError, OverflowError):
                pass
        raise self._wrong(at, f"must be {describe(hint)}, not {_SHOWN.repr(value)}")

    def _one_of(self, hint: Any, value: Any, at: str) -> Any:
        kinds = _alternatives(hint)
        if value is None and NoneType in kinds:
            return None
        if len(kinds) == 2 and kinds[1] is NoneType:
            return self.value(kinds[0], value, at)
        kinds = tuple(kind for kind in kinds if kind is not NoneType)
        # Several dataclasses are told apart by a field ``kind: Literal["url"]``.
        named = {name: kind for kind in kinds if is_dataclass(kind) for name in get_args(field_types(kind)["kind"])}
        if named and isinstance(value, Mapping):
            name = self.value(Literal[tuple(named)], value.get("kind"), f"{at}.kind".lstrip("."))
            return self.value(named[name], value, at)
        for kind in sorted(kinds, key=lambda kind: _split(kind)[0] is not type(value)):  # 3 stays whole where both are allowed
            try:
                return self.value(kind, value, at)
            except self._error:
                continue
        raise self._wrong(at, f"must be {describe(hint)}, not {_SHOWN.repr(value)}")

    def _object(self, cls: Any, value: Any, at: str) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise self._wrong(at, f"must be an object, not {_SHOWN.repr(value)}")
        hints, needed = _field_types(cls)
        if not self._ignore and (unknown := sorted(str(key) for key in value if key not in hints)):
            raise self._wrong(at, f"has {_listed(unknown)}, which is not known; known are {', '.join(hints)}")
        if missing := [name for name in needed if name not in value]:
            raise self._wrong(at, f"lacks {_listed(missing)}")
        before = f"{at}." if at else ""
        values = {n: self.value(hint, value[n], before + n) for n, hint in hints.items() if n in value}
        try:
            return cls(**values)
        except MyoScarSegError as reason:  # a rule over several fields
            raise self._error(f"{', '.join(filter(None, (self._where, at)))}: {reason}") from reason

    def _wrong(self, at: str, what: str) -> MyoScarSegError:
        return self._error(f"{self._where}: {at} {what}." if at else f"{self._where} {what}.")


@cache
def _origin(plain: Any) -> Any:
    return get_origin(plain) or plain


@cache
def _split(hint: Any) -> tuple[Any, Limits | None]:
    """A type without ``Annotated``, and the limits that stood there."""
    if get_origin(hint) is not Annotated:
        return hint, None
    plain, *notes = get_args(hint)
    return plain, next((note for note in notes if isinstance(note, Limits)), None)


@cache
def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The alternatives of ``X | None`` and the like, each with the limits of the whole; else the type alone."""
    plain, limits = _split(hint)
    if get_origin(plain) not in (Union, UnionType):
        return (hint,)
    return tuple(m if limits is None or m is NoneType else Annotated[m, limits] for m in get_args(plain))


def _scalar(kind: Any, value: Any) -> Any:
    """``value`` as ``kind``; TypeError, ValueError or OverflowError if it is none."""
    if kind is Any or (kind is bool and isinstance(value, bool)) or (kind is NoneType and value is None):
        return value
    if kind in (int, float) and isinstance(value, Real) and not isinstance(value, bool):
        number = kind(value)
        if math.isfinite(number) and (kind is float or number == value):
            return number
    elif kind is str and isinstance(value, str) and not isinstance(value, Enum):
        return str(value)
    elif kind is Path and isinstance(value, (str, Path)) and str(value):
        return Path(value)
    elif type(value) is kind:
        return value
    elif isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    elif get_origin(kind) is Literal and any(value == choice and type(value) is type(choice) for choice in get_args(kind)):
        return value
    raise ValueError(value)


def _number(text: Any) -> Any:
    """The number that a text stands for; what is none, as it is."""
    for kind in (int, float):
        try:
            return kind(text) if isinstance(text, str) else text
        except ValueError:
            continue
    return text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
