"""Where packages come from: the package index that pip is set to, torch's own index, or a folder of wheels."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from MyoScarSegLib.installation.computer import Computer
from MyoScarSegLib.installation.installed import normalise

PUBLIC_INDEX = "https://pypi.org/simple"
TORCH_INDEX = "https://download.pytorch.org/whl"


def configured_index(environment: Mapping[str, str] | None = None, prefix: str = sys.prefix) -> str:
    """The index that this computer's pip is set to, "" if it is the public one.

    A hospital's computers may reach nothing but a mirror; then torch must come from there as well.
    """
    environment = os.environ if environment is None else environment
    if environment.get("PIP_INDEX_URL"):
        return environment["PIP_INDEX_URL"].strip()
    chosen = ""
    for file in _configuration_files(environment, prefix):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):  # pip itself will say what is wrong with it
            continue
        for section in ("global", "install"):
            chosen = parser.get(section, "index-url", fallback="").strip() or chosen
    return "" if chosen.rstrip("/") == PUBLIC_INDEX else chosen


def torch_index(computer: Computer) -> str:
    """torch's own index for builds that the public one does not have for this system; "" if the public one serves."""
    if computer.system == "Darwin":
        return ""
    if computer.system == "Windows" and computer.build == "cpu":
        return ""  # the public index's build for Windows is the one without CUDA
    return f"{TORCH_INDEX}/{computer.build}"


def host(url: str) -> str:
    """The computer that ``url`` names, without a password that may stand in it."""
    parts = urlsplit(url)
    return parts.hostname or url if parts.scheme in ("http", "https") else url


def wheels_in(folder: Path) -> dict[str, int]:
    """Normalised names of the packages in a folder of wheels, each with the size of its largest file, bytes."""
    found: dict[str, int] = {}
    for file in Path(folder).glob("*.whl"):
        name = normalise(file.name.partition("-")[0])
        found[name] = max(found.get(name, 0), file.stat().st_size)
    return found


def _configuration_files(environment: Mapping[str, str], prefix: str) -> list[Path]:
    """pip's configuration files, the later overriding the earlier."""
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    home = Path.home()
    if sys.platform == "win32":
        shared = [Path(environment.get("PROGRAMDATA", "C:/ProgramData")) / "pip" / name]
        own = [home / "pip" / name, Path(environment.get("APPDATA", home)) / "pip" / name]
    elif sys.platform == "darwin":
        shared = [Path("/Library/Application Support/pip") / name]
        support = home / "Library" / "Application Support" / "pip"
        own = [home / ".pip" / name, support / name if support.is_dir() else home / ".config" / "pip" / name]
    else:
        shared = [Path(folder) / "pip" / name for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
        shared.append(Path("/etc") / name)
        own = [home / ".pip" / name, Path(environment.get("XDG_CONFIG_HOME", home / ".config")) / "pip" / name]
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    return [*shared, *own, Path(prefix) / name, *([Path(named)] if named else [])]
