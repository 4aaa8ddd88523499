"""The blocking calls of scripts, the export of a scene's studies, two studies in one scene, and the demo scene."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
import SimpleITK
import slicer

from MyoScarSegLib.engine import process_folder
from MyoScarSegLib.errors import Cancelled, MyoScarSegError, StudyError
from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.scene.attributes import VOLUME, nodes_by_class
from MyoScarSegLib.scene.demo_scene import bootstrap, write_demo_scene
from MyoScarSegLib.scene.lge_volumes import add_study
from MyoScarSegLib.scene.mask_steps import set_growth_mm, set_threshold
from MyoScarSegLib.scene.prompt_steps import add_box, add_point
from MyoScarSegLib.scene.scene_console import Console
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.ventricle_steps import apply_ventricle
from Testing.support.scene_ventricle_factory import ring_wall
from Testing.support.session_factory import reload
from Testing.support.workflow_factory import finish, paint_in_scene, pump_until, scar_in_scene

SMALL = PhantomSettings(slices=4, rows=80, columns=72, pixel_spacing_mm=(2.4, 2.4))
BOX = Box(1, 20, 20, 50, 50)


@pytest.fixture
def console(workflow):
    turns: list[int] = []
    console = Console(workflow, lambda: turns.append(1))
    console.turns = turns
    return console


def add(scene, name: str = "LGE", seed: int = 3):
    return add_study(scene, make_phantom(seed, settings=SMALL).study, name)


def test_propose_and_segment_return_when_their_work_is_done(console, scene):
    volume = add(scene)
    told = []
    boxes = console.proposeBoxes(volume, progress=lambda *step: told.append(step))
    assert boxes == [row.box for row in console.workflow.session.state.boxes] != []
    assert told
    assert all(done <= total and message for done, total, message in told)
    node = console.segment(volume)
    assert scar_in_scene(volume, node).any()
    assert console.turns, "the application's events were not processed meanwhile"


def test_measurements_are_a_call_and_a_report_needs_something_to_report(console, scene, tmp_path):
    volume = add(scene)
    with pytest.raises(MyoScarSegError, match="nothing to report"):
        console.report(volume, tmp_path)
    console.process(volume)
    m = console.measurements(volume)
    assert m.scar.pixels == console.workflow.session.burden.pixels and "percent_of_myocardium" in m.missing
    with pytest.raises(MyoScarSegError, match="does not see the wall"):
        console.proposeWalls(volume)
    for wrong in ({"pseudonym": "../x"}, {"pseudonym": "x", "withPatientName": True}):
        with pytest.raises(MyoScarSegError, match="pseudonym"):
            console.report(volume, tmp_path, dicom=True, **wrong)


def test_insertion_points_are_set_by_an_angle(console, scene):
    volume = add(scene)
    with pytest.raises(MyoScarSegError, match="propose that first"):
        console.rotateInsertionPoints(volume, 15)
    session = console.workflow.session
    apply_ventricle(session, ring_wall(session.geometry.shape, (0, 1, 2, 3)))
    before = console.measurements(volume).insertions
    console.rotateInsertionPoints(volume, 15)
    console.rotateInsertionPoints(volume, 20)
    assert console.measurements(volume).insertions.source == "rotation"
    assert session.numbers.rotation(session.state) == pytest.approx(20, abs=0.5)
    session.undo()
    assert session.numbers.rotation(session.state) == pytest.approx(15, abs=0.5), "each call is a step of its own"
    session.undo()
    assert console.measurements(volume).insertions == before


def test_process_is_both_in_one_step(console, scene):
    volume = add(scene)
    node = console.process(volume)
    assert scar_in_scene(volume, node).any()
    assert len(console.workflow.session.history.labels) == 1
    assert console.workflow.session.undo()
    assert console.workflow.session.state.boxes == ()
    assert not scar_in_scene(volume, console.workflow.session.segmentation.node).any()


def test_segment_takes_a_segmentation_and_slices(console, scene):
    volume = add(scene)
    console.proposeBoxes(volume)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    assert console.segment(volume, node, slices=[1]) is node
    assert list(np.flatnonzero(scar_in_scene(volume, node).any(axis=(1, 2)))) == [1]
    with pytest.raises(MyoScarSegError, match="no segmentation"):
        console.segment(volume, volume)


def test_errors_are_raised_with_their_sentence(console, scene):
    with pytest.raises(MyoScarSegError, match="volume"):
        console.proposeBoxes(None)
    with pytest.raises(MyoScarSegError, match="no image"):
        console.process(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    with pytest.raises(MyoScarSegError, match="no box"):
        console.segment(add(scene))


def test_cancel_from_the_progress_callback_raises_cancelled(console, scene):
    volume = add(scene)
    with pytest.raises(Cancelled):
        console.proposeBoxes(volume, progress=lambda *_step: console.cancel())
    assert console.workflow.session.state.boxes == ()


def test_volume_deleted_while_a_script_waits(console, scene):
    volume = add(scene)
    with pytest.raises(Cancelled, match="deleted"):
        console.proposeBoxes(volume, progress=lambda *_step: scene.RemoveNode(volume) if volume.GetScene() else None)


def test_export_writes_what_the_scene_shows(console, scene, tmp_path):
    first, second = add(scene), add(scene, "Second LGE", seed=4)
    console.process(first)
    console.process(second)
    with pytest.raises(MyoScarSegError, match="no image"):  # another, unusable volume in the scene does no harm
        console.process(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    node = console.process(second)
    painted = scar_in_scene(second, node)
    painted[0, 2:6, 2:6] ^= True
    paint_in_scene(second, node, painted)
    folders = console.exportResults(tmp_path / "out")
    assert sorted(folder.name for folder in folders) == ["LGE", "Second_LGE"]
    written = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out" / "Second_LGE" / "scar.nii.gz"))) > 0
    assert written.sum() == painted.sum()
    rows = {row["case"]: row for row in csv.DictReader((tmp_path / "out" / "results.csv").open())}
    assert int(rows["Second_LGE"]["scar_pixels"]) == painted.sum()
    assert rows["LGE"]["segmenter"] == "tiny-sam.safetensors"
    for name in ("boxes.json", "scar.seg.nrrd", "probability.nii.gz", "result.json"):
        assert (tmp_path / "out" / "LGE" / name).is_file()


def test_files_and_report_have_the_name_that_a_reader_gave_the_volume(console, scene, tmp_path):
    volume = add(scene, "Featherstonehaugh")
    console.process(volume)
    volume.SetName("P07")
    (exported,) = console.exportResults(tmp_path / "out")
    report = console.report(volume, tmp_path / "reports")
    assert exported.name == report.name == "P07"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not [path for path in written if b"Featherston" in path.read_bytes()]


def test_export_without_a_result_says_what_to_do(console, scene, tmp_path):
    add(scene)
    with pytest.raises(MyoScarSegError, match="segment a study first"):
        console.exportResults(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("last", [0, 1])
def test_of_a_loaded_scene_the_study_worked_on_last_is_in_hand_and_the_others_are_hidden(workflow, scene, tmp_path, last):
    names = ["First LGE", "Second LGE"]
    for number in (last, 1 - last, last):  # the other one was made later, and left again
        node = scene.GetFirstNodeByName(names[number]) or add(scene, names[number], seed=number)
        assert workflow.select(node)
        if not workflow.session.state.boxes:
            add_box(workflow.session, BOX)
            add_point(workflow.session, Point(1, 20.0, 20.0))
            pump_until(workflow, lambda: not workflow.session.pending.slices, "mask")
    shown_kinds = ("vtkMRMLMarkupsNode", "vtkMRMLSegmentationNode")
    for node in (node for kind in shown_kinds for node in nodes_by_class(scene, kind)):
        node.SetDisplayVisibility(True)  # as a program of before left them
    reload(scene, tmp_path)
    workflow.pump()
    assert workflow.volume_node.GetName() == names[last]
    workflow.session.geometry.align_view(scene.GetNodeByID("vtkMRMLSliceNodeRed"))
    shown = [
        node.GetNodeReference(VOLUME).GetName()
        for kind in shown_kinds
        for node in nodes_by_class(scene, kind)
        if node.GetDisplayVisibility()
    ]
    assert shown == [names[last]] * 3  # a box, a list of points and the scar


def test_scar_of_a_study_is_hidden_while_another_is_in_hand(workflow, scene):
    first, second = add(scene, "First LGE"), add(scene, "Second LGE", seed=1)
    workflow.select(first)
    add_box(workflow.session, BOX)
    pump_until(workflow, lambda: not workflow.session.pending.slices, "mask")
    scar = workflow.session.nodes.segmentation.node
    assert scar.GetDisplayVisibility()
    for other in (second, None):
        workflow.select(other)
        assert not scar.GetDisplayVisibility()
        workflow.select(first)
        assert scar.GetDisplayVisibility()


def test_dragged_box_handle_gives_a_new_mask_and_one_undo_entry(workflow, scene):
    volume = add(scene)
    workflow.select(volume)
    number = add_box(workflow.session, BOX)
    pump_until(workflow, lambda: not workflow.session.pending.slices, "mask")
    entries = len(workflow.session.history.labels)
    before = scar_in_scene(volume, workflow.session.segmentation.node)
    roi = workflow.views.node(number)
    size = roi.GetSize()
    roi.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
    roi.SetSize(size[0] * 0.6, size[1] * 0.6, size[2])
    roi.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
    box = workflow.session.state.box(number)
    assert (box.x1 - box.x0, box.y1 - box.y0) == pytest.approx((18, 18), abs=0.01)
    pump_until(workflow, lambda: not workflow.session.pending.slices, "mask")
    assert not np.array_equal(scar_in_scene(volume, workflow.session.segmentation.node), before)
    assert len(workflow.session.history.labels) == entries + 1
    assert workflow.session.undo()
    assert workflow.session.state.box(number).xyxy == BOX.xyxy
    assert np.array_equal(scar_in_scene(volume, workflow.session.segmentation.node), before)


def test_displayed_slice_is_followed_and_encoded_first(workflow, scene):
    volume = add(scene)
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    workflow.select(volume)
    workflow.session.geometry.align_view(red)
    for k in (3, 0, 2):
        workflow.session.geometry.show_slice(red, k)
        assert workflow.displayed_slice == k
    assert finish(workflow, workflow.session.requests.propose())
    assert list(finish(workflow, workflow.session.requests.segment([workflow.displayed_slice]))) == []


@pytest.mark.slow
def test_demo_scene_opens_with_everything_in_place(tmp_path, scene, tiny_settings):
    path = write_demo_scene(tmp_path / "demo.mrb", 11, tiny_settings)
    scene = bootstrap(tmp_path, views=False)
    assert scene.ReadFromMRB(str(path), True, slicer.vtkMRMLMessageCollection())
    volume = scene.GetFirstNodeByName("LGE phantom")
    session = StudySession.open(volume)
    assert session.state.boxes
    assert scar_in_scene(volume, session.segmentation.node).any()
    assert session.burden.pixels == session.mask().sum()
    assert session.nodes.results.node.GetNumberOfRows() == session.study.slices + 1
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert session.geometry.shows_slices(red)
    assert session.mask()[session.geometry.slice_of_view(red)].any()
    assert scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed").GetBackgroundVolumeID() == volume.GetID()
    assert scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActiveTableID() == session.nodes.results.node.GetID()
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") >= len(session.state.boxes)


def test_demo_scene_without_slicer_core_says_what_to_install(command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "slicer", None)
    done = command("demo", "--scene", tmp_path / "x.mrb")
    assert done.status == 1
    assert "pip install" in done.err
    assert "slicer-core" in done.err
    assert not (tmp_path / "x.mrb").exists()


def test_folder_has_threshold_and_growth_of_the_panel_unless_they_are_given(console, scene, tmp_path, monkeypatch):
    asked = []

    def started(task, **_options):
        given = task.job["job"]
        asked.append((given["threshold"], given["growth_mm"]))
        task.finish("done", result=[])
        return task

    monkeypatch.setattr(process_folder.BackgroundTask, "start", started)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.nrrd").write_bytes(b"")
    console.processFolder(tmp_path / "in", tmp_path / "out")
    console.workflow.select(add(scene))
    set_threshold(console.workflow.session, 0.7)
    set_growth_mm(console.workflow.session, 2.0)
    console.processFolder(tmp_path / "in", tmp_path / "out")
    console.processFolder(tmp_path / "in", tmp_path / "out", threshold=0.3, growthMm=-1.0)
    assert asked == [(0.5, 0.0), (0.7, 2.0), (0.3, -1.0)]
    for wrong in ({"threshold": 1.5}, {"growthMm": 100.0}):
        with pytest.raises(MyoScarSegError):
            console.processFolder(tmp_path / "in", tmp_path / "out", **wrong)
    with pytest.raises(StudyError, match="no folder"):
        console.processFolder(tmp_path / "nowhere", tmp_path / "out")
