"""What is said before anything is installed, and how pip's words are read."""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.utils import canonicalize_name

from MyoScarSegLib.installation import python_report, requirements
from MyoScarSegLib.installation.choices import Choices
from MyoScarSegLib.installation.pip_output import STEPS, Follower, explain
from MyoScarSegLib.installation.plan import host, make_plan, size_text
from MyoScarSegLib.installation.python_report import Computer, Report, configured_index
from MyoScarSegLib.installation.requirements import (
    SLICERS_OWN,
    TRAINING,
    Found,
    installed_packages,
    missing,
    missing_now,
    older,
    other_installation,
    pytorch_extension_present,
    wanted,
)

REPOSITORY = Path(__file__).resolve().parents[2]
CARD = Computer("Linux", "x86_64", "A Card", 13.0, 8.6)


def _report(*packages: tuple[str, str], computer: Computer = CARD, **changes) -> Report:
    """A Slicer 5.12 with some more packages."""
    slicers = [("numpy", "2.4.6"), ("scipy", "1.17.1"), ("SimpleITK", "2.5.5"), ("pydicom", "3.0.2"), ("pip", "26.1.2")]
    found = {canonicalize_name(name): Found(name, version) for name, version in (*slicers, *packages)}
    report = Report(found, frozenset({"numpy", "scipy", "SimpleITK", "vtk", "pydicom"}), computer, "", "/s", True, 10**12)
    return replace(report, **changes)


def _complete(*but: str) -> list[tuple[str, str]]:
    return [(requirement.name, "99.0") for requirement in wanted() if requirement.name not in but]


def _arguments(plan, title: str = "PyTorch") -> tuple[str, ...]:
    return next(step.arguments for step in plan.steps if step.title == title)


def test_the_list_agrees_with_the_packages_of_the_library():
    text = (REPOSITORY / "pyproject.toml").read_text()
    declared = set(re.findall(r'"([A-Za-z-]+)>=([\d.]+)"', text[text.index("dependencies = [") : text.index("cluster = [")]))
    ours = {(requirement.name, requirement.minimum) for requirement in (*wanted(), *SLICERS_OWN, *TRAINING)}
    assert declared <= ours
    assert len(declared) > 10


def test_nothing_is_planned_where_everything_is_there():
    plan = make_plan(_report(*_complete()), Choices())
    assert plan.steps == ()
    assert plan.download_mb == 0
    assert "Everything is installed" in plan.text()


def test_the_plan_says_what_how_large_from_where_and_on_which_device():
    text = make_plan(_report(), Choices()).text()
    for part in ("torch, torchvision", "Download about 2.9 GB", "5.8 GB", "pypi.org, torch from download.pytorch.org", "A Card"):
        assert part in text


@pytest.mark.parametrize(
    ("computer", "index", "device", "smaller_than_mb"),
    [
        (CARD, "whl/cu130", "A Card", 3000),
        (replace(CARD, cuda=12.4), "whl/cu126", "A Card", 3300),
        (replace(CARD, capability=6.1), "whl/cu126", "A Card", 3300),
        (replace(CARD, cuda=11.4), "whl/cpu", "too old for today's torch: update", 500),
        (replace(CARD, capability=3.5), "whl/cpu", "too old", 500),
        (Computer("Linux", "x86_64"), "whl/cpu", "no NVIDIA", 500),
        (replace(CARD, system="Windows"), "whl/cu130", "A Card", 2500),
        (Computer("Windows", "AMD64"), "", "no NVIDIA", 500),
        (Computer("Darwin", "arm64"), "", "Apple", 500),
    ],
)
def test_torch_comes_in_the_build_that_suits_the_computer(computer, index, device, smaller_than_mb):
    plan = make_plan(_report(computer=computer), Choices())
    arguments = _arguments(plan)
    assert (index in " ".join(arguments)) if index else ("--index-url" not in arguments)
    assert device in plan.device
    assert plan.download_mb < smaller_than_mb
    small = make_plan(_report(computer=computer), Choices(cpu_only=True))
    assert small.download_mb <= plan.download_mb
    assert "processor" in small.device


