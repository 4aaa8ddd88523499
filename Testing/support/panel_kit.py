"""Opens the module in the stand-in application, and drives it as a user would."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.standins.application import Application
from Testing.support.standins.pythonqt import refused_connections, slot_errors, unwrap
from Testing.support.until import until

_WAITING = {
    "sleep", "wait", "waitpid", "communicate", "_wait_for_tstate_lock", "waitForFinished", "waitForStarted",
    "waitForReadyRead", "waitForBytesWritten",
}  # fmt: skip
MODULE_FILE = Path(__file__).resolve().parents[2] / "MyoScarSeg" / "MyoScarSeg.py"


class Module:
    """The opened module.

    Attributes:
        application: around it.
        widget: the module's widget class's object.
        panel, ui, workflow, engine: of it.
        models: files that it was opened with.
    """

    def __init__(self, application: Application, code: Any, widget: Any, detector: Path | None, segmenter: Path | None) -> None:
        self.application = application
        self.scene = application.scene
        self.code = code
        self.widget = widget
        self.models = {"detect": detector, "segment": segmenter}
        self._waits: list[str] | None = None

    @property
    def panel(self) -> Any:
        return self.widget.panel

    @property
    def ui(self) -> Any:
        return self.panel.segment.ui

    @property
    def tab(self) -> Any:
        """The training tab."""
        return self.panel.training

    @property
    def training(self) -> Any:
        """The training workflow."""
        return self.tab.workflow

    def named(self, name: str) -> Any:
        """A widget of the first or the second tab by name."""
        return getattr(self.ui, name, None) or getattr(self.tab.ui, name)

    @property
    def workflow(self) -> Any:
        return self.panel.workflow

    @property
    def engine(self) -> Any:
        return self.panel.engine

    @property
    def session(self) -> Any:
        return self.workflow.session

    def turn(self) -> None:
        """One turn of the event loop."""
        self._held(self.application.app.processEvents)

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """In this block, what turns and clicks call that waits for something and so holds up the user is noted in a list."""
        self._waits = []
        try:
            yield self._waits
        finally:
            self._waits = None

    def _held(self, call: Callable[[], object]) -> None:
        waits = self._waits
        if waits is None:
            call()
            return

        def note(frame: Any, event: str, argument: Any) -> None:
            name = argument.__name__ if event == "c_call" else frame.f_code.co_name if event == "call" else ""
            if name in _WAITING:
                waits.append(f"{name} in {frame.f_code.co_filename}:{frame.f_lineno}")

        sys.setprofile(note)
        try:
            call()
        finally:
            sys.setprofile(None)

    def until(self, condition: Callable[[], Any], timeout_s: float = 60.0, *, what: str = "") -> None:
        """Let the application run until something holds.

        Raises:
            AssertionError: it does not within the time.
        """
        until(condition, lambda: f"{what}; {self.workflow.error!r}, {self.engine.error!r}", turn=self.turn, timeout_s=timeout_s)
        self.settle()

    def settle(self, seconds: float = 0.05) -> None:
        """Let what has happened be shown: for some time, and on a busy computer for some turns as well."""
        end, turns = time.monotonic() + seconds, 0
        while time.monotonic() < end or turns < 15:
            self.turn()
            time.sleep(0.002)
            turns += 1

    def click(self, name: str) -> None:
        """Press a button of the form with the mouse: one that is disabled or hidden cannot be."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest

        button = unwrap(self.named(name))
        end = time.monotonic() + 3  # a reader waits, too, until the panel has shown what was done before
        while not button.isEnabled() and time.monotonic() < end:
            self.settle()
        assert button.isEnabled(), f"{name} is disabled: {button.toolTip()}"
        assert button.isVisible(), f"{name} is not shown"
        place = QPoint(8, button.height() // 2)
        self._held(lambda: QTest.mouseClick(button, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place))
        self.settle()

    def begin(self, *, live: bool = False, waits: bool = False, **volume: Any) -> None:
        """Have a fresh study alone in the scene, chosen and shown, and no tool in hand; ``waits``: no worker is asked."""
        self.workflow.set_automatic(waits=waits)
        self.panel.segment.mouse.use(None)
        self.scene.Clear(0)
        self.settle()
        self.workflow.set_automatic(live=live)
        add_volume(self.scene, **volume)
        self.panel.segment.study.choose_likely()

    def show_train(self) -> None:
        """Go to the training tab, as a click on its heading does."""
        self.panel.tabs.setCurrentIndex(1)
        self.settle()

    def key(self, keys: str) -> None:
        """Press keys in the main window, as ``Ctrl+Shift+Return``."""
        from PySide6.QtGui import QKeySequence
        from PySide6.QtTest import QTest

        combination = QKeySequence(keys)[0]
        self.application.window.activateWindow()
        self.turn()
        QTest.keyClick(self.application.window, combination.key(), combination.keyboardModifiers())
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float], view: str = "Red") -> bool:
        """Drag in a slice view, in pixels of the study's slice. Returns whether our observers stopped the events."""
        positions = [self.display(view, *start), self.display(view, (start[0] + end[0]) / 2, end[1]), self.display(view, *end)]
        events = ["LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent"]
        reached: list[str] = []
        interactor = self.interactor(view)
        tags = [interactor.AddObserver(event, lambda _caller, name: reached.append(name), -10.0) for event in events]
        for event, (x, y) in zip(events, positions, strict=True):
            interactor.SetEventInformation(x, y, 0, 0, "\0", 0, None)
            interactor.InvokeEvent(event)
        for tag in tags:
            interactor.RemoveObserver(tag)
        self.settle()
        return not reached

    def interactor(self, view: str = "Red") -> Any:
        return self.application.app.layoutManager().sliceWidget(view).sliceView().interactor()

    def slice_node(self, view: str = "Red") -> Any:
        return self.application.app.layoutManager().sliceWidget(view).mrmlSliceNode()

    def display(self, view: str, x: float, y: float) -> tuple[int, int]:
        """Display position of a position in the displayed slice."""
        import vtk

        node = self.slice_node(view)
        k = self.session.geometry.slice_of_view(node)
        ras = self.session.geometry.to_world(np.array([[x, y, k]]))[0]
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
        at = inverse.MultiplyPoint((*ras, 1.0))
        return round(at[0]), round(at[1])

    def show_slice(self, k: int) -> None:
        """Scroll to a slice, as the user does."""
        self.panel.views.jump(k)
        self.settle()

    def fit(self, view: str = "Red") -> None:
        """Fill a view with the slices."""
        session = self.session
        node = self.slice_node(view)
        rows, columns = session.study.slice_shape
        row_mm, column_mm = session.study.geometry.pixel_spacing_mm or (1.0, 1.0)
        width, height, _depth = node.GetDimensions()
        mm = max(columns * column_mm / width, rows * row_mm / height)
        node.JumpSliceByCentering(*session.geometry.middle(self.workflow.displayed_slice))
        node.SetFieldOfView(mm * width, mm * height, node.GetFieldOfView()[2])


