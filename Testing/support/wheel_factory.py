"""Wheels of a few hundred bytes, and a Python that has packages without having their contents."""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def make_wheel(
    folder: Path, name: str, version: str, requires: Iterable[str] = (), *, files: Mapping[str, bytes] | None = None
) -> Path:
    """A wheel for any Python and system, with these files, or with an empty package of its name."""
    plain = name.replace("-", "_")
    record_folder = f"{plain}-{version}.dist-info"
    files = dict(files or {f"{plain}/__init__.py": b""})
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    files[f"{record_folder}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode()
    files[f"{record_folder}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{file},{_hash(content)},{len(content)}\n" for file, content in files.items())
    files[f"{record_folder}/RECORD"] = f"{record}{record_folder}/RECORD,,\n".encode()
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return path


def unpack_pip(folder: Path) -> Path:
    """pip as it comes with Python, unpacked in ``folder``: making an environment with it takes seconds, without it none."""
    bundled = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"), None)
    if bundled is None:  # a system's own Python, which keeps it elsewhere
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "pip"], check=True, timeout=120)
        return folder
    with zipfile.ZipFile(bundled) as archive:
        archive.extractall(folder)
    return folder


class Python:
    """A virtual environment with pip and, as Slicer has them, packages that nobody may replace.

    Args:
        folder: of the environment.
        pip: where :func:`unpack_pip` put pip.
    """

    def __init__(self, folder: Path, pip: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
        self.executable = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
        self.site_packages = next(path for path in folder.rglob("site-packages") if path.is_dir())
        (self.site_packages / "pip.pth").write_text(f"{pip}\n")

    def put(self, wheel: Path) -> None:
        """Install a wheel without asking pip."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.site_packages)

    def version(self, name: str) -> str:
        """The installed version of a package, "" if it is not there."""
        plain = name.replace("-", "_")
        found = list(self.site_packages.glob(f"{plain}-*.dist-info"))
        return found[0].name.removeprefix(f"{plain}-").removesuffix(".dist-info") if found else ""


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
