"""The section *Burden* in the real application, by mouse: walls, landmarks, a reference method, undo, a saved scene, the report.

Named by ``make test-application``, as :mod:`Testing.application.ideal_path`, whose way it goes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from Testing.application.driver import Slicer, running
from Testing.application.ideal_path import FINISHED, NETWORK_S, SEGMENT, choose_folder, look, study
from Testing.support.until import until

STATE = "panel().workflow.session.state"
LANDMARKS = f"(lambda p: [list(p.anterior), list(p.inferior), p.source])({STATE}.ventricle.landmarks)"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which what stands for the desktop writes every address that it is asked to open."""
    return tmp_path_factory.mktemp("desktop") / "opened"


@pytest.fixture(scope="module")
def slicer(tmp_path_factory: pytest.TempPathFactory, opened: Path) -> Iterator[Slicer]:
    pictures = Path(os.environ.get("PICTURES", "out/application"))
    desktop = opened.with_name("xdg-open")
    desktop.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    desktop.chmod(0o755)
    path = f"{desktop.parent}{os.pathsep}{os.environ['PATH']}"
    with running(Path(os.environ["SLICER"]), tmp_path_factory.mktemp("home"), pictures, PATH=path) as application:
        yield application


def open_group(slicer: Slicer, name: str) -> None:
    """Open a box of the section by a click on its heading."""
    if not slicer.ask(f"{SEGMENT}.{name}.checked"):
        slicer.ask(f"reveal({SEGMENT}.{name})")
        slicer.rest()
        x, y = slicer.ask(f"_global({SEGMENT}.{name}, 40, 8)")
        slicer.click_at(x, y)
    assert slicer.ask(f"{SEGMENT}.{name}.checked")


def test_segment_all_brings_the_wall_and_the_numbers(slicer):
    slicer.press("sampleButton")
    slicer.until("panel().workflow.session is not None")
    for name in ("boxesSection", "scarSection", "numbersSection"):
        slicer.ask(f"setattr({SEGMENT}.{name}, 'collapsed', True)")
    slicer.until("panel().workflow.session.requests.encoded[0] == panel().workflow.session.requests.encoded[1] > 0", NETWORK_S)
    slicer.press("proposeButton")
    slicer.until(f"len({STATE}.boxes) > 0 and {FINISHED}", NETWORK_S)
    slicer.press("segmentAllButton")
    slicer.until(f"{STATE}.has_masks and {FINISHED}", NETWORK_S)
    assert slicer.ask(f"{STATE}.ventricle.has_wall and {STATE}.ventricle.source") == "model"
    slicer.until(f"{SEGMENT}.burdenTable.rowCount > 4")
    assert "%" in slicer.ask(f"{SEGMENT}.burdenTable.item(1, 1).text()")
    assert slicer.ask(f"{SEGMENT}.segmentTable.rowCount") == 17
    slicer.ask(f"reveal({SEGMENT}.segmentTable)")
    look(slicer, "21-burden")


def test_the_picture_is_drawn(slicer):
    slicer.until("panel().segment.picture._shown is not None", NETWORK_S)
    for number, name in enumerate(("bullseye", "slices", "bars", "wall", "intensities")):
        slicer.ask(f"{SEGMENT}.pictureCombo.setCurrentIndex({number})")
        slicer.until(f"panel().segment.picture._shown is not None and panel().segment.picture._shown[2] == {name!r}", NETWORK_S)
        slicer.ask(f"reveal({SEGMENT}.pictureLabel)")
        look(slicer, f"22-picture-{name}")
    slicer.ask(f"{SEGMENT}.pictureCombo.setCurrentIndex(0)")


LAYOUT = "slicer.app.layoutManager().layout"
CHARTS = "[n.GetTitle() for n in slicer.util.getNodesByClass('vtkMRMLPlotChartNode')]"


