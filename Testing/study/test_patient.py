"""Who was examined, to be read."""

from __future__ import annotations

import pytest

from MyoScarSegLib.study.patient import shown_name


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
    assert shown_name(written) == read
