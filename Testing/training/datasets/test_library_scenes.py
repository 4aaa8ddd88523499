"""Scenes that Slicer's own code wrote come into a library as what they were in the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MyoScarSegLib.training.datasets.import_export import import_cases
from MyoScarSegLib.training.datasets.training_library import Library
from Testing.scene.test_saving import SHAPE, make_study, save_folder, save_mrb
from Testing.support.volume_factory import add_transform, add_volume, random_matrix

slicer = pytest.importorskip("slicer")


@pytest.fixture(params=[save_mrb, save_folder], ids=["mrb", "folder"])
def save(request):
    return request.param


def saved(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.mrb"), *folder.rglob("*.mrml")])


def draw(volume: Any, name: str, segments: dict[str, np.ndarray]) -> Any:
    """A segmentation as a reader of Slicer makes one, without this program: name of a segment to mask ``[k, j, i]``."""
    node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for segment, mask in segments.items():
        key = node.GetSegmentation().AddEmptySegment("", segment)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, key, volume)
    return node


def blocks(seed: int) -> np.ndarray:
    """bool ``[k, j, i]``."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:4, 12 + seed : 20, 14:22] = True
    return mask


@pytest.mark.parametrize("flip", [False, True], ids=["right-handed", "left-handed"])
def test_scene_drawn_without_this_program(library, scene, save, tmp_path, flip):
    matrix = random_matrix(7, (1.4, 1.3, 9.0), flip=flip)
    volume = add_volume(scene, SHAPE, matrix, name="DOE^JANE", seed=3)
    draw(volume, "Segmentation of DOE^JANE", {"Scar": blocks(1)})
    save(scene, tmp_path)
    report = import_cases(library, saved(tmp_path))
    assert [(one.status, one.case) for one in report.cases] == [("added", "P001")], report
    found = library.load(library.cases()[0])
    assert not found.wall_known and np.array_equal(found.labels >= 3, blocks(1))
    assert np.array_equal(found.study.voxels, slicer.util.arrayFromVolume(volume))
    assert found.study.geometry.spacing_mm == pytest.approx((1.4, 1.3, 9.0))
    ras = np.diag([-1.0, -1.0, 1.0]) @ (np.asarray(found.study.geometry.direction) * (1.4, 1.3, 9.0))
    assert np.allclose(ras, matrix[:3, :3], atol=1e-5)
    assert not [path for path in library.folder.rglob("*") if path.is_file() and b"JANE" in path.read_bytes()]


def test_several_studies_of_this_program_in_one_scene(library, scene, save, tmp_path):
    studies = [make_study(scene, f"LGE {n}", n) for n in (1, 2)]
    masks = [session.mask() for session in studies]
    for session in studies:
        session.close()
    save(scene, tmp_path)
    report = import_cases(library, saved(tmp_path), patient_pattern=".+")
    patient = saved(tmp_path)[0].stem
    assert [(one.status, one.case) for one in report.cases] == [("added", patient), ("added", f"{patient}-2")], report
    loaded = [library.load(case) for case in library.cases()]
    for one in loaded:
        assert any(np.array_equal(one.labels >= 3, mask) for mask in masks)
    assert [one.status for one in import_cases(library, saved(tmp_path), patient_pattern=".+").cases] == ["same"] * 2


def test_transforms_as_slicer_writes_them(library, scene, save, tmp_path):
    volume = add_volume(scene, SHAPE, random_matrix(2, (1.4, 1.4, 10.0)), name="LGE", seed=1)
    segmentation = draw(volume, "s", {"Scar": blocks(0)})
    moved = add_transform(scene, 4)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(moved.GetID())
    save(scene, tmp_path)
    assert [one.status for one in import_cases(library, saved(tmp_path)).cases] == ["added"]
    assert np.array_equal(library.load(library.cases()[0]).labels >= 3, blocks(0))


def test_what_cannot_be_used_is_said(scene, save, tmp_path):
    volume = add_volume(scene, SHAPE, None, name="a", seed=1)
    apart = draw(volume, "apart", {"Scar": blocks(0)})
    apart.SetAndObserveTransformNodeID(add_transform(scene, 4).GetID())
    grid = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "grid")
    bent = add_volume(scene, SHAPE, None, name="b", seed=2)
    for node in (bent, draw(bent, "bent", {"Scar": blocks(1)})):
        node.SetAndObserveTransformNodeID(grid.GetID())
    gone = add_volume(scene, SHAPE, None, name="c", seed=3)
    draw(gone, "gone", {"Scar": blocks(2)})
    scene.RemoveNode(gone)
    unknown = add_volume(scene, SHAPE, None, name="d", seed=4)
    draw(unknown, "unknown", {"Segment_1": blocks(2), "Segment_2": ~blocks(2)})
    save(scene, tmp_path)
    report = import_cases(Library.create(tmp_path / "library"), saved(tmp_path))
    assert [one.status for one in report.cases] == ["problem"] * 4, report
    for one, words in zip(report.cases, ("different transforms", "non-linear", "no volume", "scar"), strict=True):
        assert words in one.message and one.message.endswith("."), one.message
