"""``myoscarseg info`` and what it is made of."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from MyoScarSegLib.cli import info
from MyoScarSegLib.study import describe
from Testing.support.dicom_factory import voxels, write_series


@pytest.fixture
def examination(tmp_path):
    folder = tmp_path / "patient"
    direction = Rotation.from_euler("x", 0.5).as_matrix()
    offsets = [0, 10, 20, 30, 50, 60, 70, 80]
    write_series(folder / "1", voxels(3), number=1, description="localizer")
    write_series(folder / "2", voxels(), number=2, description="LGE_sax_psir", direction=direction, offsets=offsets)
    return folder


def run(*arguments):
    parser = argparse.ArgumentParser()
    info.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["info", *[str(argument) for argument in arguments]])
    return parsed.run(parsed)


def test_text_names_series_choice_geometry_and_kind(examination, capsys):
    assert run(examination) == 0
    text = capsys.readouterr().out
    for expected in (
        "series found: 2",
        "-> 2: LGE_sax_psir [MR, PSIR] 8 slices of 12 x 14",
        "not taken by itself: its name says a localizer",
        "1.4 x 1.4 x 10 mm",
        "thickness 8 mm, so 2 mm between slices were not imaged",
        "uneven: 0, 10, 20, 30, 50",
        "oblique by 29°",
        "PSIR: the description says PSIR",
        "slices 3 and 4 are 20 mm apart",
    ):
        assert expected in text, expected
    assert "Doe" not in text and "SECRET4711" not in text


def test_json_is_one_object(examination, capsys):
    assert run(examination, "--json") == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["study"]["series"] == "2" and entry["study"]["slices"] == 8
    assert [series["chosen"] for series in entry["series"]] == [False, True]
    assert entry["study"]["intensity"]["max"] == voxels().max()
    assert entry == json.loads(json.dumps(describe(examination)))


def test_a_chosen_series_is_the_one_shown(examination, capsys):
    assert run(examination, "--series", "1", "--json") == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["study"]["slices"] == 3 and [series["chosen"] for series in entry["series"]] == [True, False]


def test_input_without_lge_shows_its_series_and_ends_with_1(tmp_path, capsys):
    write_series(tmp_path, voxels(), description="cine")
    assert run(tmp_path) == 1
    output = capsys.readouterr()
    assert "cine" in output.out and "no study was read" in output.out and "no LGE series" in output.err


def test_missing_path_ends_with_1_and_says_so(tmp_path, capsys):
    assert run(tmp_path / "nowhere") == 1
    assert "no file or folder" in capsys.readouterr().err


def test_pictures_are_described_without_spacing(tmp_path, capsys):
    for index in range(3):
        Image.fromarray(voxels()[index].astype(np.uint8)).save(tmp_path / f"{index}.png")
    assert run(tmp_path) == 0
    text = capsys.readouterr().out
    assert "3 slices of 12 x 14" in text and "--spacing" in text
