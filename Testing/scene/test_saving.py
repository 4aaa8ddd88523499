"""A study survives saving and loading, as .mrb and as a scene with its files, also together with another study."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import SliceMasks, mask_of
from MyoScarSegLib.scene.mask_steps import apply_masks, clear_study, set_growth_mm, set_threshold
from MyoScarSegLib.scene.prompt_steps import add_box, add_point, apply_proposals, update_box
from MyoScarSegLib.scene.study_session import StudySession, sessions
from MyoScarSegLib.scene.study_state import StudyState
from Testing.support.session_factory import blob, everything, fresh_scene, paint, save_folder, save_mrb
from Testing.support.volume_factory import add_transform, add_volume, random_matrix

SHAPE = (6, 40, 48)
PROVENANCE = {"segmenter": 'a "quoted" näme; 100 % <&>', "segmenter_sha256": "0" * 64, "remark": "two\nlines | bar"}


def make_study(scene, name: str, seed: int, *, transform: bool = False, shape=SHAPE) -> StudySession:
    volume = add_volume(scene, shape, random_matrix(seed, (1.4, 1.4, 10.0)), name=name, seed=seed)
    if transform:
        volume.SetAndObserveTransformNodeID(add_transform(scene, seed).GetID())
    session = StudySession.open(volume)
    apply_proposals(session, [Box(k, 10, 8, 30, 30, confidence=0.6, source="yolo") for k in (1, 2, 3)], {"detector": "d"})
    update_box(session, session.state.boxes[0].id, state=BoxState.REJECTED)
    add_box(session, Box(4, 3.25, 4.5, 12, 13))
    add_point(session, Point(2, 20.5, 18.5, positive=False))
    probability = {k: blob(session.study.slice_shape, 24, 20, 6 + seed + 0.1 * k) for k in (1, 2, 3)}
    apply_masks(session, SliceMasks(probability, {1: 0.8, 2: 0.7}, {5: "no memory"}, PROVENANCE))
    set_threshold(session, 0.35)
    set_growth_mm(session, 2.1)
    paint(session, 3)
    session.refresh()
    return session


@pytest.fixture(params=[save_mrb, save_folder], ids=["mrb", "folder"])
def save(request):
    return request.param


def same(loaded: tuple, saved: tuple) -> None:
    for name, now, before in zip(("boxes", "points", "mask", "probability", "settings"), loaded, saved, strict=True):
        assert now == before, name


def test_everything_comes_back(scene, save, tmp_path, tmp_path_factory):
    session = make_study(scene, "LGE", 1, transform=True)
    saved, burden, provenance = everything(session), session.burden, session.provenance
    load = save(scene, tmp_path)
    session.close()
    again = fresh_scene(tmp_path_factory)
    load(again)
    (loaded,) = sessions(again)
    loaded = StudySession.open(loaded.volume_node)
    assert loaded.nodes.problem == ""
    same(everything(loaded), saved)
    assert loaded.burden.volume_ml == pytest.approx(burden.volume_ml)
    assert loaded.provenance == provenance
    assert loaded.state.edited == [3]
    assert loaded.to_result().scores == {1: 0.8, 2: 0.7}
    assert loaded.to_result().failed_slices == {5: "no memory"}


def test_work_goes_on_after_loading(scene, save, tmp_path, tmp_path_factory):
    session = make_study(scene, "LGE", 1)
    lower = mask_of(session.state.models[1].probability, 0.2, 2.1, session.study.geometry.pixel_spacing_mm)
    painted, nodes = session.mask()[3], scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    load = save(scene, tmp_path)
    session.close()
    again = fresh_scene(tmp_path_factory)
    load(again)
    loaded = StudySession.open(sessions(again)[0].volume_node)
    with pytest.raises(SceneError, match="nothing to undo"):
        loaded.undo()  # what was done before is done
    before = everything(loaded)
    assert set_threshold(loaded, 0.2) == [3]
    assert np.array_equal(loaded.mask()[1], lower)
    ids = {row.id for row in loaded.state.boxes}
    assert add_box(loaded, Box(0, 1, 1, 9, 9)) not in ids
    given = SliceMasks(probability={k: blob(SHAPE[1:], 10, 10, 4) for k in (2, 3)})
    assert apply_masks(loaded, given) == [3]
    assert np.array_equal(loaded.mask()[3], painted)
    assert again.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == nodes
    for _step in range(3):
        loaded.undo()
    same(everything(loaded), before)


def test_two_studies_and_a_chosen_segmentation_come_back_apart(scene, save, tmp_path, tmp_path_factory):
    first, second = make_study(scene, "LGE one", 1), make_study(scene, "LGE two", 2, shape=(5, 44, 40))
    manual = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Manual")
    manual.SetReferenceImageGeometryParameterFromVolumeNode(first.volume_node)
    lv = np.zeros(SHAPE, dtype=np.uint8)
    lv[:, 10:30, 10:35] = 1
    manual.GetSegmentation().AddEmptySegment("lv", "LV")
    slicer.util.updateSegmentBinaryLabelmapFromArray(lv, manual, "lv", first.volume_node)
    first.use_segmentation(manual)
    saved = {s.volume_node.GetName(): everything(s) for s in (first, second)}
    load = save(scene, tmp_path)
    first.close()
    second.close()
    again = fresh_scene(tmp_path_factory)
    load(again)
    found = {s.volume_node.GetName(): StudySession.open(s.volume_node) for s in sessions(again)}
    assert set(found) == {"LGE one", "LGE two"}
    for name, session in found.items():
        same(everything(session), saved[name])
    node = found["LGE one"].segmentation.node
    assert node.GetName() == "Manual"
    apply_masks(
        found["LGE one"], SliceMasks(probability={k: blob(SHAPE[1:], 20, 20, 9) for k in range(6)}), overwrite_edited=True
    )
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "lv", found["LGE one"].volume_node)
    assert np.array_equal(array, lv)
    same(everything(found["LGE two"]), saved["LGE two"])


def test_scene_loaded_into_a_scene_with_a_study_keeps_both(scene, tmp_path):
    """Ids are given anew then; references, not ids in texts, hold a study together."""
    first = make_study(scene, "LGE", 1)
    saved = everything(first)
    path = tmp_path / "study.mrb"
    assert scene.WriteToMRB(str(path))
    set_threshold(first, 0.6)
    present = everything(first)
    assert scene.ReadFromMRB(str(path), False, slicer.vtkMRMLMessageCollection())
    found = sessions(scene)
    assert len(found) == 2
    same(everything(first), present)
    (second,) = (s for s in found if s is not first)
    same(everything(second), saved)
    second = StudySession.open(second.volume_node)
    clear_study(second)
    same(everything(first), present)


def test_probability_is_saved_compressed(scene, tmp_path):
    session = make_study(scene, "LGE", 1)
    session.close()
    path = tmp_path / "study.mrb"
    assert scene.WriteToMRB(str(path))
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if "probability" in n.lower())
        header = archive.read(name).split(b"\n\n")[0]
    assert b"encoding: gzip" in header


def test_record_that_makes_no_sense_costs_nothing_that_the_user_had(scene):
    session = make_study(scene, "LGE", 1)
    mask, boxes = session.mask(), session.state.boxes
    node = session.nodes.record.node
    session.close()
    slice_of_no_run = '{"threshold": 0.5, "growth_mm": 0, "checksum": "", "score": null, "run": 3}'
    for text in (
        '{"version": 7}',
        "no json",
        '{"version": 2, "threshold": "high"}',
        f'{{"version": 2, "slices": {{"1": {slice_of_no_run}}}}}',
        '{"version": 2, "runs": [{"mass_error_g": "1 2"}]}',
        "[]",
    ):
        node.SetParameter("MyoScarSeg.Record", text)
        loaded = StudySession.open(session.volume_node)
        assert "cannot be read" in loaded.nodes.problem
        assert np.array_equal(loaded.mask(), mask) and loaded.state.boxes == boxes
        assert apply_masks(loaded, SliceMasks(probability={1: blob(SHAPE[1:], 5, 5, 3)})) == [1]  # counts as the user's now
        loaded.close()


def test_closing_the_scene_ends_the_session_without_a_word(scene):
    session = make_study(scene, "LGE", 1)
    scene.Clear(0)
    session.refresh()
    session.close()
    assert sessions(scene) == []
    volume = add_volume(scene, SHAPE, name="LGE")
    fresh = StudySession.open(volume)
    assert not fresh.state.has_masks and not fresh.history.can_undo
    assert fresh.state == StudyState()
    fresh.close()
