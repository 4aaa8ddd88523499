"""Words for sentences, and numbers out of them."""

from __future__ import annotations

import pytest

from MyoScarSegLib.utils.words import numbers_in


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7", [7]),
        ("2-4,11", [2, 3, 4, 11]),
        (" 2-4, 11 ", [2, 3, 4, 11]),
        ("5 3;1", [5, 3, 1]),
        ("4-2", [2, 3, 4]),
        ("1,1", [1, 1]),
    ],
)
def test_numbers_and_ranges_are_read_in_their_order(text, numbers):
    assert numbers_in(text) == numbers


@pytest.mark.parametrize("text", ["", " ", "a", "1-", "-1", "1-2-3", "1,,2,", "1-999999999", "1.5"])
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(ValueError, match="no list of numbers"):
        numbers_in(text)
