"""What is one lesion: pieces joined by their distance in millimeters, the same however the slice lies."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.lesions import boxes_of, lesions, lesions_of_stack


def partition(numbered: np.ndarray) -> set[frozenset[tuple[int, ...]]]:
    """The lesions as sets of pixels, whatever their numbers."""
    return {frozenset(map(tuple, np.argwhere(numbered == n))) for n in range(1, int(numbered.max()) + 1)}


def two_pieces(down: int, right: int, shape=(40, 40)) -> np.ndarray:
    """Two squares of 4 x 4 pixels with so many pixels between them; 0 is beside each other in that direction."""
    scar = np.zeros(shape, dtype=bool)
    scar[10:14, 10:14] = True
    row, column = (10 + (4 + step if step else 0) for step in (down, right))
    scar[row : row + 4, column : column + 4] = True
    return scar


def scattered(seed: int, shape=(36, 28)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) > 0.93


@pytest.mark.parametrize(
    ("spacing", "down", "right", "count"),
    [
        ((1.0, 1.0), 3, 0, 1), ((1.0, 1.0), 4, 0, 2), ((1.0, 1.0), 0, 3, 1), ((1.0, 1.0), 0, 4, 2),
        ((1.5, 1.5), 2, 0, 1), ((1.5, 1.5), 3, 0, 2), ((0.5, 0.5), 6, 0, 1), ((0.5, 0.5), 7, 0, 2), ((4.0, 4.0), 1, 0, 2),
        ((1.0, 2.0), 3, 0, 1), ((1.0, 2.0), 0, 2, 2), ((2.0, 1.0), 0, 3, 1), ((2.0, 1.0), 2, 0, 2),
        ((1.0, 1.0), 2, 2, 1), ((1.0, 1.0), 3, 3, 2), (None, 2, 0, 1), (None, 3, 0, 2),
    ],
)  # fmt: skip
def test_pieces_within_three_millimeters_are_one_lesion_in_every_direction(spacing, down, right, count):
    scar = two_pieces(down, right)
    assert lesions(scar, spacing, smallest_mm2=0.0).max() == count


def test_pieces_that_touch_at_a_corner_are_one_even_where_pixels_are_large():
    scar = np.zeros((20, 20), dtype=bool)
    scar[4:8, 4:8] = scar[8:12, 8:12] = scar[0:4, 8:12] = True
    assert lesions(scar, (5.0, 5.0)).max() == 1


@pytest.mark.parametrize("times", [(2, 2), (3, 1), (1, 4)])
def test_lesions_are_the_same_on_a_finer_grid(times):
    scar, spacing = scattered(3), (1.2, 1.6)
    fine = np.kron(scar, np.ones(times, dtype=bool))
    numbered = lesions(fine, (spacing[0] / times[0], spacing[1] / times[1]))
    assert partition(numbered[:: times[0], :: times[1]]) == partition(lesions(scar, spacing))


def test_lesions_are_those_of_all_pairs_of_pixels():
    """The definition, pixel by pixel."""
    scar, (row_mm, column_mm) = scattered(7, (16, 14)), (1.3, 0.9)
    pixels = np.argwhere(scar)
    between = np.maximum(np.abs(pixels[:, None] - pixels[None]) - 1, 0) * (row_mm, column_mm)
    near = np.hypot(between[..., 0], between[..., 1]) <= 3.0
    for _ in pixels:
        near = near @ near
    expected = {frozenset(map(tuple, pixels[row])) for row in near}
    assert partition(lesions(scar, (row_mm, column_mm), smallest_mm2=0.0)) == expected


def test_chain_of_pieces_is_one_lesion():
    scar = np.zeros((60, 12), dtype=bool)
    for n in range(8):
        scar[7 * n : 7 * n + 4, 2:6] = True  # 3 mm between each and the next
    numbered = lesions(scar, (1.0, 1.0))
    assert numbered.max() == 1 and boxes_of(numbered).tolist() == [[2, 0, 6, 53]]


def test_specks_are_dropped_by_their_area_and_numbers_have_no_holes():
    scar = np.zeros((40, 40), dtype=bool)
    scar[2:6, 2:6] = scar[30:34, 30:34] = True
    scar[15, 15:22] = True  # 7 pixels
    assert lesions(scar, (1.0, 1.0)).max() == 2
    assert lesions(scar, (1.2, 1.0)).max() == 3
    assert lesions(scar, (1.0, 1.0), smallest_mm2=0.0).max() == 3
    assert np.unique(lesions(scar, (1.0, 1.0))).tolist() == [0, 1, 2]
    assert lesions(np.zeros((5, 5)), (1.0, 1.0)).max() == 0


def test_lesions_of_neighboring_slices_are_one_only_where_they_lie_over_each_other():
    stack = np.zeros((3, 30, 30), dtype=bool)
    stack[0, 4:10, 4:10] = True
    stack[1, 9:15, 9:15] = True  # one pixel over the one below
    stack[2, 15:20, 9:15] = True  # the next row
    numbered = lesions_of_stack(stack, (1.0, 1.0))
    assert numbered.max() == 2 and numbered[0, 5, 5] == numbered[1, 12, 12] != numbered[2, 17, 10]
    stack[1, 9, 9] = False
    assert lesions_of_stack(stack, (1.0, 1.0)).max() == 3
    for axis in (0, 1, 2):
        assert partition(np.flip(lesions_of_stack(np.flip(stack, axis), (1.0, 1.0)), axis)) == partition(
            lesions_of_stack(stack, (1.0, 1.0))
        )


def test_pieces_that_meet_on_another_slice_are_one_lesion_of_the_stack():
    stack = np.zeros((2, 20, 40), dtype=bool)
    stack[0, 4:8, 4:8] = stack[0, 4:8, 30:34] = True
    stack[1, 4:8, 4:34] = True
    assert lesions(stack[0], (1.0, 1.0)).max() == 2
    assert lesions_of_stack(stack, (1.0, 1.0)).max() == 1
