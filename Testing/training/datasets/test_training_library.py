"""The training library: each case whole or not at all, whoever else is adding; and what a check finds."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.errors import Cancelled, OutputError, StudyError
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.study import Geometry, read_mask, read_study, write_segmentation, write_volume
from MyoScarSegLib.training.datasets import case_record
from MyoScarSegLib.training.datasets import training_library as module
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import LabeledStudy
from MyoScarSegLib.training.datasets.labelmaps import EMIDEC
from MyoScarSegLib.training.datasets.library_state import check_library
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.command import REPOSITORY
from Testing.support.dicom_factory import write_series
from Testing.support.labeled_factory import labels, study


def fill(library: Library, *patients: str) -> None:
    for n, patient in enumerate(patients):
        library.add(study(n), labels(n), patient=patient)


def same(one: LabeledStudy, made, truth) -> bool:
    geometry, original = one.study.geometry, made.geometry
    assert np.allclose(geometry.origin_mm, original.origin_mm) and np.allclose(geometry.direction, original.direction)
    assert (geometry.spacing_mm is None) == (original.spacing_mm is None)
    assert original.spacing_mm is None or np.allclose(geometry.spacing_mm, original.spacing_mm)
    return np.array_equal(one.study.voxels, made.voxels) and np.array_equal(one.labels, truth)


def snapshot(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_phantom_with_wall_and_no_reflow_comes_back_as_it_went_in(library):
    phantom = make_phantom(2)
    case = library.add(phantom.study, phantom.labels, patient="P002", source="phantom", reviewer="seed 2")
    assert (case.case, case.patient, case.source, case.reviewer) == ("P002", "P002", "phantom", "seed 2")
    again = Library.open(library.folder)
    assert again.cases() == [case]
    loaded = again.load(case)
    assert same(loaded, phantom.study, phantom.labels) and loaded.wall_known
    folder = library.folder / "cases" / "P002"
    assert sorted(p.name for p in folder.iterdir()) == ["case.json", "segmentation.seg.nrrd", "thumbnail.png", "volume.nrrd"]
    # What Slicer opens: scar with no-reflow fits the volume voxel by voxel.
    assert np.array_equal(read_mask(folder / "segmentation.seg.nrrd", read_study(folder / "volume.nrrd")), phantom.scar)
    assert check_library(again) == []


def test_uneven_sheared_oblique_stack_keeps_its_geometry(library):
    offsets = np.array([0.0, 10, 20, 40])
    made = study()
    sheared = made.geometry.direction @ np.array([[1, 0, 0.2], [0, 1, 0], [0, 0, 0.98]])
    sheared[:, 2] /= np.linalg.norm(sheared[:, 2])
    origins = np.asarray(made.geometry.origin_mm) + offsets[:, None] * sheared[:, 2]
    geometry = Geometry((1.4, 1.3, 10.0), made.geometry.origin_mm, sheared, offsets * 0.98, origins)
    made = dataclasses.replace(made, geometry=geometry)
    loaded = library.load(library.add(made, labels(), patient="P1"))
    assert same(loaded, made, labels())
    assert np.allclose(loaded.study.geometry.slice_positions_mm, offsets * 0.98)
    assert np.allclose(loaded.study.geometry.slice_origins_mm, origins)
    extents = [s.slice_spacing_mm for s in read_dataset(library.folder).slices]
    assert extents == pytest.approx(list(geometry.slice_extents_mm(4)))


@pytest.mark.parametrize("flip", [(1, 1, 1), (1, 1, -1), (-1, 1, 1)])
def test_left_handed_stacks_and_another_slice_axis_are_kept(library, tmp_path, flip):
    made = study(spacing_mm=(1.4, 1.3, 10.0), direction=study().geometry.direction @ np.diag(flip))
    write_volume(tmp_path / "in.nrrd", made.voxels, made)
    turned = read_study(tmp_path / "in.nrrd", axis="j")
    truth = np.zeros(turned.voxels.shape, dtype=bool)
    truth[3, 1:3, 10:20] = True
    assert same(library.load(library.add(turned, truth, patient="P1")), turned, truth * 3)


def test_study_without_spacing_and_single_slices_are_kept(library):
    pictures = dataclasses.replace(study(1, shape=(1, 40, 48)), geometry=Geometry(None))
    loaded = library.load(library.add(pictures, labels(1, (1, 40, 48)), patient="P1"))
    assert same(loaded, pictures, labels(1, (1, 40, 48)))
    assert loaded.slices()[0].pixel_spacing_mm is None


def test_unreadable_slices_stay_unreadable(library):
    made = dataclasses.replace(study(), bad_slices={1: "damaged"})
    library.add(made, labels(), patient="P1")
    assert [s.index for s in read_dataset(library.folder).slices] == [0, 2, 3]


def test_files_are_added_with_a_mask_of_this_program_or_any_labels(library, tmp_path):
    made, truth = study(), labels()
    write_volume(tmp_path / "a.nii.gz", made.voxels, made)
    made = read_study(tmp_path / "a.nii.gz")
    write_segmentation(tmp_path / "a.seg.nrrd", truth >= 3, made)
    loaded = library.load(library.add(tmp_path / "a.nii.gz", tmp_path / "a.seg.nrrd", patient="P1"))
    assert same(loaded, made, (truth >= 3) * 3) and not loaded.wall_known
    write_volume(tmp_path / "labels.nii.gz", truth, made)
    loaded = library.load(
        library.add(tmp_path / "a.nii.gz", tmp_path / "labels.nii.gz", patient="P1", label_map=EMIDEC, replace=True)
    )
    assert same(loaded, made, truth) and loaded.wall_known


def test_segmentation_that_slicer_saved_again_is_read_after_it_was_added_with_replace(library, tmp_path):
    """Slicer crops what it saves to what is drawn, and forgets nothing else."""
    fill(library, "P1")
    path = library.folder / "cases" / "P1" / "segmentation.seg.nrrd"
    image = sitk.ReadImage(str(path))
    metadata = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    array = sitk.GetArrayFromImage(image)
    array[1, 20:22, 30:32] = 3
    edited = sitk.GetImageFromArray(array)
    edited.CopyInformation(image)
    edited = edited[6:44, 4:38, 0:4]
    for key, value in metadata.items():
        edited.SetMetaData(key, value)
    sitk.WriteImage(edited, str(path))
    library.add(study(9), labels(9), patient="P9")
    assert "changed since" in read_dataset(library.folder).skipped["P1"]
    volume = path.with_name("volume.nrrd")
    library.add(volume, path, patient="P1", replace=True)
    expected = labels()
    expected[1, 20:22, 30:32] = 3
    assert np.array_equal(library.load(library.cases()[0]).labels, expected)


def test_same_content_is_recognized_and_written_once(library):
    first = library.add(study(), labels(), patient="P1", source="here")
    before = snapshot(library.folder)
    assert library.add(study(), labels(), patient="P1", source="there") == first
    assert library.add(study(), labels(), patient="P1", case="again") == first
    assert snapshot(library.folder) == before


def test_new_labels_for_an_image_need_replace_and_keep_the_case(library):
    library.add(study(), labels(), patient="P1", case="P1-baseline")
    with pytest.raises(StudyError, match=r"already as case P1-baseline, with other labels.*--replace"):
        library.add(study(), labels(2), patient="P1")
    case = library.add(study(), labels(2), patient="P1", reviewer="second reader", replace=True)
    assert [c.case for c in library.cases()] == [case.case] == ["P1-baseline"]
    assert np.array_equal(library.load(case).labels, labels(2))
    assert check_library(library) == []


def test_second_exam_needs_a_name_and_stays_with_its_patient(library):
    fill(library, "P1")
    with pytest.raises(StudyError, match=r"has a case P1 already, with another image.*--case"):
        library.add(study(5), labels(5), patient="P1")
    library.add(study(5), labels(5), patient="P1", case="P1-followup")
    data = read_dataset(library.folder)
    assert data.patients == ("P1",) and {s.stack for s in data.slices} == {"P1", "P1-followup"}
    with pytest.raises(StudyError, match="belongs to patient P1"):
        library.add(study(6), labels(6), patient="P2", case="P1-followup", replace=True)


def test_one_image_under_two_patient_codes_is_refused(library):
    fill(library, "P1")
    with pytest.raises(StudyError, match=r"already as case P1 of patient P1"):
        library.add(study(), labels(3), patient="P2")


@pytest.mark.parametrize(
    "code", ["", "../x", "a/b", "Müller", "a b", "-a", ".a", "a.", "con", "nul.x", "x" * 65, "a\n", "Doe^John"]
)
def test_codes_that_do_not_belong_in_file_names_are_refused(library, code):
    for arguments in ({"patient": code}, {"patient": "P1", "case": code}):
        with pytest.raises(StudyError, match="Never use the patient's name"):
            library.add(study(), labels(), **arguments)
    assert library.cases() == []


def test_codes_that_differ_in_capitals_alone_are_refused(library):
    fill(library, "P1")
    with pytest.raises(StudyError, match="differs in capitals only"):
        library.add(study(5), labels(5), patient="p1")


def test_labels_that_do_not_fit_are_refused(library, tmp_path):
    for wrong in (labels()[1:], labels() + 9, labels().astype(float)):
        with pytest.raises(StudyError):
            library.add(study(), wrong, patient="P1")
    other = study(origin_mm=(50.0, 0.0, 0.0))
    write_segmentation(tmp_path / "m.seg.nrrd", labels() >= 3, other)
    with pytest.raises(StudyError, match="another grid"):
        library.add(study(), tmp_path / "m.seg.nrrd", patient="P1")
    assert snapshot(library.folder).keys() == {"library.json"}


def test_nothing_of_a_dicom_patient_gets_into_the_library(library, tmp_path):
    dicom = write_series(tmp_path / "Doe_Jonathan", study().voxels.astype(np.int16) + 300, SeriesDescription="LGE Doe")
    made = read_study(dicom)
    library.add(made, labels(), patient="P1")
    for name, data in snapshot(library.folder).items():
        for secret in (b"Doe", b"Jonathan", b"SECRET4711", b"19500607"):
            assert secret not in data and secret.decode() not in name


def test_folder_with_something_else_is_no_library(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("a")
    with pytest.raises(StudyError, match="not empty and no training library"):
        Library.create(tmp_path / "photos")
    with pytest.raises(StudyError, match="no training library"):
        Library.open(tmp_path / "photos")
    for text in ('{"format": "other"}', '{"format": "MyoScarSeg training library", "version": 2}', "[]", "x"):
        (tmp_path / "photos" / "library.json").write_text(text)
        with pytest.raises(StudyError):
            Library.open(tmp_path / "photos")


# What happens when a run stops half way.


@pytest.mark.parametrize("step", ["write_image", "write_label_segments", "save"])
@pytest.mark.parametrize("replacing", [False, True])
def test_crash_while_writing_leaves_the_library_as_it_was(library, monkeypatch, step, replacing):
    fill(library, "P1")
    before = snapshot(library.folder)

    def broken(path, *arguments, **named):
        path.write_bytes(b"half of it")
        raise OutputError("the disk is full")

    monkeypatch.setattr(case_record, step, broken)
    with pytest.raises(OutputError, match="full"):
        library.add(study(0 if replacing else 5), labels(5), patient="P1" if replacing else "P2", replace=replacing)
    assert snapshot(library.folder) == before
    assert [p.name for p in library.folder.iterdir() if p.name.startswith(".add")] == []


def test_what_does_not_read_back_as_it_was_written_is_not_added(library, monkeypatch):
    def damaged(path, made):
        write_volume(path, made.voxels + 1, dataclasses.replace(made, file_axes=(0, 1, 2)))

    monkeypatch.setattr(case_record, "write_image", damaged)
    with pytest.raises(StudyError, match="does not read back"):
        library.add(study(), labels(), patient="P1")
    assert library.cases() == []


def test_cancelled_before_its_last_step_an_add_leaves_nothing(library, monkeypatch):
    cancel = CancelToken()
    original = module.write_case

    def cancelling(*arguments, **options):
        cancel.cancel()
        return original(*arguments, **options)

    monkeypatch.setattr(module, "write_case", cancelling)
    with pytest.raises(Cancelled):
        library.add(study(), labels(), patient="P1", cancel=cancel)
    assert snapshot(library.folder).keys() == {"library.json"}


KILLED = """
    import os, pathlib, sys
    from MyoScarSegLib.training.datasets import training_library as module
    from Testing.support.labeled_factory import labels, study
    where, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if where == "written":
        module.put = lambda *a: os.kill(os.getpid(), 9)
    else:
        rename = pathlib.Path.replace
        def killed(self, target):
            if ".adding-" in self.name:
                os.kill(os.getpid(), 9)
            return rename(self, target)
        pathlib.Path.replace = killed
    module.Library.open(folder).add(study(), labels(2), patient="P1", replace=True)
