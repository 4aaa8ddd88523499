"""Progress of long jobs."""

from __future__ import annotations

import pytest

from MyoScarSegLib.utils.progress import duration


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "1 s"), (12.3, "12 s"), (44, "40 s"), (150, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_durations_are_said_as_people_do(seconds, told):
    assert duration(seconds) == told
