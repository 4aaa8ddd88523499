"""Installing with a real pip into a throwaway Python, from a folder of wheels, without a network."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import packaging
import pytest

from MyoScarSegLib.errors import Cancelled, EngineError, InstallationError
from MyoScarSegLib.installation.choices import Choices, Memory, Remembered
from MyoScarSegLib.installation.installer import Installer
from MyoScarSegLib.installation.pip_output import STEPS
from MyoScarSegLib.installation.pip_process import CANCELLED_STATUS
from MyoScarSegLib.installation.requirements import wanted
from MyoScarSegLib.utils.background_task import environment_with_us
from MyoScarSegLib.utils.transport import SubprocessTransport
from Testing.support.until import until
from Testing.support.wheel_factory import Python, make_wheel, unpack_pip

SLICERS = {"numpy": "2.0.2", "scipy": "1.13.1", "SimpleITK": "2.5.5", "pydicom": "3.0.2"}
TIMEOUT_S = 120


@pytest.fixture(autouse=True)
def pip_of_its_own(monkeypatch):
    """Without the settings of this computer's pip."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """All that is needed, and newer versions of what Slicer has, as a tempting index would offer."""
    folder = tmp_path_factory.mktemp("wheels")
    needs = {
        "torch": ["numpy", "filelock"],
        "opencv-python-headless": ["numpy>=2"],
        "ultralytics-opencv-headless": ["numpy!=2.0.*", "opencv-python-headless", "torch"],
    }
    for requirement in wanted():
        make_wheel(folder, requirement.name, "99.0", needs.get(requirement.name, []))
    for name in (*SLICERS, "vtk", "filelock"):
        make_wheel(folder, name, "99.0")
    return folder


@pytest.fixture(scope="module")
def pip(tmp_path_factory) -> Path:
    return unpack_pip(tmp_path_factory.mktemp("pip"))


@pytest.fixture(scope="module")
def slicers(tmp_path_factory) -> list[Path]:
    """Wheels of what Slicer has."""
    folder = tmp_path_factory.mktemp("slicers")
    return [make_wheel(folder, name, version) for name, version in SLICERS.items()]


@pytest.fixture(scope="module")
def packaging_alone(tmp_path_factory) -> Path:
    """A folder with the package packaging alone, which Slicer brings."""
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(Path(packaging.__file__).parent, folder / "packaging")
    return folder


@pytest.fixture
def python(tmp_path, pip, slicers, packaging_alone) -> Python:
    """A Python as Slicer's: its packages there, packaging among them, vtk importable but without a record."""
    python = Python(tmp_path / "python", pip)
    for wheel in slicers:
        python.put(wheel)
    (python.site_packages / "vtk.py").write_text("")
    (python.site_packages / "packaging.pth").write_text(f"{packaging_alone}\n")
    return python


def _put_all_but(python: Python, wheels: Path, *names: str) -> None:
    """Have everything there but some packages of ours, so that pip has little to do."""
    for requirement in wanted():
        if requirement.name not in names:
            python.put(next(wheels.glob(f"{requirement.name.replace('-', '_')}-*.whl")))


def _installer(python: Python, **options) -> Installer:
    return Installer(python.executable, **options)


def _look(installer: Installer, wheels: Path | None) -> Installer:
    installer.look(Choices(wheel_folder=wheels))
    _wait(installer)
    return installer


def _install(installer: Installer) -> None:
    installer.install()
    _wait(installer)


def _wait(installer: Installer) -> None:
    """Until nothing runs; raises what came of it."""
    until(lambda: installer.pump() or installer.task.finished, timeout_s=TIMEOUT_S)
    installer.task.value()