"""


@pytest.mark.parametrize("where", ["written", "replacing"])
def test_killed_while_replacing_the_old_case_is_there_and_the_next_change_tidies_up(library, where):
    fill(library, "P1", "P2")
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), where, str(library.folder)], cwd=REPOSITORY, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    assert [c.case for c in library.cases()] == ["P1", "P2"]
    assert np.array_equal(library.load(library.cases()[0]).labels, labels())
    findings = check_library(library)
    assert {f.level for f in findings} == {"warning"}
    assert any("left by a run that was stopped" in f.message for f in findings)
    assert (where == "replacing") == any("stopped while it replaced" in f.message for f in findings)
    library.add(study(3), labels(3), patient="P3")
    assert (library.folder / "cases" / "P1" / "case.json").is_file()
    assert np.array_equal(library.load(library.cases()[0]).labels, labels())


def _add_many(folder, start, names, answers):
    library = Library.open(folder)
    start.wait()
    for n, name in names:
        try:
            answers.put((name, library.add(study(n), labels(n), patient=name).case))
        except StudyError as error:
            answers.put((name, str(error)))


@pytest.mark.slow
def test_two_processes_adding_at_once_both_succeed_and_neither_writes_twice(library):
    """Each adds three cases of its own and two that the other adds too: one with the same content, one with another."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Event(), context.Queue()
    lists = (
        [(1, "both"), (2, "clash"), *((10 + n, f"a{n}") for n in range(3))],
        [(1, "both"), (3, "clash"), *((20 + n, f"b{n}") for n in range(3))],
    )
    workers = [context.Process(target=_add_many, args=(library.folder, start, names, answers)) for names in lists]
    for worker in workers:
        worker.start()
    time.sleep(0.2)
    start.set()
    got = [answers.get(timeout=60) for _ in range(10)]
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0, 0]
    assert [c.case for c in library.cases()] == ["a0", "a1", "a2", "b0", "b1", "b2", "both", "clash"]
    refused = [answer for name, answer in got if answer != name]
    assert len(refused) == 1 and "has a case clash already" in refused[0]
    assert check_library(library) == []
    assert [p.name for p in library.folder.iterdir() if p.name.startswith(".") and p.name != ".lock"] == []


