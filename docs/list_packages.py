"""The list of all packages that go into Slicer: versions, licenses and hashes for Linux, Windows and macOS; and their wheels.

``python docs/list_packages.py`` writes ``docs/packages.txt``, which pip reads (``--require-hashes``), and ``docs/packages.md``, a
table for people. It needs a network and ``uv`` (``pip install uv``), which resolves for other systems than its own.
``--download FOLDER`` takes the wheels of that list for one system, to be carried to a computer without network.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from MyoScarSegLib.installation.requirements import SLICERS_OWN, wanted

HERE = Path(__file__).resolve().parent
LIST, PAGE = HERE / "packages.txt", HERE / "packages.md"
PYTHON = "3.12"
"""Slicer's."""

#: System to its wheels' platforms and what markers ask for.
SYSTEMS = {
    "linux": (("manylinux_2_28_x86_64", "manylinux_2_17_x86_64"), {"sys_platform": "linux", "platform_machine": "x86_64"}),
    "windows": (("win_amd64",), {"sys_platform": "win32", "platform_machine": "AMD64"}),
    "macos": (("macosx_14_0_arm64", "macosx_11_0_arm64"), {"sys_platform": "darwin", "platform_machine": "arm64"}),
}
_PLATFORM_SYSTEM = {"linux": "Linux", "windows": "Windows", "macos": "Darwin"}

# Of packages that say nothing, or that whoever makes the list may lack: what their index page or repository says.
_LICENSES = {"colorama": "BSD-3-Clause", "cuda-toolkit": "proprietary", "segment-anything": "Apache-2.0", "tzdata": "Apache-2.0"}
_SHORT = {
    "BSD License": "BSD", "MIT License": "MIT", "Apache Software License": "Apache-2.0", "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Other/Proprietary License": "proprietary",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0", "GNU Affero General Public License v3": "AGPL-3.0",
}  # fmt: skip


def listed(text: str) -> Iterator[Requirement]:
    """The requirements of a list: name, version and the marker of the systems that they are for."""
    for line in text.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            yield Requirement(line.split("\\")[0].split(" --hash")[0].strip())


def for_system(requirement: Requirement, system: str) -> bool:
    """Whether a requirement of the list is one of this system's."""
    environment = {**SYSTEMS[system][1], "platform_system": _PLATFORM_SYSTEM[system], "python_full_version": PYTHON + ".0"}
    return requirement.marker is None or requirement.marker.evaluate({**environment, "python_version": PYTHON})


def license_of(name: str) -> str:
    """What the installed package says its license is, in few words."""
    try:
        record = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return _LICENSES.get(canonicalize_name(name), "?")
    if record["License-Expression"]:
        return str(record["License-Expression"])
    classifiers = [line.rsplit(" :: ", 1)[1] for line in record.get_all("Classifier", []) if line.startswith("License :: ")]
    named = [_SHORT.get(one, one) for one in classifiers if one != "OSI Approved"]
    said = str(record["License"] or "").strip().split("\n")[0]
    return ", ".join(named) or (said if len(said) < 60 else said[:57] + "...") or _LICENSES.get(canonicalize_name(name), "?")


def table(text: str) -> str:
    """The page with one row for each package of a list."""
    rows: dict[str, tuple[list[str], set[str]]] = {}
    for requirement in listed(text):
        versions, systems = rows.setdefault(requirement.name, ([], set()))
        here = {system for system in SYSTEMS if for_system(requirement, system)}
        if here:
            versions.append(str(requirement.specifier).removeprefix("=="))
            systems |= here
    lines = []
    for name, (versions, systems) in sorted(rows.items()):
        if systems:
            where = "all" if systems == set(SYSTEMS) else ", ".join(system for system in SYSTEMS if system in systems)
            lines.append(f"| {name} | {', '.join(dict.fromkeys(versions))} | {where} | {license_of(name)} |")
    return _HEAD.format(count=len(lines), python=PYTHON, own=", ".join(one.name for one in SLICERS_OWN)) + "\n".join(lines) + "\n"


_HEAD = """\
# Packages

What *Install* brings into Slicer's Python {python}, training included: {count} packages, by system, with the license that each
declares. Versions are those of the day on which this list was made; the window shows what it takes today. Checksums (SHA-256) of
every file: [packages.txt](packages.txt), which pip checks with `--require-hashes`. Made by `python docs/list_packages.py`.

Slicer's own packages ({own}) stay as they are and are not listed unless something asks for them.

| package | version | systems | license |
|---|---|---|---|
"""


def resolve() -> str:
    """The list, made anew from the package index for all systems.

    Raises:
        SystemExit: ``uv`` is missing, or it cannot resolve.
    """
    if shutil.which("uv") is None:
        raise SystemExit("uv is missing: pip install uv")
    needed = wanted(training=True)
    # Windows cannot unpack later wheels of torch below Slicer's folder, see installation/plan.py.
    together = [str(one) for one in needed if not one.alone and one.name != "torch"]
    together += ["torch>=2.6,<2.13; sys_platform == 'win32'", "torch>=2.6; sys_platform != 'win32'"]
    return _compile(together) + _compile([str(one) for one in needed if one.alone], "--no-deps")


def _compile(requirements: list[str], *options: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        wishes = Path(folder) / "wishes.txt"
        wishes.write_text("\n".join(requirements), encoding="utf-8")
        command = [
            "uv", "pip", "compile", "--quiet", "--universal", "--python-version", PYTHON, "--generate-hashes", "--no-header",
            "--no-annotate", *options, str(wishes),
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return ran.stdout


def download(folder: Path, system: str) -> None:
    """Fetch the wheels of the list for one system into a folder.

    Raises:
        SystemExit: pip could not.
    """
    platforms, _markers = SYSTEMS[system]
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", LIST.read_text(encoding="utf-8"))
    kept = [entry for entry in entries for one in listed(entry) if for_system(one, system)]
    with tempfile.TemporaryDirectory() as temporary:
        wishes = Path(temporary) / "wishes.txt"
        # pip would ask this computer whether a marker holds.
        wishes.write_text("".join(re.sub(r" ;[^\\\n]*", " ", entry) for entry in kept), encoding="utf-8")
        command = [
            sys.executable, "-m", "pip", "download", "--only-binary", ":all:", "--no-deps", "--require-hashes",
            "--python-version", PYTHON, "--dest", str(folder),
            *(word for platform in platforms for word in ("--platform", platform)), "-r", str(wishes),
        ]  # fmt: skip
        raise SystemExit(subprocess.run(command, check=False).returncode)  # noqa: S603


def main() -> None:
    """Make the list, or fetch what it names."""
    parser = argparse.ArgumentParser(description="Make the list of packages, or fetch their wheels.")
    parser.add_argument("--download", type=Path, metavar="FOLDER", help="fetch the wheels of the list that is there")
    here = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    parser.add_argument("--system", choices=SYSTEMS, default=here, help=f"that the wheels are for ({here})")
    chosen = parser.parse_args()
    if chosen.download is not None:
        download(chosen.download, chosen.system)
    text = resolve()
    LIST.write_text(text, encoding="utf-8")
    PAGE.write_text(table(text), encoding="utf-8")


if __name__ == "__main__":
    main()
