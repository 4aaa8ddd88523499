"""What happens to the scene around a study: its volume or a node of ours is deleted, the scene is closed, another is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import slicer

from MyoScarSegLib.scene.observers import Observers

_log = logging.getLogger(__name__)


class SceneEvents:
    """Turns the scene's events into calls.

    The callbacks are called from within MRML's own, where an error would be printed and lost: they are logged with their
    traceback instead. Node removals during a close are not reported one by one.
    """

    def __init__(
        self,
        scene: Any,
        *,
        removed: Callable[[Any], None],
        closing: Callable[[], None],
        closed: Callable[[], None],
        imported: Callable[[], None],
    ) -> None:
        self._removed, self._on_closing, self._on_closed, self._on_imported = removed, closing, closed, imported
        self._closing = False
        self._observers = Observers()
        events = slicer.vtkMRMLScene
        self._observers.add(scene, events.StartCloseEvent, self._start_close)
        self._observers.add(scene, events.EndCloseEvent, self._end_close)
        self._observers.add(scene, events.EndImportEvent, self._end_import)
        self._observers.add(scene, events.NodeRemovedEvent, self._node_removed, with_node=True)

    def stop(self) -> None:
        """Observe no longer."""
        self._observers.clear()

    def _start_close(self, _scene: Any) -> None:
        self._closing = True
        _guarded(self._on_closing)

    def _end_close(self, _scene: Any) -> None:
        self._closing = False
        _guarded(self._on_closed)

    def _end_import(self, _scene: Any) -> None:
        _guarded(self._on_imported)

    def _node_removed(self, node: Any) -> None:
        if node is not None and not self._closing:
            _guarded(lambda: self._removed(node))


class VolumeEvents:
    """Calls ``changed()`` when a volume's voxels or its place in the world change."""

    def __init__(self, volume_node: Any, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._observers = Observers()
        for event in (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent):
            self._observers.add(volume_node, event, self._on_changed)

    def stop(self) -> None:
        """Observe no longer."""
        self._observers.clear()

    def _on_changed(self, _volume: Any) -> None:
        _guarded(self._changed)


def _guarded(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        _log.exception("What follows a change of the scene failed")
