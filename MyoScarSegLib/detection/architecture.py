"""Detection networks of ultralytics, built from the package's own definitions only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

if TYPE_CHECKING:
    from torch import nn

_NAME = re.compile(r"(yolov8|yolo11|yolo12|yolo26)([nsmlx])")


def build_network(architecture: str, *, channels: int, classes: int) -> nn.Module:
    """An ultralytics detection network with fresh weights, in training mode.

    A definition is never taken from a checkpoint or from the working folder: ultralytics evaluates parts of it as code.

    Args:
        architecture: family and scale, such as ``"yolo11n"``.

    Raises:
        ModelError: the installed ultralytics has no such detection architecture.
    """
    match = _NAME.fullmatch(architecture)
    if match is None:
        raise ModelError(f"{architecture!r} is no detection architecture known here; examples are yolo11n and yolov8s.")
    package = Path(import_ultralytics().__path__[0])
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import YAML

    family, scale = match.groups()
    path = package / "cfg" / "models" / family.removeprefix("yolo") / f"{family}.yaml"
    try:
        definition: dict[str, Any] = YAML.load(path)
    except OSError as error:
        raise ModelError(
            f"The installed ultralytics does not define {family}; update it (pip install -U ultralytics)."
        ) from error
    definition.update(scale=scale, yaml_file=f"{architecture}.yaml", nc=classes)
    network: Any = DetectionModel(definition, ch=channels, nc=classes, verbose=False)
    network.args = get_cfg()
    return cast("nn.Module", network)
