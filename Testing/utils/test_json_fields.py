"""Dataclasses from JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from MyoScarSegLib.errors import ModelError, MyoScarSegError, PromptError
from MyoScarSegLib.utils.files import parse_json, write_json
from MyoScarSegLib.utils.json_fields import (
    Count,
    Index,
    Limits,
    Share,
    Text,
    check,
    describe,
    field_types,
    from_text,
    limits_of,
    load,
    read,
    to_json,
)


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Noise:
    scale: tuple[float, float] = (0.75, 1.4)
    share: Share = 0.5


@dataclass(frozen=True)
class Url:
    url: Text
    kind: Literal["url"] = "url"


@dataclass(frozen=True)
class Wheel:
    size: Count
    kind: Literal["pypi"] = "pypi"


@dataclass(frozen=True)
class Everything:
    name: Annotated[str, Limits(pattern="[a-z]+", words="a name of lower-case letters")]
    epochs: Annotated[int, Limits(1, 1000, step=5)] = 12
    side: Annotated[int, Limits(32, 2048, multiple_of=16, also=(0,))] = 0
    rate: Annotated[float, Limits(above=0)] = 1e-3
    averaging: Annotated[float, Limits(0, below=1)] = 0.995
    batch: Count | None = None
    resume: bool = False
    mode: Literal["decoder", "full"] = "decoder"
    color: Color = Color.RED
    data: Path | None = None
    model: str | Path | None = None
    sizes: tuple[Index, ...] = ()
    places: list[list[float]] = field(default_factory=list)
    why: Mapping[int, str] = field(default_factory=dict)
    options: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    noise: Noise = field(default_factory=Noise)
    source: Url | Wheel | None = None
    anything: Any = None

    def __post_init__(self) -> None:
        check(self, ModelError, "settings")
        if self.mode == "full" and self.resume:
            raise ModelError("A full training cannot be resumed.")


FULL = Everything(
    "model", 5, 64, 0.5, 0.0, 3, True, "decoder", Color.GREEN, Path("data"), "sam", (1, 2), [[0.5, 1.0]], {3: "blank"},
    {"copies": 3, "rate": 0.5, "deep": True, "word": "x"}, Noise((0.5, 2.0), 1.0), Wheel(7), {"free": [1, None]},
)  # fmt: skip


def _read(**values: Any) -> Everything:
    return read(Everything, {"name": "a", **values}, PromptError, "file.json")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", to_json(FULL, version=2))
    assert load(Everything, tmp_path / "a.json", ModelError, version=2) == FULL
    assert json.loads((tmp_path / "a.json").read_text())["version"] == 2


def test_fields_left_out_have_their_default() -> None:
    assert _read() == Everything("a")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": 3}, "name must be a name of lower-case letters, not 3."),
        ({"name": "A"}, "name must be a name of lower-case letters, not 'A'."),
        ({"epochs": 0}, "epochs must be a whole number from 1 to 1000, not 0."),
        ({"epochs": True}, "epochs must be a whole number from 1 to 1000, not True."),
        ({"epochs": 2.5}, "epochs must be a whole number from 1 to 1000, not 2.5."),
        ({"epochs": "5"}, "epochs must be a whole number from 1 to 1000, not '5'."),
        ({"side": 33}, "side must be a whole number from 32 to 2048 in multiples of 16, or 0, not 33."),
        ({"rate": 0}, "rate must be a number above 0, not 0."),
        ({"rate": float("nan")}, "rate must be a number above 0, not nan."),
        ({"rate": 10**400}, "rate must be a number above 0, not 1000"),
        ({"averaging": 1}, "averaging must be a number from 0 below 1, not 1."),
        ({"batch": 0}, "batch must be a whole number from 1 up, not 0."),
        ({"resume": 1}, "resume must be true or false, not 1."),
        ({"mode": "other"}, "mode must be one of decoder, full, not 'other'."),
        ({"color": "blue"}, "color must be one of red, green, not 'blue'."),
        ({"color": []}, "color must be one of red, green, not []."),
        ({"data": ""}, "data must be a path, not ''."),
        ({"model": 3}, "model must be a text or a path or null, not 3."),
        ({"sizes": 3}, "sizes must be a list, not 3."),
        ({"sizes": [1, -1]}, "sizes[1] must be a whole number from 0 up, not -1."),
        ({"places": [[1], ["x"]]}, "places[1][0] must be a number, not 'x'."),
        ({"why": {"x": "blank"}}, "why's key must be a whole number, not 'x'."),
        ({"why": {"1": 2}}, "why.1 must be a text, not 2."),
        ({"options": {"a": [1]}}, "options.a must be a number or a whole number or a text or true or false, not [1]."),
        ({"noise": {"scale": [1]}}, "noise.scale must be a list of 2, not [1]."),
        ({"noise": {"share": 1.5}}, "noise.share must be a number from 0 to 1, not 1.5."),
        ({"noise": []}, "noise must be an object, not []."),
        ({"source": {"kind": "ftp"}}, "source.kind must be one of url, pypi, not 'ftp'."),
        ({"source": {"kind": "url", "url": " "}}, "source.url must be a text that is not empty, not ' '."),
        ({"source": {"kind": "url"}}, "source lacks 'url'."),
        ({"size": 1}, "has 'size', which is not known; known are name, epochs"),
        ({"mode": "full", "resume": True}, "A full training cannot be resumed."),
    ],
)
def test_a_wrong_value_is_named_with_file_and_field(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PromptError) as error:
        _read(**values)
    assert str(error.value).startswith("file.json")
    assert sentence in str(error.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    document = parse_json(f'{{"name": "a", "rate": {number}}}', PromptError, "file.json")
    with pytest.raises(PromptError, match="rate must be a number"):
        read(Everything, document, PromptError, "file.json")


def test_whole_numbers_may_be_written_as_decimals_and_stay_whole_beside_decimals() -> None:
    found = _read(epochs=3.0, options={"copies": 3, "rate": 3.0, "deep": True})
    assert type(found.epochs) is int
    assert [type(value) for value in found.options.values()] == [int, float, bool]


def test_numbers_and_lists_of_python_are_made_plain() -> None:
    found = Everything("a", epochs=np.int64(3), rate=np.float32(0.5), sizes=[np.uint8(1)], data="x", color="green")  # type: ignore[arg-type]
    assert (found.epochs, found.rate, found.sizes, found.data, found.color) == (3, 0.5, (1,), Path("x"), Color.GREEN)
    assert type(found.epochs) is int and type(found.rate) is float
    assert json.dumps(to_json({"n": np.int64(2), "x": np.float32(0.5)})) == '{"n": 2, "x": 0.5}'


def test_code_is_checked_by_the_same_limits() -> None:
    with pytest.raises(ModelError, match=r"settings: epochs must be a whole number from 1 to 1000, not 0\."):
        Everything("a", epochs=0)


def test_an_object_must_be_one() -> None:
    with pytest.raises(PromptError, match=r"file.json must be an object, not \[\]\."):
        read(Everything, [], PromptError, "file.json")
    with pytest.raises(PromptError, match=r"file.json lacks 'name'\."):
        read(Everything, {}, PromptError, "file.json")


def test_unknown_keys_can_be_ignored() -> None:
    assert read(Everything, {"name": "a", "size": 1}, PromptError, "", ignore=True) == Everything("a")


def test_another_version_is_refused() -> None:
    with pytest.raises(PromptError, match=r"x is of version 2; this program reads version 1\."):
        read(Everything, {"version": 2, "name": "a"}, PromptError, "x", version=1)


def test_a_list_is_read_as_a_field_is() -> None:
    assert read(list[Noise], [{"share": 0.25}], PromptError, "x", name="noises") == [Noise(share=0.25)]  # type: ignore[comparison-overlap]
    with pytest.raises(PromptError, match=r"x: noises\[0\]\.share must be a number"):
        read(list[Noise], [{"share": "a"}], PromptError, "x", name="noises")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "7", 7),
        ("rate", "1e-2", 0.01),
        ("resume", "yes", True),
        ("batch", "none", None),
        ("mode", "full", "full"),
        ("data", "here", Path("here")),
        ("sizes", "1,2", (1, 2)),
    ],
)
def test_a_command_line_gives_values_as_text(name: str, text: str, value: Any) -> None:
    assert from_text(field_types(Everything)[name], text, ModelError, "--set", name) == value


def test_a_text_that_is_no_value_is_refused() -> None:
    with pytest.raises(ModelError, match=r"--set: epochs must be a whole number from 1 to 1000, not 'many'\."):
        from_text(field_types(Everything)["epochs"], "many", ModelError, "--set", "epochs")


def test_a_form_takes_the_limits_of_a_field() -> None:
    assert limits_of(Everything, "epochs") == Limits(1, 1000, step=5)
    assert limits_of(Everything, "batch").least == 1
    assert limits_of(Everything, "resume") == Limits()
    assert describe(field_types(Everything)["epochs"]) == "a whole number from 1 to 1000"


@pytest.mark.parametrize("text", ["[" * 100_000, "{", b"\xff", "9" * 10_000])
def test_a_text_that_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(MyoScarSegError, match="x is not valid JSON"):
        parse_json(text, MyoScarSegError, "x")
