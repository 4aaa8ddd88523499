"""The small pictures of a cohort's list: of real overlays, the slice with most scar; of damaged ones none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.batch.study_record import Basis, StudyRecord, write_study_record
from MyoScarSegLib.engine.review_pictures import ROW_PX, TIP_PX, picture_files, pictures_task
from MyoScarSegLib.outputs.overlay import tile_in, write_overlay
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.json_fields import to_json
from Testing.support.until import until


def result(slices: int, most: int, shape: tuple[int, int] = (90, 100)) -> Result:
    """Dark, with a bright block of scar in each slice, and a larger one in one slice."""
    voxels = np.random.default_rng(0).normal(100, 10, (slices, *shape)).astype(np.float32)
    probability = np.zeros(voxels.shape, np.float32)
    probability[:, 40:42, 40:42] = 1
    probability[most, 35:65, 35:65] = 1
    boxes = tuple(Box(k, 35, 35, 65, 65) for k in range(slices))
    return Result(Study("case", voxels, Geometry((1.4, 1.4, 10.0)), Reconstruction.MAGNITUDE), probability, 0.5, boxes)


def write(folder, slices: int, most: int) -> None:
    folder.mkdir()
    made = result(slices, most)
    write_overlay(folder / "overlay.png", made)
    record = StudyRecord(folder.name, "done", "", "", "", "", "", Basis("", {}, {}, 1), "", 1.0, results=to_json(made.summary()))
    write_study_record(folder, record)


@pytest.mark.parametrize("slices", [1, 2, 7, pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", [(90, 100), (60, 160)])
def test_each_slice_is_found_in_an_overlay(tmp_path, slices, shape):
    most = slices // 2
    write_overlay(tmp_path / "overlay.png", result(slices, most, shape))
    picture = Image.open(tmp_path / "overlay.png").convert("RGB")
    red = [_red(np.asarray(picture.crop(tile_in(picture.size, slices, k)))) for k in range(slices)]
    assert int(np.argmax(red)) == most and red[most] > 3 * max([*red[:most], *red[most + 1 :], 1])
    assert sum(red) > 0.97 * _red(np.asarray(picture)[105:]), "the tiles are all of it; the legend is above"


def test_a_picture_for_row_and_tip_is_made_of_each_overlay_that_can_be_read(tmp_path):
    out, folder = tmp_path / "out", tmp_path / "here"
    out.mkdir()
    write(out / "P0", 7, 5)
    write(out / "P1", 3, 0)
    for case, content in (("P2", b"\x89PNG\r\n\x1a\n"), ("P3", None)):
        (out / case).mkdir()
        if content is not None:
            (out / case / "overlay.png").write_bytes(content)
    (out / "P1/record.json").unlink()
    task = pictures_task(out, ["P0", "P1", "P2", "P3"], folder).start()
    until(task.poll, "the pictures")
    assert task.value() is None and task.progress[:2] == (4, 4)
    row, tip = picture_files(folder, 0)
    with Image.open(row) as small, Image.open(tip) as large:
        assert small.height == ROW_PX and 0.5 < small.width / small.height < 2 and large.width == TIP_PX
        assert _red(np.asarray(small)) > 20, "the slice with most scar"
    assert sorted(file.name for file in folder.iterdir()) == ["0-row.png", "0-tip.png", "1-tip.png"]


def _red(pixels: np.ndarray) -> int:
    pixels = pixels[..., :3].astype(int)
    return int(((pixels[..., 0] - pixels[..., 1] > 60) & (pixels[..., 0] - pixels[..., 2] > 60)).sum())
