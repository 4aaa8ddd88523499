"""PythonQt's rules on PySide6: properties are attributes, everything else is a method, a signal or an error."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from Testing.support.standins import facts

_MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)

slot_errors: list[str] = []
"""Tracebacks of exceptions in slots: the application prints them and goes on, so a test has to look here."""

refused_connections: list[str] = []
"""Signatures for which ``connect`` returned False."""


class Proxy:
    """A Qt object as Python sees it in the application."""

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        target = self._target
        if name in ("connect", "disconnect") and isinstance(target, QtCore.QObject):
            return lambda signature, slot: getattr(_Connections.of(target), name)(signature, slot)
        member = facts.find(class_name(target), name)
        if member is None or member.kind == "unknown":
            return self._child_or_dynamic(name)
        if member.kind == "property":
            return wrap(target.objectName() if name == "name" else target.property(name))
        if member.kind == "signal":
            return _Signal(target, name)
        if name == "delete":
            return lambda: _delete(target)
        return _call(getattr(target, name[:-1] if name.endswith("_") and not hasattr(target, name) else name))

    def _child_or_dynamic(self, name: str) -> Any:
        target = self._target
        if isinstance(target, QtCore.QObject):
            if name.encode() in [bytes(n.data()) for n in target.dynamicPropertyNames()]:
                return wrap(target.property(name))
            child = target.findChild(QtCore.QObject, name, QtCore.Qt.FindChildOption.FindDirectChildrenOnly)
            if child is not None:
                return wrap(child)
        raise AttributeError(f"{class_name(target)} has no '{name}' in PythonQt")

    def __setattr__(self, name: str, value: Any) -> None:
        target = self._target
        member = facts.find(class_name(target), name)
        if member is None or member.kind != "property" or member.readonly:
            raise AttributeError(f"{class_name(target)}.{name} cannot be assigned in PythonQt")
        if name == "name":
            target.setObjectName(value)
            return
        raw = unwrap(value)
        if isinstance(target.property(name), str) and not isinstance(raw, str):
            raise AttributeError(f"{class_name(target)}.{name} is a text, not {raw!r}")
        if not target.setProperty(name, raw):
            raise AttributeError(f"{class_name(target)}.{name} cannot be {raw!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and (self._target is other._target or _same_value(self._target, other._target))

    def __hash__(self) -> int:
        return hash(id(self._target))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<PythonQt {class_name(self._target)}>"


class ClassProxy:
    """A Qt class: calling it makes an object, its attributes are enum values and static methods."""

    def __init__(self, cls: type) -> None:
        self._class = cls

    def __call__(self, *args: Any) -> Proxy:
        return wrap(self._class(*[unwrap(a) for a in args]))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._class, name, None)
        static_timer = self._class is QtCore.QTimer and name == "singleShot"
        if value is None or (facts.find(self._class.__name__, name) is None and not static_timer):
            raise AttributeError(f"{self._class.__name__} has no '{name}' in PythonQt")
        return _call(value) if callable(value) and not isinstance(value, type) else value


class PythonObject(Proxy):
    """``qt.QObject`` as a base class of Python: its ``eventFilter`` is called by Qt."""

    def __init__(self, parent: Proxy | None = None) -> None:
        me = self

        class Target(QtCore.QObject):
            def eventFilter(self, watched: Any, event: Any) -> bool:
                return bool(me.eventFilter(wrap(watched), wrap(event)))

        Target.__name__ = "QObject"
        super().__init__(Target(unwrap(parent)))

    def eventFilter(self, _watched: Any, _event: Any) -> bool:
        return False

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # classes made in Python accept attributes


def class_name(target: Any) -> str:
    """Name of the nearest class that the application knows."""
    for cls in type(target).__mro__:
        if facts.api().known(cls.__name__):
            return cls.__name__
    raise TypeError(f"{type(target).__name__} is not a class of Qt, CTK or Slicer")


def wrap(value: Any) -> Any:
    """A value from Qt as PythonQt would give it."""
    if isinstance(value, (list, tuple)):
        return type(value)(wrap(v) for v in value)
    if isinstance(value, Proxy) or value is None:
        return value
    if isinstance(value, QtCore.QObject) or (type(value).__module__.startswith("PySide6") and not _is_enum(value)):
        python_side = getattr(value, "_python_side", None)
        return python_side if python_side is not None else Proxy(value)
    return value


def unwrap(value: Any) -> Any:
    """A value for Qt."""
    if isinstance(value, Proxy):
        return value._target
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(v) for v in value)
    return value


def qt_class(name: str) -> Any:
    """``qt.NAME``.

    Raises:
        AttributeError: PythonQt does not wrap such a class.
    """
    if name == "QObject":
        return PythonObject
    found = facts.api().qt_class(name)
    if name == "Qt":
        return QtCore.Qt
    if found is None or name not in facts.api().wrapped:
        raise AttributeError(f"PythonQt has no qt.{name}")
    return ClassProxy(found)


def _is_enum(value: Any) -> bool:
    from enum import Enum

    return isinstance(value, Enum)


def _same_value(one: Any, other: Any) -> bool:
    return not isinstance(one, QtCore.QObject) and type(one) is type(other) and bool(one == other)


def _call(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: wrap(function(*[unwrap(a) if not callable(a) or isinstance(a, Proxy) else a for a in args]))


def _delete(target: Any) -> None:
    import shiboken6

    shiboken6.delete(target)


class _Connections:
    """The connections of one object, so that they can be taken back."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._made: dict[tuple[str, Any], Any] = {}

    @staticmethod
    def of(target: Any) -> _Connections:
        found = getattr(target, "_connections", None)
        if found is None:
            found = target._connections = _Connections(target)
        return found

    def connect(self, signature: str, slot: Callable[..., Any]) -> bool:
        problem = "no brackets" if "(" not in signature else facts.signature_problem(class_name(self._target), signature)
        if problem:
            refused_connections.append(f"{class_name(self._target)}: {signature}: {problem}")
            return False
        relay = _with_arguments(_relay(slot), _normal(signature))
        _signal(self._target, signature).connect(relay)
        self._made[_normal(signature), slot] = relay
        return True

    def disconnect(self, signature: str, slot: Callable[..., Any]) -> bool:
        relay = self._made.pop((_normal(signature), slot), None)
        if relay is None:
            return False
        _signal(self._target, signature).disconnect(relay)
        return True


