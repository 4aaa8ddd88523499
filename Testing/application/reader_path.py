"""The reader's path, counted: from an opened volume to a saved report. Named by ``make test-application``.

The same steps give the pictures of the README and of the quick start: ``STEPS=docs/images`` in the environment writes them there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from Testing.application.driver import Slicer, running

MOST_ACTS = 12
STATUS_BAR_PX = 32
NETWORK_S = 300
FINISHED = "not panel().workflow.busy and not panel().workflow.session.pending.slices"


@pytest.fixture(scope="module")
def slicer(tmp_path_factory):
    pictures = Path(os.environ.get("PICTURES", "out/application"))
    with running(Path(os.environ["SLICER"]), tmp_path_factory.mktemp("home"), pictures) as application:
        yield application


def step(slicer: Slicer, number: int, name: str) -> None:
    """Keep a picture of the whole window; a smaller one for the pages where it is asked for."""
    from PIL import Image

    slicer.rest()
    shot = slicer.shot(f"step-{number}-{name}")
    if folder := os.environ.get("STEPS"):
        picture = Image.open(shot).convert("RGB")
        # Without the status bar, which names folders of this computer.
        picture = picture.crop((0, 0, picture.width, picture.height - STATUS_BAR_PX))
        if number == 4:
            _small(picture).save(Path(folder) / "panel.png", optimize=True)
        picture.thumbnail((1200, 750), Image.Resampling.LANCZOS)
        _small(picture).save(Path(folder) / f"step-{number}.png", optimize=True)


def _small(picture: Any) -> Any:
    """In 256 colors. By octree, since the usual way spends them all on grays and turns the scar's orange yellow."""
    from PIL import Image

    return picture.quantize(256, method=Image.Quantize.FASTOCTREE)


def test_a_report_is_saved_within_twelve_clicks_and_keys(slicer, tmp_path):
    slicer.press("sampleButton")
    slicer.until("panel().workflow.session is not None")
    slicer.until("panel().workflow.session.requests.encoded[0] == panel().workflow.session.requests.encoded[1] > 0", NETWORK_S)
    slicer.ask(f"qt.QDir.setCurrent({str(tmp_path)!r})")  # where the dialog of a fresh profile begins
    step(slicer, 1, "study")
    slicer.acts = 0
    slicer.press("proposeButton")
    slicer.until(FINISHED, NETWORK_S)
    slicer.key("n", "Return")
    step(slicer, 2, "boxes")
    slicer.press("segmentAllButton")
    slicer.until(FINISHED, NETWORK_S)
    step(slicer, 3, "scar")
    slicer.key("a")
    slicer.click_at(*slicer.ask("pixel(*[n + 0.5 for n in pixel_of('beside')])"))
    slicer.until(FINISHED, NETWORK_S)
    step(slicer, 4, "corrected")
    slicer.key("Escape")
    slicer.press("reportButton")
    slicer.until("slicer.app.activeModalWidget() is not None")
    slicer.key("Return")
    slicer.until("slicer.app.activeModalWidget() is None")
    slicer.until(FINISHED, NETWORK_S)
    step(slicer, 5, "numbers")
    assert [path for path in tmp_path.rglob("*.html") if path.stat().st_size], "the report is there"
    assert slicer.acts <= MOST_ACTS
    assert slicer.tracebacks() == ""
    assert slicer.ask("panel().segment.status.error") == ""
