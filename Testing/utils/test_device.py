"""Which device and number format a network runs on."""

from __future__ import annotations

import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.device import resolve_device, resolve_precision

CPU = torch.device("cpu")


def _has(monkeypatch, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(0, False, "cpu"), (1, False, "cuda"), (0, True, "mps"), (2, True, "cuda")])
def test_auto_takes_the_fastest_device_that_is_there(monkeypatch, cuda, mps, chosen):
    _has(monkeypatch, cuda, mps)
    assert resolve_device("auto").type == chosen
    assert resolve_device("cpu").type == "cpu"


def test_one_of_several_cards_can_be_named(monkeypatch):
    _has(monkeypatch, cuda=2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ModelError, match=r"There is no 'cuda:2': this computer has 2 CUDA device\(s\)"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "meta", "xpu"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, name):
    _has(monkeypatch)
    with pytest.raises(ModelError, match=f"The device '{name}' is not available .* --device auto or --device cpu"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu cuda"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ModelError, match=f"There is no device called '{name}'. Choose one of auto, cpu, cuda, mps"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("flags", "mkldnn", "chosen"),
    [
        ({"_is_avx512_bf16_supported": True, "_is_amx_tile_supported": False}, True, torch.bfloat16),
        ({"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": True}, True, torch.bfloat16),
        ({"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": False}, True, torch.float32),
        ({"_is_avx512_bf16_supported": True, "_is_amx_tile_supported": True}, False, torch.float32),
        ({}, True, torch.float32),
    ],
    ids=["AVX512-BF16", "AMX", "neither", "torch without oneDNN", "ARM or an old torch"],
)
def test_auto_takes_bfloat16_on_processors_that_compute_in_it_alone(monkeypatch, flags, mkldnn, chosen):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
        if name in flags:
            monkeypatch.setattr(torch.cpu, name, lambda name=name: flags[name], raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: mkldnn)
    assert {resolve_precision("auto", CPU) for _ in range(3)} == {chosen}


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), torch.float32)],
)
def test_auto_takes_the_half_format_of_the_gpu(monkeypatch, capability, chosen):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert resolve_precision("auto", torch.device("cuda", 0)) == chosen


def test_auto_is_float32_on_apple_gpus():
    assert resolve_precision("auto", torch.device("mps")) == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_format_that_is_named_is_taken(name):
    assert resolve_precision(name, CPU) == getattr(torch, name)


def test_an_unknown_format_is_refused():
    with pytest.raises(ModelError, match=r"There is no precision called 'int8'\. Choose one of auto, float32, bfloat16, float16"):
        resolve_precision("int8", CPU)
