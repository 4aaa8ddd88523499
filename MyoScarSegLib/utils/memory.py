"""How much memory this process has, and what it does with freed memory, with nothing but the standard library."""

from __future__ import annotations

import sys
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of parameters in the C library's malloc.h."""
_LARGE_BYTES = 1 << 30
HEAP_ENVIRONMENT = {"MALLOC_ARENA_MAX": 1, "MALLOC_MMAP_THRESHOLD_": _LARGE_BYTES, "MALLOC_TRIM_THRESHOLD_": _LARGE_BYTES}
"""For a process that is not yet started: as :func:`keep_freed_memory`, with one heap for all its threads."""


def resident_bytes() -> int | None:
    """Resident memory of this process; None where the system does not tell."""
    if sys.platform.startswith("linux"):
        import resource

        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the peak: the system tells nothing better so cheaply
    if sys.platform == "win32":
        return _windows()
    return None


def keep_freed_memory() -> None:
    """Have this process keep the memory it frees, for its next arrays, instead of giving it back to the system each time.

    Networks free and take the same large arrays for every slice, and the system clears every page it hands out: a tenth of the
    time of a study, and half of it in Dask's workers, which are started with the opposite setting. Only the GNU C library has
    this choice; elsewhere nothing happens.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        for parameter, value in ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _LARGE_BYTES)):
            mallopt(parameter, value)


def _windows() -> int | None:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            ("PeakWorkingSetSize", ctypes.c_size_t),
            ("WorkingSetSize", ctypes.c_size_t),
            ("QuotaPeakPagedPoolUsage", ctypes.c_size_t),
            ("QuotaPagedPoolUsage", ctypes.c_size_t),
            ("QuotaPeakNonPagedPoolUsage", ctypes.c_size_t),
            ("QuotaNonPagedPoolUsage", ctypes.c_size_t),
            ("PagefileUsage", ctypes.c_size_t),
            ("PeakPagefileUsage", ctypes.c_size_t),
        )

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.K32GetProcessMemoryInfo.argtypes = (wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD)
    there = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
    return int(counters.WorkingSetSize) if there else None
