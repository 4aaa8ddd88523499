"""Words for sentences."""

from __future__ import annotations

import pytest

from MyoScarSegLib.utils.words import person


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Doe^Jane", "Doe Jane"),
        ("Müller-Lüdenscheidt^Änne^^Dr.", "Müller-Lüdenscheidt Änne Dr."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada Tarou"),
        ("Doe", "Doe"),
        ("", ""),
    ],
)
def test_a_name_in_dicoms_spelling_is_made_readable(written, read):
    assert person(written) == read
