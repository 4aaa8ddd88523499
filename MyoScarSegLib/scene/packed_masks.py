"""Masks of slices as bytes: what a state remembers of them."""

from __future__ import annotations

import hashlib

import numpy as np


def pack(mask: np.ndarray) -> bytes:
    """A bool mask ``[row, column]`` as bytes; none if it is empty."""
    return np.packbits(mask).tobytes() if mask.any() else b""


def unpack(drawn: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The mask that :func:`pack` made bytes of."""
    if not drawn:
        return np.zeros(shape, dtype=bool)
    return np.unpackbits(np.frombuffer(drawn, dtype=np.uint8), count=shape[0] * shape[1]).reshape(shape).astype(bool)


def checksum_of(*drawn: bytes) -> str:
    """A short text that is the same for equal masks only."""
    digest = hashlib.blake2b(digest_size=12)
    for n, one in enumerate(drawn):
        if n:
            digest.update(len(drawn[n - 1]).to_bytes(8, "little"))
        digest.update(one)
    return digest.hexdigest()
