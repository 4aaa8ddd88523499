"""Numbers of the segment against geometry done by hand, in tables; and the folder of a study."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, mass_of_pixels_g, scar_burden
from MyoScarSegLib.quantification.mass_interval import MassError, mass_interval, uncertain_pixels
from MyoScarSegLib.result import MASS_ERROR, SliceMasks
from MyoScarSegLib.scene.attributes import ROLE
from MyoScarSegLib.scene.box_views import BoxViews
from MyoScarSegLib.scene.mask_steps import apply_masks, set_growth_mm, set_threshold
from MyoScarSegLib.scene.prompt_steps import add_box
from MyoScarSegLib.scene.result_tables import COLUMNS, INTERVAL_COLUMNS
from MyoScarSegLib.scene.study_session import StudySession
from Testing.support.session_factory import blob, masks, paint
from Testing.support.volume_factory import add_gaps, add_transform, add_volume, random_matrix

SHAPE = (6, 30, 36)


def segmented(volume, *slices: int) -> StudySession:
    session = StudySession.open(volume)
    apply_masks(session, SliceMasks(probability={k: blob(SHAPE[1:], 18, 15, 5 + k) for k in slices}, scores={slices[0]: 0.75}))
    return session


def cells(node) -> list[list[str]]:
    table = node.GetTable()
    return [
        [table.GetValue(row, column).ToString() for column in range(table.GetNumberOfColumns())]
        for row in range(table.GetNumberOfRows())
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("moved", [False, True])
def test_volume_and_mass_are_those_of_the_voxels_in_the_world(scene, seed, moved):
    matrix = random_matrix(seed, (1.3, 1.7, 11.0), flip=bool(seed % 2))
    if seed == 5:  # sheared, as a stack whose slices are shifted in plane
        matrix[:3, 2] += 2.5 * matrix[:3, 0]
    volume = add_volume(scene, SHAPE, matrix)
    if moved:
        volume.SetAndObserveTransformNodeID(add_transform(scene, seed).GetID())
    session = segmented(volume, 1, 3, 4)
    burden = session.burden
    voxel_ml = abs(np.linalg.det(matrix[:3, :3])) / 1000
    pixels = int(session.mask().sum())
    assert burden.volume_ml == pytest.approx(pixels * voxel_ml, rel=1e-6)
    assert burden.mass_g == pytest.approx(pixels * voxel_ml * MYOCARDIAL_DENSITY_G_PER_ML, rel=1e-6)
    assert burden == scar_burden(session.mask(), session.study.geometry)


def test_gaps_between_slices_count_where_the_acquisition_transform_puts_them(scene):
    """Slicer loads a stack with uneven gaps as an even volume under a non-linear transform."""
    volume = add_volume(scene, SHAPE)
    grid = add_gaps(volume, np.array([0, 10, 20, 45, 55, 65]) - 10.0 * np.arange(SHAPE[0]))
    session = segmented(volume, 1, 2, 3)
    extents = [10, 10, 17.5, 17.5, 10, 10]
    areas = session.mask().sum(axis=(1, 2)) * 1.4 * 1.4
    assert session.burden.volume_ml == pytest.approx(float(areas @ extents) / 1000, rel=1e-4)
    assert session.segmentation.node.GetTransformNodeID() == grid.GetID()


def test_table_shows_every_slice_and_the_sum_and_follows_every_change(scene):
    session = segmented(add_volume(scene, SHAPE), 1, 2)
    burden, rows = session.burden, cells(session.nodes.results.node)
    assert len(rows) == SHAPE[0] + 1
    assert rows[1][:2] == ["1", str(burden.slices[1].pixels)]
    assert rows[1][5] == "0.75"
    assert rows[-1] == ["all", str(burden.pixels), f"{sum(s.area_mm2 for s in burden.slices):.1f}",
                        f"{burden.volume_ml:.3f}", f"{burden.mass_g:.3f}", "", ""]  # fmt: skip
    set_threshold(session, 0.1)
    assert cells(session.nodes.results.node)[-1][1] == str(session.burden.pixels) != rows[-1][1]
    session.undo()
    assert cells(session.nodes.results.node) == rows
    array = session.mask().astype(np.uint8)
    array[4, 2:5, 2:5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        array, session.segmentation.node, session.segmentation.segment_id, session.volume_node
    )
    session.refresh()
    assert cells(session.nodes.results.node)[4][1] == "9"
    assert cells(session.nodes.results.node)[4][6] == "yes"


def test_second_table_says_where_the_numbers_come_from(scene):
    volume = add_volume(scene, SHAPE)
    session = StudySession.open(volume)
    provenance = {"segmenter": "tiny", "segmenter_sha256": "ab"}
    apply_masks(session, SliceMasks({1: blob(SHAPE[1:], 9, 9, 4)}, provenance=provenance))
    facts = dict(cells(session.nodes.results.provenance_node))
    assert facts["segmenter"] == "tiny" and facts["segmenter_sha256"] == "ab"
    assert facts["threshold"] == "0.5" and facts["density_g_per_ml"] == "1.05"


def items_of(scene) -> dict[str, str]:
    """Name of each node in a study's folder, to the folder's name."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    found = {}
    for item in slicer.util.getSubjectHierarchyItemChildren(hierarchy.GetSceneItemID(), recursive=True):
        node, parent = hierarchy.GetItemDataNode(item), hierarchy.GetItemParent(item)
        if node is not None and hierarchy.GetItemAttribute(parent, ROLE):
            found[node.GetName()] = hierarchy.GetItemName(parent)
    return found


