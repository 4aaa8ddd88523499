"""What happens to the scene around a study: its volume or a node of ours is deleted, the scene is closed, another is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import slicer
import vtk

_log = logging.getLogger(__name__)


class SceneWatcher:
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
        self._scene = scene
        self._removed = removed
        self._closing = False

        def start_close(*_: Any) -> None:
            self._closing = True
            _guarded(closing)

        def end_close(*_: Any) -> None:
            self._closing = False
            _guarded(closed)

        events = slicer.vtkMRMLScene
        self._tags = [
            scene.AddObserver(events.StartCloseEvent, start_close),
            scene.AddObserver(events.EndCloseEvent, end_close),
            scene.AddObserver(events.EndImportEvent, lambda *_: _guarded(imported)),
            scene.AddObserver(events.NodeRemovedEvent, self._on_node_removed),
        ]

    def stop(self) -> None:
        """Watch no longer."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_removed(self, _caller: Any, _event: str, node: Any) -> None:
        if node is not None and not self._closing:
            _guarded(lambda: self._removed(node))


class VolumeWatcher:
    """Calls ``changed()`` when a volume's voxels or its place in the world change."""

    def __init__(self, volume_node: Any, changed: Callable[[], None]) -> None:
        self._node = volume_node
        events = (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
        self._tags = [volume_node.AddObserver(event, lambda *_: _guarded(changed)) for event in events]

    def stop(self) -> None:
        """Watch no longer."""
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._tags = []


def _guarded(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        _log.exception("Following a change of the scene failed")
