"""Runs the command line as a user does, and reads what it wrote."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

REPOSITORY = Path(__file__).resolve().parents[2]
SHAPE = (4, 48, 40)
SPACING = (1.5, 1.25, 10.0)
BOX = {"slice": 1, "x0": 10, "y0": 20, "x1": 25, "y1": 30}


@dataclass(frozen=True)
class Ran:
    """What a command left: exit status and both streams."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def in_process(capsys: Any, arguments: Sequence[object]) -> Ran:
    from MyoScarSegLib.cli.main import main

    capsys.readouterr()
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    caught = capsys.readouterr()
    assert "Traceback" not in caught.err + caught.out
    return Ran(status, caught.out, caught.err)


def in_subprocess(arguments: Sequence[object], *, program: Sequence[str] = (), **options: Any) -> Ran:
    command = [*(program or (sys.executable, "-m", "MyoScarSegLib")), *(str(a) for a in arguments)]
    timeout, cwd = options.pop("timeout_s", 300), options.pop("cwd", REPOSITORY)
    ran = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout, **options)
    assert "Traceback" not in ran.stderr, ran.stderr
    return Ran(ran.returncode, ran.stdout, ran.stderr)


class Started:
    """``myoscarseg`` in a process that can be interrupted, and is killed at the end of a ``with``."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "MyoScarSegLib", *map(str, arguments)],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip
        self._read = ""

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()

    def wait_for(self, words: str) -> None:
        """Read what it says until it has said this."""
        assert self.process.stderr is not None
        while words not in self._read:
            line = self.process.stderr.readline()
            assert line, self._read
            self._read += line

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """As a terminal does it: the workers, too."""
        os.killpg(self.process.pid, number)

    def end(self) -> Ran:
        """Wait until it has ended by itself, without a crash."""
        out, err = self.process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return Ran(self.process.returncode, out, self._read + err)


def side_by_side(run: Callable[..., Ran], *commands: Sequence[object]) -> list[Ran]:
    """What a function that runs one command gives for several, two at a time: most of each is the start of Python and torch."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda arguments: run(*arguments), commands))


def voxels(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Noise with a bright patch on each slice, int16 ``[k, j, i]``."""
    array = np.random.default_rng(seed).normal(300, 40, shape)
    array[:, shape[1] // 3 : shape[1] // 2, shape[2] // 4 : shape[2] // 2] += 500
    return array.astype(np.int16)


def write_image(path: Path, array: np.ndarray | None = None, *, spacing=SPACING, origin=(5.0, -6.0, 7.5), direction=None) -> Path:
    image = sitk.GetImageFromArray(voxels() if array is None else array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(np.asarray(direction).ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_pictures(folder: Path, array: np.ndarray | None = None) -> Path:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(voxels() if array is None else array):
        Image.fromarray(np.clip(pixels / 4, 0, 255).astype(np.uint8)).save(folder / f"slice_{index}.png")
    return folder


def write_prompts(path: Path, key: str, entries: list[dict[str, Any]]) -> Path:
    """``boxes.json`` or ``points.json`` with nothing but the entries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: entries}))
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def array_of(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
