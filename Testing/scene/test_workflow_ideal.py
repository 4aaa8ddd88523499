"""What a reader does with a study, with the scene looked at after each step, over a real worker with tiny models.

Propose, reject one, resize one, add one, segment all, add a negative point, change the threshold, paint in a slice, run again,
undo three times, save, reload, continue.
"""

from __future__ import annotations

import numpy as np
import slicer

from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.lge_volumes import add_study
from MyoScarSegLib.scene.mask_steps import set_threshold
from MyoScarSegLib.scene.prompt_steps import add_box, add_point, update_box
from MyoScarSegLib.study import read_study
from Testing.support.session_factory import reload
from Testing.support.workflow_factory import catch_up, encode_all, finish, paint_in_scene, scar_in_scene

SMALL = PhantomSettings(slices=5, rows=96, columns=80, pixel_spacing_mm=(2.0, 2.0), orientation="random")


def ideal_workflow(workflow, study, folder) -> None:
    volume = add_study(workflow.scene, study, "LGE")
    voxels = slicer.util.arrayFromVolume(volume).copy()

    def scar() -> np.ndarray:
        """bool ``[k, j, i]``, as the scene has it."""
        return scar_in_scene(volume, session.segmentation.node)

    def proposal():
        """A proposal that was not touched yet, of another slice than the one that gets a box of the user's."""
        rows = [row for row in session.state.boxes if row.box.state is BoxState.PROPOSED]
        return next(row for row in rows if row.box.slice != middle)

    def only_changed_on(k: int, before: np.ndarray) -> bool:
        after = scar()
        others = np.array_equal(np.delete(after, k, axis=0), np.delete(before, k, axis=0))
        return others and not np.array_equal(after[k], before[k])

    assert workflow.select(volume), workflow.error
    session, middle, (rows, columns) = workflow.session, workflow.session.study.slices // 2, workflow.session.study.slice_shape
    assert workflow.facts and "Propose boxes" in workflow.status and not scar().any()
    encode_all(workflow)

    number = finish(workflow, session.requests.propose())
    assert len(session.state.boxes) == number >= 3, "the detector found too few boxes for this script"
    assert "Look through them" in workflow.status and session.history.can_undo

    rejected = proposal().id
    update_box(session, rejected, state=BoxState.REJECTED)
    assert not scar().any(), "nothing was segmented there, so nothing is now"

    resized = proposal()
    update_box(session, resized.id, x1=min(resized.box.x1 + 3, columns), y1=min(resized.box.y1 + 2, rows))
    catch_up(workflow)
    assert not np.delete(scar(), resized.box.slice, axis=0).any()

    added = add_box(session, Box(middle, columns * 0.4, rows * 0.4, columns * 0.6, rows * 0.6))
    assert len(session.state.boxes) == number + 1
    catch_up(workflow)
    assert scar()[middle].any(), "the new box has no mask"

    assert list(finish(workflow, session.requests.segment())) == []
    asked = {row.box.slice for row in session.state.boxes if row.box.state is not BoxState.REJECTED}
    assert set(np.flatnonzero(scar().any(axis=(1, 2)))) <= asked
    assert session.burden.pixels == scar().sum() > 0
    assert "mL" in workflow.status and session.stale_slices == []

    before = scar()
    # Outside all boxes, where a click counts for every object: the tiny network's fill the slice and hide each other.
    free = before[middle].copy()
    for box in (row.box for row in session.state.boxes if row.box.slice == middle):
        free[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = False
    y, x = np.argwhere(free)[len(np.argwhere(free)) // 2]
    add_point(session, Point(middle, float(x) + 0.5, float(y) + 0.5, positive=False))
    catch_up(workflow)
    assert [p.positive for p in session.state.points] == [False] and only_changed_on(middle, before)

    before_threshold = scar()
    set_threshold(session, 0.3)
    before_painting = scar()
    assert (before_painting | before_threshold == before_painting).all(), "a lower threshold can only add pixels"
    assert before_painting.sum() > before_threshold.sum()

    k = int(np.flatnonzero(before_painting.any(axis=(1, 2)))[0])
    painted = before_painting.copy()
    painted[k, 2:6, 2:6] ^= True  # painted where there was none, erased where there was scar
    paint_in_scene(volume, session.segmentation.node, painted)
    workflow.pump()
    assert session.burden.pixels == painted.sum(), "the numbers do not follow the painting"

    assert list(finish(workflow, session.requests.segment())) == [k]
    assert "painted" in workflow.note and np.array_equal(scar()[k], painted[k]), "the painting is gone"

    assert session.undo() and session.undo()  # the second run, the painting
    assert np.array_equal(scar(), before_painting)
    assert session.undo()  # the threshold
    assert np.array_equal(scar(), before_threshold)
    assert session.state.threshold == 0.5 and len(session.state.points) == 1
    assert session.state.box(rejected).state is BoxState.REJECTED
    assert session.stale_slices == [] and session.burden.pixels == before_threshold.sum()
    assert np.array_equal(slicer.util.arrayFromVolume(volume), voxels)

    boxes, points = session.state.boxes, session.state.points
    reload(workflow.scene, folder)
    workflow.pump()  # which takes the study up by itself
    assert workflow.session is not None and workflow.session is not session, workflow.error
    session, volume = workflow.session, workflow.volume_node
    assert session.state.boxes == boxes
    places = [[(p.slice, round(p.x, 2), round(p.y, 2), p.positive) for p in one] for one in (session.state.points, points)]
    assert places[0] == places[1] and np.array_equal(scar(), before_threshold)
    assert session.state.threshold == 0.5 and session.state.edited == [] and not session.history.can_undo

    x0, y0, _x1, _y1 = session.state.box(added).xyxy
    add_point(session, Point(middle, x0 + 1.5, y0 + 1.5))
    catch_up(workflow)
    after = scar()
    assert only_changed_on(middle, before_threshold)
    set_threshold(session, 0.4)  # the probabilities came with the scene
    assert (scar() | after == scar()).all()
    assert session.undo() and session.undo()
    assert np.array_equal(scar(), before_threshold)
    assert list(finish(workflow, session.requests.segment())) == []


def test_ideal_workflow_on_a_phantom(workflow, tmp_path):
    ideal_workflow(workflow, make_phantom(3, settings=SMALL).study, tmp_path)


def test_ideal_workflow_on_a_patients_study(workflow, tmp_path, emidec_volumes_folder):
    ideal_workflow(workflow, read_study(emidec_volumes_folder / "samplePositive_lge.nii.gz"), tmp_path)
