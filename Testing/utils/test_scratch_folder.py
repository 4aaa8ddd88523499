"""A temporary folder that a killed process leaves is deleted by the next, and one in use is not."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.scratch_folder import scratch_folder
from Testing.conftest import REPOSITORY

_HOLDS_ONE = """
import sys, time
from MyoScarSegLib.utils.scratch_folder import scratch_folder
with scratch_folder("test-scratch-") as folder:
    (folder / "voxels").write_bytes(b"0")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_is_deleted_by_the_next_and_not_before(temporary):
    process = subprocess.Popen([sys.executable, "-c", _HOLDS_ONE], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    left = Path(process.stdout.readline().strip())
    with scratch_folder("test-scratch-") as mine:
        assert left.parent == mine.parent == temporary and (left / "voxels").is_file(), "it is in use"
    process.kill()
    process.wait()
    process.stdout.close()
    assert left.is_dir()
    (temporary / "test-scratch-of-somebody").mkdir()
    with scratch_folder("test-scratch-"):
        assert not left.exists()
    assert [path.name for path in temporary.iterdir()] == ["test-scratch-of-somebody"]


def test_a_disk_without_room_is_a_sentence(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(OutputError, match="Cannot make a folder in /nowhere"), scratch_folder("test-scratch-"):
        pass
