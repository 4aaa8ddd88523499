"""This process and others: its cores, its signals, and whether a number still means the process that it meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def on_interrupt(ask: Callable[[int], None]) -> Iterator[None]:
    """Call ``ask`` with the signal's number when Ctrl-C or SIGTERM comes; in the main thread, which alone can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda number, _frame: ask(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupt_waits() -> Iterator[None]:
    """Ctrl-C waits until this is left; it never comes to processes started within, or later by threads that began within.

    Not on Windows, where a process must see to that itself.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it later would open the way again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def birth_of(pid: int) -> str:
    """When a process began, as the system has it: with its number this tells it from a later one that got the same number.

    Returns:
        A text to be compared; empty if there is no such process, or the system does not say.
    """
    try:
        if sys.platform == "win32":
            return _windows_birth(pid)
        if sys.platform == "linux":
            # Behind the name, which may hold anything, the 20th field is the start (proc_pid_stat(5), field 22).
            return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()  # noqa: S603
    except (OSError, IndexError, subprocess.SubprocessError):
        return ""


def _windows_birth(pid: int) -> str:
    import ctypes

    windows = getattr(ctypes, "windll").kernel32  # noqa: B009 - of Windows alone
    handle = windows.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return ""
    times = [ctypes.c_ulonglong() for _ in range(4)]
    told = windows.GetProcessTimes(handle, *(ctypes.byref(time) for time in times))
    windows.CloseHandle(handle)
    return str(times[0].value) if told else ""


def end_process(pid: int, birth: str) -> None:
    """End a process at once, if it is still the one that began at ``birth`` (:func:`birth_of`)."""
    if birth and birth_of(pid) == birth:
        with suppress(OSError):  # it has gone by itself
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows either ends it at once