class _Signal:
    def __init__(self, target: Any, name: str) -> None:
        self._target, self._name = target, name
        self._made: dict[Any, Any] = {}

    def connect(self, slot: Callable[..., Any]) -> None:
        relay = self._made[slot] = _relay(slot)
        getattr(self._target, self._name).connect(relay)

    def emit(self, *args: Any) -> None:
        getattr(self._target, self._name).emit(*[unwrap(a) for a in args])


def _normal(signature: str) -> str:
    return facts.checker().normalized(signature)


def _signal(target: Any, signature: str) -> Any:
    name, _, arguments = _normal(signature).partition("(")
    signal = getattr(target, name)
    try:
        return signal[f"{name}({arguments}"]
    except (IndexError, KeyError, TypeError):
        return signal


def _relay(slot: Callable[..., Any]) -> Callable[..., None]:
    """``slot`` with PythonQt's rule for arguments: what it does not take is dropped; what it raises is printed."""
    takes = _positional(slot)

    def relay(*args: Any) -> None:
        try:
            slot(*[wrap(a) for a in args[:takes]])
        except Exception:
            slot_errors.append(traceback.format_exc())
            sys.excepthook(*sys.exc_info())  # as the application does

    return relay


def _with_arguments(relay: Callable[..., None], signature: str) -> Callable[..., None]:
    """PySide looks at how many arguments a slot takes, and sends no more."""
    inside = signature.partition("(")[2].rstrip(")")
    count = inside.count(",") + 1 if inside else 0
    return (lambda: relay(), lambda a: relay(a), lambda a, b: relay(a, b), lambda a, b, c: relay(a, b, c))[count]


def _positional(slot: Callable[..., Any]) -> int | None:
    if not (inspect.isfunction(slot) or inspect.ismethod(slot)):
        return None
    kinds = [p.kind for p in inspect.signature(slot).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
