"""What the context network is asked in training: what a reader would ask, and what is then the right answer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from MyoScarSegLib.segmentation.prompt_maps import PROMPT_MAPS
from MyoScarSegLib.training.finetune.context_phase import ContextPrompts
from MyoScarSegLib.training.loop.gradients import Item
from MyoScarSegLib.training.reader_prompts import inside, tight

SIDE = 48
WALL, SCAR = 2, 3
SEEDS = range(400)


def item(*lesions: tuple[int, int, int, int], beside: bool = False) -> Item:
    """A ring of wall with scar in some boxes ``(x0, y0, x1, y1)``, each a lesion; with ``beside`` a neighbor has scar."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    radius = np.hypot(x - 24, y - 24)
    targets = np.zeros((4, SIDE, SIDE), dtype=np.int64)
    targets[1] = radius < 18
    targets[2] = np.where(radius < 10, 1, np.where(radius < 18, WALL, 0))
    for number, (x0, y0, x1, y1) in enumerate(lesions, start=1):
        targets[0, y0:y1, x0:x1] = number
        targets[2, y0:y1, x0:x1] = SCAR
    targets[3, 30:34, 30:34] = beside
    return Item(torch.zeros(3, SIDE, SIDE), torch.from_numpy(targets), wall_known=True)


ONE, FREE = item((8, 20, 14, 30)), item()
TWO = item((8, 20, 14, 30), (34, 18, 40, 26))


def drawn(of: Item) -> list[ContextPrompts]:
    return [ContextPrompts.of(of, (1, seed)) for seed in SEEDS]


def scar_asked(prompts: ContextPrompts) -> np.ndarray:
    return prompts.tissue == SCAR


def true_scar(of: Item) -> np.ndarray:
    return of.targets[2].numpy() == SCAR


def sure(mask: np.ndarray) -> torch.Tensor:
    """An answer that is this mask."""
    return torch.from_numpy(mask.astype(np.float32))


def test_windows_with_scar_are_asked_for_in_all_ways_and_not_at_all():
    ways = Counter((bool(p.boxes), p.turns > 0) for p in drawn(ONE))
    assert set(ways) == {(False, False), (False, True), (True, False), (True, True)}
    assert min(ways.values()) > 0.01 * len(SEEDS)
    assert 0.2 < ways[False, False] / len(SEEDS) < 0.7, "as a study is before its reader comes"
    assert {p.turns for p in drawn(ONE)} == {0, 1, 2, 3}


def test_boxes_are_round_the_scar_within_their_error():
    expected = np.array(tight(true_scar(ONE)))
    sides = np.tile(expected[2:] - expected[:2], 2)
    errors = np.array([(np.array(box) - expected) / sides for p in drawn(ONE) for box in p.boxes])
    assert np.abs(errors).max() <= 0.2 + 1e-9, "of the hastiest reader"
    assert 0.02 < np.abs(errors).mean() < 0.1 and np.abs(errors.mean(axis=0)).max() < 0.03
    assert (np.abs(errors).max(axis=1) < 0.05).any(), "and careful ones"
    assert all(len(p.boxes) <= 1 and (scar_asked(p) == true_scar(ONE)).all() for p in drawn(ONE))


def test_scar_that_was_not_asked_for_is_wall():
    some = [p for p in drawn(TWO) if p.boxes and (scar_asked(p) != true_scar(TWO)).any()]
    assert 5 < len(some) < 0.2 * len(SEEDS), "readers draw one box round all scar of a slice, mostly"
    numbers, scar = TWO.targets[0].numpy(), true_scar(TWO)
    for prompts in some:
        asked = np.unique(numbers[scar_asked(prompts)])
        assert len(asked) == len(prompts.boxes) == 1, "whole lesions, each with its box"
        assert (scar_asked(prompts) == (numbers == asked[0])).all()
        assert (prompts.tissue[scar & ~scar_asked(prompts)] == WALL).all()
        assert (prompts.tissue == TWO.targets[2].numpy())[~scar].all(), "all else stays as it is"
    each = [p for p in drawn(TWO) if len(p.boxes) == 2]
    assert each and all((scar_asked(p) == scar).all() for p in each)


def test_scar_beside_a_lesion_that_its_box_holds_is_asked_for_too():
    """Since nothing tells the network that it was not meant."""
    close = item((8, 20, 14, 30), (15, 22, 17, 28))
    parts = 0
    for prompts in drawn(close):
        held = np.any([inside(box, (SIDE, SIDE)) for box in prompts.boxes] or [np.zeros((SIDE, SIDE), bool)], axis=0)
        assert (scar_asked(prompts) >= (true_scar(close) & held)).all()
        parts += bool(prompts.boxes) and (scar_asked(prompts) != true_scar(close)).any()
    assert parts