def test_nodes_of_each_study_lie_in_a_folder_of_their_own(scene):
    for name in ("LGE a", "LGE b"):
        segmented(add_volume(scene, SHAPE, name=name), 1, 2)
    found = items_of(scene)
    assert found["LGE a scar"] == "LGE a scar"
    assert found["LGE b scar probability"] == "LGE b scar"
    assert "LGE a" not in found, "the user's volume was moved"


def test_what_shows_boxes_lies_in_the_folder_at_once(scene):
    session = StudySession.open(add_volume(scene, SHAPE))
    _views = BoxViews(session, on_edited=lambda *_: None, on_removed=lambda _: None)
    add_box(session, Box(1, 3.0, 3.0, 9.0, 9.0))
    assert items_of(scene)["Scar box, slice 1"] == "LGE scar"


ALONE, ASKED = MassError(3.0, 0.5, 0.8), MassError(1.0, 0.75, 0.6)


def by(error: MassError, *slices: int, radius: float = 6.0) -> SliceMasks:
    """Masks of a model that knows its errors."""
    return masks(*slices, radius=radius, shape=SHAPE[1:], provenance={MASS_ERROR: error.text()} if error.known else {})


def expected(session: StudySession, error: MassError, painted: tuple[int, ...] = ()):
    """The interval as the command line has it, from the whole stack."""
    probability = session.state.probabilities(SHAPE)
    probability[list(painted)] = 0
    uncertain_g = mass_of_pixels_g([uncertain_pixels(one) for one in probability], session.study.geometry)
    return mass_interval(session.burden.mass_g, uncertain_g, error)


def test_interval_of_the_mass_follows_each_edit_and_is_that_of_the_result(scene):
    session = StudySession.open(add_volume(scene, SHAPE))
    assert session.mass_interval is None, "nothing is segmented yet"
    apply_masks(session, by(ALONE, 1, 2, 3))
    first = session.mass_interval
    assert first == expected(session, ALONE) == session.to_result().mass_interval
    set_growth_mm(session, 2.0)
    assert session.mass_interval == expected(session, ALONE) == session.to_result().mass_interval
    assert session.mass_interval.high_g > first.high_g
    session.undo()
    assert session.mass_interval == first
    apply_masks(session, by(ALONE, 2, radius=8.0))
    assert session.mass_interval == expected(session, ALONE) != first


def test_slice_that_the_reader_painted_is_certain(scene):
    session = StudySession.open(add_volume(scene, SHAPE))
    apply_masks(session, by(ALONE, 1, 2))
    before = session.mass_interval
    paint(session, 1)
    after = session.mass_interval
    assert session.state.edited == [1]
    assert after == expected(session, ALONE, painted=(1,)) == session.to_result().mass_interval
    assert after.high_g - after.low_g < before.high_g - before.low_g
    session.undo()
    assert session.mass_interval == before


def test_slices_of_several_runs_have_the_widest_interval_and_none_if_one_is_of_an_unknown_model(scene):
    session = StudySession.open(add_volume(scene, SHAPE))
    apply_masks(session, by(ALONE, 1, 2))
    apply_masks(session, by(ASKED, 2))
    widest = MassError(3.0, 0.75, 0.6)
    assert session.mass_interval == expected(session, widest) == session.to_result().mass_interval
    assert session.provenance[MASS_ERROR] == widest.text()
    nothing = SliceMasks({1: np.zeros(SHAPE[1:], dtype=np.float32)}, provenance={"segmenter": "not used: nothing was prompted"})
    apply_masks(session, nothing)
    assert session.mass_interval == expected(session, ASKED), "its box was deleted: no model was asked, and none of it is left"
    apply_masks(session, by(MassError(), 3))
    assert session.mass_interval is None and session.to_result().mass_interval is None
    assert MASS_ERROR not in session.provenance


def test_interval_survives_that_the_scene_is_read_anew(scene):
    volume = add_volume(scene, SHAPE)
    session = StudySession.open(volume)
    apply_masks(session, by(ALONE, 1, 2))
    paint(session, 1)
    before = session.mass_interval
    session.close()
    again = StudySession.open(volume)
    assert again.mass_interval == before


def test_table_has_columns_of_the_interval_where_it_is_known(scene):
    session = StudySession.open(add_volume(scene, SHAPE))
    apply_masks(session, by(ALONE, 1, 2))
    table, within = session.nodes.results.node.GetTable(), session.mass_interval
    titles = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert titles == [*COLUMNS, *INTERVAL_COLUMNS]
    rows = cells(session.nodes.results.node)
    assert rows[-1][-3:] == [f"{within.low_g:.3f}", f"{within.high_g:.3f}", "yes" if within.doubtful else ""]
    assert all(row[-3:] == ["", "", ""] for row in rows[:-1])
    apply_masks(session, by(MassError(), 3))
    assert session.nodes.results.node.GetTable().GetNumberOfColumns() == len(COLUMNS)
