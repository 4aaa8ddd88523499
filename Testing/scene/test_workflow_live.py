"""Which slices are behind their boxes and points, how long an edit takes, and what the panel says to do next."""

from __future__ import annotations

import pytest

from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.guidance import Situation, next_step
from MyoScarSegLib.scene.live import LiveEdits, SlicePrompts, prompts_by_slice
from MyoScarSegLib.scene.text import set_translator, slice_list


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def edits(clock) -> LiveEdits:
    return LiveEdits(clock)


def prompts(*boxes: Box, points: tuple[Point, ...] = ()) -> dict[int, SlicePrompts]:
    return prompts_by_slice(boxes, points)


BOX = Box(3, 1, 2, 8, 9)


def test_new_box_puts_its_slice_behind_and_its_mask_brings_it_up_to_date(edits, clock):
    assert edits.edited(prompts(BOX), segmented=()) == {3}
    made_with = edits.waiting[3]
    clock.now = 0.125
    assert edits.done(3, made_with)
    assert edits.behind == []
    assert edits.latencies_ms == [125.0]


def test_mask_of_an_outdated_box_leaves_the_slice_behind(edits, clock):
    edits.edited(prompts(BOX), segmented=())
    outdated = edits.waiting[3]
    clock.now = 0.5
    edits.edited(prompts(Box(3, 2, 2, 8, 9)), segmented=())
    assert not edits.done(3, outdated)
    assert edits.behind == [3]
    clock.now = 0.6
    edits.done(3, edits.waiting[3])
    assert edits.latencies_ms == pytest.approx([100.0])  # counted from the edit that the mask shows


def test_accepting_a_box_does_not_ask_for_a_new_mask(edits):
    edits.restored(prompts(BOX))
    assert edits.edited(prompts(Box(3, 1, 2, 8, 9, state=BoxState.ACCEPTED)), segmented={3}) == set()


def test_rejecting_a_box_takes_its_mask_away_but_segments_nothing_where_none_was(edits):
    edits.restored(prompts(BOX))
    rejected = prompts(Box(3, 1, 2, 8, 9, state=BoxState.REJECTED))
    assert edits.edited(rejected, segmented={3}) == {3}
    edits.restored(prompts(BOX))
    assert edits.edited(rejected, segmented=()) == set()


def test_undo_brings_prompts_with_their_masks_so_nothing_is_behind(edits):
    edits.edited(prompts(BOX), segmented=())
    edits.restored(prompts())
    assert edits.behind == []


def test_slice_given_up_counts_again_after_the_next_edit(edits):
    edits.edited(prompts(BOX), segmented=())
    edits.give_up([3])
    assert edits.waiting == {}
    assert edits.behind == [3]
    edits.edited(prompts(Box(3, 1, 2, 9, 9)), segmented=())
    assert list(edits.waiting) == [3]


def test_new_proposals_leave_masks_behind_without_segmenting_at_once(edits):
    edits.restored(prompts(BOX))
    edits.proposed(prompts(Box(3, 1, 2, 9, 9), Box(5, 1, 1, 4, 4)), segmented={3})
    assert edits.behind == [3]
    assert edits.waiting == {}


def test_negative_points_alone_ask_for_nothing():
    assert not prompts(points=(Point(1, 4, 4, positive=False),))[1].ask
    assert prompts(points=(Point(1, 4, 4),))[1].ask
    assert prompts(BOX, points=(Point(3, 4, 4, positive=False),))[3].ask


def test_boxes_of_other_labels_ask_for_nothing():
    assert prompts(Box(0, 1, 1, 5, 5, label="lv")) == {}


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (Situation(), "Choose an LGE volume"),
        (Situation(engine="failed"), "Retry"),
        (Situation(volume=True), "Propose boxes"),
        (Situation(volume=True, busy="propose", progress="Proposing boxes: slice 3"), "slice 3"),
        (Situation(volume=True, proposed=True), "No scar was proposed"),
        (Situation(volume=True, boxes=1, box_slices=1, to_review=1), "1 box. Look through"),
        (Situation(volume=True, boxes=5, box_slices=3), "5 boxes on 3 slices. Press Segment all"),
        (Situation(volume=True, boxes=5, box_slices=3, masks=3, behind=(2, 4)), "slices 2, 4"),
        (Situation(volume=True, boxes=5, masks=3, volume_ml=12.34, mass_g=12.96, pixels=90), "12.3 mL, 13.0 g"),
        (Situation(volume=True, boxes=5, masks=3, pixels=90), "90 pixels"),
        (Situation(volume=True, boxes=5, masks=3, volume_ml=0.0, mass_g=0.0), "No scar was found"),
    ],
)
def test_status_says_what_to_do_next(now, words):
    assert words in next_step(now)


def test_sentences_are_shown_in_the_users_language():
    set_translator(lambda text: text.upper())
    try:
        assert next_step(Situation()).startswith("CHOOSE")
    finally:
        set_translator(None)


def test_many_slices_are_shortened():
    assert slice_list(range(4)) == "0, 1, 2, 3"
    assert slice_list(range(10)) == "0, 1, 2, 3, 4, 5 and 4 more"
