"""What all tests of commands do without."""

from __future__ import annotations

import pytest


@pytest.fixture
def drawn() -> None:
    """For tests whose commands draw their overlays."""


@pytest.fixture(autouse=True)
def overlay_for_the_name_alone(request, monkeypatch):
    """An overlay takes half of the time of a command on a tiny study."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda path, *_: path.write_bytes(b"png"))
