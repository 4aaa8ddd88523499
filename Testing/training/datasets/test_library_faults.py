"""What happens to a library while the disk is full, a process is killed, or somebody takes folders away."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import zipfile

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, OutputError, StudyError
from MyoScarSegLib.study.handover import write_handover
from MyoScarSegLib.study.writer import write_volume
from MyoScarSegLib.training.background_work import library_add, library_import, library_remove
from MyoScarSegLib.training.datasets.import_export import ImportReport, export_cases, import_cases
from MyoScarSegLib.training.datasets.library_state import LibraryState, check_library, signature
from MyoScarSegLib.training.datasets.patients import may_be_a_persons
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.progress import CancelToken, no_progress
from Testing.conftest import REPOSITORY
from Testing.support.labeled_factory import labels, study, write_pair
from Testing.support.until import until
from Testing.training.datasets.test_library_import import statuses, write_mrb
from Testing.training.datasets.test_training_library import snapshot


@pytest.fixture
def library(library) -> Library:
    library.add(study(0), labels(0), patient="P001")
    return library


def begin(name: str, **arguments) -> BackgroundTask:
    return BackgroundTask("MyoScarSegLib.training.background_work", {"task": name, "arguments": arguments}).start()


def done(task: BackgroundTask) -> BackgroundTask:
    until(task.poll)
    return task


# Folders that go away.


def test_library_that_was_taken_away_stays_away(library, tmp_path):
    state = LibraryState(library)
    state.rows()
    write_handover(tmp_path / "a.npz", study(1), labels=labels(1))
    shutil.rmtree(library.folder)
    told = {"library": str(library.folder)}
    for change in (
        lambda: library.add(study(1), labels(1), patient="P002"),
        lambda: library.remove("P001"),
        lambda: library.accept("P001"),
        lambda: library.split(folds=2),
        lambda: library.read(),
        lambda: export_cases(library, ["P001"], tmp_path / "out"),
        lambda: import_cases(library, [tmp_path / "x.mrb"]),
        lambda: signature(library),
        lambda: library_remove(**told, cases=["P001"], progress=no_progress, cancel=CancelToken()),
        lambda: library_add(**told, study=str(tmp_path / "a.npz"), patient="P2", progress=no_progress, cancel=CancelToken()),
        lambda: library_import(**told, paths=[], progress=no_progress, cancel=CancelToken()),
    ):
        with pytest.raises(StudyError, match=r"is gone|no training library"):
            change()
    assert state.rows() == [] and not library.folder.exists()


def test_library_taken_away_while_a_case_is_written(library, monkeypatch):
    from MyoScarSegLib.training.datasets import training_library as module

    def written(folder, *arguments, **options):
        record = original(folder, *arguments, **options)
        shutil.rmtree(library.folder)
        return record

    original = module.write_case
    monkeypatch.setattr(module, "write_case", written)
    with pytest.raises(StudyError, match="is gone"):
        library.add(study(1), labels(1), patient="P002")
    assert not library.folder.exists()


def test_case_that_another_program_removed_meanwhile_stops_nobody(library):
    library.add(study(1), labels(1), patient="P002")
    told = {"library": str(library.folder), "cases": ["P009", "P002"]}
    assert library_remove(**told, progress=no_progress, cancel=CancelToken()) == {"removed": ["P002"]}
    assert [row.name for row in LibraryState(library).rows()] == ["P001"]


# A disk that is full: no file may be longer than some bytes, which fails in the same places.

FULL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.argv[0] = "background_work"
runpy.run_module("MyoScarSegLib.training.background_work", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(("limit", "replace"), [(1000, False), (20_000, True)])
def test_full_disk_while_adding_leaves_the_library_as_it_was(library, tmp_path, monkeypatch, limit, replace):
    before = snapshot(library.folder)
    write_handover(tmp_path / "a.npz", study(5, (8, 96, 96)), labels=labels(5, (8, 96, 96)))
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {tmp_path}/full.py {limit} "$@"\n')
    (tmp_path / "full.py").write_text(FULL)
    interpreter.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    arguments = {
        "library": str(library.folder), "study": str(tmp_path / "a.npz"), "patient": "P001",
        "case": "P001" if replace else "more", "replace": replace,
    }  # fmt: skip
    job = {"task": "library_add", "arguments": arguments}
    task = done(BackgroundTask("MyoScarSegLib.training.background_work", job).start(python=str(interpreter)))
    assert task.result is None and "Cannot write" in task.error and "free some space" in task.error, task.error
    assert snapshot(library.folder) == before and check_library(library) == []


def test_export_to_a_full_disk_leaves_whole_cases_only(library, tmp_path, monkeypatch):
    library.add(study(1), labels(1), patient="P002")
    real, copied = shutil.copyfile, []

    def full(source, target):
        copied.append(source)
        if len(copied) > 5:
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="No space left"):
        export_cases(library, ["P001", "P002"], tmp_path / "out")
    assert [case.case for case in Library.open(tmp_path / "out").cases()] == ["P001"]
    assert check_library(Library.open(tmp_path / "out")) == []


# Processes that are killed, and two at once.


def test_killed_while_adding_nothing_is_there_and_it_is_swept_away_later(library, tmp_path, monkeypatch):
    write_handover(tmp_path / "a.npz", study(5, (12, 256, 256)), labels=labels(5, (12, 256, 256)))
    before = snapshot(library.folder)
    task = begin("library_add", library=str(library.folder), study=str(tmp_path / "a.npz"), patient="P002")
    until(lambda: task.poll() or list(library.folder.glob(".adding-*")))
    assert not task.poll()
    pid = task.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: task.poll() or task.pid not in (pid, None))
    task.kill()  # or it would be added now
    (left,) = library.folder.glob(".adding-*")
    assert [case.case for case in library.cases()] == ["P001"]
    assert {k: v for k, v in snapshot(library.folder).items() if not k.startswith(".adding")} == before
    library.add(study(2), labels(2), patient="P003")
    assert left.exists(), "it could be being written"
    os.utime(left, (1, 1))
    (library.folder / ".removing-1").mkdir()
    library.add(study(3), labels(3), patient="P004")
    assert not [path for path in library.folder.glob(".*") if path.name != ".lock"]


# What is bad about single cases.


def test_unreadable_case_is_a_row_with_its_reason_and_can_be_removed(library):
    library.add(study(1), labels(1), patient="P002")
    (library.folder / "cases" / "P001" / "case.json").write_text("{")
    (library.folder / "cases" / "P002" / "volume.nrrd").unlink()
    state = LibraryState(library).rows()
    assert [row.state for row in state] == ["problem", "problem"]
    assert "not valid JSON" in state[0].problem and "cannot be read" in state[1].problem
    with pytest.raises(StudyError, match="not valid JSON"):
        export_cases(library, ["P001"], library.folder.parent / "out")
    for name in ("P001", "P002"):
        library.remove(name)
    assert LibraryState(library).rows() == []


def test_damaged_case_is_not_exported(library, tmp_path):
    (library.folder / "cases" / "P001" / "volume.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(StudyError, match="checksum differs"):
        export_cases(library, ["P001"], tmp_path / "out")
    assert Library.open(tmp_path / "out").cases() == []


def test_strangers_beside_a_case_are_not_exported(library, tmp_path):
    (library.folder / "cases" / "P001" / "Jane Doe.txt").write_text("a note")
    export_cases(library, ["P001"], tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out" / "cases" / "P001").iterdir()) == [
        "case.json", "segmentation.seg.nrrd", "thumbnail.png", "volume.nrrd",
    ]  # fmt: skip


def test_scene_with_any_byte_wrong_is_a_problem_or_right(tmp_path):
    """Bytes of a bundle are changed at random: whatever is read, it is said in a sentence or added."""
    whole = write_mrb(tmp_path / "whole.mrb").read_bytes()
    with (
        zipfile.ZipFile(tmp_path / "packed.mrb", "w", zipfile.ZIP_DEFLATED) as packed,
        zipfile.ZipFile(tmp_path / "whole.mrb") as archive,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    packed_bytes = (tmp_path / "packed.mrb").read_bytes()
    random = np.random.default_rng(0)
    paths = []
    for n in range(60):
        data = np.frombuffer((whole, packed_bytes)[n % 2], dtype=np.uint8).copy()
        data[random.integers(0, len(data), 1 + n)] = random.integers(0, 256, 1 + n)
        path = tmp_path / f"{n}.mrb"
        path.write_bytes(data.tobytes()[: len(data) - (n % 5 == 0) * 50])
        paths.append(path)
    report = import_cases(Library.create(tmp_path / "library"), paths)
    assert len(report.cases) >= len(paths)
    assert all(one.message.endswith(".") for one in report.cases if one.status == "problem")


# Names of persons.


def test_codes_are_kept_and_what_may_be_a_name_is_none():
    codes = ["P012", "Case_P004", "patient-3", "AKH_017", "sub-01", "A12", "P001.scan2", "a", "LGE_07", "7"]
    names = ["Meier_1961", "Kim", "DOE^JANE", "Jürgen3", "jane doe", "MEIER_HANS_07", "Lee_01", "hansmeier", "P1 Kim", "ott"]
    assert [name for name in codes + names if may_be_a_persons(name)] == names


def test_folder_with_persons_names_gets_codes_and_the_report_tells_whose(library, tmp_path):
    folder = tmp_path / "data"
    for number, name in enumerate(("Meier_Hans_1961", "P002", "Kim")):
        (folder / name).mkdir(parents=True)
        write_pair(folder / name / "image.nrrd", folder / name / "labels.nrrd", 20 + number)
    report = import_cases(library, [folder])
    assert {one.source: one.patient for one in report.cases} == {"Kim": "P003", "Meier_Hans_1961": "P004", "P002": "P002"}
    assert set(statuses(import_cases(library, [folder]))) == {"same"}
    assert not [path for path in library.folder.rglob("*") if "Meier" in str(path)]
    assert not [path for path in library.folder.rglob("*.json") if "Meier" in path.read_text() or "Kim" in path.read_text()]
    other = Library.create(tmp_path / "other")
    import_cases(other, [folder], patient_pattern="^[A-Za-z0-9]+")
    assert sorted(case.patient for case in other.cases()) == ["Kim", "Meier", "P002"]
    assert sorted(case.case for case in other.cases()) == ["Kim", "Meier", "P002"], "a case has no name that the pattern left out"


def test_further_exams_of_a_scenes_patient_get_names_of_their_own(tmp_path):
    library = Library.create(tmp_path / "library")
    scenes = [write_mrb(tmp_path / f"K07_{n}.mrb", n) for n in range(4)]
    assert statuses(import_cases(library, scenes, patient_pattern=r"K\d+")) == ["added"] * 4
    assert [case.case for case in library.cases()] == ["K07", "K07-2", "K07-3", "K07-4"]
    assert {case.patient for case in library.cases()} == {"K07"}
    report = import_cases(library, scenes[:1], patient_pattern=r"K0")
    assert "Add it as K07" in report.cases[0].message


def test_cancelled_import_tells_what_was_done(tmp_path):
    library = Library.create(tmp_path / "library")
    scenes = [write_mrb(tmp_path / f"{n}.mrb", n) for n in range(3)]
    steps, cancel = [], CancelToken()

    def progress(done: int, total: int, message: str) -> None:
        steps.append((done, total))
        if message == "Adding 1.mrb":
            cancel.cancel()

    arguments = {"library": str(library.folder), "paths": [str(path) for path in scenes]}
    told = library_import(**arguments, progress=progress, cancel=cancel)
    assert told["cancelled"] and told["added"] == len(library.cases()) == 1 and steps[-1] == (1, 3)
    report = ImportReport()
    with pytest.raises(Cancelled):
        import_cases(library, scenes, cancel=cancel, report=report)
    assert report.cases == []


def test_labels_of_another_size_are_that_cases_problem(library, tmp_path):
    folder = tmp_path / "data"
    for number, name in enumerate(("A01", "A02")):
        (folder / name).mkdir(parents=True)
        write_pair(folder / name / "image.nrrd", folder / name / "labels.nrrd", 20 + number)
    write_volume(folder / "A01" / "labels.nrrd", labels(0, (4, 41, 48)), study(0, (4, 41, 48)))
    assert sorted(statuses(import_cases(library, [folder]))) == ["added", "problem"]