def test_torch_for_windows_stays_below_the_version_whose_file_names_are_too_long():
    assert "torch>=2.6,<2.13" in _arguments(make_plan(_report(computer=Computer("Windows")), Choices()))
    assert "torch>=2.6" in _arguments(make_plan(_report(), Choices()))


def test_the_pytorch_extension_chooses_torch_where_it_is_there():
    plan = make_plan(_report(), Choices(), extension_present=True)
    assert [step.module for step in plan.steps[:2]] == ["pip", "light_the_torch"]
    assert "torch as the PyTorch extension chooses" in plan.source
    assert "--index-url" not in _arguments(plan)
    offline = make_plan(_report(), Choices(wheel_folder=Path("/wheels")), extension_present=True)
    assert {step.module for step in offline.steps} == {"pip"}


def test_a_hospitals_own_index_is_not_gone_round():
    plan = make_plan(_report(index="https://name:secret@mirror.example/simple"), Choices())
    assert "--index-url" not in _arguments(plan)
    assert "mirror.example" in plan.source
    assert "secret" not in plan.text()


def test_everything_that_is_installed_is_held_at_its_version():
    plan = make_plan(_report(("pillow", "9.0"), ("pandas", "2.0"), ("sympy", "1.0")), Choices())
    assert {"numpy==2.4.6", "SimpleITK==2.5.5", "pandas==2.0", "vtk==0.dev0"} <= set(plan.constraints)
    assert not {line for line in plan.constraints if line.startswith(("pillow", "sympy"))}
    assert "pillow is replaced: 9.0 is too old" in plan.text()


@pytest.mark.parametrize(
    ("other", "ours"), [("ultralytics", "ultralytics-opencv-headless"), ("opencv-python", "opencv-python-headless")]
)
def test_what_another_extension_installed_for_the_same_is_not_written_over(other, ours):
    plan = make_plan(_report(*_complete(ours), (other, "99.0")), Choices())
    assert plan.missing == ()


def test_ultralytics_does_not_bring_what_slicer_forbids():
    """It excludes numpy versions that Slicer has on macOS, and may name another OpenCV."""
    plan = make_plan(_report(), Choices())
    alone = _arguments(plan, "Detector and segmenter")
    assert "--no-deps" in alone
    assert "ultralytics-opencv-headless>=8.4" in alone
    assert not [word for word in _arguments(plan, "Other packages") if word.startswith("ultralytics-opencv")]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"writable": False}, "may not write to /s"),
        ({"free_bytes": 10**9}, "has 1.0 GB left"),
        ({"packages": {"numpy": Found("numpy", "1.25.0")}}, "Slicer's numpy is 1.25.0, and 1.26 is needed"),
    ],
)
def test_what_stands_in_the_way_is_said_beforehand(changes, sentence):
    assert sentence in " ".join(make_plan(replace(_report(), **changes), Choices()).problems)


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [("2.14.1+cpu", "2.6", False), ("2.6", "2.6.0", False), ("2.5.9", "2.6", True), ("3.0rc1", "2.4", False), ("1.0", "", False)],
)
def test_versions_are_compared_by_number(version, minimum, expected):
    assert older(version, minimum) is expected


def test_sizes_are_said_as_people_say_them():
    assert [size_text(size) for size in (0, 0.3, 61.2, 338, 2751)] == ["0 MB", "1 MB", "61 MB", "340 MB", "2.8 GB"]


@pytest.mark.parametrize(
    ("listed", "index"),
    [
        ("", ""),
        ("global.index-url='https://mirror.example/simple'\nglobal.timeout='60'\n", "https://mirror.example/simple"),
        ("global.index-url='https://a.example'\ninstall.index-url='https://b.example'\n", "https://b.example"),
        (":env:.index-url='https://other.example'\nglobal.index-url='https://a.example'\n", "https://other.example"),
        ("global.index-url='https://pypi.org/simple/'\n", ""),
    ],
)
def test_pips_settings_are_read(monkeypatch, listed, index):
    monkeypatch.setattr(python_report.subprocess, "run", lambda *_args, **_options: SimpleNamespace(stdout=listed))
    assert configured_index() == index