@pytest.mark.slow
def test_everything_is_installed_offline_and_nothing_of_slicers_is_replaced(python, wheels):
    seen = []
    installer = _installer(python)
    installer.changed.connect(lambda: seen.append(installer.task.progress.done))
    _look(installer, wheels)
    assert installer.task.state == "done" and installer.task.result is installer.plan
    assert "without network" in installer.plan.text()
    assert {requirement.name for requirement in installer.plan.missing} == {requirement.name for requirement in wanted()}
    assert python.version("torch") == "", "looking must not install"

    _install(installer)

    assert installer.task.state == "done" and not installer.plan.missing
    assert {name: python.version(name) for name in ("torch", "ultralytics-opencv-headless")} == {
        "torch": "99.0",
        "ultralytics-opencv-headless": "99.0",
    }
    assert {name: python.version(name) for name in SLICERS} == SLICERS
    assert python.version("vtk") == ""
    assert seen == sorted(seen)
    assert seen[-1] == STEPS
    assert "Successfully installed" in installer.log
    assert installer.restart_for == ()

    again = _look(_installer(python), wheels)
    assert again.task.state == "done"
    assert again.plan.steps == ()


@pytest.mark.slow
def test_what_slicer_cannot_go_with_is_a_sentence_and_changes_nothing_of_slicers(python, wheels, tmp_path):
    greedy = tmp_path / "greedy"
    shutil.copytree(wheels, greedy)
    (greedy / "polars-99.0-py3-none-any.whl").unlink()
    make_wheel(greedy, "polars", "99.0", ["numpy>=3"])
    _put_all_but(python, wheels, "tqdm", "polars", "torch")
    installer = _look(_installer(python), greedy)
    with pytest.raises(InstallationError, match=r"cannot be combined.*polars.*Nothing of Slicer's was replaced"):
        _install(installer)
    assert {name: python.version(name) for name in SLICERS} == SLICERS
    assert "ResolutionImpossible" in installer.log
    assert python.version("torch") == "99.0", "what had been installed before stays"
    assert "polars" in {requirement.name for requirement in _look(_installer(python), wheels).plan.missing}


@pytest.mark.slow
def test_vtk_without_a_record_is_not_put_over_slicers(python, wheels, tmp_path):
    greedy = tmp_path / "greedy"
    shutil.copytree(wheels, greedy)
    (greedy / "psutil-99.0-py3-none-any.whl").unlink()
    make_wheel(greedy, "psutil", "99.0", ["vtk"])
    _put_all_but(python, wheels, "psutil")
    installer = _look(_installer(python), greedy)
    with pytest.raises(InstallationError):
        _install(installer)
    assert python.version("vtk") == ""


@pytest.mark.slow
def test_a_wheel_that_another_wheel_needs_is_named_when_it_lacks(python, wheels, tmp_path):
    poor = tmp_path / "poor"
    shutil.copytree(wheels, poor)
    (poor / "filelock-99.0-py3-none-any.whl").unlink()
    _put_all_but(python, wheels, "torch")
    installer = _look(_installer(python), poor)
    assert installer.plan.problems == ()
    with pytest.raises(InstallationError, match=r"poor has no wheel of filelock"):
        _install(installer)


@pytest.mark.slow
def test_a_package_whose_installation_was_broken_off_is_repaired(python, wheels):
    _put_all_but(python, wheels)
    python.put(make_wheel(wheels, "filelock", "99.0"))
    (python.site_packages / "torch-99.0.dist-info" / "RECORD").unlink()
    installer = _look(_installer(python), wheels)
    assert "torch" in {requirement.name for requirement in installer.plan.missing}
    assert "was not installed to the end" in installer.plan.text()
    _install(installer)
    assert (python.site_packages / "torch-99.0.dist-info" / "RECORD").is_file()
    assert {name: python.version(name) for name in SLICERS} == SLICERS


@pytest.mark.slow
def test_a_package_that_is_replaced_while_loaded_asks_for_a_restart(python, wheels, tmp_path):
    _put_all_but(python, wheels, "pillow")
    python.put(make_wheel(tmp_path, "pillow", "9.0"))
    installer = _look(_installer(python, loaded=lambda: ("sys", "pillow", "pillow.part")), wheels)
    assert "pillow is replaced: 9.0 is too old" in installer.plan.text()
    _install(installer)
    assert installer.restart_for == ("pillow",)


