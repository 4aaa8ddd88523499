"""Detection checkpoints of ultralytics. A ``.pt`` file is a pickle, which can run any code, so an unknown one is opened
with an allow-list: only the classes of torch's and ultralytics' layers, and of those not even the constructors run.
"""

from __future__ import annotations

import importlib
import pickle
import re
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.detection.detector_checkpoint import DetectorRecord, check_finite
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.trust import numbers_in_pickles, opens_pickles_safely
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

if TYPE_CHECKING:
    from torch import nn

PREPROCESSING = "ultralytics"
_CONFIDENCE, _IOU = 0.25, 0.7
"""What ultralytics' own prediction uses."""
#: Networks for another task may be opened, too, to be refused for what they are.
_NETWORKS = re.compile(
    r"ultralytics\.nn\.tasks\.(?:Detection|Segmentation|Pose|OBB|Classification|World|RTDETRDetection|YOLOE)Model"
)
_LAYERS = re.compile(r"(?:torch\.nn\.modules|ultralytics\.nn\.modules)(?:\.[a-z0-9_]+)?")
_TRAINING_ONLY = re.compile(r"ultralytics\.utils\.(?:loss|tal)\.[A-Za-z0-9]+")
_PATHS = re.compile(r"pathlib(?:\._local)?\.(?:Posix|Windows|PurePosix|PureWindows)Path")
_NAMESPACES = (
    "ultralytics.utils.IterableSimpleNamespace",
    "ultralytics.yolo.utils.IterableSimpleNamespace",
    "types.SimpleNamespace",
)
# torch keeps its allow-list per process.
_lock = threading.Lock()


def load_ultralytics(path: Path, *, trusted: bool = False) -> tuple[nn.Module, DetectorRecord]:
    """The network of an ultralytics checkpoint of the task detect, on the CPU, in evaluation mode and single precision, and what
    is known of it.

    The restricted way is always tried first; only a ``trusted`` file that it refuses is unpickled in full.

    Raises:
        ModelError: the file is damaged, refused, or no detector.
    """
    import_ultralytics()
    try:
        document = _load_restricted(path)
    except _Refused as refusal:
        if not trusted:
            raise ModelError(
                f"{path} was not opened, because {refusal}. A pickled checkpoint can run any code: "
                "if you know who made this one, trust it with --trust."
            ) from refusal
        document = _load_in_full(path)
    return _detector_of(document, path)


class _Refused(Exception):
    """The restricted way does not open the file; the text completes "because ..."."""


def _load_restricted(path: Path) -> Any:
    import torch

    if not opens_pickles_safely():
        raise _Refused(f"torch {torch.__version__} cannot open a pickle safely (version 2.6 and newer can)")
    if not zipfile.is_zipfile(path):
        # Also what a truncated file looks like: a zip archive's directory is at its end.
        if path.open("rb").read(2) == b"PK":
            raise ModelError(f"{path} is truncated or damaged. Get it again.")
        raise _Refused("it is not in torch's zip format, and other pickles cannot be opened safely")
    numbers = numbers_in_pickles()
    try:
        with _lock, torch.serialization.safe_globals(numbers):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception as error:  # a hostile file may break torch's scan in any way; whatever it is, the file stays closed
        raise _Refused(f"its list of contents cannot be read ({error})") from error
    stand_ins = {name: _stand_in(name) for name in names}
    refused = sorted(name for name, stand_in in stand_ins.items() if stand_in is None)
    if refused:
        raise _Refused(f"it refers to {', '.join(refused)}, which no detector needs")
    with _lock, torch.serialization.safe_globals([*numbers, *((stand_in, name) for name, stand_in in stand_ins.items())]):
        try:
            document = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            # torch wraps the reason in advice to open the file without restrictions.
            reason = re.search(r"WeightsUnpickler error: (.+)", str(error))
            raise _Refused(f"it holds more than weights and layers ({reason[1] if reason else error})") from error
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise ModelError(f"{path} is damaged ({error}). Get it again.") from error
    _make_real(document)
    return document


