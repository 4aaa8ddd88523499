"""Pictures of the panel in light, dark and narrow: ``python -m Testing.screenshots OUT [segment|train]``.

The panel is the real form with the real scene, worker and models; only the widgets of CTK and Slicer are stand-ins. Pictures of
the whole application, with its slice views, come from ``Testing/application``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtGui import QColor, QImage, QPainter, QPalette

from MyoScarSegLib.scene.demo_scene import bootstrap
from Testing.support.panel_kit import Module, open_module
from Testing.support.standins.application import Application
from Testing.support.standins.pythonqt import unwrap

_PHANTOMS = 6
_HIGHEST_PX = 6000


def main(out: Path, tab: str = "") -> None:
    """Write the pictures of a tab, of both if it is empty, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        application = Application(bootstrap(folder), Path(folder), patch)
        with open_module(application) as module:
            if tab in ("", "segment"):
                story(module, out)
            if tab in ("", "train"):
                training_story(module, Path(folder), out)
        application.close()


def story(module: Module, out: Path) -> None:
    """From the empty panel to masks on the phantom, with the models that come with the program."""
    grab(module, out / "panel-empty.png")
    module.click("sampleButton")
    module.until(lambda: module.session is not None, what="sample")
    module.until(lambda: module.workflow.session.requests.encoded[0] >= 3, 300, what="first slices encoded")
    grab(module, out / "panel-study.png")
    module.click("proposeButton")
    module.until(lambda: module.workflow.session.requests.progress[0] > 2 or not module.workflow.busy, 300, what="proposing")
    grab(module, out / "panel-busy.png")
    module.until(lambda: not module.workflow.busy, 300, what="proposals")
    first = module.session.state.review_order()[0]
    module.panel.segment.boxes.select(first, jump=True)
    module.settle()
    module.click("acceptBoxButton")
    grab(module, out / "panel-boxes.png")
    module.click("segmentAllButton")
    module.until(lambda: not module.workflow.busy, 300, what="masks")
    best = max(module.workflow.session.burden.slices, key=lambda s: s.pixels).slice
    box = next(row for row in module.session.state.boxes if row.box.slice == best)
    module.panel.segment.boxes.select(box.id, jump=True)
    module.settle(0.3)
    grab(module, out / "panel-light.png")
    _dark(module, True)
    grab(module, out / "panel-dark.png")
    module.ui.advancedSection.collapsed = False
    module.settle(1.0)
    grab(module, out / "panel-dark-advanced.png", tail=True)
    _dark(module, False)
    grab(module, out / "panel-advanced.png", tail=True)
    module.ui.advancedSection.collapsed = True
    grab(module, out / "panel-narrow.png", width=290)
    module.panel.segment.status.say_error("The volume has one slice only. Choose a stack of short-axis slices.")
    grab(module, out / "panel-error.png")
    module.panel.segment.status.say_error("")


def training_story(module: Module, folder: Path, out: Path) -> None:
    """A library of phantoms, a short training of the usual model on it, and what came of it: all real, none of it a patient's."""
    from MyoScarSegLib.phantom import PhantomSettings, make_phantom
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.train_settings import TrainSettings

    training, ui = module.training, module.tab.ui
    module.show_train()
    grab(module, out / "train-empty.png")
    library = Library.create(folder / "scar-library")
    small = PhantomSettings(slices=6, slice_spacing_mm=14.0)
    for number in range(_PHANTOMS):
        phantom = make_phantom(40 + number, settings=small)
        reviewed = range(phantom.study.slices - 3) if number == _PHANTOMS - 1 else None
        library.add(
            phantom.study, phantom.labels, patient=f"P{number + 1:03d}", reviewer="AB", added_by="AB", source="phantom",
            tags=("phantom",), reviewed=reviewed,
        )  # fmt: skip
    training.open_library(library.folder)
    training.cases.draw_split(seed=0, folds=4)
    module.until(lambda: training.state.split is not None and not training.state.busy, 120, what="split")
    module.tab.train.fill(TrainSettings(preset="quick", epochs=3))
    module.click("estimateButton")
    module.until(lambda: training.state.measured is not None or training.state.error, 300, what="estimate")
    module.settle(0.3)
    grab(module, out / "train-library.png")
    module.click("startTrainButton")
    status = lambda: training.state.status  # noqa: E731 - asked again and again
    module.until(lambda: status() is not None and status().epoch >= 2, 1800, what="second epoch")
    for name in ("librarySection", "splitSection", "trainSection"):
        getattr(ui, name).collapsed = True
    grab(module, out / "train-running.png")
    module.until(lambda: str(status().state) != "running", 1800, what="end")
    module.until(lambda: training.state.comparison is not None, 60, what="comparison")
    grab(module, out / "train-light.png")
    _dark(module, True)
    module.tab.show(True)
    grab(module, out / "train-dark.png")
    _dark(module, False)
    module.tab.show(True)
    grab(module, out / "train-narrow.png", width=300)
    join(out / "training.png", [out / "train-library.png", out / "train-light.png"])


def grab(module: Module, path: Path, *, width: int = 400, tail: bool = False) -> None:
    """The whole panel as a picture, as high as it needs; only its end with ``tail``."""
    form = unwrap(module.panel.form)
    module.settle(0.1)
    window = module.application.window
    window.resize(width, 300)
    module.settle(0.05)
    window.resize(width, min(form.sizeHint().height() + 60, _HIGHEST_PX))
    module.settle(0.1)
    picture = window.grab().toImage()
    if tail:
        section = unwrap(module.ui.advancedSection)
        top = section.mapTo(window, section.rect().topLeft()).y()
        picture = picture.copy(0, max(top - 4, 0), picture.width(), picture.height() - max(top - 4, 0))
    assert picture.save(str(path)), path


def join(path: Path, parts: list[Path]) -> None:
    """Pictures side by side, on black, as high as the highest."""
    images = [QImage(str(part)) for part in parts]
    height = max(image.height() for image in images)
    scaled = [image if image.height() == height else image.scaledToHeight(height) for image in images]
    whole = QImage(sum(image.width() for image in scaled), height, QImage.Format.Format_RGB32)
    whole.fill(QColor("black"))
    painter = QPainter(whole)
    x = 0
    for image in scaled:
        painter.drawImage(x, 0, image)
        x += image.width()
    painter.end()
    whole.save(str(path))


def _dark(module: Module, on: bool) -> None:
    """Slicer's dark theme, or the light one; the panel takes its colors from it."""
    application: Any = module.application.app
    palette = QPalette()
    if on:
        roles = QPalette.ColorRole
        for role, color in {
            roles.Window: "#353535", roles.WindowText: "#ffffff", roles.Base: "#2a2a2a", roles.AlternateBase: "#323232",
            roles.Text: "#ffffff", roles.Button: "#3c3c3c", roles.ButtonText: "#ffffff", roles.Highlight: "#2a82da",
            roles.HighlightedText: "#ffffff", roles.Midlight: "#4a4a4a", roles.Light: "#5a5a5a", roles.Dark: "#232323",
            roles.ToolTipBase: "#2a2a2a", roles.ToolTipText: "#ffffff",
        }.items():  # fmt: skip
            palette.setColor(role, QColor(color))
        for role in (roles.WindowText, roles.Text, roles.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, role, QColor("#7f7f7f"))
    application.setPalette(palette)
    module.settle(0.1)
    module.panel.segment.show(True)
    module.settle(0.2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
