"""The demo: a phantom study as a scene that opens in Slicer with everything in place, made without the application.

:func:`bootstrap` is for the demo and the tests alone: in the application the scene is there.
"""

from __future__ import annotations

import shutil
import tempfile
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util

from MyoScarSegLib.engine.client import Engine, EngineSettings
from MyoScarSegLib.errors import MyoScarSegError, OutputError
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.scene.lge_volumes import add_study
from MyoScarSegLib.scene.scene_console import Console
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.utils.transport import SubprocessTransport

_SLICE_VIEWS = (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal"))
_VIEWS = (("Red", "R", (0.95, 0.31, 0.25)), ("Yellow", "Y", (0.93, 0.84, 0.22)), ("Green", "G", (0.43, 0.69, 0.29)))
_kept: list[Any] = []


def bootstrap(temporary_folder: str | Path, *, views: bool = True) -> Any:
    """A fresh ``vtkMRMLScene`` with what the application would have set up around it; ``slicer.mrmlScene`` and
    ``slicer.modules``, for which ``slicer.util`` asks, are set to it.

    Scene files that are being read or written lie in ``temporary_folder``. With ``views`` it has the three slice nodes of the
    usual layout.
    """
    folder = str(temporary_folder)
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetTemporaryPath(folder)
    application.SetMRMLScene(scene)
    colors = application.GetColorLogic()  # before any label map, or errors about colors are printed
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    application.SetModuleLogic("Colors", colors)
    modules = types.SimpleNamespace()
    for name, logic_class in (
        ("Volumes", slicer.vtkSlicerVolumesLogic),
        ("Markups", slicer.vtkSlicerMarkupsLogic),
        ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic),
        ("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic),
        ("Tables", slicer.vtkSlicerTablesLogic),
        ("Plots", slicer.vtkSlicerPlotsLogic),
    ):
        logic = logic_class()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
    slicer.mrmlScene, slicer.modules = scene, modules
    cache, files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(folder)
    cache.SetMRMLScene(scene)
    files.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(files)
    if views:
        # Presets are given to nodes that the scene has, and to those that it makes; not to those that are added to it.
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        for name, orientation in _SLICE_VIEWS:
            node = scene.CreateNodeByClass("vtkMRMLSliceNode")
            node.UnRegister(None)
            node.SetName(name)
            node.SetSingletonTag(name)
            scene.AddNode(node)
            node.SetLayoutName(name)
            node.SetOrientation(orientation)
    # The scene knows its logics by pointers alone: they must live as long as it does.
    _kept[:] = [application, modules, cache, files]
    return scene


def write_demo_scene(
    path: Path,
    seed: int,
    settings: EngineSettings,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Make a phantom of this seed, propose and segment its scar with these models, and write the scene as an ``.mrb`` file.

    ``cancel`` ends the work within a second; nothing is written then.

    Raises:
        MyoScarSegError: a model cannot be loaded, or fails.
        OutputError: the file cannot be written.
        Cancelled: ``cancel`` was set.
    """
    if path.suffix.lower() != ".mrb":
        raise MyoScarSegError(f"A scene file ends with .mrb; {path.name} does not.")
    with tempfile.TemporaryDirectory(prefix="myoscarseg-") as folder:
        scene = bootstrap(folder)
        engine = Engine(SubprocessTransport)
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
            show_best_slice(scene, StudySession.open(volume))
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
    for name, label, color in _VIEWS:
        node = scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        node.SetLayoutLabel(label)
        node.SetLayoutColor(*color)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetName(name)
        composite.SetLayoutName(name)
        composite.SetSingletonTag(name)
        scene.AddNode(composite).SetBackgroundVolumeID(volume.GetID())


def show_best_slice(scene: Any, session: StudySession) -> None:
    """Turn the first view to the slice with most scar, filled by the image, and choose volume and table."""
    middle, table_id = session.study.slices // 2, session.nodes.results.node.GetID()
    best = max(session.burden.slices, key=lambda s: (s.pixels, -abs(s.slice - middle))).slice
    node = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    session.geometry.align_view(node)
    session.geometry.center_view(node, best)
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    selection.SetActiveVolumeID(session.volume_node.GetID())
    selection.SetActiveTableID(table_id)
    scene.GetFirstNodeByClass("vtkMRMLTableViewNode").SetTableNodeID(table_id)


def _write(scene: Any, folder: Path, path: Path) -> None:
    """Write the scene atomically. The bundle is named after its file, so it is written under that name elsewhere first."""
    bundle = folder / path.name.lstrip(".")
    if not scene.WriteToMRB(str(bundle)):
        raise OutputError(f"The scene cannot be written to {bundle}. Free some space.")
    with atomic_path(path) as temporary:
        shutil.copyfile(bundle, temporary)
