"""What the training tab reads from the scene and puts into it: labels, opened cases, comparisons, curves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.prompts import Box, BoxState
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.prompt_steps import add_box, apply_proposals, update_box
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.training import case_nodes
from MyoScarSegLib.scene.training.compared_view import ComparedView
from MyoScarSegLib.scene.training.training_curves import END_TO_END, LOSS, REFERENCE, CurveChart, CurveReader
from MyoScarSegLib.study.handover import read_handover, write_handover
from MyoScarSegLib.training.datasets.training_library import Library
from Testing.support.run_factory import write_library
from Testing.support.training_workflow_factory import add_ring_study
from Testing.support.volume_factory import add_transform, add_volume, random_matrix


def add_segment(node, volume, name: str, mask: np.ndarray) -> str:
    segment_id = node.GetSegmentation().AddEmptySegment("", name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment_id, volume)
    return segment_id


def slice_view(scene) -> tuple:
    """A slice view of the scene, and the node that says what it shows."""
    view = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    view.SetDimensions(400, 200, 1)
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName("Red")
    composite.SetSingletonTag("Red")
    return view, scene.AddNode(composite)


@pytest.mark.parametrize("flip", [False, True], ids=["right-handed", "left-handed"])
def test_labels_go_with_their_voxels_whatever_the_angle(scene, tmp_path, flip):
    volume = add_volume(scene, (4, 20, 24), random_matrix(3, (1.4, 1.4, 9.0), flip=flip))
    volume.SetAndObserveTransformNodeID(add_transform(scene, 5).GetID())
    voxels = slicer.util.arrayFromVolume(volume).copy()
    voxels[1, 4:9, 5:11] = 1000.0
    slicer.util.updateVolumeFromArray(volume, voxels)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    add_segment(node, volume, "Scar", voxels == 1000.0)
    session = StudySession.open(volume)
    classes, wall_known = case_nodes.classes_of(session, node, None)
    assert not wall_known
    assert (classes == 3).sum() == 30
    write_handover(tmp_path / "study.npz", session.study, labels=classes)
    study, labels = read_handover(tmp_path / "study.npz", "P001", "labels")
    assert (study.voxels[labels == 3] == 1000.0).all()
    assert np.array_equal(study.geometry.direction, session.study.geometry.direction)


def test_segments_are_known_by_their_names_and_each_role_goes_to_one(scene):
    volume = add_volume(scene, (2, 10, 10))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in ("Myocardium", "left ventricle", "MVO", "Infarct", "Scar", "fat"):
        add_segment(node, volume, name, np.zeros((2, 10, 10)))
    roles = {choice.name: choice.role for choice in case_nodes.segments(node)}
    assert roles["Myocardium"] == "myocardium"
    assert roles["Infarct"] == "scar"
    assert roles["Scar"] == ""
    assert roles["fat"] == ""


def test_no_reflow_lies_over_scar_and_scar_over_the_wall(scene):
    volume = add_volume(scene, (2, 10, 10))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    masks = {name: np.zeros((2, 10, 10), dtype=bool) for name in ("wall", "pool", "bright", "dark")}
    masks["wall"][:, 1:8, 1:8] = True
    masks["pool"][:, 3:6, 3:6] = True
    masks["bright"][0, 1:3, 1:8] = True
    masks["dark"][0, 1, 2:4] = True
    ids = {name: add_segment(node, volume, name, mask) for name, mask in masks.items()}
    session = StudySession.open(volume)
    chosen = {"myocardium": ids["wall"], "blood_pool": ids["pool"], "scar": ids["bright"], "no_reflow": ids["dark"]}
    classes, wall_known = case_nodes.classes_of(session, node, chosen)
    assert wall_known
    assert np.array_equal(classes == 4, masks["dark"])
    assert np.array_equal(classes >= 3, masks["bright"])
    assert np.array_equal(classes == 1, masks["pool"])
    assert np.array_equal(classes > 0, masks["wall"])


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({}, "called scar"),
        ({"scar": "gone"}, "is gone"),
        ({"scar": "A", "myocardium": "A"}, "two roles"),
        ({"tumour": "A", "scar": "A"}, "no role"),
    ],
)
def test_a_choice_of_segments_that_makes_no_sense_is_a_sentence(scene, chosen, text):
    volume = add_volume(scene, (2, 10, 10))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = add_segment(node, volume, "something", np.ones((2, 10, 10)))
    chosen = {role: segment if name == "A" else name for role, name in chosen.items()}
    with pytest.raises(SceneError, match=text):
        case_nodes.classes_of(StudySession.open(volume), node, chosen)
    with pytest.raises(SceneError, match="segmented"):
        case_nodes.classes_of(StudySession.open(add_volume(scene, (2, 10, 10))), None, None)


def test_slices_are_reviewed_that_the_reader_has_settled(scene):
    session = StudySession.open(add_volume(scene, (5, 30, 30)))
    assert case_nodes.reviewed(session) == []
    apply_proposals(session, [Box(1, 5, 5, 10, 10, "yolo", 0.6), Box(3, 5, 5, 10, 10, "yolo", 0.6)])
    assert case_nodes.reviewed(session) == [], "nobody has decided anything"
    (first, _second) = [row.id for row in session.state.boxes]
    update_box(session, first, state=BoxState.ACCEPTED)
    assert case_nodes.reviewed(session) == [0, 1, 2, 4]
    mask = np.zeros((30, 30), dtype=bool)
    mask[6:9, 6:9] = True
    session.segmentation.write_slices({3: mask})
    session.refresh()
    assert case_nodes.reviewed(session) == [0, 1, 2, 3, 4], "painting settles a slice"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("scene") / "library", slices=3)


def read_case(library: Library, name: str, folder) -> case_nodes.ReadCase:
    case = next(case for case in library.scan()[0] if case.case == name)
    labeled = library.load(case)
    write_handover(folder / "case.npz", labeled.study, labels=labeled.labels)
    study, labels = read_handover(folder / "case.npz", name, "labels")
    return case_nodes.ReadCase(case, study, labels, labeled.wall_known, (0.0, 250.0))


def test_an_opened_case_is_as_it_was_added(scene, library, tmp_path):
    read = read_case(library, "P003", tmp_path)
    volume = case_nodes.add_volume(scene, read)
    assert case_nodes.opened_volume(scene, read.case) is volume
    for _step in case_nodes.add_labels(volume, read):
        pass
    session = StudySession.open(volume)
    classes, wall_known = case_nodes.classes_of(session, None, None)
    assert wall_known
    assert np.array_equal(classes, read.labels)
    assert np.array_equal(session.study.voxels, read.study.voxels)
    assert session.study.geometry.spacing_mm == pytest.approx(read.study.geometry.spacing_mm)
    slicer.util.updateVolumeFromArray(volume, np.zeros((3, 64, 64), dtype=np.float32))
    volume.SetAttribute(case_nodes.CONTENT, "another image")
    assert case_nodes.opened_volume(scene, read.case) is None


def test_a_case_without_scar_gets_an_empty_segment(scene, library, tmp_path):
    read = read_case(library, "N004", tmp_path)
    volume = case_nodes.add_volume(scene, read)
    list(case_nodes.add_labels(volume, read))
    classes, _known = case_nodes.classes_of(StudySession.open(volume), None, None)
    assert not (classes >= 3).any()
    assert (classes == 1).any()


def test_a_comparison_leaves_the_views_as_it_found_them(scene, library, tmp_path):
    view, composite = slice_view(scene)
    mine, _labels = add_ring_study(scene, 9)
    session = StudySession.open(mine)
    add_box(session, Box(0, 5, 5, 10, 10))
    segmentation = session.segmentation.node
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "of somebody else")
    for node in (segmentation, other):
        node.CreateDefaultDisplayNodes()
        node.SetDisplayVisibility(True)
    composite.SetBackgroundVolumeID(mine.GetID())
    before = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()).copy()
    read = read_case(library, "P003", tmp_path)
    volume = case_nodes.add_volume(scene, read)
    compared = ComparedView(scene)
    compared.hide()  # nothing is shown: nothing happens
    masks = {name: np.roll(read.labels >= 3, n, axis=1).astype(np.uint8) for n, name in enumerate(("truth", "new", "used"))}
    first = compared.show(volume, masks, 1)
    shown = compared.show(volume, masks, 2)
    assert scene.GetNodesByClass("vtkMRMLSegmentationNode").GetNumberOfItems() == 3, "one set of outlines is enough"
    assert first.GetScene() is None
    for name, mask in masks.items():
        found = slicer.util.arrayFromSegmentBinaryLabelmap(shown, name, volume)
        assert np.array_equal(found > 0, mask > 0)
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    assert not segmentation.GetDisplayVisibility()
    assert other.GetDisplayVisibility(), "what is not ours is left alone"
    geometry = StudySession.open(volume).geometry
    assert geometry.slice_of_view(view) == 2
    assert geometry.lies_in_slices(view)
    width, height, _depth = view.GetFieldOfView()
    assert height >= 64 * 1.4
    assert width == pytest.approx(2 * height)
    compared.hide()
    assert composite.GetBackgroundVolumeID() == mine.GetID()
    assert segmentation.GetDisplayVisibility()
    assert not shown.GetDisplayVisibility()
    assert np.allclose(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()), before)


def test_what_the_user_has_chosen_meanwhile_stays(scene, library, tmp_path):
    _view, composite = slice_view(scene)
    mine, _labels = add_ring_study(scene, 9)
    composite.SetBackgroundVolumeID(mine.GetID())
    read = read_case(library, "P003", tmp_path)
    volume = case_nodes.add_volume(scene, read)
    compared = ComparedView(scene)
    compared.show(volume, {"truth": (read.labels >= 3).astype(np.uint8)}, 0)
    another = add_volume(scene, (2, 10, 10))
    composite.SetBackgroundVolumeID(another.GetID())
    scene.RemoveNode(StudySession.open(mine).segmentation.node)
    compared.hide()
    assert composite.GetBackgroundVolumeID() == another.GetID()
    compared.show(volume, {"truth": (read.labels >= 3).astype(np.uint8)}, 0)
    scene.Clear(0)
    compared.forget()
    compared.hide()


def write_log(path, *entries: dict, mode: str = "a") -> None:
    with path.open(mode) as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


def epoch(number: int, dice: float, phase: str = "prompts") -> list[dict]:
    steps = [{"event": "step", "phase": phase, "epoch": number, "step": 2 * number - n, "loss": 1.0 / number} for n in (1, 0)]
    end = {
        "event": "epoch", "phase": phase, "epoch": number, "step": 2 * number, "validation_end_to_end_dice": dice,
        "validation_oracle_dice": dice + 0.2,
    }  # fmt: skip
    return [*steps, end]


def test_curves_grow_with_the_log(tmp_path):
    path = tmp_path / "log.jsonl"
    reader = CurveReader(path)
    assert not reader.read()
    assert reader.values == {}
    write_log(path, {"event": "begin"}, *epoch(1, 0.3))
    assert reader.read()
    assert reader.values[END_TO_END] == [(1.0, 0.3)]
    assert reader.values[REFERENCE] == [(1.0, 0.5)]
    assert [x for x, _loss in reader.values[LOSS]] == [0.5, 1.0], "the loss stands between the epochs"
    assert not reader.read()
    write_log(path, *epoch(2, 0.4))
    assert reader.read()
    assert reader.values[END_TO_END] == [(1.0, 0.3), (2.0, 0.4)]


def test_a_training_that_goes_on_from_its_checkpoint_has_one_curve(tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(path, *epoch(1, 0.3), *epoch(2, 0.4))
    reader = CurveReader(path)
    reader.read()
    write_log(path, *epoch(1, 0.3), *epoch(2, 0.6), mode="w")
    assert reader.read()
    assert reader.values[END_TO_END] == [(1.0, 0.3), (2.0, 0.6)]


def test_each_phase_has_its_curves(tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(path, *epoch(1, 0.1, "context"), *epoch(2, 0.2, "context"), *epoch(1, 0.5))
    reader = CurveReader(path)
    reader.read()
    assert reader.values[END_TO_END] == [(1.0, 0.5)]


def test_a_long_training_has_few_points(tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(path, *[{"event": "step", "phase": "p", "epoch": 1, "step": n, "loss": float(n)} for n in range(1, 5001)])
    reader = CurveReader(path)
    reader.read()
    assert 100 < len(reader.values[LOSS]) <= 240
    assert reader.values[LOSS][0][1] == pytest.approx(11.0, abs=10)


def test_one_chart_is_used_again_and_mended_and_not_saved(scene, tmp_path):
    chart = CurveChart(scene)
    assert chart.node is None
    chart.choose()  # nothing to choose yet
    values = {LOSS: [(0.5, 1.0), (1.0, 0.8)], END_TO_END: [(1.0, 0.3)]}
    node = chart.show(values, "first run")
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    chart.choose()
    assert selection.GetActivePlotChartID() == node.GetID()
    assert sorted(table.GetTable().GetNumberOfRows() for table in nodes_by_class(scene, "vtkMRMLTableNode")) == [0, 1, 2]
    assert CurveChart(scene).show(values, "second run") is node
    assert node.GetTitle() == "second run"
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 3
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 3
    # A series and a table are deleted in the Data module.
    series = scene.GetFirstNodeByName("Loss")
    scene.RemoveNode(series.GetTableNode())
    scene.RemoveNode(scene.GetFirstNodeByName("Dice end to end"))
    chart.show(values, "second run")
    assert scene.GetFirstNodeByName("Loss").GetTableNode().GetTable().GetNumberOfRows() == 2
    assert node.GetNumberOfPlotSeriesNodes() == 3
    assert not any(
        node.GetSaveWithScene()
        for kind in ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTableNode")
        for node in nodes_by_class(scene, kind)
    )