def test_a_plot_beside_the_slices_follows_an_edit_and_leaves_nothing(slicer):
    layout, nodes = slicer.ask(LAYOUT), slicer.ask("slicer.mrmlScene.GetNumberOfNodesByClass('vtkMRMLPlotSeriesNode')")
    width = slicer.ask("panel().form.width")
    titles = {2: "Scar of each slice", 3: "Transmurality along the wall, by level", 4: "Intensity in the wall"}
    for number, title in titles.items():
        slicer.ask(f"{SEGMENT}.pictureCombo.setCurrentIndex({number})")
        if number == 2:
            slicer.press("plotButton")
        slicer.until(f"{CHARTS} == [{title!r}]", NETWORK_S)
        assert slicer.ask(f"{SEGMENT}.plotButton.checked") and slicer.ask(LAYOUT) != layout
        slicer.ask(f"reveal({SEGMENT}.plotButton)")
        look(slicer, f"22-plot-{number}")
    slicer.ask(f"{SEGMENT}.pictureCombo.setCurrentIndex(2)")
    slicer.until(f"{CHARTS} == ['Scar of each slice']")
    bars = "slicer.util.getNodesByClass('vtkMRMLPlotSeriesNode')[0].GetTableNode()"
    grams = f"[round(r, 3) for r in slicer.util.arrayFromTableColumn({bars}, 'g').tolist()]"
    measured = "[round(s.scar.mass_g, 3) for s in panel().workflow.session.measurements.slices]"
    before = slicer.ask(grams)
    assert before == slicer.ask(measured) and max(before) > 0
    slicer.ask("from MyoScarSegLib.scene.mask_steps import set_growth_mm")
    slicer.ask("set_growth_mm(panel().workflow.session, 2.0)")
    slicer.until(f"{grams} == {measured}")
    assert slicer.ask(grams) != before
    look(slicer, "22-plot-edited")
    slicer.press("undoButton")
    slicer.until(f"{grams} == {before!r}")
    slicer.press("plotButton")
    slicer.rest()
    assert slicer.ask(LAYOUT) == layout and slicer.ask(CHARTS) == []
    assert slicer.ask("slicer.mrmlScene.GetNumberOfNodesByClass('vtkMRMLPlotSeriesNode')") == nodes
    assert slicer.ask("panel().form.width") == width
    slicer.ask(f"{SEGMENT}.pictureCombo.setCurrentIndex(0)")
    slicer.until("panel().segment.picture._shown[2] == 'bullseye'", NETWORK_S)  # it is higher, and moves what is below


def test_the_septum_is_turned_in_its_box_and_back_with_undo(slicer):
    before, table = slicer.ask(LANDMARKS), f"[{SEGMENT}.segmentTable.item(n, 3).text() for n in range(16)]"
    burden = slicer.ask(table)
    open_group(slicer, "wallGroup")
    box = f"{SEGMENT}.rotationSpinBox"
    shown = slicer.ask(f"{box}.value")
    slicer.ask(f"reveal({box})")
    slicer.rest()
    slicer.click_at(*slicer.ask(f"center({box}, {box}.width // 2 - 60)"))
    slicer.key("ctrl+a")
    slicer.type(str(shown + 40))
    slicer.key("Return")
    slicer.until(f"{LANDMARKS}[2] == 'rotation'")
    assert slicer.ask(f"{box}.value") == shown + 40
    slicer.until(f"{table} != {burden!r}")
    assert slicer.ask("panel().workflow.session.history.undo_label") == "Turn the insertion points"
    node, session = "panel().workflow.session.nodes.landmarks.node", "panel().workflow.session"
    place = slicer.ask(f"[float(v) for v in {node}.GetNthControlPointPositionWorld(0)]")
    wanted = slicer.ask(f"{session}.geometry.to_world(__import__('numpy').array([{LANDMARKS}[0]]))[0].tolist()")
    assert place == pytest.approx(wanted)
    slicer.ask(f"reveal({box})")
    look(slicer, "23-turned")
    slicer.press("undoButton")
    slicer.until(f"{LANDMARKS} == {before!r}")
    assert slicer.ask(f"{box}.value") == shown
    open_group(slicer, "wallGroup")


def test_a_landmark_is_dragged_and_the_segments_follow(slicer):
    before, table = slicer.ask(LANDMARKS), f"[{SEGMENT}.segmentTable.item(n, 3).text() for n in range(16)]"
    burden = slicer.ask(table)
    slicer.ask(f"panel().views.jump({round(before[0][2])})")
    slicer.rest()
    x, y = before[0][0] - 0.5, before[0][1] - 0.5
    slicer.drag(slicer.ask(f"pixel({x}, {y})"), slicer.ask(f"pixel({x + 12}, {y - 4})"))
    after = slicer.ask(LANDMARKS)
    assert after[2] == "reader"
    assert after[0][:2] == pytest.approx([before[0][0] + 12, before[0][1] - 4], abs=1.5)
    assert after[1] == pytest.approx(before[1])
    slicer.until(f"{table} != {burden!r}")
    look(slicer, "23-dragged")


