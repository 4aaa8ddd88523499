"""The library keeps its layers, and costs nothing to import."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

import MyoScarSegLib

REPOSITORY = Path(__file__).resolve().parent.parent
HEAVY = {
    "accelerate",
    "cv2",
    "matplotlib",
    "monai",
    "PIL",
    "pydicom",
    "safetensors",
    "scipy",
    "segment_anything",
    "SimpleITK",
    "torch",
    "torchvision",
    "tqdm",
    "ultralytics",
}
# Modules and folders of torch alone: only functions that build or train networks import them.
NETWORKS = (
    "MyoScarSegLib.segmentation.context",
    "MyoScarSegLib.segmentation.context_looks",
    "MyoScarSegLib.segmentation.polar",
    "MyoScarSegLib.segmentation.mask_decoder",
    "MyoScarSegLib.segmentation.reader_answers",
    "MyoScarSegLib.segmentation.sam_decoder",
    "MyoScarSegLib.training.augmentation.",
    "MyoScarSegLib.training.finetune.",
    "MyoScarSegLib.training.loop.",
    "MyoScarSegLib.training.losses",
    "MyoScarSegLib.training.yolo.",
)
PROBE = """
    import importlib, json, pkgutil, sys

    import MyoScarSegLib
    loaded = sorted(sys.modules)
    networks = tuple(json.loads(sys.argv[1]))
    found = pkgutil.walk_packages(sys.modules["MyoScarSegLib"].__path__, "MyoScarSegLib.")
    own = ("MyoScarSegLib.scene", "MyoScarSegLib.widgets")  # they need the application around them, or slicer-core
    names = [m.name for m in found if not m.name.endswith("__main__") and not m.name.startswith(networks + own)]
    for name in names:
        importlib.import_module(name)
    print(json.dumps({"loaded": loaded, "modules": names, "after": sorted(sys.modules)}))
"""


def _lint(config: Path) -> subprocess.CompletedProcess:
    program = (
        "import sys; from importlinter.cli import lint_imports_command; sys.argv[0] = 'lint-imports'; lint_imports_command()"
    )
    command = [sys.executable, "-c", program, "--no-cache", "--config", str(config)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def test_every_module_keeps_to_its_layer():
    ran = _lint(REPOSITORY / "pyproject.toml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 broken" in ran.stdout


@pytest.mark.slow
def test_the_linter_would_see_an_import_upwards(tmp_path):
    """The layers upside down are broken everywhere: the check above does not pass for want of looking."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    upside_down = text.replace('    "widgets : cli",\n', '    "widgets",\n').replace(
        '    "study",\n', '    "study",\n    "cli",\n'
    )
    assert upside_down != text
    (tmp_path / "pyproject.toml").write_text(upside_down)
    ran = _lint(tmp_path / "pyproject.toml")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 broken" in ran.stdout


@pytest.fixture(scope="module")
def imported():
    """What a process has loaded after the package alone, and after all modules that need neither application nor network."""
    command = [sys.executable, "-c", textwrap.dedent(PROBE), json.dumps(NETWORKS)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(ran.stdout)


def test_no_two_modules_have_the_same_name():
    names = Counter(path.name for path in (REPOSITORY / "MyoScarSegLib").rglob("*.py") if not path.name.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_importing_the_library_loads_no_module_of_it_and_not_even_numpy(imported):
    """How long imports take is in the benchmark (`make bench`)."""
    assert [name for name in imported["loaded"] if name.startswith("MyoScarSegLib")] == ["MyoScarSegLib"]
    assert "numpy" not in imported["loaded"]


def test_what_a_script_needs_is_at_the_top_of_the_package():
    for name in MyoScarSegLib.__all__:
        assert getattr(MyoScarSegLib, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = MyoScarSegLib.nothing


def test_no_module_loads_a_heavy_library_when_it_is_imported(imported):
    assert len(imported["modules"]) > 50
    assert HEAVY & {name.partition(".")[0] for name in imported["after"]} == set()


def test_the_scene_layer_loads_nothing_that_the_application_lacks_or_dies_of():
    """torchvision crashes the Slicer application; torch, opencv, matplotlib, pillow and others are not in it."""
    program = """
        import importlib, json, pkgutil, sys
        import slicer
        before = set(sys.modules)
        import MyoScarSegLib.scene
        for module in pkgutil.walk_packages(MyoScarSegLib.scene.__path__, "MyoScarSegLib.scene."):
            importlib.import_module(module.name)
        print(json.dumps(sorted(set(sys.modules) - before)))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300
    )
    loaded = {name.partition(".")[0] for name in json.loads(ran.stdout)}
    assert "MyoScarSegLib" in loaded
    assert (HEAVY - {"scipy", "SimpleITK", "pydicom"}) & loaded == set()