def test_false_boxes_are_few_and_on_wall_only():
    boxed = [p for p in drawn(FREE) if p.boxes]
    assert 0.02 * len(SEEDS) < len(boxed) < 0.12 * len(SEEDS)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    wall = FREE.targets[2].numpy() == WALL
    for prompts in drawn(FREE):
        assert not scar_asked(prompts).any(), "the right answer is nothing"
        assert prompts.turns <= len(prompts.boxes) <= 1
    for x0, y0, x1, y1 in (box for p in boxed for box in p.boxes):
        middle = np.hypot(x - (x0 + x1) / 2, y - (y0 + y1) / 2) < 0.8
        assert (wall & middle).any() and x1 > x0 and y1 > y0


def test_nothing_is_asked_where_there_is_no_wall_either():
    empty = Item(FREE.image, torch.zeros_like(FREE.targets), wall_known=False)
    assert not any(p.boxes or p.turns for p in drawn(empty))


def alone(of: Item) -> list[ContextPrompts]:
    return [p for p in drawn(of) if p.turns and not p.boxes]


def test_clicks_alone_begin_with_a_positive_click_whatever_the_network_says():
    for answer in (np.zeros((SIDE, SIDE), bool), ~true_scar(ONE), true_scar(ONE)):
        for prompts in alone(ONE):
            prompts.correct(sure(answer))
            ((x, y, positive),) = prompts.points
            assert positive == 1 and true_scar(ONE)[int(y), int(x)]


def test_corrections_come_from_the_networks_own_answer():
    missed, false = true_scar(ONE).copy(), np.zeros((SIDE, SIDE), bool)
    false[34:40, 20:30] = True
    for prompts in [p for p in drawn(ONE) if p.turns == 3]:
        prompts.correct(sure(np.zeros((SIDE, SIDE), bool)))
        assert prompts.points[-1][2] == 1 and missed[int(prompts.points[-1][1]), int(prompts.points[-1][0])]
        prompts.correct(sure(true_scar(ONE) | false))
        assert prompts.points[-1][2] == 0 and false[int(prompts.points[-1][1]), int(prompts.points[-1][0])]
        prompts.correct(sure(true_scar(ONE)))
        assert len(prompts.points) == 2 and prompts.turns == 0, "nothing is left to correct"


def test_a_correction_in_a_false_box_takes_away():
    prompts = next(p for p in drawn(FREE) if p.boxes)
    answer = np.zeros((SIDE, SIDE), bool)
    answer[10:14, 20:26] = True
    prompts.correct(sure(answer))
    ((x, y, positive),) = prompts.points
    assert positive == 0 and answer[int(y), int(x)]


def test_most_corrections_come_with_the_last_answer_as_a_hint():
    answer = sure(np.zeros((SIDE, SIDE), bool)) + 0.3
    hinted = []
    for prompts in [p for p in drawn(ONE) if p.turns]:
        prompts.correct(answer)
        maps = dict(zip(PROMPT_MAPS, prompts.maps(), strict=True))
        assert maps["positive"].max() > 0.9 and not maps["negative"].any()
        hinted.append(bool(maps["has_hint"].all()))
        assert torch.equal(maps["hint"], answer if hinted[-1] else torch.zeros_like(answer))
    assert 0.8 < np.mean(hinted) < 1


def test_scar_of_the_neighbors_is_shown_now_and_then():
    with_scar_beside = item((8, 20, 14, 30), beside=True)
    shown = [p.maps()[PROMPT_MAPS.index("beside")] for p in drawn(with_scar_beside)]
    seen = [bool(one.any()) for one in shown]
    assert 0.25 < np.mean(seen) < 0.45
    assert all(torch.equal(one, with_scar_beside.targets[3].float()) for one in shown if one.any())
    assert not any(p.maps()[PROMPT_MAPS.index("beside")].any() for p in drawn(ONE)[:50])


@pytest.mark.parametrize("of", [ONE, TWO, FREE], ids=["one", "two", "free"])
def test_the_same_seed_gives_the_same_prompts(of):
    answer = sure(np.random.default_rng(0).random((SIDE, SIDE)) > 0.5)
    courses = []
    for _ in range(2):
        course = drawn(of)[:60]
        for prompts in course:
            while prompts.turns:
                prompts.correct(answer)
        courses.append(torch.stack([p.maps() for p in course]))
    assert torch.equal(*courses)
    assert not torch.equal(courses[0], torch.stack([ContextPrompts.of(of, (2, n)).maps() for n in range(60)]))