def test_while_another_changes_the_library_an_add_waits_and_can_be_cancelled(library):
    fill(library, "P1")
    before = snapshot(library.folder)
    with locked(library.folder / ".lock"):
        for change in (
            lambda cancel: library.add(study(5), labels(5), patient="P2", cancel=cancel),
            lambda cancel: library.remove("P1", cancel=cancel),
        ):
            cancel = CancelToken()
            timer = threading.Timer(0.4, cancel.cancel)
            timer.start()
            with pytest.raises(Cancelled):
                change(cancel)
            timer.join()
    assert snapshot(library.folder) == before


# What a check finds.


def test_check_finds_what_is_damaged_and_reading_skips_it_by_name(library):
    fill(library, "edited", "empty", "gone", "good", "half", "record", "renamed")
    cases = library.folder / "cases"
    (cases / "gone" / "volume.nrrd").unlink()
    data = bytearray((cases / "edited" / "volume.nrrd").read_bytes())
    data[-5] ^= 1
    (cases / "edited" / "volume.nrrd").write_bytes(bytes(data))
    (cases / "record" / "case.json").write_text("{}")
    (cases / "half" / "case.json").unlink()
    (cases / "renamed").rename(cases / "other")
    (cases / "notes.txt").write_text("mine")
    library.add(study(1), labels(1, scar=False), patient="empty", replace=True)
    (library.folder / ".adding-0123").mkdir()
    errors = {f.case: f.message for f in check_library(library) if f.level == "error"}
    warnings = [f.message for f in check_library(library) if f.level == "warning"]
    assert errors.keys() == {"edited", "gone", "half", "record", "other"}
    assert "checksum differs" in errors["edited"] and "missing" in errors["gone"] and "lacks" in errors["record"]
    assert "renamed" in errors["other"]
    for part in ("No pixel is labeled as scar", ".adding-0123 was left", "notes.txt is no case"):
        assert any(part in message for message in warnings)
    data = read_dataset(library.folder)
    assert data.patients == ("empty", "good") and set(data.skipped) == set(errors)
    with pytest.raises(StudyError):
        library.cases()


