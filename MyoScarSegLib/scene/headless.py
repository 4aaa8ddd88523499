"""A scene without the application: the nodes, logics and storage that MRML needs, on ``slicer-core``."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError

_SLICE_VIEWS = (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal"))
_kept: list[Any] = []


def bootstrap(temporary_folder: str | Path, *, views: bool = True) -> Any:
    """A fresh scene, with what the application would have set up around it.

    ``slicer.mrmlScene`` and ``slicer.modules`` are set to it, for ``slicer.util`` asks for them.

    Args:
        temporary_folder: for scene files that are being read or written.
        views: make the three slice nodes of the usual layout.

    Returns:
        The ``vtkMRMLScene``.

    Raises:
        MyoScarSegError: ``slicer-core`` is not installed.
    """
    try:
        import slicer
        import slicer.util
    except ImportError as error:
        raise MyoScarSegError(
            "A Slicer scene can be made only with the package slicer-core: pip install 'myoscarseg[scene]'."
        ) from error
    folder = str(temporary_folder)
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetTemporaryPath(folder)
    application.SetMRMLScene(scene)
    colors = application.GetColorLogic()  # before any label map, or errors about colours are printed
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
