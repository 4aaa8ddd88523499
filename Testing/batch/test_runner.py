"""The batch runner, its tables and its pictures."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.batch.runner import Job, segment_all
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.outputs.overlay import write_boxes_picture, write_overlay
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import read_study
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.command import table, voxels, write_image


def study(slices=4, spacing=(1.5, 1.5, 10.0), rows=48, columns=40) -> Study:
    array = voxels(shape=(slices, rows, columns)).astype(np.float32)
    return Study("one", array, Geometry(spacing), Reconstruction.MAGNITUDE)


def result(of: Study, boxes=(), points=(), mask=None) -> Result:
    probability = np.zeros(of.voxels.shape, np.float32) if mask is None else mask.astype(np.float32)
    return Result(of, probability, 0.5, tuple(boxes), tuple(points))


def colored(path, color) -> int:
    """How many pixels of a picture are near a color ``#rrggbb``."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    wanted = [int(color[n : n + 2], 16) for n in (1, 3, 5)]
    return int((np.abs(pixels - wanted).max(axis=-1) < 25).sum())


def test_tables_are_written_after_every_case(tmp_path, tiny_segmenter, tiny_detector):
    """So a crash in the second case leaves the row of the first."""
    images = [write_image(tmp_path / "a.nrrd"), write_image(tmp_path / "b.nrrd")]
    seen = []

    def look(_done, _total, message):
        if message.startswith("b (2 of 2)"):
            seen.append([row["case"] for row in table(tmp_path / "out" / "results.csv")])

    pipeline = Pipeline(detector=tiny_detector, segmenter=tiny_segmenter, device="cpu")
    segment_all(Job(images, tmp_path / "out"), pipeline, progress=look)
    assert seen and seen[0] == ["a"]


def test_embeddings_serve_within_a_study_and_none_is_kept_for_the_next(tmp_path, tiny_segmenter, tiny_detector):
    """They were kept up to their budget, scattered over a heap that grew for hundreds of studies; see research/cohort."""
    pipeline = Pipeline(detector=tiny_detector, segmenter=tiny_segmenter, device="cpu")
    kept = []
    cache = pipeline.networks.segmenter.cache
    pipeline.encode(read_study(write_image(tmp_path / "a.nrrd")))
    assert len(cache) and cache.hits == 0
    segment_all(Job([tmp_path / "a.nrrd"], tmp_path / "out"), pipeline, ended=lambda _outcome: kept.append(len(cache)))
    assert cache.hits and kept == [0]


def test_a_table_survives_commas_quotes_and_lines(tmp_path):
    row = {"case": 'a,"b"', "message": "two\nlines", "scar_mass_g": 1 / 3, "slices": 4, "scar_volume_ml": None}
    write_table(tmp_path / "t.csv", list(row), [row])
    read = next(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text(), newline="")))
    assert read == {"case": 'a,"b"', "message": "two\nlines", "scar_mass_g": "0.333333", "slices": "4", "scar_volume_ml": ""}


def test_overlay_shows_mask_boxes_by_state_and_points(tmp_path):
    one = study()
    mask = np.zeros(one.voxels.shape, bool)
    mask[1, 20:30, 10:20] = True
    boxes = [
        Box(k, 4, 6, 30, 40, confidence=0.8, state=state)
        for k, state in enumerate((BoxState.PROPOSED, BoxState.ACCEPTED, BoxState.REJECTED))
    ]
    write_overlay(tmp_path / "all.png", result(one, boxes, [Point(3, 10, 10), Point(3, 20, 20, False)], mask), mask)
    write_overlay(tmp_path / "none.png", result(one))
    for color in ("#ff5a4f", "#ffd166", "#4cc9f0", "#ff8fd6"):
        assert colored(tmp_path / "all.png", color) > 20, color
        assert colored(tmp_path / "none.png", color) < colored(tmp_path / "all.png", color)


def test_boxes_picture_has_no_mask(tmp_path):
    write_boxes_picture(tmp_path / "boxes.png", study(), [Box(0, 4, 6, 30, 40)])
    assert colored(tmp_path / "boxes.png", "#ffd166") > 20 and colored(tmp_path / "boxes.png", "#ff5a4f") == 0


@pytest.mark.parametrize(
    ("slices", "rows", "columns", "spacing"),
    [(1, 48, 40, None), (2, 48, 40, (1.0, 3.0, 8.0)), (21, 24, 20, None), (4, 200, 10, (1.0, 3.0, 8.0)), (4, 10, 200, None)],
)
def test_any_shape_can_be_drawn(tmp_path, slices, rows, columns, spacing):
    one = study(slices, spacing, rows, columns)
    edge = Box(0, 0, 0, columns, rows, confidence=0.5)
    write_overlay(tmp_path / "o.png", result(one, [edge], mask=np.ones(one.voxels.shape, bool)))
    with Image.open(tmp_path / "o.png") as picture:
        assert 200 < picture.width < 4000 and 100 < picture.height < 4000


def test_a_long_case_name_does_not_push_the_numbers_out_of_the_picture():
    from MyoScarSegLib.outputs.overlay import _shortened

    title = f"{'very_long_' * 12}: scar 12.3 g, 11.7 mL"
    short = _shortened(title, 6.9)
    assert len(short) <= 6.9 / 0.118 and short.endswith(": scar 12.3 g, 11.7 mL") and "…" in short
    assert _shortened("P01: scar 1 g", 6.9) == "P01: scar 1 g"