def test_record_that_no_longer_fits_or_names_other_files_is_found(library):
    fill(library, "P1")
    path = library.folder / "cases" / "P1" / "case.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "wall_known": False}))
    assert any("not what the record is about" in f.message for f in check_library(library))
    path.write_text(json.dumps({**record, "files": {**record["files"], "../../secret": "0"}}))
    with pytest.raises(StudyError, match="names the files"):
        library.cases()


# The split.


def test_split_is_by_patient_and_read_with_the_data(library):
    fill(library, *(f"P{n}" for n in range(5)))
    library.add(study(50), labels(50), patient="P0", case="P0-2")
    split = library.split(seed=7)
    assert Library.open(library.folder).split_manifest() == split == read_dataset(library.folder).given_split
    assert len(split.validation) == 1 and len(split.training) == 4
    assert check_library(library) == []


def test_cases_added_after_the_split_are_reported_until_it_is_extended(library):
    fill(library, *(f"P{n}" for n in range(5)))
    split = library.split()
    library.add(study(9), labels(9), patient="P9")
    assert any("on neither side of the split" in f.message and "P9" in f.message for f in check_library(library))
    with pytest.raises(StudyError, match="--extend"):
        library.split()
    extended = library.split(extend=True)
    assert extended.validation == split.validation and extended.training == (*split.training, "P9")
    assert check_library(library) == []
    library.remove("P9")
    assert any("not in the data (P9)" in f.message for f in check_library(library))
    assert library.split(seed=3, replace=True) != extended


