"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Each test gets a cache folder of its own, unless it asks for the user's with :func:`real_cache`."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(folder))
    return folder


def _data(name: str) -> Path:
    root = Path(os.environ.get("MYOSCARSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"the development data {name!r} is not here (set MYOSCARSEG_TEST_DATA to the folder that holds it)")
    return folder


@pytest.fixture(scope="session")
def emidec_folder() -> Path:
    """Folder with ``images/Case_P004_slice_003.png`` and ``labels/`` of the same names."""
    return _data("emidec")


@pytest.fixture(scope="session")
def emidec_volumes_folder() -> Path:
    """Folder with ``samplePositive_lge.nii.gz``, ``samplePositive_labels.nii.gz`` and the negative pair."""
    return _data("emidec-volumes")
