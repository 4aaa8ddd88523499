"""A results folder that several runs write: which folder belongs to which input, what stays, and what the tables say."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from MyoScarSegLib.batch.finding import study_inputs
from MyoScarSegLib.batch.runner import Job, detect_all, segment_all
from MyoScarSegLib.outputs.case_files import write_tables
from MyoScarSegLib.outputs.case_folders import CaseFolders, content_of, read_case_boxes, read_record
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, BoxState, Point, write_boxes, write_points
from MyoScarSegLib.study import read_study
from Testing.support.command import array_of, table, voxels, write_pictures, write_prompts
from Testing.support.quick_pipeline import SHAPE, Quick, small_study


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing takes most of the time and says nothing here."""
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda *_: None)
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_boxes_picture", lambda *_: None)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


image = small_study


def run(out: Path, *inputs: Path, pipeline: Pipeline | None = None, **options) -> list[tuple[str, str]]:
    return [(o.case, o.status) for o in segment_all(Job(inputs, out, **options), pipeline or Quick())]


def rows(out: Path, name: str = "results.csv") -> dict[str, dict[str, str]]:
    return {row["case"]: row for row in table(out / name)}


def edit(out: Path, case: str, x1: float = 9.0) -> bytes:
    write_boxes(out / case / "boxes.json", case, [Box(0, 1, 1, x1, 9)])
    return (out / case / "boxes.json").read_bytes()


# ---------------------------------------------------------------------- tables


def test_rows_of_other_patients_stay_when_one_is_run_again(tmp_path, out):
    images = [image(tmp_path / f"{name}.nrrd", n) for n, name in enumerate("cab")]
    run(out, *images)
    before = rows(out)
    edit(out, "a")
    assert run(out, images[1], boxes=out) == [("a", "done")]
    after = rows(out)
    assert list(after) == list(before) == ["c", "a", "b"], "the order stays, too"
    assert after["b"] == before["b"] and after["c"] == before["c"] and int(after["a"]["boxes"]) == 1
    assert [(row["case"], row["slice"]) for row in table(out / "slices.csv")] == [(c, k) for c in "cab" for k in "01"]


def test_a_case_folder_that_the_user_renames_keeps_its_row_and_its_input(tmp_path, out):
    source = image(tmp_path / "lge.nrrd")
    run(out, source)
    (out / "lge").rename(out / "P01")
    assert run(out, source) == [("P01", "done")]
    assert list(rows(out)) == ["P01"]


def test_row_of_a_failed_case_stays_until_it_succeeds(tmp_path, out):
    bad = tmp_path / "bad.nrrd"
    bad.write_bytes(b"NRRD0004\nbroken")
    assert run(out, bad, image(tmp_path / "good.nrrd")) == [("bad", "failed"), ("good", "done")]
    run(out, image(tmp_path / "other.nrrd", 5))
    assert [(row["case"], row["status"]) for row in table(out / "results.csv")] == [
        ("bad", "failed"), ("good", "done"), ("other", "done"),
    ]  # fmt: skip
    assert "bad.nrrd" in rows(out)["bad"]["message"]
    assert run(out, image(bad, 7)) == [("bad", "done")]
    assert rows(out)["bad"]["status"] == "done" and rows(out)["bad"]["message"] == ""


