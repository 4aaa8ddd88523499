"""Which device and which number format a network runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.json_fields import Limits

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
DeviceName = Annotated[str, Limits(pattern=r"auto|cpu|mps|cuda(:\d+)?", words="auto, cpu, cuda, cuda:1 or mps")]
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
# torch has a class of its own for CUDA's want of memory alone; elsewhere its words tell.
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")


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
    """The number format for ``auto``, or the one named.

    ``auto`` is bfloat16 on processors with AVX512-BF16 or AMX and on NVIDIA GPUs from Ampere on, float16 on Volta and Turing,
    and float32 on all others, Apple's included.

    Raises:
        ModelError: the name is unknown.
    """
    import torch

    if name not in PRECISIONS:
        raise ModelError(f"There is no precision called {name!r}. Choose one of {', '.join(PRECISIONS)}.")
    if name != "auto":
        return getattr(torch, name)
    return _native_format(device)


def _native_format(device: torch.device) -> torch.dtype:
    """The half format that the device itself computes in, float32 where it has none.

    Asked of the hardware and not timed, so that the same input always gives the same mask on the same computer. Processors
    without bf16 arithmetic would be many times slower in it; Apple's GPUs gain too little to be worth the rounding.
    """
    import torch

    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if capability >= (8, 0) else torch.float16 if capability >= (7, 0) else torch.float32
    # torch's own questions to the processor; a version or a processor (ARM) that does not know them has none.
    asked = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    native = device.type == "cpu" and torch.backends.mkldnn.is_available() and any(ask() for ask in asked if ask is not None)
    return torch.bfloat16 if native else torch.float32


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how Python, or torch on any device, says that memory ran out."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(words in said for words in _NO_MEMORY))
