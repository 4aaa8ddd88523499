"""The one door to ultralytics: offline, silent, and nothing written outside our own cache folder.

On import ultralytics writes a settings file into the user's home, opens sockets to see whether it is online, and sets
the number of OpenMP threads to one; later it may send usage events, look for updates and install packages. All of it
is governed by environment variables and settings that must be in place *before* the import, so no module of ours
imports ultralytics other than through :func:`import_ultralytics`.
"""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.files import cache_folder
from MyoScarSegLib.utils.processes import usable_cores

# What ultralytics may send or fetch on its own; each is a key of its settings.
_OUTWARD_SETTINGS = (
    "sync", "hub", "clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "vscode_msg",
)  # fmt: skip
_lock = threading.Lock()


def import_ultralytics() -> ModuleType:
    """The ``ultralytics`` package, with network, telemetry, auto-install and chatter switched off.

    Idempotent and thread-safe. Import the submodules that you need after calling it, for example
    ``import_ultralytics(); from ultralytics.nn.tasks import DetectionModel``.

    Raises:
        ModelError: ultralytics is not installed, or cannot be imported.
    """
    with _lock:
        threads = os.environ.get("OMP_NUM_THREADS")
        if "ultralytics" not in sys.modules:
            _prepare_environment()
        try:
            from PIL import Image

            plain_open = Image.open
            import ultralytics
            from ultralytics.utils import SETTINGS, patches

            # It replaces Pillow's way to open pictures for the whole program, and for a damaged one then wants to install
            # a package.
            if Image.open is not plain_open:
                Image.open = patches._image_open
        except ImportError as error:
            raise ModelError(f"The detector needs the package ultralytics, which cannot be imported here: {error}.") from error
        finally:
            os.environ.pop("OMP_NUM_THREADS", None)
            if threads is not None:
                os.environ["OMP_NUM_THREADS"] = threads
        # dict.update rather than SETTINGS.update: the latter writes the file again and checks the values' spelling.
        dict.update(SETTINGS, {key: False for key in _OUTWARD_SETTINGS if key in SETTINGS})
        return ultralytics


def _prepare_environment() -> None:
    folder = cache_folder() / "ultralytics"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"The cache folder {folder} cannot be made: {error.strerror}. Set MYOSCARSEG_CACHE to a folder that can be written."
        ) from error
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_VERBOSE"] = "false"
    if not os.environ.get("MPLCONFIGDIR"):
        # ultralytics imports matplotlib, which would make ~/.config/matplotlib and a font cache.
        matplotlib = folder.parent / "matplotlib"
        matplotlib.mkdir(exist_ok=True)
        os.environ["MPLCONFIGDIR"] = str(matplotlib)
    # Set, though to what torch would choose anyway, or ultralytics sets it to 1 before torch reads it.
    if not os.environ.get("OMP_NUM_THREADS"):
        os.environ["OMP_NUM_THREADS"] = str(usable_cores())
