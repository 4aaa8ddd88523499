"""What will be installed, how large it is, where it comes from, and which device it will use: shown before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from MyoScarSegLib.installation.choices import Choices
from MyoScarSegLib.installation.python_report import PUBLIC_INDEX, Computer, Report
from MyoScarSegLib.installation.requirements import SLICERS_OWN, TORCH, Requirement, missing, older

TORCH_INDEX = "https://download.pytorch.org/whl"

# Measured or read off the indexes for torch 2.14; megabytes to download and on the disk, with what torch needs in turn.
_TORCH_MB = {
    ("Linux", "cpu"): (190, 750),
    ("Linux", "cu130"): (2700, 5400),
    ("Linux", "cu126"): (2900, 5600),
    ("Windows", "cpu"): (120, 600),
    ("Windows", "cu130"): (1900, 4500),
    ("Windows", "cu126"): (2500, 4600),
    ("Darwin", "cpu"): (80, 350),
    ("Darwin", "mps"): (80, 350),
}
# Small packages in pure Python that torch needs in its own versions. Everything else that is installed stays as it is.
_MAY_BE_RENEWED = {"filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools", "sympy", "typing-extensions"}
# From 2.13 on torch's wheels hold licenses in folders so deep that pip cannot unpack them under Slicer's on Windows, which
# does not take paths of more than 260 characters unless told to.
_TORCH_LIMIT = {"Windows": ",<2.13"}
_PIP = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--only-binary", ":all:")


@dataclass(frozen=True)
class Step:
    """One call of pip.

    Attributes:
        title: for the progress line.
        module: ``pip``, or ``light_the_torch``, which is pip with a choice of torch's build.
        arguments: of the module; the constraints are added when it runs.
    """

    title: str
    module: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """An installation that has not begun.

    Attributes:
        missing: the packages of ours that are not there.
        steps: what will be run; empty if nothing is missing.
        constraints: lines of a pip constraints file: everything that is installed, at its version.
        download_mb: about how much will be downloaded.
        disk_mb: about how much the disk will hold more.
        source: where it comes from.
        device: which device the networks will use.
        notes: what the user should know.
        problems: why it cannot begin; empty if it can.
    """

    missing: tuple[Requirement, ...]
    steps: tuple[Step, ...]
    constraints: tuple[str, ...]
    download_mb: float
    disk_mb: float
    source: str
    device: str
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def text(self) -> str:
        """All of it, to be read."""
        if not self.missing:
            return f"Everything is installed. The networks run on the {self.device}."
        lines = [
            "To be installed into Slicer's Python: " + ", ".join(requirement.name for requirement in self.missing) + ".",
            f"Download about {size_text(self.download_mb)}, on the disk about {size_text(self.disk_mb)}.",
            f"From: {self.source}.",
            f"The networks will run on the {self.device}.",
            "Slicer's own packages (NumPy, SimpleITK, VTK and all others) stay as they are.",
        ]
        return "\n".join([*lines, *self.notes, *self.problems])


def make_plan(report: Report, choices: Choices, extension_present: bool = False) -> Plan:
    """The plan for a Python as ``report`` describes it, which may have the PyTorch extension around it."""
    computer = replace(report.computer, card="") if choices.cpu_only else report.computer
    lacking = missing(report.packages, choices.training)
    torch = [requirement for requirement in lacking if requirement in TORCH]
    others = [requirement for requirement in lacking if requirement not in TORCH]
    by_extension = bool(torch) and extension_present and choices.wheel_folder is None
    index = "" if report.index or choices.wheel_folder else torch_index(computer)
    build = "cu130" if report.index and computer.system == "Linux" else computer.build  # what an index gives Linux unasked
    torch_mb = _TORCH_MB.get((computer.system, build), (2700, 5400))
    # Where another torch is there already, its torchvision alone is small.
    large = any(requirement.name == "torch" for requirement in torch)
    others_mb = [(requirement.download_mb, requirement.disk_mb) for requirement in lacking if requirement.name != "torch"]
    download_mb = sum(size for size, _ in others_mb) + (torch_mb[0] if large else 0)
    disk_mb = sum(size for _, size in others_mb) + (torch_mb[1] if large else 0)

    source, options = _source(report, choices, index if torch else "", by_extension)
    steps = _steps(report, torch, others, options, index, by_extension, computer.build)
    return Plan(
        missing=tuple(lacking),
        steps=tuple(steps),
        constraints=_constraints(report, lacking, by_extension),
        download_mb=0 if choices.wheel_folder else download_mb,
        disk_mb=disk_mb,
        source=source,
        device=_device(report, computer.device_text, choices, bool(torch)),
        notes=_notes(report, lacking, by_extension),
        problems=_problems(report, choices, lacking, disk_mb + download_mb),
    )


def size_text(megabytes: float) -> str:
    """A size as people say it."""
    if megabytes >= 1000:
        return f"{megabytes / 1000:.1f} GB"
    return f"{max(round(megabytes, -1 if megabytes >= 100 else 0), 1 if megabytes else 0):.0f} MB"


def download_command(lacking: tuple[Requirement, ...], folder: str = "wheels") -> str:
    """What to run in the Python of a Slicer with a network, to fill a folder of wheels for one without."""
    names = " ".join(f'"{requirement}"' for requirement in lacking)
    return f"PythonSlicer -m pip download --only-binary :all: -d {folder} {names}"


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


def _source(report: Report, choices: Choices, index: str, by_extension: bool) -> tuple[str, tuple[str, ...]]:
    """Where things come from, for the user, and the same as options of pip."""
    if choices.wheel_folder is not None:
        folder = str(choices.wheel_folder)
        return f"the folder {folder}, without network", ("--no-index", "--find-links", folder)
    usual = f"{host(report.index)}, the index that pip is set to here" if report.index else host(PUBLIC_INDEX)
    if by_extension:
        return f"{usual}, torch as the PyTorch extension chooses", ()
    return (f"{usual}, torch from {host(index)}" if index else usual), ()


def _steps(
    report: Report,
    torch: list[Requirement],
    others: list[Requirement],
    options: tuple[str, ...],
    index: str,
    by_extension: bool,
    build: str,
) -> list[Step]:
    pip = ("install", *_PIP, *(("--progress-bar", "raw") if report.reports_bytes else ()), *options)
    steps: list[Step] = []
    broken = [f"{found.name}=={found.version}" for found in report.packages.values() if not found.whole]
    if broken:
        extra = ("--extra-index-url", index) if index else ()
        steps.append(Step("Repairing", "pip", (*pip, *extra, "--ignore-installed", "--no-deps", *broken)))
    together = [requirement for requirement in others if not requirement.alone]
    alone = [requirement for requirement in others if requirement.alone]
    if torch:
        limit = _TORCH_LIMIT.get(report.computer.system, "")
        names = tuple(str(requirement) + (limit if requirement.name == "torch" else "") for requirement in torch)
        if by_extension:
            if not report.version("light-the-torch"):
                steps.append(Step("PyTorch extension's installer", "pip", (*pip, "light-the-torch>=0.7")))
            backend = ("--pytorch-computation-backend=cpu",) if build == "cpu" else ()
            steps.append(Step("PyTorch", "light_the_torch", (*pip, *backend, *names)))
        else:
            where = ("--index-url", index) if index else ()
            steps.append(Step("PyTorch", "pip", (*pip, *where, *names)))
    if together:
        steps.append(Step("Other packages", "pip", (*pip, *map(str, together))))
    if alone:
        steps.append(Step("Detector and segmenter", "pip", (*pip, "--no-deps", *map(str, alone))))
    return steps


def _constraints(report: Report, lacking: list[Requirement], by_extension: bool) -> tuple[str, ...]:
    """Everything at its version. What is there without a record must not come at all: no package has version 0.dev0."""
    free = (
        {canonicalize_name(requirement.name) for requirement in lacking} | _MAY_BE_RENEWED | ({"pip"} if by_extension else set())
    )
    kept = [found for name, found in sorted(report.packages.items()) if name not in free and found.whole]
    return (*(f"{found.name}=={found.version}" for found in kept), *(f"{name}==0.dev0" for name in sorted(report.unrecorded)))


def _device(report: Report, expected: str, choices: Choices, torch_missing: bool) -> str:
    if not torch_missing:
        version = report.version("torch")
        return "processor" if version.endswith("+cpu") or report.computer.device == "cpu" else report.computer.device_text
    if choices.cpu_only:
        return "processor (as chosen)"
    if choices.wheel_folder is not None or report.index:
        return f"{expected}, if the torch of that source has support for it" if report.computer.device != "cpu" else expected
    return expected


def _notes(report: Report, lacking: list[Requirement], by_extension: bool) -> tuple[str, ...]:
    notes = []
    if by_extension and not report.version("light-the-torch"):
        notes.append("The PyTorch extension's installer (light-the-torch) may bring another version of pip.")
    for requirement in lacking:
        if found := report.packages.get(canonicalize_name(requirement.name)):
            state = f"is replaced: {found.version} is too old" if found.whole else "was not installed to the end, and is again"
            notes.append(f"{found.name} {state}.")
    return tuple(notes)


def _problems(report: Report, choices: Choices, lacking: list[Requirement], needed_mb: float) -> tuple[str, ...]:
    problems = []
    for requirement in SLICERS_OWN:
        version = report.version(requirement.name)
        if version and older(version, requirement.minimum):
            problems.append(f"Slicer's {requirement.name} is {version}, and {requirement.minimum} is needed. Use a newer Slicer.")
    if not lacking:
        return tuple(problems)
    if not report.writable:
        problems.append(
            f"You may not write to {report.folder}. "
            "Start Slicer as the user who installed it, or install Slicer in your own folder."
        )
    if report.free_bytes < needed_mb * 1e6:
        problems.append(
            f"The disk of {report.folder} has {size_text(report.free_bytes / 1e6)} left, "
            f"and about {size_text(needed_mb)} are needed. Free some space."
        )
    if choices.wheel_folder is not None:
        problems.extend(_folder_problems(choices.wheel_folder, lacking))
    return tuple(problems)


def _folder_problems(folder: Path, lacking: list[Requirement]) -> list[str]:
    if not Path(folder).is_dir():
        return [f"There is no folder {folder}. Choose the folder with the wheels."]
    there = {canonicalize_name(file.name.partition("-")[0]) for file in Path(folder).glob("*.whl")}
    absent = tuple(requirement for requirement in lacking if canonicalize_name(requirement.name) not in there)
    if not absent:
        return []
    names = ", ".join(requirement.name for requirement in absent)
    return [
        f"The folder {folder} has no wheel of {names}. "
        f"On a computer of the same kind with a network, run: {download_command(absent, '<folder>')}"
    ]