def test_a_method_is_looked_at_used_and_undone(slicer):
    before = study(slicer)
    open_group(slicer, "methodsGroup")
    slicer.until(f"{SEGMENT}.methodTable.rowCount > 5")
    methods = slicer.ask(f"[{SEGMENT}.methodTable.item(n, 0).text() for n in range({SEGMENT}.methodTable.rowCount)]")
    slicer.ask(f"reveal({SEGMENT}.methodTable)")
    slicer.rest()
    slicer.click_at(*slicer.ask(f"cell({SEGMENT}.methodTable, {methods.index('5 SD')})"))
    look(slicer, "24-method")
    slicer.press("useMethodButton")
    slicer.rest()
    used = study(slicer)
    assert used["by_slice"] != before["by_slice"] and used["painted"]
    assert slicer.ask("panel().workflow.session.history.undo_label") == "Use 5 SD"
    look(slicer, "25-used")
    slicer.press("undoButton")
    slicer.rest()
    assert study(slicer)["by_slice"] == before["by_slice"]
    slicer.press("undoButton")
    slicer.rest()
    assert slicer.ask(LANDMARKS)[2] != "reader"
    slicer.press("redoButton")
    look(slicer, "26-undone")


def test_walls_are_proposed_again_and_a_painted_one_stays(slicer):
    slicer.ask(
        "exec('import numpy as np\\n"
        "s = panel().workflow.session\\n"
        'i = s.segmentation.node.GetSegmentation().GetSegmentIdBySegmentName("LV myocardium")\\n'
        "a = slicer.util.arrayFromSegmentBinaryLabelmap(s.segmentation.node, i, s.volume_node)\\n"
        "a[4, 2:5, 2:5] = 1\\n"
        "slicer.util.updateSegmentBinaryLabelmapFromArray(a, s.segmentation.node, i, s.volume_node)')"
    )
    slicer.until(f"len({STATE}.ventricle.edited) == 1")
    slicer.press("proposeWallButton")
    slicer.until(FINISHED, NETWORK_S)
    assert slicer.ask(f"len({STATE}.ventricle.edited)") == 1
    assert "Kept as you painted" in slicer.ask(f"{SEGMENT}.noteLabel.text")
    slicer.press("undoButton")
    slicer.rest()


def test_a_saved_scene_has_wall_and_landmarks(slicer, tmp_path):
    numbers = f"[{SEGMENT}.burdenTable.item(n, 1).text() for n in range({SEGMENT}.burdenTable.rowCount)]"
    tables = "sorted(n.GetName() for n in slicer.util.getNodesByClass('vtkMRMLTableNode') if n.GetName().startswith('LGE'))"
    kept = slicer.ask(tables)
    assert {"burden", "methods", "segments"} <= {name.split()[-1] for name in kept}
    before, landmarks, layout = slicer.ask(numbers), slicer.ask(LANDMARKS), slicer.ask(LAYOUT)
    slicer.ask(f"{SEGMENT}.pictureCombo.setCurrentIndex(2)")
    slicer.press("plotButton")
    path = str(tmp_path / "scene.mrb")
    assert slicer.ask(f"slicer.util.saveScene({path!r})")
    slicer.ask("slicer.mrmlScene.Clear(0)")
    slicer.until("panel().workflow.session is None")
    slicer.until(f"{LAYOUT} == {layout}")
    assert slicer.ask(CHARTS) == [], "a plot goes with its study"
    slicer.ask(f"slicer.util.loadScene({path!r})")
    slicer.until("panel().workflow.session is not None")
    slicer.until(f"{numbers} == {before!r}")
    assert slicer.ask(tables) == kept
    assert slicer.ask(LANDMARKS)[:2] == [pytest.approx(place, abs=0.01) for place in landmarks[:2]]
    look(slicer, "27-loaded")
    assert slicer.ask(CHARTS) == [], "and is not saved"
    slicer.press("plotButton")
    assert slicer.ask(CHARTS) == ["Scar of each slice"]
    look(slicer, "27-plot-again")
    slicer.press("plotButton")
    assert slicer.ask(CHARTS) == [] and not slicer.ask(f"{SEGMENT}.plotButton.checked")
    look(slicer, "27-plot-left")


def test_the_report_is_one_click_and_a_folder_and_a_link_opens_it(slicer, tmp_path, opened):
    (tmp_path / "reports").mkdir()
    slicer.press("reportButton")
    choose_folder(slicer, tmp_path / "reports")
    slicer.until(FINISHED, NETWORK_S)
    written = {file.name for file in (tmp_path / "reports").rglob("*.*")}
    assert {"report.html", "report.pdf", "measurements.json", "burden.csv"} <= written
    look(slicer, "28-reported")
    slicer.ask(f"reveal({SEGMENT}.reportLabel)")
    slicer.rest()
    for x in range(8, int(slicer.ask(f"{SEGMENT}.reportLabel.width")), 16):  # the link stands somewhere in the first line
        if not opened.exists():
            slicer.click_at(*slicer.ask(f"_global({SEGMENT}.reportLabel, {x}, 8)"))
    until(opened.exists, "the desktop is asked to open the report")
    (address,) = opened.read_text().splitlines()
    assert Path(urlparse(address).path).is_relative_to(tmp_path / "reports") and Path(urlparse(address).path).exists()
