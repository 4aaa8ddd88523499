"""``--boxes`` and ``--points``: a user edits the files and runs again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from Testing.support.command import BOX, array_of, table, voxels, write_image, write_prompts


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "one.nii.gz")


def mask(tmp_path, case="one", out="out"):
    return array_of(tmp_path / out / case / "scar.nii.gz") == 1


def test_slice_and_coordinates_are_enough(segment, image, tmp_path):
    assert segment(image, "--boxes", write_prompts(tmp_path / "b.json", "boxes", [BOX])).status == 0
    found = mask(tmp_path)
    assert found[1].any() and not found[[0, 2, 3]].any()
    written = json.loads((tmp_path / "out/one/boxes.json").read_text())["boxes"]
    assert [{**written[0], **BOX}] == written
    assert written[0]["label"] == "scar" and written[0]["source"] == "user" and written[0]["confidence"] is None


def test_given_boxes_need_no_detector(command, image, tmp_path, tiny_segmenter):
    boxes = write_prompts(tmp_path / "b.json", "boxes", [BOX])
    given = ("--segmenter", tiny_segmenter, "--boxes", boxes, "--detector", tmp_path / "no.pt")
    ran = command("segment", image, "-o", tmp_path / "out", *given)
    assert ran.status == 0, ran.err
    assert table(tmp_path / "out" / "results.csv")[0]["detector"] == ""


def test_an_earlier_output_folder_serves_several_inputs(segment, tmp_path):
    images = [write_image(tmp_path / "a.nii.gz", voxels(1)), write_image(tmp_path / "b.nii.gz", voxels(2))]
    for case, index in (("a", 0), ("b", 3)):
        write_prompts(tmp_path / "earlier" / case / "boxes.json", "boxes", [{**BOX, "slice": index}])
    assert segment(*images, "--boxes", tmp_path / "earlier").status == 0
    assert mask(tmp_path, "a")[0].any() and not mask(tmp_path, "a")[1:].any()
    assert mask(tmp_path, "b")[3].any() and not mask(tmp_path, "b")[:3].any()


def test_editing_boxes_in_the_output_and_running_again_changes_the_edited_slice_alone(segment, image, tmp_path):
    assert segment(image).status == 0
    before = array_of(tmp_path / "out/one/probability.nii.gz")
    file = tmp_path / "out/one/boxes.json"
    document = json.loads(file.read_text())
    assert {1, 2} <= {box["slice"] for box in document["boxes"]}
    for box in document["boxes"]:
        if box["slice"] == 2:
            box.update(x0=8, y0=12, x1=30, y1=33, state="accepted")
    file.write_text(json.dumps(document))
    assert segment(image, "--boxes", tmp_path / "out").status == 0
    after = array_of(tmp_path / "out/one/probability.nii.gz")
    changed = [k for k in range(4) if not np.array_equal(before[k], after[k])]
    assert changed == [2]
    beyond = np.ones(after[2].shape, bool)
    beyond[11:34, 7:31] = False
    assert before[2][beyond].any() and not after[2][beyond].any()  # what the reader set bounds the mask, at any threshold
    assert json.loads(file.read_text()) == document


def test_points_alone_segment_their_slice(segment, image, tmp_path, blind_detector):
    points = write_prompts(tmp_path / "p.json", "points", [{"slice": 3, "x": 14.5, "y": 20.5}])
    no_boxes = write_prompts(tmp_path / "b.json", "boxes", [])
    assert segment(image, "--boxes", no_boxes, "--points", points).status == 0
    found = array_of(tmp_path / "out/one/probability.nii.gz")
    assert found[3].any() and not found[:3].any()
    written = json.loads((tmp_path / "out/one/points.json").read_text())
    assert written == {"version": 1, "case": "one", "points": [{"slice": 3, "x": 14.5, "y": 20.5, "positive": True}]}


def test_points_of_a_folder_go_to_their_cases_and_a_case_may_have_none(segment, tmp_path):
    images = [write_image(tmp_path / "a.nii.gz", voxels(1)), write_image(tmp_path / "b.nii.gz", voxels(2))]
    for case in ("a", "b"):
        write_prompts(tmp_path / "earlier" / case / "boxes.json", "boxes", [])
    write_prompts(tmp_path / "earlier/b/points.json", "points", [{"slice": 0, "x": 14.5, "y": 20.5}])
    ran = segment(*images, "--boxes", tmp_path / "earlier", "--points", tmp_path / "earlier")
    assert ran.status == 0, ran.err
    assert not array_of(tmp_path / "out/a/probability.nii.gz").any()
    assert array_of(tmp_path / "out/b/probability.nii.gz")[0].any()


def test_points_that_were_not_asked_for_are_left_alone_and_named(segment, image, tmp_path):
    file = write_prompts(tmp_path / "out/one/points.json", "points", [{"slice": 0, "x": 14.5, "y": 20.5}])
    before = file.read_text()
    write_prompts(tmp_path / "out/one/boxes.json", "boxes", [BOX])
    ran = segment(image, "--boxes", tmp_path / "out")
    assert ran.status == 0 and file.read_text() == before
    assert "points.json was not used" in ran.err and "--points" in ran.err
    assert not mask(tmp_path)[0].any()


BAD_PROMPTS = {
    "outside the image": ("boxes", {**BOX, "x0": 100, "x1": 120}, "outside the image"),
    "a point that is neither": ("points", {"slice": 1, "x": 5, "y": 5, "positive": "yes"}, "positive must be true or false"),
}
"""One of each file; all that can be wrong with a box or a point is in ``test_prompts.py`` above."""


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_a_bad_box_or_point_fails_its_case_and_no_other(segment, tmp_path, name):
    kind, entry, words = BAD_PROMPTS[name]
    images = [write_image(tmp_path / "bad.nii.gz", voxels(1)), write_image(tmp_path / "good.nii.gz", voxels(2))]
    for case in ("bad", "good"):
        write_prompts(tmp_path / f"prompts/{case}/boxes.json", "boxes", [BOX])
    write_prompts(tmp_path / f"prompts/bad/{kind}.json", kind, [entry])
    ran = segment(*images, "--boxes", tmp_path / "prompts", "--points", tmp_path / "prompts")
    assert ran.status == 1 and words in ran.err and "bad: failed" in ran.err
    assert {row["case"]: row["status"] for row in table(tmp_path / "out/results.csv")} == {"bad": "failed", "good": "done"}
    assert mask(tmp_path, "good").any()


@pytest.mark.parametrize(
    ("text", "words"), [("{", "not valid JSON"), ('{"boxes": 3}', "boxes must be a list"), ("\x00\xff", "JSON")]
)
def test_a_malformed_boxes_file_is_said_to_be_so(segment, image, tmp_path, text, words):
    file = tmp_path / "boxes.json"
    file.write_bytes(text.encode("latin-1"))
    ran = segment(image, "--boxes", file)
    assert ran.status == 1 and words in ran.err and str(file) in ran.err
    assert table(tmp_path / "out/results.csv")[0]["status"] == "failed"


def test_a_missing_prompt_file_is_named(segment, image, tmp_path):
    for option in ("--boxes", "--points"):
        ran = segment(image, option, tmp_path / "nothing.json")
        assert ran.status == 1 and "nothing.json" in ran.err
        (tmp_path / "folder").mkdir(exist_ok=True)
        ran = segment(image, option, tmp_path / "folder")
        assert ran.status == 1 and f"one/{option[2:]}.json" in ran.err
