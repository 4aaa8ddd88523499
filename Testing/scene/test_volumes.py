"""From volume nodes to studies, and which volume is taken for the LGE stack."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from scipy.spatial.transform import Rotation

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.scene.attributes import claim
from MyoScarSegLib.scene.lge_volumes import add_study, content_hash, describe, images_in, likely_lge, study_of
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study import read_mask, read_study, write_segmentation
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.volume_factory import add_gaps, add_transform, add_volume

PLACE = np.diag([-1.5, -1.25, 8.0, 1.0])


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, shape or (6, 30, 40)).astype(np.float32)


def test_a_volume_becomes_the_study_that_its_file_would_be(scene, tmp_path):
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
    add_gaps(volume, np.array([0.0, 0.0, 0.0, 8.0, 8.0, 8.0]))
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


@pytest.mark.parametrize(
    "name", ["9: SAX MDE", "Spätaufnahme KA", "延迟强化 短轴", "LGE_SAX_early", "11: PSIR sub", "Realce tardío"]
)
def test_the_likely_volume_is_named_in_any_language_among_those_that_mention_lge(scene, name):
    for other in ("cine post LGE", "T1 map SAX", "LGE 4ch", "SAX T2 STIR", "3: TI scout"):
        add_volume(scene, image(8, 30, 40), PLACE, other)
    wanted = add_volume(scene, image(8, 30, 40), PLACE, name)
    assert likely_lge(scene)[0] is wanted


def test_without_a_stack_of_thick_slices_no_volume_is_likely(scene):
    assert likely_lge(scene) is None
    add_volume(scene, image(40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]), "T1 brain")
    assert likely_lge(scene) is None


def test_the_line_of_facts_says_slices_spacing_and_kind(scene):
    line = describe(study_of(add_volume(scene, image(), PLACE, "PSIR")))
    assert line == "6 slices of 40 x 30 pixels, 1.5 x 1.25 mm, 8 mm between slices, PSIR"


@pytest.mark.parametrize("labels", [False, True])
def test_labels_in_a_plain_volume_are_said_in_the_line_of_facts(scene, labels):
    voxels = image() // 100 % 4 if labels else image()
    assert ("as a label map has" in describe(study_of(add_volume(scene, voxels, PLACE)))) == labels


def test_a_slice_that_cannot_be_used_is_said_in_the_line_of_facts(scene):
    voxels = image().astype(np.float32)
    voxels[2, 5, 6:8] = np.nan
    line = describe(study_of(add_volume(scene, voxels, PLACE)))
    assert line.endswith(". Cannot be used, and counts as free of scar: slice 2 (2 of its 1200 pixels are NaN or infinite).")


@pytest.mark.parametrize(("spacing", "said"), [((1.0, 1.0, 1.0), True), ((1.0, 1.0, 8.0), False)])
def test_spacing_that_slicer_may_have_filled_in_is_said(scene, spacing, said):
    study = study_of(add_volume(scene, image(), np.diag([*spacing, 1.0])))
    assert ("Check the spacing" in describe(study)) == said
    assert any("says no spacing" in note for note in study.notes) == said


def test_two_volumes_with_the_same_voxels_elsewhere_have_other_hashes(scene):
    one, other = add_volume(scene, image(), PLACE), add_volume(scene, image(), PLACE + np.eye(4)[3] * 0)
    assert content_hash(one) == content_hash(other)
    moved = PLACE.copy()
    moved[0, 3] = 5
    assert content_hash(add_volume(scene, image(), moved)) != content_hash(one)


POSITIONS = np.array([0.0, 10.0, 20.0, 40.0, 47.0, 57.0])


def uneven_study(*, falling: bool = False) -> Study:
    direction = Rotation.from_euler("xyz", [0.4, -0.5, 0.7]).as_matrix()
    origins = np.array([5.0, -3.0, 12.0]) + np.outer(POSITIONS, direction[:, 2])
    if falling:  # left-handed
        origins, direction = origins[::-1], direction * (1, 1, -1)
    steps = POSITIONS if not falling else -POSITIONS[::-1]
    geometry = Geometry((1.4, 1.3, 10.0), tuple(origins[0]), direction, steps, origins)
    return Study("uneven", image(), geometry, Reconstruction.PSIR)


@pytest.mark.parametrize("falling", [False, True])
def test_an_uneven_study_lies_in_the_scene_where_its_slices_were_acquired(scene, falling):
    study = uneven_study(falling=falling)
    volume = add_study(scene, study, "LGE")
    place = VolumeGeometry(volume)
    seen = study_of(volume)
    order = slice(None, None, -1) if falling else slice(None)
    assert np.array_equal(seen.voxels, study.voxels[order])
    for k, origin in enumerate(study.geometry.slice_origins_mm[order]):
        assert place.to_world(np.array([[0.5, 0.5, k]]))[0] == pytest.approx(origin * (-1, -1, 1), abs=0.01)
        assert place.from_world(np.array([origin * (-1, -1, 1)]))[0] == pytest.approx([0.5, 0.5, k], abs=0.01)
    assert np.diff(seen.geometry.slice_positions_mm) == pytest.approx(np.diff(POSITIONS), abs=0.01)
    mask = image() > 110
    assert scar_burden(mask[order], seen.geometry).mass_g == pytest.approx(scar_burden(mask, study.geometry).mass_g, rel=1e-3)


def test_boxes_and_scar_of_an_uneven_study_lie_on_their_slices_and_are_written_there(scene, tmp_path):
    study = uneven_study()
    volume = add_study(scene, study, "LGE")
    place = VolumeGeometry(volume)
    for k in range(6):
        box = Box(k, 5.0, 6.0, 15.0, 12.0)
        back, corners = place.box_of(*place.roi_of(box))
        assert back == k and corners == pytest.approx((5.0, 6.0, 15.0, 12.0), abs=0.05)
    session = StudySession.open(volume)
    mask = np.zeros((6, 30, 40), dtype=bool)
    mask[3:5, 6:12, 5:15] = True
    session.segmentation.write_slices({k: mask[k] for k in range(6)})
    assert np.array_equal(session.segmentation.mask(), mask)
    write_segmentation(tmp_path / "a.seg.nrrd", mask, session.study)
    assert np.array_equal(read_mask(tmp_path / "a.seg.nrrd", study), mask)  # on the grid of the files of the same stack


def test_a_series_that_slicer_shows_evenly_is_measured_where_its_headers_put_it(scene, monkeypatch):
    """Slicer's DICOM import spaces an uneven series by its mean distance, and keeps its headers in a database."""
    study = uneven_study()
    origins = study.geometry.slice_origins_mm
    matrix = np.eye(4)
    matrix[:3, :3] = study.geometry.direction * (1.4, 1.3, 57.0 / 5)
    matrix[:3, 3] = origins[0]
    volume = add_volume(scene, study.voxels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix)
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(f"1.2.{k}" for k in range(6)))
    headers = {f"1.2.{k}": "\\".join(f"{v:.6f}" for v in origin) for k, origin in enumerate(origins)}
    assert study_of(volume).geometry.slice_positions_mm is None
    database = SimpleNamespace(instanceValue=lambda uid, tag: headers[uid] if tag == "0020,0032" else "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    seen = study_of(volume).geometry
    assert np.diff(seen.slice_positions_mm) == pytest.approx(np.diff(POSITIONS), abs=1e-4)
    assert seen.slice_extents_mm(6) == pytest.approx(study.geometry.slice_extents_mm(6), abs=1e-4)
    headers["1.2.3"] = ""
    assert study_of(volume).geometry.slice_positions_mm is None


def test_a_scene_without_an_lge_stack_is_said_with_how_many_volumes_it_has(scene):
    thin = np.eye(4)
    add_volume(scene, np.zeros((60, 30, 40), dtype=np.int16), thin).SetName("CT thorax")
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    made = add_volume(scene, np.zeros((60, 30, 40), dtype=np.int16), thin)
    made.SetAttribute("MyoScarSeg.Role", "probability")
    assert likely_lge(scene) is None
    assert images_in(scene) == 1
