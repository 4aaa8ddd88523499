"""Boxes and points: the files that hold them, and the checks against a study's grid."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.errors import OutputError, PromptError
from MyoScarSegLib.prompts import (
    BESIDE,
    FAINT,
    Box,
    BoxState,
    Point,
    box_of_mask,
    check_box,
    check_point,
    read_boxes,
    read_points,
    write_boxes,
    write_points,
)

SHAPE = (3, 40, 60)  # slices, rows, columns


@pytest.mark.parametrize(
    ("source", "counting"),
    [
        ("yolo", {BoxState.PROPOSED, BoxState.ACCEPTED}),
        ("user", {BoxState.PROPOSED, BoxState.ACCEPTED}),
        ("sam" + BESIDE, {BoxState.ACCEPTED}),
        ("yolo" + FAINT, {BoxState.PROPOSED, BoxState.ACCEPTED}),
    ],
)
def test_rejected_boxes_and_suggestions_that_nobody_accepted_do_not_count(source, counting):
    boxes = [Box(1, 1, 1, 5, 5, source=source, state=state) for state in BoxState]
    assert {box.state for box in boxes if box.counts} == counting
    assert [box.state for box in boxes if box.faint] == ([BoxState.REJECTED] if source.endswith(FAINT) else [])


def _file(folder, document):
    path = folder / "prompts.json"
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _read_one(folder, kind, **fields):
    """What is read of a file with one box or point; a field given as ``...`` is left out."""
    read, entry = {
        "boxes": (read_boxes, {"slice": 1, "x0": 1, "y0": 2, "x1": 3, "y1": 4}),
        "points": (read_points, {"slice": 1, "x": 1, "y": 2}),
    }[kind]
    (found,) = read(_file(folder, {kind: [{key: value for key, value in {**entry, **fields}.items() if value is not ...}]}))
    return found


def test_boxes_survive_writing_and_reading(tmp_path):
    boxes = [
        Box(4, 1.25, 2.5, 1 / 3, 40.0, "scar", 0.87, "myoscarseg-yolo-3", BoxState.PROPOSED),
        Box(0, 1e-7, 0.0, 3.0, 4.0, "lv", None, "user", BoxState.REJECTED),
        Box(2, -1.0, 0.0, 3.0, 4.0, state=BoxState.ACCEPTED),
    ]
    write_boxes(tmp_path / "new folder" / "boxes.json", "case", boxes)
    assert read_boxes(tmp_path / "new folder" / "boxes.json") == boxes


def test_points_survive_writing_and_reading(tmp_path):
    points = [Point(4, 1 / 3, 2.5), Point(0, 0.0, 1e9, positive=False)]
    write_points(tmp_path / "points.json", "case", points)
    assert read_points(tmp_path / "points.json") == points


def test_files_have_the_layout_that_other_programs_rely_on(tmp_path):
    write_boxes(tmp_path / "boxes.json", "P1", [Box(4, 1, 2, 3, 4, "scar", 0.5, "net")])
    write_points(tmp_path / "points.json", "P1", [Point(4, 1, 2)])
    assert json.loads((tmp_path / "boxes.json").read_text()) == {
        "version": 1,
        "case": "P1",
        "boxes": [
            {
                "slice": 4,
                "x0": 1.0,
                "y0": 2.0,
                "x1": 3.0,
                "y1": 4.0,
                "label": "scar",
                "confidence": 0.5,
                "source": "net",
                "state": "proposed",
            }
        ],
    }
    assert json.loads((tmp_path / "points.json").read_text()) == {
        "version": 1,
        "case": "P1",
        "points": [{"slice": 4, "x": 1.0, "y": 2.0, "positive": True}],
    }


def test_numpy_numbers_are_written_as_numbers(tmp_path):
    box = Box(np.int64(1), *np.float32([1, 2, 3, 4]), confidence=np.float32(0.5))
    write_boxes(tmp_path / "boxes.json", "case", [box])
    write_points(tmp_path / "points.json", "case", [Point(np.int32(1), np.float32(2), np.float64(3), np.bool_(False))])
    assert read_boxes(tmp_path / "boxes.json") == [Box(1, 1, 2, 3, 4, confidence=0.5)]
    assert read_points(tmp_path / "points.json") == [Point(1, 2, 3, False)]


def test_what_is_not_finite_is_not_written_and_the_old_file_stays(tmp_path):
    path = tmp_path / "boxes.json"
    write_boxes(path, "case", [Box(0, 1, 2, 3, 4)])
    with pytest.raises(PromptError, match=r"box on slice 7 cannot be written: x1 must be a number, not nan"):
        write_boxes(path, "case", [Box(7, 1, 2, math.nan, 4)])
    with pytest.raises(PromptError, match=r"point on slice 7 cannot be written: y must be a number, not inf"):
        write_points(tmp_path / "points.json", "case", [Point(7, 1, math.inf)])
    assert read_boxes(path) == [Box(0, 1, 2, 3, 4)]
    assert [file.name for file in tmp_path.iterdir()] == ["boxes.json"]


def test_only_slice_and_coordinates_are_required(tmp_path):
    box = _read_one(tmp_path, "boxes")
    assert box == Box(1, 1.0, 2.0, 3.0, 4.0, label="scar", confidence=None, source="user", state=BoxState.PROPOSED)
    assert _read_one(tmp_path, "points") == Point(1, 1.0, 2.0, positive=True)


def test_unknown_fields_and_a_byte_order_mark_do_no_harm(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_bytes(b'\xef\xbb\xbf{"version": 1, "boxes": [{"slice": 0, "x0": 1, "y0": 1, "x1": 2, "y1": 2, "color": "red"}]}')
    assert read_boxes(path) == [Box(0, 1, 1, 2, 2)]


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        *(("boxes", name, ..., f"boxes[0] lacks '{name}'") for name in ("slice", "x0", "y0", "x1", "y1")),
        *(
            ("boxes", "x1", value, "boxes[0].x1 must be a number")
            for value in ("3", None, True, [1], {"a": 1}, math.nan, math.inf, 10**400)
        ),
        ("boxes", "slice", 1.5, "slice must be a whole number, not 1.5"),
        ("boxes", "state", "maybe", "state must be one of proposed, accepted, rejected, not 'maybe'"),
        ("boxes", "state", [], "state must be one of"),
        ("boxes", "label", None, "label must be a text that is not empty, not None"),
        ("boxes", "label", "", "label must be a text"),
        ("boxes", "source", 3, "source must be a text that is not empty, not 3"),
        ("boxes", "confidence", "high", "confidence must be a number, not 'high'"),
        *(("points", name, ..., f"points[0] lacks '{name}'") for name in ("slice", "x", "y")),
        *(("points", "y", value, "points[0].y must be a number") for value in ("3", None, math.nan)),
        *(("points", "positive", value, "positive must be true or false") for value in ("yes", 1, None)),
    ],
)
def test_a_malformed_field_is_named(tmp_path, kind, field, value, message):
    with pytest.raises(PromptError, match=rf"prompts\.json: .*{re.escape(message)}"):
        _read_one(tmp_path, kind, **{field: value})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "is not valid JSON"),
        (b"\xff\xfe\x00\x81", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"boxes": [' + "9" * 5000 + "]}", "is not valid JSON|must be"),
        ([], "must be an object"),
        ({"points": []}, "lacks 'boxes'"),
        ({"boxes": {}}, "boxes must be a list"),
        ({"boxes": [3]}, r"boxes\[0\] must be an object"),
        ({"boxes": [], "version": 2}, "is of version 2; this program reads version 1"),
    ],
)
def test_a_file_that_holds_no_boxes_is_refused(tmp_path, document, message):
    with pytest.raises(PromptError, match=message):
        read_boxes(_file(tmp_path, document))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PromptError, match=r"Cannot read .*absent.json: No such file"):
        read_points(tmp_path / "absent.json")


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_boxes(tmp_path / "file" / "boxes.json", "case", [])


def test_files_are_readable_as_the_umask_says(tmp_path):
    write_points(tmp_path / "points.json", "case", [])
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "points.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_box_within_the_image_is_left_as_it_is():
    box = Box(2, 0, 0, 60, 40, "scar", 0.5, "net", BoxState.ACCEPTED)
    assert check_box(box, SHAPE) == box


def test_a_box_that_reaches_beyond_the_image_is_clipped_and_keeps_what_else_is_known():
    box = Box(0, -5, -1, 10.5, 99, "scar", 0.5, "net", BoxState.ACCEPTED)
    assert check_box(box, SHAPE) == replace(box, x0=0, y0=0, y1=40)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box(3, 1, 1, 2, 2), "the study has slices 0 to 2"),
        (Box(-1, 1, 1, 2, 2), "the study has slices 0 to 2"),
        (Box(1.0, 1, 1, 2, 2), "the slice must be a whole number, not 1.0"),
        (Box(0, math.nan, 1, 2, 2), "not a finite number"),
        (Box(0, 1, 1, math.inf, 2), "not a finite number"),
        (Box(0, 2, 1, 2, 2), "has no area"),
        (Box(0, 1, 3, 2, 3), "has no area"),
        (Box(0, 5, 1, 2, 2), "has no area"),
        (Box(0, 60, 1, 70, 2), "lies outside the image, which has 60 columns and 40 rows"),
        (Box(0, 1, -9, 7, 0), "lies outside the image"),
    ],
)
def test_a_box_that_cannot_be_used_is_refused(box, message):
    with pytest.raises(PromptError, match=message):
        check_box(box, SHAPE)


@pytest.mark.parametrize("point", [Point(0, 0, 0), Point(2, 60, 40), Point(1, 0.5, 39.9, False)])
def test_a_point_in_the_image_or_on_its_edge_is_accepted(point):
    assert check_point(point, SHAPE) == point


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point(3, 1, 1), "the study has slices 0 to 2"),
        (Point(1.0, 1, 1), "the slice must be a whole number, not 1.0"),
        (Point(0, math.nan, 1), "not a finite number"),
        (Point(0, 60.1, 1), "lies outside the image"),
        (Point(0, 1, -0.1), "lies outside the image"),
    ],
)
def test_a_point_that_cannot_be_used_is_refused(point, message):
    with pytest.raises(PromptError, match=message):
        check_point(point, SHAPE)


def test_the_box_of_a_mask_runs_along_the_edges_of_its_pixels():
    mask = np.zeros((10, 12), bool)
    mask[2:4, 3:6] = True
    box = box_of_mask(mask, 7, source="truth")
    assert box == Box(7, 3.0, 2.0, 6.0, 4.0, source="truth")
    assert box.area_px == mask.sum()
    assert box_of_mask(np.zeros((4, 4)), 0) is None
