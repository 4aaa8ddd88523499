"""Frames between client and worker: a JSON object in which arrays may stand, with its lengths in front.

A frame is ``<II`` (bytes of the JSON, bytes of the body), the JSON in UTF-8, then the body: the arrays' bytes one after the
other, C-ordered and little-endian. Where an array stands in the JSON there is an object with its type and shape. Nothing is ever
unpickled, and every length is checked before anything is made of it, so that garbage gives a :class:`ProtocolError` and no more.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from MyoScarSegLib.errors import EngineError

VERSION = 2
LENGTHS = struct.Struct("<II")
#: Some thousands of boxes, or a long log, are far below this; random bytes read as a length are nearly always above it.
MOST_JSON_BYTES = 16 << 20
#: With the JSON still below 2 GiB, which is all that a QByteArray holds.
MOST_BODY_BYTES = (1 << 31) - (32 << 20)
_ARRAY = "$array"
_KINDS = "biuf"


class ProtocolError(EngineError):
    """What came in is no frame of ours."""


def pack(fields: Mapping[str, Any]) -> bytes:
    """A frame's bytes.

    Args:
        fields: JSON-able, but for arrays: real-valued or bool, of any shape and memory order.

    Raises:
        EngineError: the frame is too large; the message says what to do.
        ProtocolError: an array is of a type that does not travel.
    """
    bodies: list[memoryview] = []

    def described(array: Any) -> dict[str, Any]:
        if not isinstance(array, np.ndarray) or array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
            raise ProtocolError(f"{getattr(array, 'dtype', type(array).__name__)} does not travel.")
        plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        bodies.append(plain.reshape(-1).view(np.uint8).data)
        return {_ARRAY: [plain.dtype.str, *plain.shape]}

    text = json.dumps(fields, default=described).encode()
    size = sum(len(body) for body in bodies)
    if len(text) > MOST_JSON_BYTES or size > MOST_BODY_BYTES:
        raise EngineError(
            f"This is too much to be sent at once: {(len(text) + size) / 2**30:.2f} GiB. Crop the volume to the heart, or work "
            "on fewer slices."
        )
    return b"".join([LENGTHS.pack(len(text), size), text, *bodies])


class FrameReader:
    """Cuts frames out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[dict[str, Any]]:
        """Take in ``data``, and give the fields of frames that are whole now, in order. Their arrays can be written to.

        Those before bytes that are no frame are given first, then the error is raised: what a worker said before it broke
        tells what it was at.

        Raises:
            ProtocolError: while iterating: these bytes are no frames; nothing that follows can be read either.
        """
        self._buffer += data
        return self._whole()

    def _whole(self) -> Iterator[dict[str, Any]]:
        while len(self._buffer) >= LENGTHS.size:
            text_size, body_size = LENGTHS.unpack_from(self._buffer)
            if not 2 <= text_size <= MOST_JSON_BYTES or body_size > MOST_BODY_BYTES:
                raise ProtocolError(f"A frame cannot have {text_size} + {body_size} bytes.")
            text_end = LENGTHS.size + text_size
            end = text_end + body_size
            if len(self._buffer) < end:
                break
            text, body = bytes(self._buffer[LENGTHS.size : text_end]), self._buffer[text_end:end]
            del self._buffer[:end]
            yield _fields(text, body)


def _fields(text: bytes, body: bytearray) -> dict[str, Any]:
    used = 0

    def array_of(described: dict[str, Any]) -> Any:
        nonlocal used
        if _ARRAY not in described:
            return described
        dtype, shape = np.dtype(str(described[_ARRAY][0])), tuple(int(n) for n in described[_ARRAY][1:])
        if dtype.kind not in _KINDS or dtype.itemsize > 8 or min(shape, default=0) < 0:
            raise ProtocolError(f"An array cannot be {dtype} of the shape {shape}.")
        count = math.prod(shape)
        if used + count * dtype.itemsize > len(body):
            raise ProtocolError("A frame's body is shorter than its arrays.")
        array = np.frombuffer(body, dtype, count, used).reshape(shape)
        used += count * dtype.itemsize
        return array

    try:
        fields = json.loads(text, object_hook=array_of)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ProtocolError(f"A frame's JSON cannot be read: {error}.") from error
    if not isinstance(fields, dict):
        raise ProtocolError("A frame's JSON is no object.")
    if used != len(body):
        raise ProtocolError("A frame's body is longer than its arrays.")
    return fields