def test_failure_of_a_case_leaves_its_earlier_numbers_and_says_that_it_failed(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    run(out, source)
    before = rows(out)["a"]
    source.write_bytes(b"NRRD0004\nbroken")
    assert run(out, source) == [("a", "failed")], "known by its path, for it cannot be read"
    after = rows(out)["a"]
    assert (after["status"], after["scar_mass_g"]) == ("failed", before["scar_mass_g"]) and after["message"]
    assert run(out, image(source)) == [("a", "done")] and rows(out)["a"]["status"] == "done"


def test_unreadable_input_does_not_spoil_the_row_of_another_of_its_name(tmp_path, out):
    run(out, image(tmp_path / "P1/lge.nrrd"))
    bad = tmp_path / "P2/lge.nrrd"
    bad.parent.mkdir()
    bad.write_bytes(b"NRRD0004\nbroken")
    for _ in range(2):
        assert run(out, bad) == [("lge-2", "failed")]
    assert {name: row["status"] for name, row in rows(out).items()} == {"lge": "done", "lge-2": "failed"}


def test_case_that_was_written_in_part_counts_as_failed(tmp_path, out, monkeypatch):
    source = image(tmp_path / "a.nrrd")
    run(out, source)
    with monkeypatch.context() as patch:
        from MyoScarSegLib.errors import OutputError

        def full(*_arguments):
            raise OutputError("Cannot write: no space left.")

        patch.setattr("MyoScarSegLib.outputs.case_files.write_volume", full)
        assert run(out, source, pipeline=Quick(8.0)) == [("a", "failed")]
    assert rows(out)["a"]["scar_pixels"] == "", "numbers of another mask than the one that lies there"
    assert run(out, source) == [("a", "done")], "what was written in part is not taken for edited"


def test_damaged_result_is_a_failed_row_and_a_foreign_one_none(tmp_path, out):
    run(out, image(tmp_path / "a.nrrd", 1), image(tmp_path / "b.nrrd", 2), image(tmp_path / "c.nrrd", 3))
    (out / "a/result.json").write_text("{")
    (out / "b/result.json").write_text('{"scar_pixels": 3, "slices": [7]}')
    (out / "elsewhere").mkdir()
    (out / "elsewhere/result.json").write_text('{"answer": 42}')
    write_tables(out, {}, ())
    assert {name: row["status"] for name, row in rows(out).items()} == {"a": "failed", "b": "failed", "c": "done"}
    assert "result.json" in rows(out)["a"]["message"] and "result.json" in rows(out)["b"]["message"]


# ---------------------------------------------------------------------- folders


def test_inputs_of_one_name_keep_their_folders_across_runs(tmp_path, out):
    images = [image(tmp_path / f"P{n}/lge.nii.gz", n) for n in range(3)]
    assert [run(out, one) for one in images] == [[("lge", "done")], [("lge-2", "done")], [("lge-3", "done")]]
    records = {case: (out / case / "boxes.json").read_bytes() for case in ("lge", "lge-2", "lge-3")}
    assert run(out, *reversed(images)) == [("lge-3", "done"), ("lge-2", "done"), ("lge", "done")]
    assert {case: (out / case / "boxes.json").read_bytes() for case in records} == records
    assert sorted(rows(out)) == ["lge", "lge-2", "lge-3"]


def test_names_that_differ_in_case_alone_do_not_share_a_folder_across_runs(tmp_path, out):
    run(out, image(tmp_path / "a/lge.nrrd", 1))
    assert run(out, image(tmp_path / "b/LGE.nrrd", 2)) == [("LGE-2", "done")]


@pytest.mark.parametrize("name", ["elsewhere/lge.nrrd", "P007.nrrd", "lge.nii.gz", "lge.mha"])
def test_input_that_was_moved_renamed_or_converted_keeps_its_folder(tmp_path, out, name):
    source = image(tmp_path / "lge.nrrd")
    run(out, source)
    source.unlink()
    outcome = segment_all(Job([image(tmp_path / name)], out), Quick())[0]
    assert outcome.case == "lge" and list(rows(out)) == ["lge"]
    assert any("same content" in note for note in outcome.summary["notes"]) == name.startswith("P007")


def test_other_axis_or_spacing_is_the_same_input(tmp_path, out):
    source = image(tmp_path / "lge.nrrd")
    for options in ({}, {"axis": "j"}, {"spacing_mm": (2.0, 2.0, 8.0)}):
        assert run(out, source, overwrite=True, **options) == [("lge", "done")]


def test_changed_image_of_the_same_name_is_another_input(tmp_path, out):
    run(out, image(tmp_path / "lge.nrrd", 1))
    kept = (out / "lge/probability.nii.gz").read_bytes()
    assert run(out, image(tmp_path / "lge.nrrd", 2), pipeline=Quick(8.0)) == [("lge-2", "done")]
    assert (out / "lge/probability.nii.gz").read_bytes() == kept


def test_copies_in_one_run_get_a_folder_each_and_keep_it(tmp_path, out):
    images = [image(tmp_path / "a.nrrd"), image(tmp_path / "b.nrrd"), image(tmp_path / "other/a.nrrd")]
    for _ in range(2):
        assert run(out, *images) == [("a", "done"), ("b", "done"), ("a-2", "done")]
    assert run(out, images[2]) == [("a-2", "done")]


def test_copy_in_a_later_run_does_not_take_the_folder_of_the_original(tmp_path, out):
    original, copy = image(tmp_path / "lge.nrrd"), image(tmp_path / "copy.nrrd")
    run(out, original)
    assert run(out, copy, original) == [("copy", "done"), ("lge", "done")]
    assert run(out, original, copy) == [("lge", "done"), ("copy", "done")]


def test_folder_with_anything_that_is_not_ours_is_not_used(tmp_path, out):
    (out / "lge").mkdir(parents=True)
    (out / "lge/notes.txt").write_text("mine")
    (out / "results.csv.d").mkdir()
    assert run(out, image(tmp_path / "lge.nrrd", 1)) == [("lge-2", "done")]
    assert [file.name for file in (out / "lge").iterdir()] == ["notes.txt"]
    assert run(out, image(tmp_path / "results.csv.nrrd", 2)) == [("results.csv-2", "done")]


def test_results_of_a_version_without_records_are_not_overwritten(tmp_path, out):
    source = image(tmp_path / "lge.nrrd")
    run(out, source)
    (out / "lge/case.json").unlink()
    before = (out / "lge/result.json").read_bytes()
    assert run(out, source) == [("lge-2", "done")]
    assert (out / "lge/result.json").read_bytes() == before and list(rows(out)) == ["lge", "lge-2"]


def test_record_names_neither_the_input_nor_its_place(tmp_path, out):
    run(out, image(tmp_path / "Mueller_Hans/lge.nrrd"))
    assert set(json.loads((out / "lge/case.json").read_text())) == {
        "version", "content_sha256", "coming_sha256", "place_sha256", "prompts_sha256", "proposed_boxes",
    }  # fmt: skip
    assert not [file for file in (out / "lge").iterdir() if b"Mueller" in file.read_bytes()]


def _claim(out: Path, source: Path, ready, names) -> None:
    study = read_study(source)
    ready.wait()
    with CaseFolders(out).writing("lge", source, content_of(study)) as folder:
        (folder / "mask").write_text(source.parent.name)
    names.put((source.parent.name, folder.name))


def test_two_runs_at_once_never_share_a_folder_unless_they_have_one_input(tmp_path, out):
    """Processes that claim at the same moment: three inputs of one name, one of them twice."""
    sources = [image(tmp_path / f"P{n}/lge.nrrd", n) for n in range(3)]
    context = multiprocessing.get_context("fork")
    ready, names = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_claim, args=(out, source, ready, names)) for source in (*sources, sources[0])]
    for process in processes:
        process.start()
    claimed = [names.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert len(set(claimed)) == 3 and {folder for _, folder in claimed} == {"lge", "lge-2", "lge-3"}
    assert all((out / folder / "mask").read_text() == patient for patient, folder in claimed)


def test_rows_that_another_run_adds_meanwhile_stay(tmp_path, out):
    """The other run writes its case and the tables while this one segments."""
    first, second = image(tmp_path / "P1/lge.nrrd", 1), image(tmp_path / "P2/lge.nrrd", 2)

    class Slow(Quick):
        def run(self, study, **options):
            assert run(out, second) == [("lge", "done")]
            return super().run(study, **options)

    assert run(out, first, pipeline=Slow()) == [("lge-2", "done")]
    assert {name: row["status"] for name, row in rows(out).items()} == {"lge": "done", "lge-2": "done"}


# ---------------------------------------------------------------------- edited prompts


def test_edited_boxes_are_not_overwritten(tmp_path, out):
    edited_source, other = image(tmp_path / "edited.nrrd", 1), image(tmp_path / "other.nrrd", 2)
    run(out, edited_source, other)
    kept = edit(out, "edited")
    outcomes = segment_all(Job([edited_source, other], out), Quick())
    assert [o.status for o in outcomes] == ["failed", "done"]
    assert "--boxes" in outcomes[0].message and "--overwrite" in outcomes[0].message
    assert [o.status for o in detect_all(Job([edited_source, other], out), Quick())] == ["failed", "done"]
    assert (out / "edited/boxes.json").read_bytes() == kept
    assert run(out, edited_source, overwrite=True) == [("edited", "done")]
    assert (out / "edited/boxes.json").read_bytes() != kept
    assert run(out, edited_source) == [("edited", "done")]


def test_edited_boxes_stay_edited_after_they_were_used(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    detect_all(Job([source], out), Quick())
    entries = [{"slice": 0, "x0": 1, "y0": 1, "x1": 9, "y1": 9, "why": "no-reflow"}]
    kept = write_prompts(out / "a/boxes.json", "boxes", entries).read_bytes()
    for _ in range(2):
        assert run(out, source, boxes=out) == [("a", "done")]
        assert (out / "a/boxes.json").read_bytes() == kept, "not even laid out anew"
    assert run(out, source) == [("a", "failed")]


def test_boxes_of_another_place_do_not_replace_edited_ones(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    given = write_prompts(tmp_path / "mine.json", "boxes", [{"slice": 1, "x0": 1, "y0": 1, "x1": 4, "y1": 4}])
    assert run(out, source, boxes=given) == [("a", "done")]
    assert run(out, source) == [("a", "done")], "what the program copied there is not an edit"
    kept = edit(out, "a")
    assert run(out, source, boxes=given) == [("a", "failed")]
    assert (out / "a/boxes.json").read_bytes() == kept


def test_edited_points_are_not_overwritten(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    given = tmp_path / "points.json"
    write_points(given, "a", [Point(0, 4, 4)])
    assert run(out, source, points=given) == [("a", "done")]
    write_points(out / "a/points.json", "a", [Point(0, 5, 5, False)])
    kept = (out / "a/points.json").read_bytes()
    assert run(out, source, points=given) == [("a", "failed")]
    assert run(out, source) == [("a", "done")], "a run without points leaves them"
    assert run(out, source, points=out) == [("a", "done")]
    assert (out / "a/points.json").read_bytes() == kept
    assert run(out, source, points=given, overwrite=True) == [("a", "done")]
    assert (out / "a/points.json").read_bytes() != kept


def test_boxes_that_are_edited_while_the_case_is_segmented_are_kept(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    run(out, source)
    kept = []

    class Slow(Quick):
        def run(self, study, **options):
            kept.append(edit(out, "a"))
            return super().run(study, **options)

    assert run(out, source, pipeline=Slow()) == [("a", "failed")]
    assert (out / "a/boxes.json").read_bytes() == kept[0]


def test_boxes_laid_in_an_empty_case_folder_are_kept_and_used(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    (out / "a").mkdir(parents=True)
    kept = edit(out, "a")
    assert run(out, source) == [("a", "failed")]
    assert run(out, source, boxes=out) == [("a", "done")]
    assert (out / "a/boxes.json").read_bytes() == kept


def test_boxes_of_a_results_folder_are_found_by_content(tmp_path, out):
    images = [image(tmp_path / f"P{n}/lge.nrrd", n) for n in range(2)]
    run(out, *images)
    edit(out, "lge-2", 7.0)
    moved = image(tmp_path / "new name.nrrd", 1)
    assert run(tmp_path / "again", moved, boxes=out, points=out) == [("new_name", "done")]
    assert int(rows(tmp_path / "again")["new_name"]["boxes"]) == 1
    outcome = segment_all(Job([image(tmp_path / "P9/lge.nrrd", 9)], out, boxes=out), Quick())[0]
    assert outcome.status == "failed" and "belongs to another image" in outcome.message


# ---------------------------------------------------------------------- growth


def test_growth_of_a_job_is_in_mask_numbers_and_record(tmp_path, out):
    source = image(tmp_path / "a.nrrd")
    run(out, source)
    plain = int(rows(out)["a"]["scar_pixels"])
    run(out, source, growth_mm=1.5)  # a pixel is 1.5 x 1.25 mm
    grown = array_of(out / "a/scar.nii.gz")
    assert grown.sum() == int(rows(out)["a"]["scar_pixels"]) == plain + SHAPE[0] * 2 * (5 + 4)
    assert json.loads((out / "a/result.json").read_text())["provenance"]["growth_mm"] == "1.5"
    run(out, source, growth_mm=-1.3)
    assert array_of(out / "a/scar.nii.gz").sum() < plain


# ---------------------------------------------------------------------- odd names and places


def test_output_inside_the_input_is_no_input_of_the_next_run(tmp_path):
    cohort = tmp_path / "cohort"
    image(cohort / "P1/lge.nrrd", 1)
    write_pictures(cohort / "P2", voxels(2, SHAPE))
    for _ in range(2):
        inputs = study_inputs(cohort)
        assert [path.name for path in inputs] == ["lge.nrrd", "P2"]
        assert run(cohort, *inputs) == [("lge", "done"), ("P2-2", "done")]
    assert sorted(file.name for file in (cohort / "P2").iterdir()) == ["slice_0.png", "slice_1.png"]
    outcome = segment_all(Job([cohort / "lge"], tmp_path / "out"), Quick())[0]
    assert outcome.status == "failed" and "holds results" in outcome.message


NAMES = {
    "con.nii.gz": "case_con", "Müller, Jürgen – LGE (2).nii.gz": "Müller_Jürgen_LGE_2", "a" * 240 + ".nii.gz": "a" * 100,
    "50%.nii.gz": "50", "..hidden.nii.gz": "hidden", "x y\tz.nii.gz": "x_y_z", "-o.nii.gz": "-o", "心臓.nii.gz": "心臓",
}  # fmt: skip


def test_odd_names_get_a_folder_each_and_keep_it(tmp_path, out):
    images = [image(tmp_path / "in" / name, n) for n, name in enumerate(NAMES)]
    for _ in range(2):
        assert [case for case, _status in run(out, *images)] == list(NAMES.values())
        assert [run(out, one) for one in images] == [[(case, "done")] for case in NAMES.values()]
    assert list(rows(out)) == list(NAMES.values())
    for case in NAMES.values():
        assert read_record(out / case) is not None


@pytest.mark.data
def test_generated_patients_and_odd_names_share_one_results_folder(generated_cases, out):
    """The generator's files: three patients' `lge.nii.gz`, and eight odd names of one image, which is the second patient's."""
    made = generated_cases("make_16_output_folder.py") / "16-output-folder"
    patients = [made / "patients" / name / "lge.nii.gz" for name in ("P1", "P2", "P3")]
    for one, case in zip(patients, ("lge", "lge-2", "lge-3"), strict=True):
        assert run(out, one) == [(case, "done")]
    shutil.copy(made / "boxes.json", out / "lge-2" / "boxes.json")
    odd = study_inputs(made / "odd")
    first = run(out, *odd, pipeline=Quick())
    assert len(set(first)) == len(odd) == 7, "the hidden one is left out"
    assert (out / "lge-2" / "boxes.json").read_bytes() == (made / "boxes.json").read_bytes()
    assert run(out, patients[1], boxes=out) == [("lge-2", "done")]
    again = run(out, *odd, *patients, overwrite=True)
    assert len(set(again)) == 10 and again[7:] == [("lge", "done"), ("lge-2", "done"), ("lge-3", "done")]
    assert len(rows(out)) == len(list(out.glob("*/case.json")))
    inside = run(made / "odd", *odd), study_inputs(made / "odd")
    assert {status for _, status in inside[0]} == {"done"} and inside[1] == odd


@pytest.mark.parametrize("edit", [{"x1": 2.5}, {"y0": 1}, {"slice": 5}])
def test_a_detectors_box_that_was_edited_in_its_case_folder_is_the_readers(tmp_path, edit):
    proposed = Box(4, 1, 2, 3, 4, confidence=0.5, source="net")
    with CaseFolders(tmp_path).writing("P1", None, "content") as folder:
        file = folder / "boxes.json"
        write_boxes(file, "P1", [proposed, Box(4, 5, 6, 7, 8)])
    document = json.loads(file.read_text())
    assert [box.by_reader for box in read_case_boxes(file)] == [False, True]
    document["boxes"][0]["state"] = "accepted"
    file.write_text(json.dumps(document))
    assert read_case_boxes(file)[0] == replace(proposed, state=BoxState.ACCEPTED)
    document["boxes"][0].update(edit)
    file.write_text(json.dumps(document))
    assert read_case_boxes(file)[0] == Box(**{"slice": 4, "x0": 1, "y0": 2, "x1": 3, "y1": 4, "state": BoxState.ACCEPTED, **edit})


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked, to be ended at a given moment")
@pytest.mark.parametrize("again", [Quick(), Quick(x1=7)], ids=["same boxes", "others"])
def test_a_process_killed_before_or_after_any_file_leaves_a_case_that_can_be_run_again(tmp_path, out, again):
    source, killed = image(tmp_path / "lge.nrrd"), 0
    for moment in range(40):
        process = os.fork()
        if process == 0:
            _end_at(moment)
            run(out, source)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert run(out, source, pipeline=again) == [("lge", "done")], moment
        boxes = read_case_boxes(out / "lge/boxes.json")
        assert boxes == list(again.propose(read_study(source))), moment
        shutil.rmtree(out)
        if not killed:
            break
    assert moment > 15 and not killed


def _end_at(moment: int) -> None:
    """End this process before (even) or after (odd) a file is put in its place."""
    from MyoScarSegLib.utils import files

    count, move = itertools.count(), files.move

    def ending(source: Path, target: Path) -> None:
        if next(count) == moment:
            os._exit(9)
        move(source, target)
        if next(count) == moment:
            os._exit(9)

    files.move = ending
