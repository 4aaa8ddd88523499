"""Which masks are stale or pending after an edit, how long an edit takes, and what the panel says to do next."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from MyoScarSegLib.prompts import FAINT, Box, BoxState, Point
from MyoScarSegLib.scene.guidance import next_step
from MyoScarSegLib.scene.packed_masks import pack
from MyoScarSegLib.scene.slice_prompts import PendingMasks, SlicePrompts, prompts_by_slice
from MyoScarSegLib.scene.study_state import BoxRow, SliceState, StudyState
from MyoScarSegLib.scene.translation import set_translator, slice_list


def prompts(*boxes: Box, points: tuple[Point, ...] = ()) -> dict[int, SlicePrompts]:
    return prompts_by_slice(boxes, points)


def state(*boxes: Box, points: tuple[Point, ...] = ()) -> StudyState:
    return StudyState(tuple(BoxRow(n, box) for n, box in enumerate(boxes)), points)


def segmented(before: StudyState, *slices: int) -> StudyState:
    """With masks that were made with the prompts of now."""
    given = {k: np.full((4, 4), 0.9, np.float32) for k in slices}
    return before.with_masks(given, {}, {}, {}, before.prompts, None)


BOX = Box(3, 1, 2, 8, 9)
MOVED = Box(3, 2, 2, 8, 9)


def with_boxes(before: StudyState, *boxes: Box) -> StudyState:
    return replace(before, boxes=state(*boxes).boxes)


def test_slice_given_up_is_missing_and_asked_for_again_by_the_next_edit():
    pending = PendingMasks()
    pending.ask([3])
    pending.give_up([3])
    assert pending.slices == [] and pending.missing == {3}
    pending.ask([3])
    assert pending.slices == [3]
    pending.arrived([3])
    assert pending.slices == [] and pending.missing == set()


def test_new_box_asks_for_its_slice():
    assert state(BOX).changed_prompts(state()) == {3}


def test_mask_is_stale_while_its_prompts_are_others():
    before = segmented(state(BOX), 3)
    assert before.stale == set()
    moved = with_boxes(before, MOVED)
    assert moved.stale == {3}
    assert with_boxes(moved, BOX).stale == set()
    assert segmented(moved, 3).stale == set()


def test_accepting_a_box_does_not_ask_for_a_new_mask():
    before = segmented(state(BOX), 3)
    accepted = with_boxes(before, replace(BOX, state=BoxState.ACCEPTED))
    assert accepted.changed_prompts(before) == set() == accepted.stale


def test_rejecting_a_box_takes_its_mask_away_but_segments_nothing_where_none_was():
    rejected = replace(BOX, state=BoxState.REJECTED)
    before = segmented(state(BOX), 3)
    assert with_boxes(before, rejected).changed_prompts(before) == {3}
    assert state(rejected).changed_prompts(state(BOX)) == set()


def test_new_proposals_make_masks_stale():
    before = segmented(state(BOX), 3)
    assert with_boxes(before, Box(3, 1, 2, 9, 9), Box(5, 1, 1, 4, 4)).stale == {3}


@pytest.mark.parametrize(
    ("reader", "confirmed"),
    [
        ({"boxes": (BOX,)}, True),
        ({"boxes": (replace(BOX, source="yolo", state=BoxState.ACCEPTED),)}, True),
        ({"boxes": (replace(BOX, source="yolo"),)}, False),
        ({"boxes": (replace(BOX, state=BoxState.REJECTED), replace(BOX, source="yolo"))}, False),
        ({"boxes": (replace(BOX, source="yolo"),), "points": (Point(3, 4, 4, positive=False),)}, True),
    ],
)
def test_scar_is_confirmed_where_the_reader_set_or_accepted_what_it_was_made_of(reader, confirmed):
    before = segmented(state(*reader["boxes"], points=reader.get("points", ())), 3)
    assert before.confirmed == ([3] if confirmed else [])
    moved = replace(BOX, source="yolo", x1=7)
    assert with_boxes(before, moved).confirmed == [], "not before the mask is that of the boxes and points of now"
    assert with_boxes(before.with_slices({3: SliceState(pack(np.eye(4) > 0), before.models[3])}), moved).confirmed == [3]


def test_negative_points_alone_ask_for_nothing():
    assert not prompts(points=(Point(1, 4, 4, positive=False),))[1].ask
    assert prompts(points=(Point(1, 4, 4),))[1].ask
    assert prompts(BOX, points=(Point(3, 4, 4, positive=False),))[3].ask


def test_boxes_of_other_labels_ask_for_nothing():
    assert prompts(Box(0, 1, 1, 5, 5, label="lv")) == {}


def study(*boxes: Box, masks=0, proposed=False, stale=(), volume_ml=None, mass_g=None, within_g=None, pixels=90):
    """A session, as far as the sentence depends on it."""
    return SimpleNamespace(
        state=replace(segmented(state(*boxes), *range(masks)), proposals={"detector": "d"} if proposed else {}),
        stale_slices=list(stale),
        study=SimpleNamespace(slices=12),
        burden=SimpleNamespace(volume_ml=volume_ml, mass_g=mass_g, pixels=pixels),
        mass_interval=None if within_g is None else SimpleNamespace(ends=within_g),
    )


FIVE = [replace(BOX, slice=k, x1=9 - n) for n, k in enumerate((1, 1, 2, 3, 3))]
FAINT_BOX = replace(BOX, source="yolo" + FAINT, state=BoxState.REJECTED)
FAINT_BOXES = [replace(FAINT_BOX, slice=k) for k in (5, 3)]


@pytest.mark.parametrize(
    ("now", "around", "words"),
    [
        (None, {}, "Choose an LGE volume"),
        (None, {"engine": "failed"}, "Retry"),
        (None, {"others": 2}, "Choose an LGE volume: no volume of the scene (2) looks like one"),
        (study(), {}, "Propose boxes"),
        (study(), {"doing": "Proposing boxes: slice 3"}, "slice 3"),
        (study(proposed=True), {}, "All 12 slices were looked at, and no scar was proposed. If you see"),
        (study(*FAINT_BOXES, proposed=True), {}, "2 faint places are not counted: slices 3, 5. Look at them"),
        (study(*FAINT_BOXES, replace(FAINT_BOX, slice=4), proposed=True), {}, "1 faint place is not counted: slices 3, 4, 5."),
        (study(replace(FAINT_BOX, slice=5), masks=3), {}, "1 faint place is not counted: slice 5. Look through"),
        (study(replace(BOX, source="yolo")), {}, "1 box. Look through"),
        (study(*FIVE), {}, "5 boxes on 3 slices. Press Segment all"),
        (study(*FIVE, masks=3, stale=(2, 4)), {}, "slices 2, 4"),
        (study(*FIVE, masks=3, volume_ml=12.34, mass_g=12.96), {}, "12.3 mL, 13.0 g"),
        (study(*FIVE, masks=3, volume_ml=12.34, mass_g=12.96, within_g=("9", "17")), {}, "12.3 mL, 13.0 g (9 to 17)."),
        (study(*FIVE, masks=3), {}, "90 pixels"),
        (study(*FIVE, masks=3, volume_ml=0.0, mass_g=0.0, pixels=0), {}, "No scar was found on the 3 slices"),
    ],
)
def test_status_says_what_to_do_next(now, around, words):
    assert words in next_step(now, **around)


def test_sentences_are_shown_in_the_users_language():
    set_translator(lambda text: text.upper())
    try:
        assert next_step(None).startswith("CHOOSE")
    finally:
        set_translator(None)


def test_many_slices_are_shortened():
    assert slice_list(range(4)) == "slices 0, 1, 2, 3"
    assert slice_list(range(10)) == "slices 0, 1, 2, 3, 4, 5 and 4 more"
    assert slice_list({7}) == "slice 7"
