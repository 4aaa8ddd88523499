"""Why a worker ended, in words."""

from __future__ import annotations

import signal

_WINDOWS = {0xC0000005: "an error in native code", 0xC0000409: "an error in native code", 0xC0000017: "too little memory"}
_LAUNCHER = "exit abnormally - Report the problem."
"""What PythonSlicer, which starts the interpreter, says in place of the signal that ended it; its own status is then 1."""
_NATIVE = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")


def how_it_ended(code: int, stderr_tail: str) -> str:
    """A sentence on an exit status.

    Args:
        code: exit status; negative for the number of a signal, as :mod:`subprocess` has it, or 128 above it, as shells have it.
        stderr_tail: the end of what the process wrote to its standard error.
    """
    name = _signal_name(code)
    if name == "SIGKILL":
        return "The system or somebody ended it, perhaps because memory ran out: close other programs, or use a smaller model."
    if name in _NATIVE:
        return f"The cause is an error in native code ({name}); the log may say where."
    windows = _WINDOWS.get(code & 0xFFFFFFFF)
    if windows is not None:
        return f"The cause is {windows} (0x{code & 0xFFFFFFFF:08X})."
    if name:
        return f"It was ended from outside ({name})."
    if _LAUNCHER in stderr_tail:
        return "It crashed or was ended from outside, perhaps because memory ran out; the log may say more."
    last = next((line.strip() for line in reversed(stderr_tail.splitlines()) if line.strip()), "")
    return f"Its exit status was {code}." + (f" The last it said: {last.rstrip('.')}." if last else "")


def _signal_name(code: int) -> str:
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name if 0 < number < 65 else ""
    except ValueError:
        return ""