def add_volume(scene: Any, *, slices: int = 4, side: int = 64, seed: int = 0, name: str = "LGE PSIR") -> Any:
    """A small stack of noise around a bright ring, tilted as a short axis is."""
    from MyoScarSegLib.scene.lge_volumes import add_study

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    ring = (np.abs(np.hypot(x, y) - side / 5) < side / 16) * 200.0
    voxels = (rng.normal(100, 20, (slices, side, side)) + ring).astype(np.float32)
    tilt = np.deg2rad(35)
    direction = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    geometry = Geometry((1.5, 1.5, 10.0), (10.0, -20.0, 30.0), direction)
    return add_study(scene, Study("noise", voxels, geometry, Reconstruction.PSIR), name)


@contextmanager
def open_module(
    application: Application, *, detector: Path | None = None, segmenter: Path | None = None, enter: bool = True
) -> Iterator[Module]:
    """Load the module's file and show its panel; at the end, check that no slot raised and no connection was refused."""
    slot_errors.clear()
    refused_connections.clear()
    settings = application.app.settings()
    for name, path in (("detector", detector), ("segmenter", segmenter)):
        if path is not None:
            settings.setValue(f"MyoScarSeg/{name}", str(path))
    settings.setValue("MyoScarSeg/device", "cpu")
    settings.setValue("MyoScarSeg/threads", 1)
    spec = importlib.util.spec_from_file_location("MyoScarSeg", MODULE_FILE)
    assert spec is not None and spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    sys.modules["MyoScarSeg"] = code
    spec.loader.exec_module(code)
    widget = code.MyoScarSegWidget(application.module_place())
    application.show_module("MyoScarSeg", widget)
    module = Module(application, code, widget, detector, segmenter)
    try:
        widget.setup()
        application.window.show()
        application.window.activateWindow()
        if enter:
            widget.enter()
        module.settle()
        yield module
        module.settle()
        assert slot_errors == []
        assert refused_connections == []
    finally:
        module.widget.exit()
        module.widget.cleanup()
        del sys.modules["MyoScarSeg"]
