"""What a model gives for a study, what a reader paints, and all that a study holds, for the tests of the scene layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.prompts import Point
from MyoScarSegLib.result import SliceMasks
from MyoScarSegLib.scene.attributes import nodes_by_class
from Testing.support.workflow_factory import paint_in_scene

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession


def blob(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    """float32 ``[row, column]``: probability of a round scar, 0.5 at ``radius`` pixels from ``(x, y)`` in pixel edges."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    distance = np.hypot(columns - x, rows - y)
    return (1 / (1 + np.exp(np.clip(distance - radius, -30, 30)))).astype(np.float32)


def masks(
    *slices: int,
    radius: float = 6.0,
    x: float = 24.0,
    shape: tuple[int, int] = (40, 48),
    provenance: dict[str, str] | None = None,
) -> SliceMasks:
    """What a segmenter gives for these slices: a round scar. ``provenance`` beside its name and checksum."""
    return SliceMasks(
        probability={k: blob(shape, x, 20.0, radius) for k in slices},
        scores=dict.fromkeys(slices, 0.8),
        provenance={"segmenter": "tiny", "segmenter_sha256": "0" * 64, **(provenance or {})},
    )


def paint(session: StudySession, k: int, value: bool = True, rows: slice = slice(2, 6)) -> None:
    """As the Segment Editor does it: the whole segment is replaced, past the session, which hears of it from the node."""
    array = session.mask()
    array[k, rows, 2:9] = value
    replace_segment(session, array)


def replace_segment(session: StudySession, mask: np.ndarray) -> None:
    """Write the segment past the session, and have it take that up, as the next turn of the application does."""
    paint_in_scene(session.volume_node, session.segmentation.ensure_node(), session.geometry.to_volume(mask))
    session.pump()


def save_mrb(scene: Any, folder: Path) -> Callable[[Any], None]:
    """Write a scene as one file. Returns what reads it into another."""
    import slicer

    path = folder / "study.mrb"
    assert scene.WriteToMRB(str(path))

    def load(into: Any) -> None:
        assert into.ReadFromMRB(str(path), True, slicer.vtkMRMLMessageCollection())

    return load


def save_folder(scene: Any, folder: Path) -> Callable[[Any], None]:
    """Likewise as *Save data* with a .mrml file: each node's file beside it."""
    files = folder / "scene"
    files.mkdir()
    scene.SetRootDirectory(str(files))
    for node in nodes_by_class(scene, "vtkMRMLStorableNode"):
        if not node.GetSaveWithScene() or (node.GetStorageNode() is None and not node.AddDefaultStorageNode()):
            continue
        storage = node.GetStorageNode()
        extension = storage.GetDefaultWriteFileExtension()
        storage.SetFileName(str(files / f"{node.GetName().replace(' ', '_')}-{node.GetID()}.{extension}"))
        assert storage.WriteData(node), node.GetName()
    path = files / "scene.mrml"
    assert scene.Commit(str(path))

    def load(into: Any) -> None:
        into.SetURL(str(path))
        assert into.Connect()

    return load


def reload(scene: Any, folder: Path, save: Callable[[Any, Path], Callable[[Any], None]] = save_mrb) -> None:
    """Save a scene, close it, and read it again."""
    load = save(scene, folder)
    scene.Clear(0)
    load(scene)


def fresh_scene(tmp_path_factory: Any) -> Any:
    """Another scene, with nothing in it."""
    from MyoScarSegLib.scene.demo_scene import bootstrap

    return bootstrap(tmp_path_factory.mktemp("fresh"))


def everything(session: StudySession) -> tuple[Any, ...]:
    """All that a step may change, comparable; the nodes of the scene must say the same as the state."""
    session.refresh()
    nodes, state = session.nodes, session.state
    assert tuple(nodes.boxes.read().rows) == state.boxes
    assert _places(nodes.points.read()) == _places(state.points)
    mask = session.mask()
    assert np.array_equal(nodes.segmentation.mask(), mask)
    probability = state.probabilities(session.geometry.shape)
    if nodes.probability.node is not None:
        kept = nodes.probability.read(range(len(probability)))
        assert all(np.array_equal(kept[k], array) for k, array in enumerate(probability))
    settings = state.threshold, state.growth_mm
    return state.boxes, tuple(_places(state.points)), mask.tobytes(), (probability.tobytes(), tuple(state.segmented)), settings


def _places(points: Iterable[Point]) -> list[tuple[int, float, float, bool]]:
    return sorted((p.slice, round(p.x, 3), round(p.y, 3), p.positive) for p in points)