def test_split_is_written_under_the_lock_and_not_over_one_drawn_meanwhile(library, monkeypatch):
    fill(library, *(f"P{n}" for n in range(5)))
    written = module.Split.write

    def watched(split, path):
        with pytest.raises(Cancelled), locked(library.folder / ".lock", cancelled()):
            pass
        written(split, path)

    monkeypatch.setattr(module.Split, "write", watched)
    split = library.split(seed=1)
    library.write_split(split)
    (library.folder / "split.json").unlink()
    read = library.read

    def slowly(**named):
        written(split, library.folder / "split.json")  # somebody else draws one while the cases are read
        return read(**named)

    monkeypatch.setattr(library, "read", slowly)
    with pytest.raises(StudyError, match="meanwhile"):
        library.split(seed=2)
    assert library.split_manifest() == split


def cancelled() -> CancelToken:
    token = CancelToken()
    token.cancel()
    return token


def test_one_slice_in_two_patients_is_refused_by_split_and_check(library):
    fill(library, "P0", "P1")
    voxels = study(2).voxels.copy()
    voxels[3] = library.load(library.cases()[0]).study.voxels[1]
    made = dataclasses.replace(study(2), voxels=voxels)
    library.add(made, labels(2), patient="P2")
    module.Split(("P0", "P1"), ("P2",)).write(library.folder / "split.json")
    assert any("same picture" in f.message and f.level == "error" for f in check_library(library))
    for held_out in range(3):
        try:
            split = library.split(folds=3, held_out=held_out, replace=True)
        except StudyError as error:
            assert "slice 1 of P0" in str(error) and "slice 3 of P2" in str(error)
        else:
            assert split.validation == ("P1",)


def test_split_of_a_library_with_a_damaged_case_is_refused(library):
    fill(library, *(f"P{n}" for n in range(5)))
    (library.folder / "cases" / "P2" / "volume.nrrd").unlink()
    with pytest.raises(StudyError, match="Case P2 cannot be read"):
        library.split()
    assert library.split_manifest() is None


def test_empty_library_says_how_to_fill_it(library):
    with pytest.raises(StudyError, match="myoscarseg library add"):
        read_dataset(library.folder)


def test_library_that_cannot_be_locked_says_so_and_not_where_models_are_cached(library):
    (library.folder / ".lock").mkdir()
    with pytest.raises(OutputError, match=r"Cannot write .*library.\.lock: .* disk .* has locks") as caught:
        library.add(study(), labels(), patient="P1")
    assert "CACHE" not in str(caught.value)
    assert library.cases() == []
