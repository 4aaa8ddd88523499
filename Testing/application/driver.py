"""Drives a real Slicer: mouse and keyboard by xdotool, questions to the running application, pictures of its screen.

Linux only. Needs Xvfb, xdotool and ImageMagick's ``import``; openbox, if it is there, gives the windows their places.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PROGRAMS = ("Xvfb", "xdotool", "import")
SCREEN = (1600, 1000)
_STARTING_S = 180


class DriverError(Exception):
    """The application does not answer, or a question raised in it."""


def missing_programs() -> list[str]:
    """The programs that the driver needs and this computer lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def screen(size: tuple[int, int] = SCREEN) -> Iterator[str]:
    """A screen of its own, which nobody sees: the name of a display that was free, for ``DISPLAY``."""
    reading, writing = os.pipe()
    # The server itself finds a number that is free, and says it.
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size[0]}x{size[1]}x24", "+extension", "GLX", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    started = [server]
    try:
        with os.fdopen(reading) as pipe:
            display = ":" + pipe.readline().strip()
        if display == ":":
            raise DriverError("Xvfb does not start.")
        if shutil.which("openbox"):
            environment = {**os.environ, "DISPLAY": display}
            started.append(subprocess.Popen(["openbox"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield display
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(10)


class Slicer:
    """A running application.

    Attributes:
        display: that it is on.
        pictures: folder that :meth:`shot` writes to.
        log: file with all that it has written.
        acts: clicks, drags and keys so far, each letter of what was typed a key.
    """

    def __init__(self, slicer: Path, display: str, home: Path, pictures: Path, **variables: str) -> None:
        """
        Args:
            slicer: the program.
            display: as of :func:`screen`.
            home: an empty folder, its home: neither the user's settings nor their models are seen or touched.
            pictures: for :meth:`shot`.
            variables: more of its environment.
        """
        self.display, self.pictures = display, pictures
        self.log = home / "slicer.log"
        self._questions = home / "questions"
        self._asked = 0
        self.acts = 0
        self._questions.mkdir(parents=True)
        pictures.mkdir(parents=True, exist_ok=True)
        (home / "run").mkdir(mode=0o700)
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "QT_QPA_PLATFORM")}
        self._environment = kept | {
            "DISPLAY": display,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "APPLICATION_DRIVER": str(self._questions),
            **variables,
        }
        command = [
            slicer, "--no-splash", "--ignore-slicerrc", "--disable-settings",
            "--additional-module-paths", REPOSITORY / "MyoScarSeg", "--python-script", HERE / "server.py",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def process_id(self) -> int:
        """Of the program that was started; all processes of the application are in its session."""
        return self._process.pid

    # ------------------------------------------------------------------ questions

    def ask(self, question: str, timeout_s: float = 60) -> Any:
        """The value of an expression inside the application, as JSON has it; None for statements, which are run.

        Names: ``slicer``, ``qt``, and what :mod:`Testing.application.server` defines.

        Raises:
            DriverError: it raised there, or there is no answer.
        """
        self._asked += 1
        path = self._questions / f"{self._asked:06d}.py"
        part = path.with_suffix(".part")
        part.write_text(question, encoding="utf-8")
        part.rename(path)
        answer, end = path.with_suffix(".json"), time.monotonic() + timeout_s
        while not answer.is_file():
            if self._process.poll() is not None:
                raise DriverError(f"Slicer ended with status {self._process.returncode}:\n{self._tail()}")
            if time.monotonic() > end:
                raise DriverError(f"no answer within {timeout_s:g} s to: {question}\n{self._tail()}")
            time.sleep(0.01)
        said = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        if "error" in said:
            raise DriverError(f"{question}\n{said['error']}")
        return said["value"]

    def until(self, question: str, timeout_s: float = 120) -> Any:
        """Wait until an expression is true inside the application; its value.

        Raises:
            DriverError: it did not become true.
        """
        end = time.monotonic() + timeout_s
        while not (value := self.ask(question)):
            if time.monotonic() > end:
                self.shot("timeout")
                raise DriverError(f"not so within {timeout_s:g} s: {question}; it is {value!r}")
            time.sleep(0.1)
        return value

    def open_module(self) -> None:
        """Wait until the application is there, fill the screen with it, and show the module."""
        self.ask("slicer.app.applicationVersion", _STARTING_S)
        self.ask("slicer.util.mainWindow().showMaximized()")
        self.ask("slicer.util.selectModule('MyoScarSeg')", 120)
        self.until("panel().entered")
        self.rest()

    # ------------------------------------------------------------------ mouse and keyboard

    def click(self, widget: str, *, dx: int = 0, dy: int = 0) -> None:
        """Click on a widget, given as an expression; the panel is scrolled to it if need be.

        Raises:
            DriverError: it cannot be used: disabled, hidden, or something lies over it.
        """
        self.until(f"({widget}).isEnabled()", 30)
        if not self.ask(f"seen({widget})"):
            self.ask(f"reveal({widget})")
            self.rest()
            if not self.ask(f"({widget}).isVisible()"):
                raise DriverError(f"{widget} is hidden")
        self.click_at(*self.ask(f"center({widget}, {dx}, {dy})"))

    def press(self, name: str) -> None:
        """Click on a widget of the module's first tab."""
        self.click(f"panel().segment.ui.{name}")

    def click_at(self, x: int, y: int, button: int = 1, *, times: int = 1) -> None:
        """Click on a place of the screen, twice for a double click; the buttons are 1 left, 2 middle, 3 right."""
        self.acts += 1
        self._xdotool("mousemove", x, y)
        time.sleep(0.1)
        self._xdotool("click", "--repeat", times, "--delay", 60, button)
        self.rest()

    def drag(self, *places: tuple[int, int]) -> None:
        """Press the button at the first place, go to the others one after the other, and let go."""
        self.acts += 1
        self._xdotool("mousemove", *places[0])
        time.sleep(0.2)
        self._xdotool("mousedown", 1)
        time.sleep(0.1)
        for one, other in itertools.pairwise(places):
            for step in range(1, 6):
                at = [round(a + (b - a) * step / 5) for a, b in zip(one, other, strict=True)]
                self._xdotool("mousemove", *at)
                time.sleep(0.1)
        self._xdotool("mouseup", 1)
        self.rest()

    def key(self, *keys: str) -> None:
        """Press keys, named as xdotool does: ``"ctrl+z"``, ``"Return"``."""
        for name in keys:
            self.acts += 1
            self._xdotool("key", name)
            self.rest()

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self.acts += len(text)
        self._xdotool("type", "--delay", 20, text)
        self.rest()

    def rest(self) -> None:
        """Let the application take in what was done: events, and the panel's next turn."""
        for _ in range(3):
            time.sleep(0.05)
            self.ask("slicer.app.applicationName")

    # ------------------------------------------------------------------ looking

    def shot(self, name: str) -> Path:
        """Keep a picture of the whole screen."""
        path = self.pictures / f"{name}.png"
        subprocess.run(["import", "-window", "root", path], env=self._environment, check=True, timeout=30)
        return path

    def tracebacks(self) -> str:
        """What the application has written of unexpected errors, empty if nothing."""
        log = self.log.read_text(encoding="utf-8", errors="replace")
        return log[log.index("Traceback (most recent call last)") :] if "Traceback (most recent call last)" in log else ""

    def close(self) -> None:
        """End the application, and what it has started, in any case."""
        try:
            if self._process.poll() is None:
                self.ask("slicer.util.exit(0)", 10)
                self._process.wait(30)
        except (DriverError, subprocess.TimeoutExpired):
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def _xdotool(self, *words: object) -> None:
        subprocess.run(["xdotool", *map(str, words)], env=self._environment, check=True, timeout=30)


@contextmanager
def running(slicer: Path, home: Path, pictures: Path, **variables: str) -> Iterator[Slicer]:
    """A Slicer with the module shown, on a screen of its own; it is ended at the end, also on failure."""
    with screen() as display:
        application = Slicer(slicer, display, home, pictures, **variables)
        try:
            application.open_module()
            yield application
        finally:
            application.close()
