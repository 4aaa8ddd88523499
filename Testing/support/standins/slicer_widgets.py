"""The few Slicer widgets of the panel, and the slice views around it, on real MRML."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Property, QObject, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget


def _kept(name: str, kind: Any) -> Any:
    """A property that is only remembered."""
    return Property(kind, lambda self: self._values.get(name), lambda self, value: self._values.__setitem__(name, value))


class qMRMLNodeComboBox(QWidget):
    """Chooses among the nodes of some classes in a scene."""

    currentNodeChanged = Signal(object)
    nodeTypes = _kept("nodeTypes", "QStringList")
    noneDisplay = _kept("noneDisplay", str)
    noneEnabled = _kept("noneEnabled", bool)
    showChildNodeTypes = _kept("showChildNodeTypes", bool)
    addEnabled = _kept("addEnabled", bool)
    removeEnabled = _kept("removeEnabled", bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo = QComboBox()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self._scene: Any = None
        self._ids: list[str | None] = []
        self._values: dict[str, Any] = {"nodeTypes": [], "noneDisplay": "", "noneEnabled": False}
        self._told: Any = None
        self._combo.currentIndexChanged.connect(lambda _index: self._tell())

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        events = slicer.vtkMRMLScene
        for event in (events.NodeAddedEvent, events.NodeRemovedEvent, events.EndCloseEvent, events.EndImportEvent):
            scene.AddObserver(event, lambda *_: self._fill())
        self._fill()

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        index = self._combo.currentIndex()
        node_id = self._ids[index] if 0 <= index < len(self._ids) else None
        return self._scene.GetNodeByID(node_id) if self._scene is not None and node_id else None

    def setCurrentNode(self, node: Any) -> None:
        node_id = node.GetID() if node is not None else None
        if node_id in self._ids:
            self._combo.setCurrentIndex(self._ids.index(node_id))

    def _fill(self) -> None:
        chosen = self.currentNode()
        self._combo.blockSignals(True)
        self._combo.clear()
        nodes = [
            node
            for name in self._values["nodeTypes"]
            for node in slicer.util.getNodesByClass(name, self._scene)
            if node.GetClassName() == name and not node.GetHideFromEditors()
        ]
        self._ids = [None] * bool(self._values["noneEnabled"]) + [node.GetID() for node in nodes]
        self._combo.addItems([self._values["noneDisplay"]] * bool(self._values["noneEnabled"]) + [n.GetName() for n in nodes])
        self._combo.blockSignals(False)
        if chosen is not None:
            self.setCurrentNode(chosen)
        self._tell()

    def _tell(self) -> None:
        node = self.currentNode()
        if node is not self._told:
            self._told = node
            self.currentNodeChanged.emit(node)


class qMRMLSegmentEditorWidget(QWidget):
    """Remembers what it was given; painting is the application's."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes: dict[str, Any] = {}
        column = QVBoxLayout(self)
        column.addWidget(QLabel("(Segment Editor)"))

    def setMRMLScene(self, scene: Any) -> None:
        self._nodes["scene"] = scene

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._nodes["editor"] = node

    def setSegmentationNode(self, node: Any) -> None:
        self._nodes["segmentation"] = node

    def segmentationNode(self) -> Any:
        return self._nodes.get("segmentation")

    def setSourceVolumeNode(self, node: Any) -> None:
        self._nodes["volume"] = node

    def setCurrentSegmentID(self, name: str) -> None:
        self._nodes["segment"] = name

    def setActiveEffect(self, effect: Any) -> None:
        self._nodes["effect"] = effect

    def activeEffect(self) -> Any:
        return self._nodes.get("effect")

    def setEffectNameOrder(self, names: list[str]) -> None:
        self._nodes["effects"] = names

    def setupViewObservations(self) -> None:
        self._nodes["observing"] = True

    def removeViewObservations(self) -> None:
        self._nodes["observing"] = False

    def updateWidgetFromMRML(self) -> None:
        pass

    for _flag in (
        "segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible", "switchToSegmentationsButtonVisible",
        "addRemoveSegmentButtonsVisible", "specifyGeometryButtonVisible", "show3DButtonVisible", "unorderedEffectsVisible",
        "undoEnabled",
    ):  # fmt: skip
        vars()[_flag] = Property(bool, lambda self: True, lambda self, on: None)


class qMRMLSliceView(QWidget):
    """A view without a picture: what the mouse does in it is real."""

    def __init__(self, slice_node: Any) -> None:
        super().__init__()
        self._slice_node = slice_node
        # One that brings no OpenGL of its own: Mesa's LLVM and that of torch's compiler do not go together in one process.
        self._window = vtk.vtkGenericOpenGLRenderWindow()
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.SetSize(*slice_node.GetDimensions()[:2])

    def interactor(self) -> Any:
        return self._interactor

    def renderWindow(self) -> Any:
        return self._window

    def mrmlSliceNode(self) -> Any:
        return self._slice_node

    def setViewCursor(self, cursor: Any) -> None:
        self._cursor = cursor

    def unsetViewCursor(self) -> None:
        self._cursor = None

    def setDefaultViewCursor(self, cursor: Any) -> None:
        self._default_cursor = cursor

    def scheduleRender(self) -> None:
        pass


class qMRMLSliceWidget(QWidget):
    """A slice view with its node."""

    def __init__(self, slice_node: Any) -> None:
        super().__init__()
        self._view = qMRMLSliceView(slice_node)

    def sliceView(self) -> Any:
        return self._view

    def mrmlSliceNode(self) -> Any:
        return self._view.mrmlSliceNode()


class qMRMLPlotView(QWidget):
    """A plot view that only counts how often its axes were made to fit."""

    def __init__(self) -> None:
        super().__init__()
        self._fitted = 0

    def fitToContent(self) -> None:
        self._fitted += 1


class qMRMLPlotWidget(QWidget):
    """A plot view with its bar."""

    def __init__(self) -> None:
        super().__init__()
        self._view = qMRMLPlotView()

    def plotView(self) -> Any:
        return self._view


class qSlicerLayoutManager(QObject):
    """The slice views of the scene's slice nodes, and a plot view."""

    layoutChanged = Signal(int)

    def __init__(self, scene: Any) -> None:
        super().__init__()
        self._layout = int(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._plot = qMRMLPlotWidget()
        nodes = [scene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in ("Red", "Yellow", "Green")]
        nodes = [node for node in nodes if node is not None]
        for node in nodes:
            node.SetMappedInLayout(1)
        # In no order, as the application gives them, and with a view of another layout.
        self._widgets = {node.GetLayoutName(): qMRMLSliceWidget(node) for node in reversed(nodes)}

    def sliceViewNames(self) -> list[str]:
        return list(self._widgets)

    def sliceWidget(self, name: str) -> Any:
        return self._widgets.get(name)

    def setLayout(self, layout: int) -> None:
        if layout != self._layout:
            self._layout = layout
            self.layoutChanged.emit(layout)

    def plotWidget(self, number: int) -> Any:
        return self._plot if number == 0 else None

    layout = Property(int, lambda self: self._layout, lambda self, layout: self.setLayout(layout))
    plotViewCount = Property(int, lambda self: 1)
