"""Drives the panel in a process that lacks every package that Slicer lacks: ``python -m`` this module, FOLDER.

The worker is another process and has them. Ends with status 0 if a study was segmented, exported, saved and loaded.
"""

from __future__ import annotations

import importlib.abc
import os
import sys
from pathlib import Path
from typing import Any

ABSENT = {
    "torch", "torchvision", "ultralytics", "cv2", "monai", "accelerate", "matplotlib", "PIL", "pandas", "tqdm", "safetensors",
    "segment_anything", "yaml", "skimage", "nibabel", "PyQt5",
}  # fmt: skip


class _Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> None:
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(folder: Path) -> None:
    """See the module."""
    sys.meta_path.insert(0, _Absent())
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import pytest

    from MyoScarSegLib.scene.demo_scene import bootstrap
    from Testing.support.panel_kit import add_volume, open_module
    from Testing.support.standins.application import Application

    with pytest.MonkeyPatch.context() as patch:
        application = Application(bootstrap(folder), folder, patch)
        with open_module(application) as module:
            # The packages are looked for in this process, which plays Slicer before the first installation.
            patch.setattr("MyoScarSegLib.widgets.packages.missing_now", lambda training: [])
            add_volume(module.scene, slices=3)
            module.panel.segment.study.choose_likely()
            module.settle()
            module.panel.segment.boxes.draw(_box())
            module.settle()
            module.click("segmentAllButton")
            module.until(lambda: not module.workflow.busy, what="masks")
            assert module.workflow.error == "", module.workflow.error
            module.panel.segment.numbers.export(folder / "out")
            assert module.panel.segment.status.error == "", module.panel.segment.status.error
            assert (folder / "out" / "results.csv").is_file()
            module.ui.advancedSection.collapsed = False
            module.settle(0.5)
            module.ui.editorGroup.checked = True
            module.panel.segment.packages.show()
            module.settle(0.5)
    loaded = ABSENT & {name.split(".")[0] for name in sys.modules}
    assert not loaded, loaded


def _box() -> Any:
    from MyoScarSegLib.prompts import Box

    return Box(1, 16, 16, 48, 48)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
