"""The page of the module's keys, made from what the panel installs: ``python -m Testing.support.keys_page``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from Testing.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "keys.md"
_HEAD = """\
# Keys

They work while the module is shown, wherever the mouse is, and not while text is typed. "?" in the panel shows this list.
Slicer's own keys (arrows, B and F, G, T, R, V, brackets) stay as they are.

| key | does |
|---|---|
"""


def keys_page(keys: list[Any]) -> str:
    """The page's text, for what :meth:`Shortcuts.table` of the panel gives."""
    return _HEAD + "".join(f"| {key.shown} | {key.what} |\n" for key in keys)


def main() -> None:
    """Write the page."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import pytest

    from MyoScarSegLib.scene.demo_scene import bootstrap
    from Testing.support.panel_kit import open_module
    from Testing.support.standins.application import Application

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        application = Application(bootstrap(folder), Path(folder), patch)
        with open_module(application) as module:
            PAGE.write_text(keys_page(module.panel.segment.shortcuts.table()), encoding="utf-8")
        application.close()


if __name__ == "__main__":
    main()
