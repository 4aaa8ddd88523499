"""A phantom study as a scene that opens in Slicer with everything in place."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.engine.client import Engine, EngineSettings
from MyoScarSegLib.errors import MyoScarSegError, OutputError
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.scene.console import Console
from MyoScarSegLib.scene.geometry import place_slices
from MyoScarSegLib.scene.headless import bootstrap
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.uneven import mean_grid, slice_origins
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.utils.transport import SubprocessTransport

_VIEWS = (("Red", "R", (0.95, 0.31, 0.25)), ("Yellow", "Y", (0.93, 0.84, 0.22)), ("Green", "G", (0.43, 0.69, 0.29)))


def add_study(scene: Any, study: Study, name: str, window: tuple[float, float] | None = None) -> Any:
    """Add a study's voxels to a scene as a scalar volume with window and level for LGE. Returns the node.

    A left-handed stack gets its slices in reverse order, as Slicer does when it reads one from a file. An uneven one is evenly
    spaced below a transform that puts every slice where it lies, as after Slicer's DICOM import with regularized geometry.

    Args:
        scene: the MRML scene.
        study: with its voxels.
        name: of the node.
        window: grey values that are black and white; None for what suits LGE, which takes a while to find in a large stack.
    """
    voxels, geometry = np.asarray(study.voxels, dtype=np.float32), mean_grid(study.geometry) or study.geometry
    origins = None if geometry is study.geometry else slice_origins(study.geometry) * (-1, -1, 1)
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.direction * np.asarray(geometry.spacing_mm or (1.0, 1.0, 1.0))
    matrix[:3, 3] = geometry.origin_mm
    matrix[:2] *= -1  # LPS, as files have it, to the scene's RAS
    if np.linalg.det(matrix[:3, :3]) < 0:
        matrix[:3, 3] += matrix[:3, 2] * (study.slices - 1)
        matrix[:3, 2] *= -1
        voxels = voxels[::-1]
        origins = None if origins is None else origins[::-1]
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(volume, np.ascontiguousarray(voxels))
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    if origins is not None:
        place_slices(volume, origins)
    volume.CreateDefaultDisplayNodes()
    low, high = np.percentile(voxels, (1.0, 99.5)) if window is None else window
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(float(low), float(high))
    return volume


def write_demo_scene(
    path: Path,
    seed: int,
    settings: EngineSettings,
    *,
    python: str | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Make a phantom, propose and segment its scar, and write the scene.

    Args:
        path: ``.mrb`` file.
        seed: of the phantom.
        settings: models and device.
        python: interpreter of the worker; this process's own if None.
        progress: called per slice.
        cancel: ends the work within a second; nothing is written then.

    Raises:
        MyoScarSegError: a model cannot be loaded, or fails.
        OutputError: the file cannot be written.
        Cancelled: ``cancel`` was set.
    """
    if path.suffix.lower() != ".mrb":
        raise MyoScarSegError(f"A scene file ends with .mrb; {path.name} does not.")
    with tempfile.TemporaryDirectory(prefix="myoscarseg-") as folder:
        scene = bootstrap(folder)
        engine = Engine(SubprocessTransport, python=python)
        workflow = Workflow(scene, engine)
        workflow.configure(settings)
        try:
            engine.start()
            volume = add_study(scene, make_phantom(seed).study, "LGE phantom")
            prepare_views(scene, volume)
            console = Console(workflow)

            def report(done: int, total: int, message: str) -> None:
                progress(done, total, message)
                if cancel is not None and cancel.cancelled:
                    console.cancel()

            console.process(volume, progress=report)
            while workflow.views is not None and workflow.views.pending:
                workflow.pump()  # a few boxes get their views at each turn
            show_best_slice(scene, workflow)
            _write(scene, Path(folder), path)
        finally:
            workflow.close()
            engine.stop()
    return path


def prepare_views(scene: Any, volume: Any) -> None:
    """Slice views with the volume in them, beside the table: what Slicer shows on opening the scene."""
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)  # adds the layout node, and with the arrangement its view nodes
    logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    logic.SetMRMLScene(None)
    for name, label, colour in _VIEWS:
        node = scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        node.SetLayoutLabel(label)
        node.SetLayoutColor(*colour)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetName(name)
        composite.SetLayoutName(name)
        composite.SetSingletonTag(name)
        scene.AddNode(composite).SetBackgroundVolumeID(volume.GetID())


def show_best_slice(scene: Any, workflow: Workflow) -> None:
    """Turn the first view to the slice with most scar, filled by the image, and choose volume and table."""
    session, burden = workflow.session, workflow.burden
    if session is None or burden is None:
        return
    geometry, study = session.geometry, session.study
    best = max(burden.slices, key=lambda s: (s.pixels, -abs(s.slice - study.slices // 2))).slice
    node = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    geometry.align_view(node)
    node.JumpSliceByCentering(*geometry.middle(best))
    row_mm, column_mm = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    rows, columns = study.slice_shape
    width, height, _depth = node.GetDimensions()
    mm_per_view_pixel = max(columns * column_mm / width, rows * row_mm / height)
    node.SetFieldOfView(mm_per_view_pixel * width, mm_per_view_pixel * height, node.GetFieldOfView()[2])
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    selection.SetActiveVolumeID(session.volume_node.GetID())
    selection.SetActiveTableID(session.results.node.GetID())
    table_view = scene.GetFirstNodeByClass("vtkMRMLTableViewNode")
    table_view.SetTableNodeID(session.results.node.GetID())


def _write(scene: Any, folder: Path, path: Path) -> None:
    """Write the scene atomically. The bundle is named after its file, so it is written under that name elsewhere first."""
    bundle = folder / path.name.lstrip(".")
    if not scene.WriteToMRB(str(bundle)):
        raise OutputError(f"The scene cannot be written to {bundle}. Free some space.")
    with atomic_path(path) as temporary:
        shutil.copyfile(bundle, temporary)