@pytest.fixture
def silent_index(monkeypatch):
    """An index that takes the connection and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://name:secret@127.0.0.1:{listening.getsockname()[1]}/simple")
        yield


@pytest.mark.parametrize("moment", ["looking", pytest.param("installing", marks=pytest.mark.slow)])
def test_cancel_ends_pip_within_a_second_and_the_installation_can_begin_again(python, silent_index, moment):
    started = []

    def factory(command, environment):
        started.append(SubprocessTransport(command, environment))
        return started[-1]

    installer = Installer(python.executable, factory)
    installer.look(Choices())
    if moment == "installing":
        _wait(installer)
        assert "127.0.0.1, the index that pip is set to here" in installer.plan.text()
        assert "secret" not in installer.plan.text()
        installer.install()
        until(lambda: installer.pump() or len(installer.log.splitlines()) > 1)  # pip has begun to speak, and waits for the index
        assert installer.running, installer.task.error
    installer.cancel()
    with pytest.raises(Cancelled, match="cancelled"):
        _wait(installer)
    assert started[-1]._process.wait(5) == CANCELLED_STATUS
    assert installer.task.state == "cancelled"
    installer.look(Choices())
    _wait(installer)
    assert installer.plan.missing


def test_pip_ends_when_the_application_does(python, silent_index):
    command = [python.executable, "-u", "-m", "MyoScarSegLib.installation.pip_process"]
    job = {"module": "pip", "arguments": ["install", "--no-input", "torch"]}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment_with_us(), text=True
    ) as process:
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        assert "progress" in process.stdout.readline(), "pip speaks, and then waits for the index"
        process.stdin.close()
        assert process.wait(5) == CANCELLED_STATUS


@pytest.mark.slow
def test_choices_and_an_unfinished_installation_survive_a_restart(python, wheels, tmp_path):
    file = tmp_path / "installation.json"
    _put_all_but(python, wheels, "tqdm")
    first = _look(_installer(python, memory=Memory(file)), wheels)
    first.install(action="propose")
    first.cancel()

    remembered = Memory(file).read()
    assert remembered == Remembered(Choices(wheel_folder=wheels), unfinished=True, action="propose")
    second = _installer(python, memory=Memory(file))
    second.look()
    _wait(second)
    assert str(wheels) in second.plan.source
    second.install(remembered.action)
    _wait(second)
    assert not Memory(file).read().unfinished


@pytest.mark.parametrize("text", ["", "{", "[]", '{"wheel_folder": ""}'])
def test_a_damaged_memory_is_none(tmp_path, text):
    file = tmp_path / "installation.json"
    file.write_text(text)
    assert Memory(file).read() == Remembered()


def test_nothing_is_installed_while_slicer_installs_for_another_module(python, wheels):
    installer = _look(_installer(python, busy=lambda: "Slicer is installing packages for another module."), wheels)
    with pytest.raises(InstallationError, match="another module"):
        installer.install()
    assert installer.task.what == "look" and not installer.running


def test_installing_without_a_plan_and_twice_at_once_are_refused(python, wheels):
    installer = _installer(python)
    with pytest.raises(InstallationError, match="Look first"):
        installer.install()
    installer.look(Choices(wheel_folder=wheels))
    with pytest.raises(InstallationError, match="running"):
        installer.look()
    installer.cancel()


def test_a_folder_without_the_wheels_is_said_before_anything_is_done(python, tmp_path):
    installer = _look(_installer(python), tmp_path)
    with pytest.raises(InstallationError, match=r"no wheel of torch.*PythonSlicer -m pip download"):
        installer.install()


def test_a_python_that_is_not_there_is_a_sentence(tmp_path):
    installer = Installer(str(tmp_path / "nothing"))
    installer.look(Choices())
    with pytest.raises(EngineError, match="cannot be started"):
        _wait(installer)
