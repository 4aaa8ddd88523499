"""Bad arguments end with status 2, before anything is read or written."""

from __future__ import annotations

import pytest

from Testing.support.command import BOX, write_image, write_prompts

COMMANDS = ("segment", "detect", "info", "models", "models list", "models fetch", "models import", "models verify", "demo")


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "one.nii.gz")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frobnicate"], "--frobnicate"),
        (["--threshold", "0"], "0 is not a probability"),
        (["--threshold", "1"], "1 is not a probability"),
        (["--threshold", "nan"], "nan is not a probability"),
        (["--threshold", "half"], "'half' is not a number"),
        (["--confidence", "2"], "2 is not a probability"),
        (["--format", "png"], "'png'"),
        (["--spacing", "1.4,1.4"], "three distances"),
        (["--spacing", "1.4,1.4,0"], "three distances"),
        (["--spacing", "1.4,-1,10"], "three distances"),
        (["--spacing", "1,nan,10"], "three distances"),
        (["--spacing", "a,b,c"], "'a' is not a number"),
        (["--axis", "z"], "'z'"),
        (["--device", "gpu"], "'gpu' is no device"),
        (["--segmenter", "no-such-model"], "no-such-model"),
        (["--detector", "no-such-model"], "no-such-model"),
        (["--view", "all"], "'all'"),
        (["--precision", "int8"], "'int8'"),
    ],
)
def test_a_bad_option_is_named_and_nothing_is_written(command, image, tmp_path, arguments, words):
    ran = command("segment", image, "-o", tmp_path / "out", *arguments)
    assert ran.status == 2 and words in ran.err and ran.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["segment", "detect"])
def test_output_folder_and_input_are_required(command, image, tmp_path, name):
    ran = command(name, image)
    assert ran.status == 2 and "-o" in ran.err
    ran = command(name, "-o", tmp_path / "out")
    assert ran.status == 2 and "INPUT" in ran.err


def test_a_path_that_the_system_refuses_is_a_sentence(command, tmp_path):
    ran = command("info", tmp_path / ("x" * 300))
    assert ran.status == 1 and ran.err.startswith("myoscarseg: ") and "xxx cannot be reached: " in ran.err


@pytest.mark.parametrize("option", ["--boxes", "--points"])
def test_one_file_of_prompts_for_two_inputs_is_refused(command, image, tmp_path, option):
    file = write_prompts(tmp_path / "prompts.json", option[2:], [BOX])
    ran = command("segment", image, image, "-o", tmp_path / "out", option, file)
    assert ran.status == 2 and "one file for 2 inputs" in ran.err and f"<case>/{option[2:]}.json" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option",
    [("--threshold", "0.4"), ("--format", "nifti"), ("--boxes", "b.json"), ("--points", "p.json"), ("--precision", "float32")],
)
def test_detect_has_no_options_of_masks(command, image, tmp_path, option):
    """It has ``--segmenter``: the segmenter's map of tissues has a say in the boxes."""
    ran = command("detect", image, "-o", tmp_path / "out", *option)
    assert ran.status == 2
    assert option[0] in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["frobnicate"], ["models"], ["info"], ["models", "fetch"], ["models", "verify", "nope"], ["demo", "--seed", "-1"]],
)
def test_incomplete_and_unknown_commands_are_refused(command, arguments):
    ran = command(*arguments)
    assert ran.status == 2 and "myoscarseg" in ran.err and ran.out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command, name):
    ran = command(*name.split(), "--help")
    assert ran.status == 0 and ran.out.startswith("usage: myoscarseg") and ran.err == ""


def test_version_is_the_packages(command):
    from MyoScarSegLib import __version__

    ran = command("--version")
    assert ran.status == 0 and ran.out == f"MyoScarSeg {__version__}\n"


def test_info_tells_geometry_and_kind(command, image):
    ran = command("info", image)
    assert ran.status == 0 and "10 mm" in ran.out and "magnitude" in ran.out
    assert command("info", image, "--json").json["study"]["slices"] == 4
    assert command("info", image.parent / "nothing.nii").status == 1
