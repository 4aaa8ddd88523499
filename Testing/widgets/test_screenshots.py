"""The program that makes pictures of the panel goes through to its end, and something is on each."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.screenshots import story


@pytest.mark.slow
def test_pictures_of_the_panel_are_made(opened, tmp_path):
    from PIL import Image

    story(opened, tmp_path)
    made = {path.stem: Image.open(path).convert("RGB") for path in tmp_path.glob("*.png")}
    wanted = {"empty", "study", "busy", "boxes", "light", "dark", "dark-advanced", "advanced", "narrow", "error"}
    assert set(made) == {f"panel-{name}" for name in wanted}
    for name, picture in made.items():
        assert np.asarray(picture).std() > 5, name
    assert made["panel-narrow"].width < made["panel-light"].width
    assert np.asarray(made["panel-dark"]).mean() < np.asarray(made["panel-light"]).mean() - 50
