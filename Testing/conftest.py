"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from functools import cache, wraps
from pathlib import Path

# One thread a process: the tests' networks are tiny, and `make test` runs as many processes as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from Testing.support.command import in_process
from Testing.support.tiny_models import write_detector, write_segmenter

_USERS_CACHE = os.environ.get("MYOSCARSEG_CACHE")
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected stays to the end: no garbage collection need look through it, and trainings ask for many."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def own_cache(request, tmp_path_factory, monkeypatch):
    """Each test gets a cache folder of its own, unless it asks for the user's with :func:`real_cache`; and one for models."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(folder))
    if "application" not in request.fixturenames:  # its processes have been given a folder already
        monkeypatch.setenv("MYOSCARSEG_MODELS", str(folder / "own-models"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def copied_encoders():
    """LiteMedSAM's encoder is made once of each size and then copied: making one takes a quarter of a second, and tests make
    hundreds. What is in it does not matter, since weights are loaded into it.
    """
    from MyoScarSegLib.segmentation import architectures

    made = cache(architectures._tiny_vit)

    @wraps(architectures._tiny_vit)
    def copied(side):
        encoder, stride = made(side)
        return deepcopy(encoder), stride

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "_tiny_vit", copied)
        yield


@pytest.fixture
def real_cache(own_cache, monkeypatch) -> None:
    """The user's own cache with the fetched weights, in place of the test's; without LiteMedSAM in it the test is skipped."""
    if _USERS_CACHE is None:
        monkeypatch.delenv("MYOSCARSEG_CACHE")
    else:
        monkeypatch.setenv("MYOSCARSEG_CACHE", _USERS_CACHE)
    from MyoScarSegLib.models import registry

    status = registry().status("litemedsam")
    if not status.ok:
        pytest.skip(f"{status.message} (`make test` fetches it)")


def _data(name: str) -> Path:
    root = Path(os.environ.get("MYOSCARSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"the development data {name!r} is not here (set MYOSCARSEG_TEST_DATA to the folder that holds it)")
    return folder


@pytest.fixture(scope="session")
def emidec_folder() -> Path:
    """Folder with ``Case_P004/Images/Case_P004.nii.gz`` and ``Case_P004/Contours/Case_P004.nii.gz``, for 70 patients."""
    return _data("emidec")


@pytest.fixture(scope="session")
def emidec_volumes_folder() -> Path:
    """Folder with ``samplePositive_lge.nii.gz``, ``samplePositive_labels.nii.gz`` and the negative pair."""
    return _data("emidec-volumes")


@pytest.fixture(scope="session")
def generated_cases(tmp_path_factory):
    """Runs generators of odd inputs (``cases/`` beside the development data) by name; returns the folder of what they made."""
    generators = Path(os.environ.get("MYOSCARSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data")).parent / "cases"
    program = "import runpy, sys; [runpy.run_path(p, run_name='__main__') for p in sys.argv[1:]]"

    def generate(*names: str) -> Path:
        if not generators.is_dir():
            pytest.skip("the generators of odd inputs are not here (cases/ beside the development data)")
        folder = tmp_path_factory.mktemp("cases")
        path = os.pathsep.join([str(REPOSITORY), str(generators)])
        environment = {**os.environ, "CASES": str(folder), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", program, *(generators / name for name in ("make_base.py", *names))]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        return folder

    return generate


@pytest.fixture(scope="session")
def tiny_segmenter(tmp_path_factory) -> Path:
    """A real SAM with a ViT encoder, made tiny, with random weights; it looks at whole slices."""
    return write_segmenter(tmp_path_factory.mktemp("segmenter") / "tiny-sam.safetensors")


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory) -> Path:
    """A real YOLO, made tiny, with random weights, that finds a few boxes on most slices of noise."""
    return write_detector(tmp_path_factory.mktemp("detector") / "tiny-yolo.safetensors")


@pytest.fixture(scope="session")
def blind_detector(tmp_path_factory) -> Path:
    """A real YOLO, made tiny, that finds nothing."""
    return write_detector(tmp_path_factory.mktemp("detector") / "blind-yolo.safetensors", boxes=False)


@pytest.fixture
def without_pictures(request, monkeypatch):
    """Reports whose page has no pictures, and whose PDF is empty: drawing takes most of their time. Not where a test has them
    ``drawn``."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("MyoScarSegLib.outputs.report_html.picture", lambda *_: b"png")
        monkeypatch.setattr("MyoScarSegLib.outputs.report_files.pdf_page", lambda _report: b"pdf")


@pytest.fixture
def command(capsys):
    """Runs ``myoscarseg`` with these arguments in this process; returns its status and output."""

    def run(*arguments: object):
        return in_process(capsys, arguments)

    return run


@pytest.fixture
def segment(command, tiny_segmenter, tiny_detector, tmp_path):
    """``myoscarseg segment`` with the tiny models into ``tmp_path/out``."""

    def run(*arguments: object):
        return command(
            "segment", *arguments, "-o", tmp_path / "out", "--segmenter", tiny_segmenter, "--detector", tiny_detector,
            "--device", "cpu",
        )  # fmt: skip

    return run


@pytest.fixture
def scene(tmp_path_factory):
    """A fresh MRML scene as the application has it, on slicer-core; without it the test is skipped."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from MyoScarSegLib.scene.demo_scene import bootstrap

    scene = bootstrap(tmp_path_factory.mktemp("scene"))
    yield scene
    scene.Clear(1)


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """Stand-ins of the application: a main window, slice views, settings, and the names `qt`, `ctk`, `slicer`, around a scene.

    One for all tests of a file, because the worker that the module starts takes seconds to load.
    """
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed")
    from MyoScarSegLib.scene.demo_scene import bootstrap

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        patch.setenv("MYOSCARSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MYOSCARSEG_MODELS", str(tmp_path_factory.mktemp("models")))
        from Testing.support.standins.application import Application

        folder = tmp_path_factory.mktemp("application")
        application = Application(bootstrap(folder), folder, patch)
        yield application
        application.close()


@pytest.fixture(scope="module")
def module(application, tiny_segmenter, tiny_detector):
    """The module as the application shows it, with tiny models and a real worker; its slots may not raise."""
    from Testing.support.panel_kit import open_module

    with open_module(application, detector=tiny_detector, segmenter=tiny_segmenter) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny_settings(tiny_segmenter, tiny_detector):
    """The engine's settings with the tiny models."""
    from MyoScarSegLib.engine.client import EngineSettings

    return EngineSettings(detector=tiny_detector, segmenter=tiny_segmenter, device="cpu", threads=1)


@pytest.fixture(scope="session")
def tiny_engine():
    """One worker process for all tests of the workflow: starting one takes seconds."""
    from MyoScarSegLib.engine.client import Engine

    engine = Engine()
    yield engine
    engine.stop()


@pytest.fixture
def workflow(scene, tiny_engine, tiny_settings):
    """A workflow on a fresh scene, with the tiny models."""
    from MyoScarSegLib.scene.workflow import Workflow

    workflow = Workflow(scene, tiny_engine)
    workflow.configure(tiny_settings)
    yield workflow
    workflow.close()
