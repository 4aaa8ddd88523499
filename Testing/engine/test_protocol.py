"""Frames: cut from any pieces, no array lost or altered, garbage refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.messages import read_message, study_message
from MyoScarSegLib.engine.protocol import LENGTHS, FrameReader, ProtocolError, pack
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError, StudyError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.json_fields import to_json

TYPES = ("bool", "uint8", "int16", ">i2", "float32", ">f8", "float64", "float16", "int64")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(TYPES).flatmap(
            lambda t: arrays.arrays(t, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
        ),
        max_size=3,
    ),
    st.integers(1, 40),
)
def test_frames_survive_being_cut_anywhere(values, piece):
    data = pack({"type": "a", "text": "Größe", "deep": [{"values": values}]}) + pack({"type": "b"})
    reader = FrameReader()
    messages = [m for start in range(0, len(data), piece) for m in reader.feed(data[start : start + piece])]
    assert [m["type"] for m in messages] == ["a", "b"]
    assert messages[0]["text"] == "Größe"
    for got, value in zip(messages[0]["deep"][0]["values"], values, strict=True):
        assert got.shape == value.shape
        assert got.dtype == value.dtype.newbyteorder("<")
        np.testing.assert_array_equal(got, value)


def test_array_in_any_memory_order_arrives_as_it_looks():
    array = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    (fields,) = FrameReader().feed(pack({"a": array}))
    np.testing.assert_array_equal(fields["a"], array)
    fields["a"][0, 0, 0] = 5  # the receiver may change what it got


@pytest.mark.parametrize(
    "data",
    [
        b"Downloading: 100%\n",
        LENGTHS.pack(5, 0) + b"abcde",
        LENGTHS.pack(2, 0) + b"[]",
        LENGTHS.pack(4_000_000_000, 0),
        LENGTHS.pack(2, 4_000_000_000) + b"{}",
        LENGTHS.pack(2, 3) + b"{}abc",
        LENGTHS.pack(0, 0),
        LENGTHS.pack(100_000, 0) + b"[" * 100_000,
    ],
    ids=["text", "no JSON", "no object", "huge JSON", "huge body", "body of nothing", "empty", "deep JSON"],
)
def test_garbage_is_refused(data):
    with pytest.raises(ProtocolError):
        list(FrameReader().feed(data))


def test_messages_before_garbage_in_one_read_are_given_first():
    data = pack({"type": "at", "id": 3}) + pack({"type": "progress", "id": 3}) + b"Downloading: 100%" * 10
    given = []
    with pytest.raises(ProtocolError):
        for fields in FrameReader().feed(data):
            given.append(fields["type"])
    assert given == ["at", "progress"]


def test_largest_frame_fits_what_both_carriers_can_hold():
    """A QByteArray has signed 32-bit sizes; the frame's own lengths are unsigned ones."""
    assert LENGTHS.size + protocol.MOST_JSON_BYTES + protocol.MOST_BODY_BYTES < 2**31 - 64


def test_study_and_frame_that_are_too_large_say_what_to_do(monkeypatch):
    monkeypatch.setattr(protocol, "MOST_BODY_BYTES", 1000)
    study = Study("x", np.ones((3, 10, 12), np.float32), Geometry((1, 1, 8)), Reconstruction.PSIR)
    with pytest.raises(StudyError, match=r"12 x 10 x 3 voxels.*Crop"):
        study_message("key", study)
    with pytest.raises(EngineError, match="Crop"):
        pack({"voxels": study.voxels})


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("O", [1]),
        ("<f4", [1000]),
        ("<f4", [-1]),
        ("<f4", [1 << 40]),
        ("<U4", [1]),
        ("<c16", [1]),
        ("nothing", [1]),
        ("<f4", ["x"]),
    ],
)
def test_array_that_cannot_be_is_refused(dtype, shape):
    text = json.dumps({"a": {"$array": [dtype, *shape]}}).encode()
    with pytest.raises(ProtocolError):
        list(FrameReader().feed(LENGTHS.pack(len(text), 16) + text + bytes(16)))


def test_objects_do_not_travel():
    with pytest.raises(ProtocolError):
        pack({"a": np.array([print], dtype=object)})


def test_study_travels_without_anything_of_the_patient():
    geometry = Geometry((1.5, 1.25, 8.0), (-12.0, 40.0, 7.0), np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
    study = Study(
        "Mueller^Hans", np.ones((3, 4, 5), ">i2"), geometry, Reconstruction.PSIR, "by the name Mueller",
        source={"series": "secret"}, notes=("secret",), bad_slices={1: "not finite"},
    )  # fmt: skip
    data = pack(study_message("key", study))
    assert b"Mueller" not in data and b"secret" not in data
    got = read_message(Study, next(FrameReader().feed(data)))
    np.testing.assert_array_equal(got.voxels, study.voxels)
    assert got.geometry.spacing_mm == (1.5, 1.25, 8.0)
    assert got.geometry.slice_distance_mm == study.geometry.slice_distance_mm
    assert got.bad_slices == {1: "not finite"}
    assert got.reconstruction is Reconstruction.PSIR


def test_prompts_and_settings_travel_unchanged():
    boxes = [Box(np.int64(2), np.float32(1.5), 2, 8, 9, confidence=0.25, source="x", state=BoxState.REJECTED), Box(0, 1, 1, 2, 2)]
    points = [Point(1, 2.5, 3.5, positive=False)]
    chosen = EngineSettings(detector="a", device="cpu", confidence=0.2, threads=2)
    data = pack({"b": to_json(boxes), "p": to_json(points), "s": chosen.to_json()})
    fields = next(FrameReader().feed(data))
    assert read_message(list[Box], fields["b"]) == boxes
    assert read_message(list[Point], fields["p"]) == points
    assert EngineSettings.from_json(fields["s"]) == chosen


@pytest.mark.parametrize("changes", [{"voxels": np.ones((2, 2))}, {"geometry": {"spacing_mm": [1]}}, {"reconstruction": "x"}])
def test_study_that_is_none_is_refused(changes):
    study = Study("x", np.ones((2, 2, 2)), Geometry(None), Reconstruction.PSIR)
    assert read_message(Study, study_message("key", study)).slices == 2
    with pytest.raises(ProtocolError):
        read_message(Study, {**study_message("key", study), **changes})
