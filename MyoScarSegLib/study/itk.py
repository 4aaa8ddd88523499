"""Small helps around SimpleITK's messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings off the terminal inside the block; what matters in them becomes a note of the study."""
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def itk_reason(error: Exception) -> str:
    """The sentence in an ITK exception's text that says what went wrong, without source files and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "ITK ERROR" in line or line.startswith("[nrrd]")] or lines[-1:] or [type(error).__name__]
    reason = re.sub(r".*ITK ERROR:\s*", "", telling[-1])
    reason = re.sub(r"^\w+\(0x[0-9a-f]+\):\s*|^\[nrrd\]\s*(\w+:\s*)?", "", reason)
    return reason.rstrip(".")[:160]
