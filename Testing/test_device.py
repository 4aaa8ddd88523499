"""Which device and number format a network runs on."""

from __future__ import annotations

import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.segmentation import device
from MyoScarSegLib.segmentation.device import resolve_device, resolve_precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def forget_timings():
    device._faster_format.cache_clear()
    yield
    device._faster_format.cache_clear()


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


@pytest.mark.parametrize(("half_s", "chosen"), [(0.030, torch.float32), (0.0009, torch.float32), (0.0005, torch.bfloat16)])
def test_auto_takes_the_half_format_only_where_it_is_clearly_faster(monkeypatch, half_s, chosen):
    monkeypatch.setattr(device, "_seconds", lambda dtype, where: half_s if dtype == torch.bfloat16 else 0.001)
    assert resolve_precision("auto", CPU) == chosen


def test_the_timing_is_done_once(monkeypatch):
    calls = []

    def seconds(dtype, where):
        calls.append(dtype)
        return 1.0

    monkeypatch.setattr(device, "_seconds", seconds)
    resolve_precision("auto", CPU)
    resolve_precision("auto", CPU)
    assert sorted(map(str, calls)) == ["torch.bfloat16", "torch.float32"]


def test_the_timing_measures_a_time():
    assert 0 < device._seconds(torch.float32, CPU) < 10


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_format_that_is_named_is_taken_untimed(monkeypatch, name):
    monkeypatch.setattr(device, "_seconds", lambda *_: pytest.fail("timed"))
    assert resolve_precision(name, CPU) == getattr(torch, name)


def test_an_unknown_format_is_refused():
    with pytest.raises(ModelError, match=r"There is no precision called 'int8'\. Choose one of auto, float32, bfloat16, float16"):
        resolve_precision("int8", CPU)
