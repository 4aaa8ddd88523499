"""The extension is whole in each of its layouts: in the sources, in a build folder, installed."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("MyoScarSeg", "MyoScarSegLib", "Resources")
MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")
LEFT_OUT = {"CMakeLists.txt", "__pycache__"}


def _files(folder: Path) -> set[str]:
    """Every file under ``folder`` that a user's copy needs, relative to it."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if not LEFT_OUT & set(path.parts) and path.suffix not in {".pyc"}}


def _run(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with ``sources``, ``build`` and ``installed``, made by the real CMake."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("extension")
    sources = folder / "sources"
    sources.mkdir()
    for part in PARTS:
        skipped = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(REPOSITORY / part, sources / part, ignore=skipped)
    (sources / "Testing").mkdir()
    shutil.copy(REPOSITORY / "Testing" / "self_test.py", sources / "Testing")
    for name in ("CMakeLists.txt", "LICENSE", "README.md"):
        shutil.copy(REPOSITORY / name, sources)
    for weights in REPOSITORY.glob("Resources/Models/*.safetensors"):  # megabytes that prove nothing more than their names
        (sources / weights.relative_to(REPOSITORY)).write_bytes(b"weights")
    slicer = REPOSITORY / "Testing" / "support" / "slicer_package"
    _run("cmake", "-S", sources, "-B", folder / "build", f"-DSlicer_DIR={slicer}", "-DBUILD_TESTING=ON", cwd=folder)
    _run("cmake", "--build", folder / "build", cwd=folder)
    _run("cmake", "--install", folder / "build", "--prefix", folder / "installed", cwd=folder)
    return folder


@pytest.mark.parametrize("layout", ["build", "installed"])
def test_every_file_of_the_extension_arrives(built, layout):
    sources, there = built / "sources", built / layout / MODULES
    expected = {f"MyoScarSegLib/{name}" for name in _files(sources / "MyoScarSegLib")}
    expected |= {f"Resources/{name}" for name in _files(sources / "Resources")}
    expected |= _files(sources / "MyoScarSeg") | {"Testing/self_test.py"}
    assert "MyoScarSeg.py" in expected
    assert "Resources/Icons/MyoScarSeg.svg" in expected
    assert _files(there) == expected


@pytest.mark.parametrize("layout", ["sources", f"build/{MODULES}", f"installed/{MODULES}"])
def test_the_library_imports_and_finds_its_resources(built, layout):
    """With no path but the one that the application sets, and with nothing of the checkout in reach."""
    folder = (built / layout).resolve()
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        "import MyoScarSegLib\n"
        "from MyoScarSegLib.models.registry import Registry\n"
        "from MyoScarSegLib.utils.resources import resources_folder\n"
        "print(MyoScarSegLib.__file__, resources_folder(), sorted(resources_folder().rglob('*.safetensors'))[-1], sep='\\n')\n"
    )
    library, resources, weights = _run(sys.executable, "-c", program, cwd=built / "build").split("\n")[:3]
    assert Path(library).parent == folder / "MyoScarSegLib"
    assert Path(resources) == folder / "Resources"
    assert Path(weights).parent == folder / "Resources" / "Models"


def test_a_new_file_is_built_without_anybody_listing_it(built):
    new = built / "sources" / "MyoScarSegLib" / "study" / "brand_new.py"
    new.write_text('"""New."""\n')
    try:
        _run("cmake", "--build", built / "build", cwd=built)
        assert (built / "build" / MODULES / "MyoScarSegLib" / "study" / "brand_new.py").is_file()
    finally:
        new.unlink()


def test_self_tests_are_registered(built):
    assert "py_MyoScarSeg" in _run("ctest", "-N", cwd=built / "build")


def test_nothing_beside_the_module_would_be_taken_for_a_module():
    """Slicer takes every Python file of a module folder as a module and reports those without its class."""
    assert [path.name for path in (REPOSITORY / "MyoScarSeg").glob("*.py")] == ["MyoScarSeg.py"]
    assert not list((REPOSITORY / "Resources").rglob("*.py"))


@pytest.mark.parametrize("part", ["MyoScarSeg", "MyoScarSegLib"])
def test_the_oldest_python_that_is_promised_can_read_every_file(part):
    for path in (REPOSITORY / part).rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 10))


def test_extension_description_has_what_the_index_asks_for(built):
    entry = json.loads((REPOSITORY / "MyoScarSeg.json").read_text())
    assert {"$schema", "category", "scm_url"} <= set(entry)
    told = (built / "build" / "extension.txt").read_text()
    assert entry["scm_url"].removesuffix(".git") in told
    dependencies = re.search(r"^DEPENDS=(.*)$", told, re.MULTILINE).group(1)
    assert entry["build_dependencies"] == dependencies.split()


def test_pictures_of_the_extension_page_exist(built):
    told = (built / "build" / "extension.txt").read_text()
    for name in ("ICONURL", "SCREENSHOTURLS"):
        url = re.search(rf"^{name}=(.*)$", told, re.MULTILINE).group(1)
        inside = url.partition("/main/")[2]
        assert inside
        assert (REPOSITORY / inside).is_file(), inside
