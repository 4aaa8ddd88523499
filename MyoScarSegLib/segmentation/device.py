"""Which device and which number format a network runs on."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import ModelError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
_WORTH_IT = 1.5


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device for ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        ModelError: the device is unknown or not there.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"There is no device called {name!r}. Choose one of {', '.join(DEVICES)}.") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False):
        raise ModelError(f"The device {name!r} is not available on this computer. Use --device auto or --device cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"There is no {name!r}: this computer has {torch.cuda.device_count()} CUDA device(s).")
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format for ``auto`` (a half format if this device is clearly faster with it), or the one named.

    Raises:
        ModelError: the name is unknown.
    """
    import torch

    if name not in PRECISIONS:
        raise ModelError(f"There is no precision called {name!r}. Choose one of {', '.join(PRECISIONS)}.")
    if name != "auto":
        return getattr(torch, name)
    return _faster_format(device.type, device.index)


@functools.lru_cache(maxsize=8)
def _faster_format(kind: str, index: int | None) -> torch.dtype:
    """Time one attention-sized matrix product in both formats: processors without bf16 arithmetic are many times slower in it."""
    import torch

    device = torch.device(kind, index) if index is not None else torch.device(kind)
    half = torch.bfloat16 if kind == "cpu" or (kind == "cuda" and torch.cuda.is_bf16_supported()) else torch.float16
    return half if _seconds(half, device) * _WORTH_IT < _seconds(torch.float32, device) else torch.float32


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The shortest of a few times that a matrix product takes."""
    import torch

    with torch.inference_mode():
        a = torch.ones(256, 256, dtype=dtype, device=device)
        best = float("inf")
        for _ in range(4):
            start = time.perf_counter()
            float((a @ a)[0, 0])  # reading the value waits for the device
            best = min(best, time.perf_counter() - start)
    return best
