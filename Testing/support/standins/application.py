"""The application: `slicer.app`, its windows and helpers, and the base classes of scripted modules."""

from __future__ import annotations

import sys
import types
import unittest
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from PySide6 import QtCore, QtUiTools, QtWidgets

from Testing.support.standins import ctk_widgets, slicer_widgets
from Testing.support.standins.pythonqt import ClassProxy, Proxy, qt_class, unwrap, wrap

_CTK = {"ctkCollapsibleButton", "ctkCollapsibleGroupBox", "ctkSliderWidget"}
_SLICER = {"qMRMLNodeComboBox", "qMRMLSegmentEditorWidget"}


class qSlicerApplication(QtWidgets.QApplication):
    """What the module asks the application for."""

    def __init__(self, scene: Any, folder: Path) -> None:
        super().__init__([])
        self.begin(scene, folder)

    def begin(self, scene: Any, folder: Path) -> None:
        """Start afresh, as a test does: a process has one Qt application only."""
        self._layout_manager = slicer_widgets.qSlicerLayoutManager(scene)
        self._settings = QtCore.QSettings(str(folder / "settings.ini"), QtCore.QSettings.Format.IniFormat)
        self.modules_shown: list[str] = []
        self.draws: list[bool] = []  # False where drawing was held back, True where it went on

    def layoutManager(self) -> Any:
        return self._layout_manager

    def settings(self) -> Any:
        return self._settings

    def pauseRender(self) -> None:
        self.draws.append(False)

    def resumeRender(self) -> None:
        self.draws.append(True)


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleWidget:
    """Shows a module in a container with the attributes of the application's."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.layout = parent.layout()
        self.moduleName = type(self).__name__.removesuffix("Widget")

    def setup(self) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")


class ScriptedLoadableModuleTest(unittest.TestCase):
    pass


class _Loader(QtUiTools.QUiLoader):
    def __init__(self) -> None:
        super().__init__()
        for module, names in ((ctk_widgets, _CTK), (slicer_widgets, _SLICER)):
            for name in names:
                self.registerCustomWidget(getattr(module, name))


def load_ui(path: str) -> Any:
    """``slicer.util.loadUI``."""
    return wrap(_Loader().load(path))


def child_widget_variables(widget: Any) -> Any:
    """``slicer.util.childWidgetVariables``."""
    found = types.SimpleNamespace()
    root = unwrap(widget)
    for child in [root, *root.findChildren(QtCore.QObject)]:
        # A layout without items is false in PythonQt, and left out.
        empty = isinstance(child, QtWidgets.QLayout) and not child.count()
        if child.objectName() and not child.objectName().startswith("qt_") and not empty:
            setattr(found, child.objectName(), wrap(child))
    return found


class Application:
    """Everything of it, put where the module looks for it.

    Attributes:
        scene: the MRML scene.
        window: main window with the module's container in it.
    """

    def __init__(self, scene: Any, folder: Path, monkeypatch: Any) -> None:
        self.scene = scene
        existing = QtWidgets.QApplication.instance()
        if existing is None:
            self.app = qSlicerApplication(scene, folder)
        else:
            self.app = existing
            self.app.begin(scene, folder)
        self._widgets: dict[str, Any] = {}
        self.window = QtWidgets.QMainWindow()
        area = QtWidgets.QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        container = QtWidgets.QWidget()
        QtWidgets.QVBoxLayout(container)
        area.setWidget(container)
        self.window.setCentralWidget(area)
        self.window.resize(420, 1000)
        self._container = container
        self._install(monkeypatch)

    def module_place(self) -> Any:
        """What a module's widget gets as its parent."""
        container = self._container

        class Place:
            isEntered = False

            def layout(self) -> Any:
                return wrap(container.layout())

        return Place()

    def show_module(self, name: str, widget: Any) -> None:
        """Let ``slicer.util.getModuleWidget`` find a module's widget."""
        self._widgets[name] = widget

    def widget(self, name: str) -> Any:
        """The module's widget as it is now; a reload makes another one."""
        return self._widgets[name]

    def reload(self, name: str) -> Any:
        """What the application does on *Reload*: neither exit() nor enter(), and ``isEntered`` is true in setup()."""
        code = sys.modules[name]
        spec = code.__spec__
        spec.loader.exec_module(code)
        for child in self._container.children():
            if isinstance(child, QtWidgets.QWidget):
                child.hide()
        self._widgets[name].cleanup()
        layout = self._container.layout()
        while layout.count():
            layout.takeAt(0)
        place = self.module_place()
        place.isEntered = True
        widget = getattr(code, f"{name}Widget")(place)
        self.show_module(name, widget)
        widget.setup()
        return widget

    def close(self) -> None:
        """Take the window down; the Qt application stays."""
        self.window.close()
        self.window.deleteLater()
        self.app.processEvents()

    def _install(self, monkeypatch: Any) -> None:
        qt, ctk = types.ModuleType("qt"), types.ModuleType("ctk")
        qt.__getattr__ = qt_class  # type: ignore[method-assign]
        for name in _CTK:
            setattr(ctk, name, ClassProxy(getattr(ctk_widgets, name)))
        i18n, base = types.ModuleType("slicer.i18n"), types.ModuleType("slicer.ScriptedLoadableModule")
        i18n.tr = lambda text: text
        i18n.translate = lambda context, text: text
        i18n.getContext = lambda file: Path(file).stem
        for cls in (
            ScriptedLoadableModule,
            ScriptedLoadableModuleWidget,
            ScriptedLoadableModuleLogic,
            ScriptedLoadableModuleTest,
        ):
            setattr(base, cls.__name__, cls)
        base.__all__ = [name for name in vars(base) if name.startswith("Scripted")]
        for name, module in {
            "qt": qt, "ctk": ctk, "slicer.i18n": i18n, "slicer.ScriptedLoadableModule": base,
        }.items():  # fmt: skip
            monkeypatch.setitem(sys.modules, name, module)
        put = monkeypatch.setattr
        for name in _SLICER:
            put(slicer, name, ClassProxy(getattr(slicer_widgets, name)), raising=False)
        put(slicer, "app", Proxy(self.app), raising=False)
        put(slicer, "i18n", i18n, raising=False)
        put(slicer.util, "loadUI", load_ui)
        put(slicer.util, "childWidgetVariables", child_widget_variables)
        put(slicer.util, "mainWindow", lambda: wrap(self.window))
        put(slicer.util, "selectModule", self.app.modules_shown.append)
        put(slicer.util, "resetSliceViews", lambda: None)
        put(slicer.util, "getModuleWidget", self._widgets.__getitem__)
        put(slicer.util, "reloadScriptedModule", self.reload)
