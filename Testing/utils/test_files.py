"""Files take their places in one go, also where Windows holds them for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils import files


def held(times: int, winerror: int | None):
    """``Path.replace`` that Windows refuses some times."""
    replace, calls = Path.replace, []

    def refuse(self, target):
        calls.append(self)
        if len(calls) <= times:
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = winerror
            raise error
        return replace(self, target)

    return refuse, calls


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    waited = []
    monkeypatch.setattr(files.time, "sleep", waited.append)
    return waited


@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_file_that_a_scanner_or_reader_holds_is_waited_for(monkeypatch, tmp_path, winerror, waits):
    refuse, calls = held(3, winerror)
    monkeypatch.setattr(Path, "replace", refuse)
    files.write_bytes(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new" and len(calls) == 4
    assert 0 < sum(waits) < 1


def test_file_that_stays_held_is_an_error_after_some_seconds_and_the_old_one_stays(monkeypatch, tmp_path, waits):
    files.write_bytes(tmp_path / "a.txt", b"old")
    refuse, _calls = held(10**6, 32)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="Cannot write"):
        files.write_bytes(tmp_path / "a.txt", b"new")
    assert 1 < sum(waits) < 10
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_bytes() == b"old"


def test_folder_without_the_right_to_write_is_an_error_at_once(monkeypatch, tmp_path, waits):
    refuse, calls = held(10**6, None)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError):
        files.write_bytes(tmp_path / "a.txt", b"new")
    assert len(calls) == 1 and not waits


def test_nothing_takes_its_place_by_another_way_than_the_patient_one():
    """Every rename in the library goes through :func:`files.move`."""
    library = Path(files.__file__).parents[1]
    calls = ("os.replace(", "os.rename(", ".rename(", "shutil.move(")
    found = [
        f"{path.relative_to(library)}: {line.strip()}"
        for path in sorted(library.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(call in line for call in calls)
    ]
    assert not found


def test_folder_aside_goes_away_unless_it_was_moved_to_its_place(tmp_path):
    with files.folder_aside(tmp_path, ".making-") as made:
        (made / "a.txt").write_text("a")
        files.move(made, tmp_path / "done")
    with pytest.raises(ValueError), files.folder_aside(tmp_path, ".making-") as made:
        raise ValueError(made)
    assert [p.name for p in tmp_path.iterdir()] == ["done"] and (tmp_path / "done" / "a.txt").is_file()
    with pytest.raises(OutputError, match="Cannot write into"), files.folder_aside(tmp_path / "gone", ".making-"):
        pass
    assert not (tmp_path / "gone").exists()
