"""From volume nodes to studies, and which volume is taken for the LGE stack."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study.study import Reconstruction
from Testing.volume_factory import add_gaps, add_transform, add_volume

pytest.importorskip("slicer")

import slicer

from MyoScarSegLib.scene.attributes import claim
from MyoScarSegLib.scene.volumes import content_hash, describe, likely_lge, study_of

PLACE = np.diag([-1.5, -1.25, 8.0, 1.0])


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, shape or (6, 30, 40)).astype(np.float32)


def test_a_volume_becomes_the_study_that_its_file_would_be(scene, tmp_path):
    from MyoScarSegLib.study import read_study

    volume = add_volume(scene, image(), PLACE, "stack")
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(tmp_path / "stack.nrrd"))
    assert storage.WriteData(volume)
    from_file, from_scene = read_study(tmp_path / "stack.nrrd"), study_of(volume)
    assert np.array_equal(from_file.voxels, from_scene.voxels)
    assert from_scene.geometry.spacing_mm == pytest.approx(from_file.geometry.spacing_mm)
    assert from_scene.geometry.origin_mm == pytest.approx(from_file.geometry.origin_mm)
    assert from_scene.geometry.direction == pytest.approx(from_file.geometry.direction)
    assert from_scene.file_axes == from_file.file_axes


def test_reading_a_volume_does_not_change_it(scene):
    volume = add_volume(scene, np.where(image() > 120, np.nan, image()), PLACE)
    before, stamp = content_hash(volume), volume.GetMTime()
    study = study_of(volume) if np.isfinite(slicer.util.arrayFromVolume(volume)).all(axis=(1, 2)).any() else None
    assert content_hash(volume) == before
    assert volume.GetMTime() == stamp
    assert study is None or np.isfinite(study.voxels).all()


def test_a_stack_with_gaps_has_its_slices_where_the_transform_puts_them(scene):
    volume = add_volume(scene, image(), PLACE)
    add_gaps(scene, volume, np.array([0.0, 0.0, 0.0, 8.0, 8.0, 8.0]))
    geometry = study_of(volume).geometry
    assert np.diff(geometry.slice_positions_mm) == pytest.approx([8, 8, 16, 8, 8], abs=1e-3)
    assert geometry.slice_distance_mm == pytest.approx(8, abs=1e-3)
    mask = np.ones((6, 30, 40), dtype=bool)
    assert scar_burden(mask, geometry).volume_ml == pytest.approx(
        30 * 40 * 1.5 * 1.25 * (8 + 8 + 12 + 12 + 8 + 8) / 1000, rel=1e-4
    )
    assert "16 mm" in describe(study_of(volume))


def test_a_scaling_transform_above_the_volume_counts_in_the_mass(scene):
    volume = add_volume(scene, image(), PLACE)
    volume.SetAndObserveTransformNodeID(add_transform(scene, np.diag([2.0, 1.0, 1.0, 1.0])).GetID())
    assert study_of(volume).geometry.spacing_mm == pytest.approx((3.0, 1.25, 8.0))


def test_slices_along_another_axis_are_found_by_the_spacing(scene):
    volume = add_volume(scene, image(30, 6, 40), np.diag([1.5, 9.0, 1.25, 1.0]))
    study = study_of(volume)
    assert study.voxels.shape == (6, 30, 40)
    assert study.file_axes == (1, 0, 2)
    assert study.geometry.spacing_mm == pytest.approx((1.5, 1.25, 9.0))
    assert any("slices run along" in note for note in study.notes)


@pytest.mark.parametrize(
    ("class_name", "shape", "says"),
    [
        ("vtkMRMLVectorVolumeNode", (6, 30, 40, 3), "numbers per voxel"),
        ("vtkMRMLLabelMapVolumeNode", (6, 30, 40), "label map"),
        ("vtkMRMLScalarVolumeNode", (1, 30, 40), "one slice"),
        ("vtkMRMLScalarVolumeNode", None, "no image"),
    ],
)
def test_what_is_no_lge_stack_is_refused_with_a_plain_sentence(scene, class_name, shape, says):
    node = scene.AddNewNodeByClass(class_name, "thing")
    if shape is not None:
        slicer.util.updateVolumeFromArray(node, np.random.default_rng(0).integers(0, 99, shape).astype(np.int16))
    with pytest.raises(StudyError, match=says) as error:
        study_of(node)
    assert "thing" in str(error.value)


def test_no_volume_is_refused_with_a_plain_sentence():
    with pytest.raises(StudyError, match="Load an LGE study"):
        study_of(None)


def test_a_volume_with_time_points_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMultiVolumeNode", "perfusion") if hasattr(slicer, "vtkMRMLMultiVolumeNode") else None
    node = node or scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "perfusion")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 10, 10, 7), dtype=np.float32))
    with pytest.raises(StudyError, match="per voxel"):
        study_of(node)


@pytest.mark.parametrize(("name", "kind"), [("PSIR_SA", Reconstruction.PSIR), ("LGE MAG", Reconstruction.MAGNITUDE)])
def test_the_name_says_psir_or_magnitude(scene, name, kind):
    study = study_of(add_volume(scene, image(), PLACE, name))
    assert study.reconstruction is kind
    assert "name" in study.reconstruction_reason


def test_the_likely_volume_is_the_thick_stack_named_lge(scene):
    add_volume(scene, image(40, 40, 40), np.diag([1.5, 1.5, 1.5, 1.0]), "T2 map")
    add_volume(scene, image(8, 30, 40), PLACE, "cine SAX")
    wanted = add_volume(scene, image(8, 30, 40), PLACE, "LGE SAX PSIR")
    made = add_volume(scene, image(8, 30, 40), PLACE, "LGE probability")
    claim(made, wanted, "probability")
    node, why = likely_lge(scene)
    assert node is wanted
    assert "LGE" in why


def test_without_a_stack_of_thick_slices_no_volume_is_likely(scene):
    assert likely_lge(scene) is None
    add_volume(scene, image(40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]), "T1 brain")
    assert likely_lge(scene) is None


def test_the_line_of_facts_says_slices_spacing_and_kind(scene):
    line = describe(study_of(add_volume(scene, image(), PLACE, "PSIR")))
    assert line == "6 slices of 40 x 30 pixels, 1.5 x 1.25 mm, 8 mm between slices, PSIR"


def test_two_volumes_with_the_same_voxels_elsewhere_have_other_hashes(scene):
    one, other = add_volume(scene, image(), PLACE), add_volume(scene, image(), PLACE + np.eye(4)[3] * 0)
    assert content_hash(one) == content_hash(other)
    moved = PLACE.copy()
    moved[0, 3] = 5
    assert content_hash(add_volume(scene, image(), moved)) != content_hash(one)