def _load_in_full(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the pickle's own code raises
        raise ModelError(f"{path} cannot be read by the installed ultralytics ({type(error).__name__}: {error}).") from error


def _stand_in(name: str) -> Any:
    """What stands for the global ``name`` while unpickling, or None if it is not allowed."""
    if name in _NAMESPACES:
        return _Namespace
    if _TRAINING_ONLY.fullmatch(name):
        return type(name.rpartition(".")[2], (_Inert,), {})
    if _PATHS.fullmatch(name):
        return _path_text
    real = _layer(name)
    # A subclass that cannot be called: an object's class and attributes are restored, but no constructor runs, because
    # those of ultralytics evaluate text.
    return None if real is None else type(real.__name__, (real,), {"__init__": _refuse_call, "_real_class": real})


def _layer(name: str) -> type | None:
    from torch import nn

    module, _, attribute = name.rpartition(".")
    if not (_LAYERS.fullmatch(module) or _NETWORKS.fullmatch(name)):
        return None
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None


def _refuse_call(self: Any, *arguments: Any, **named: Any) -> None:
    raise pickle.UnpicklingError(f"a call of {type(self).__name__}")


class _Inert:
    """An object of the training that nobody needs any more."""

    def __init__(self, *arguments: Any) -> None:
        raise pickle.UnpicklingError(f"a call of {type(self).__name__}")


class _Namespace:
    """Stands for a namespace of settings; keeps its attributes and runs nothing."""


def _path_text(*parts: Any) -> str:
    return "/".join(str(part) for part in parts)


def _make_real(value: Any) -> None:
    """Give the restored layers their real classes, in place."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, (list, tuple, set)):
            waiting += item
        elif not isinstance(item, type) and hasattr(type(item), "_real_class"):
            waiting += vars(item).values()
            item.__class__ = type(item)._real_class


def _detector_of(document: Any, path: Path) -> tuple[nn.Module, DetectorRecord]:
    from torch import nn
    from ultralytics.nn.modules import head as heads
    from ultralytics.nn.tasks import DetectionModel

    if not isinstance(document, dict):
        raise ModelError(f"{path} is not an ultralytics checkpoint: it holds a {type(document).__name__}.")
    network = document.get("ema") if document.get("ema") is not None else document.get("model")
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{path} is not an ultralytics checkpoint: it holds no network. (Is it a segmenter? Give it as --segmenter.)"
        )
    layers = getattr(network, "model", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) and len(layers) else None
    if type(network) is not DetectionModel or type(head) not in (heads.Detect, getattr(heads, "v10Detect", heads.Detect)):
        raise ModelError(
            f"{path} is an ultralytics {type(network).__name__} with a {type(head).__name__} head. Only checkpoints of the task "
            "detect are detectors here."
        )
    arguments = document.get("train_args")
    size = arguments.get("imgsz", 640) if isinstance(arguments, dict) else 640
    size = max(size) if isinstance(size, (list, tuple)) and size else size
    names = getattr(network, "names", None)
    names = [names[key] for key in sorted(names)] if isinstance(names, dict) else names
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if (
        not isinstance(size, int)
        or not 32 <= size <= 4096
        or not isinstance(names, list)
        or len(names) != head.nc
        or first is None
    ):
        raise ModelError(f"{path} is damaged: its image size or class names make no sense.")
    if first.in_channels not in (1, 3):
        raise ModelError(f"{path} takes {first.in_channels} channels; this program gives a detector one slice.")
    check_finite(network.state_dict(), path)
    _modernise(network)
    classes = tuple(str(name) for name in names)
    return network, DetectorRecord("yolo", classes, size, _CONFIDENCE, _IOU, channels=first.in_channels)


def _modernise(network: Any) -> None:
    """What checkpoints of older versions lack, and what is of no use after training."""
    from torch import nn

    vars(network).pop("criterion", None)
    network.args = None
    network.float().eval()
    for module in network.modules():
        if isinstance(module, nn.Upsample) and not hasattr(module, "recompute_scale_factor"):
            module.recompute_scale_factor = None
    network.model[-1].shape = None
    for parameter in network.parameters():
        parameter.requires_grad_(False)