def test_pip_is_asked_for_its_settings(tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert configured_index() == "https://mirror.example/simple"
    assert host("https://name:secret@mirror.example:8443/x") == "mirror.example"


def test_installed_packages_are_read_without_importing_them():
    before = set(sys.modules)
    found = installed_packages()
    assert found["torch"].whole
    some = ["torch", "SimpleITK", "segment_anything", "no-such-package"]
    assert installed_packages(names=some) == {name: found[name] for name in ("torch", "simpleitk", "segment-anything")}
    assert not {"torch", "ultralytics"} & (set(sys.modules) - before)


@pytest.mark.parametrize("training", [False, True])
def test_looking_for_the_wanted_packages_finds_all_that_looking_at_every_package_does(tmp_path, training, monkeypatch):
    every = wanted(training)
    for requirement in every[1:]:  # all but torch, and where another package does instead, that one
        name = requirement.instead[-1] if requirement.instead else requirement.name
        record = tmp_path / f"{name.replace('-', '_')}-99.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
        (record / "RECORD").write_text("")
    (tmp_path / "unrelated-1.0.dist-info").mkdir()
    assert missing(installed_packages([str(tmp_path)]), training) == [every[0]]
    monkeypatch.setattr(requirements, "installed_packages", lambda names: installed_packages([str(tmp_path)], names))
    assert missing_now(training) == [every[0]]


def test_a_folder_that_lost_its_record_is_passed_over_by_another_reader_of_records_too(monkeypatch):
    class Lost:
        @property
        def metadata(self):
            raise FileNotFoundError("No package metadata was found.")

    monkeypatch.setattr("importlib.metadata.distributions", lambda **_: iter([Lost()]))
    assert installed_packages() == {}


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying ... Failed to establish a new connection: [Errno -2]", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("ERROR: [WinError 5] Access is denied: 'c10.dll'", "another Slicer is using it"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "damaged"),
        ("ERROR: No matching distribution found for torch>=2.6", "has no torch>=2.6"),
        ("Collecting x\nERROR: Something new", "status 1: Something new"),
        ("", "said nothing"),
    ],
)
def test_a_failure_is_told_in_a_sentence(log, sentence):
    assert sentence in explain(log, 1)


def test_bytes_and_time_left_are_read_from_pip():
    now = [0.0]
    follower = Follower(200, lambda: now[0])
    follower.begin("PyTorch")
    assert follower.line("Downloading https://x.example/torch-2.9.0%2Bcpu-cp312-cp312-win_amd64.whl (100.0 MB)")
    now[0] = 10.0
    assert not follower.line("Progress 50000000 of 100000000"), "a count of bytes is not for the log"
    progress = follower.progress
    assert progress.message == "Downloading torch (100.0 MB)"
    assert progress.done == pytest.approx(0.25 * 0.85 * STEPS, abs=1)
    assert progress.seconds_left == pytest.approx(30)
    follower.line("Installing collected packages: filelock, torch")
    assert follower.progress.message == "Unpacking 2 packages"
    assert progress.done < follower.progress.done < STEPS


def test_outside_the_application_nothing_of_slicers_is_there(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert other_installation() == ""
    assert not pytorch_extension_present()
    assert missing_now() == []


def test_slicers_own_installation_is_waited_for(tmp_path, monkeypatch):
    package = tmp_path / "slicer"
    package.mkdir()
    (package / "__init__.py").write_text("app = object()\n")
    (package / "packaging.py").write_text("def isPipInstallInProgress():\n    return True\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "slicer"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("slicer")  # the application has done so long before
    try:
        assert "for another module" in other_installation()
    finally:
        for name in ("slicer", "slicer.packaging"):
            sys.modules.pop(name, None)


def test_the_guide_names_every_wheel():
    text = (REPOSITORY / "docs" / "it.md").read_text()
    assert [str(requirement) for requirement in wanted() if f'"{requirement}"' not in text] == []
