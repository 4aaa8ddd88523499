"""The new model against the one in use: fair pairs, an honest verdict, and masks that can be looked at."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.errors import Cancelled, StudyError
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.training import background_work
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.evaluation.statistics import chance_of, paired, verdict
from MyoScarSegLib.training.runs import comparison_files
from MyoScarSegLib.training.runs.comparison_files import (
    Predictions,
    file_of,
    read_comparison,
    read_predictions,
    write_predictions,
)
from MyoScarSegLib.training.runs.model_comparison import Models, compare_models, compare_run
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.progress import CancelToken, no_progress
from Testing.support.labeled_factory import labels, study
from Testing.support.tiny_models import write_segmenter
from Testing.support.tiny_training import slices_of


@pytest.fixture(scope="module")
def other_segmenter(tmp_path_factory):
    return write_segmenter(tmp_path_factory.mktemp("other") / "other-sam.safetensors", seed=5)


@pytest.fixture(scope="module")
def slices():
    return [s for n, p in enumerate(("P1", "P2", "N1")) for s in slices_of(p, n, 3, scar=p[0] == "P")]


@pytest.fixture(scope="module")
def compared(tiny_segmenter, other_segmenter, tiny_detector, slices):
    return compare_models(Models(tiny_segmenter, tiny_detector), Models(other_segmenter, tiny_detector), slices, device="cpu")


# ---- two models on the same patients


def test_each_figure_is_the_mean_over_patients_and_their_paired_difference(compared):
    rows = {row["case"]: row for row in compared[0]["cases"]}
    figure = next(f for f in compared[0]["figures"] if f["name"] == "end_to_end_dice")
    new, used = ([rows[case][who]["end_to_end_dice"] for case in ("P1", "P2")] for who in ("new", "used"))
    assert figure["patients"] == 2
    assert figure["new"] == pytest.approx(np.mean(new), abs=1e-4) and figure["used"] == pytest.approx(np.mean(used), abs=1e-4)
    assert figure["difference"] == pytest.approx(np.mean(new) - np.mean(used), abs=1e-4)
    false = next(f for f in compared[0]["figures"] if f["name"] == "false_mass_g")
    assert false["patients"] == 1 and false["new"] == rows["N1"]["new"]["mass_g"]
    assert {f["name"] for f in compared[0]["figures"]} >= {"oracle_dice", "hd95_mm", "mass_bias_g"}


def test_masks_are_those_that_were_scored(compared, slices):
    masks = compared[1]["P1"]
    assert masks.numbers == (0, 1, 2)
    truth = np.stack([s.scar for s in slices if s.patient == "P1"])
    assert np.array_equal(masks.masks["truth"], truth)
    row = next(row for row in compared[0]["cases"] if row["case"] == "P1")
    for who in ("new", "used"):
        assert dice(masks.masks[who], truth) == pytest.approx(row[who]["end_to_end_dice"], abs=1e-4)
        assert dice(masks.masks[f"{who}, oracle"], truth) == pytest.approx(row[who]["oracle_dice"], abs=1e-4)


def test_worst_slice_is_the_one_with_most_wrong_pixels(compared):
    for row in compared[0]["cases"]:
        masks = compared[1][row["case"]]
        wrong = {n: int((masks.masks["new"][k] ^ masks.masks["truth"][k]).sum()) for k, n in enumerate(masks.numbers)}
        assert wrong[row["worst"]["slice"]] == max(wrong.values())


def test_model_against_itself_is_the_same(tiny_segmenter, tiny_detector, slices):
    both = Models(tiny_segmenter, tiny_detector)
    document = compare_models(both, both, slices[:3], device="cpu")[0]
    assert document["verdict"]["word"] == "same"
    assert all(f["difference"] == 0 for f in document["figures"])


def test_nothing_to_compare_on_is_a_sentence(tiny_segmenter, tiny_detector):
    with pytest.raises(StudyError, match="no validation patients"):
        compare_models(Models(tiny_segmenter, tiny_detector), Models(None, tiny_detector), [], device="cpu")


# ---- what is concluded


def test_few_patients_never_prove_anything():
    for patients in range(1, 6):
        clear = paired([0.9] * patients, [0.1] * patients)
        told = verdict(clear, None)
        assert told["word"] == "undecided" and "prove" in told["sentence"] and told["patients"] == patients


def test_clear_difference_in_enough_patients_is_said():
    used = np.linspace(0.3, 0.6, 8)
    assert verdict(paired(used + 0.1, used), None)["word"] == "better"
    assert verdict(paired(used - 0.1, used), None)["word"] == "worse"
    noisy = used + np.array([0.2, -0.2] * 4)
    assert verdict(paired(noisy, used), None)["word"] == "undecided"


def test_sign_flip_test_is_exact_for_few_and_drawn_for_many():
    assert chance_of(np.array([1.0])) == 1.0
    assert chance_of(np.ones(6)) == pytest.approx(2 / 64)
    assert chance_of(np.zeros(4)) == 1.0
    assert chance_of(np.ones(30)) < 0.001
    assert 0.3 < chance_of(np.tile([1.0, -1.0], 15) + 0.02) <= 1


def test_false_scar_is_told_beside_better_dice_and_alone_where_nobody_has_scar():
    used = np.linspace(0.3, 0.6, 8)
    told = verdict(paired(used + 0.1, used), paired([9.0, 8.0], [1.0, 1.0]))
    assert told["word"] == "better" and "7.5 g more false scar" in told["sentence"] and "chance" in told["sentence"]
    alone = verdict(None, paired([0.5] * 7, [5.0] * 7))
    assert alone["word"] == "better" and "without scar" in alone["sentence"]
    assert verdict(None, None)["word"] == "unknown"


def test_intervals_need_two_patients():
    one = paired([0.5], [0.4])
    assert one.interval_95 is None and not one.shown and paired([], []) is None
    assert json.loads(json.dumps(one.to_json()))["interval_95"] is None


# ---- masks on disk


def test_masks_come_back_as_they_were_in_a_whole_stack(tmp_path):
    masks = {name: np.random.default_rng(n).random((2, 5, 7)) > 0.5 for n, name in enumerate(("truth", "new", "used, oracle"))}
    path = tmp_path / file_of("P1")
    write_predictions(path, Predictions((1, 4), masks))
    back = read_predictions(path)
    assert back.numbers == (1, 4) and back.shape == (5, 7)
    assert all(np.array_equal(back.masks[name], mask) for name, mask in masks.items())
    whole = back.stack("new", 6)
    assert whole.dtype == np.uint8 and whole.shape == (6, 5, 7)
    assert np.array_equal(whole[4], masks["new"][1]) and not whole[[0, 2, 3, 5]].any()
    with pytest.raises(StudyError, match="compare again"):
        back.stack("new", 4)
    with pytest.raises(StudyError, match="no mask"):
        back.stack("old", 6)


def test_name_of_a_case_leads_out_of_no_folder():
    assert file_of("P1.a") == "predictions/P1.a.npz"
    for name in ("../x", "a/b", "", "ä"):
        assert "/" not in file_of(name).removeprefix("predictions/") and ".." not in file_of(name)


def test_damaged_masks_are_a_sentence(tmp_path):
    path = tmp_path / "x.npz"
    write_predictions(path, Predictions((0,), {"truth": np.ones((1, 4, 4), dtype=bool)}))
    whole = path.read_bytes()
    for torn in (b"", whole[:40], whole[: len(whole) // 2], b"PK" + whole[2:60]):
        path.write_bytes(torn)
        with pytest.raises(StudyError, match="Compare again"):
            read_predictions(path)
    np.savez(path, a=np.array([object()], dtype=object))
    with pytest.raises(StudyError, match="Compare again"):
        read_predictions(path)


# ---- of a run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_segmenter, other_segmenter, tiny_detector):
    """A run that has made a model, with two validation patients, compared once; and the library."""
    library = Library.create(tmp_path_factory.mktemp("compare") / "library")
    for n, patient in enumerate(("P1", "P2", "P3", "N1")):
        library.add(study(n), labels(n, scar=patient[0] == "P"), patient=patient)
    settings = TrainSettings(device="cpu", start_segmenter=str(other_segmenter), start_detector=str(tiny_detector), name="ward")
    run = Run.create(library.folder, settings, Split(("P1", "P2"), ("N1", "P3")), name="one")
    run.part("segmenter").mkdir()
    made = run.part("segmenter") / "ward.safetensors"
    shutil.copyfile(tiny_segmenter, made)
    made.with_suffix(".json").write_text("{}")
    compare_run(run)
    return run


@pytest.mark.slow
def test_run_is_compared_with_the_model_that_it_started_from(finished, other_segmenter):
    document = read_comparison(finished.comparison)
    assert (document["new"]["name"], document["used"]["name"]) == ("ward", other_segmenter.name)
    assert document["new"]["detector"] == document["used"]["detector"]
    assert sorted(row["case"] for row in document["cases"]) == ["N1", "P3"]
    rows = list(csv.DictReader(finished.comparison.with_suffix(".csv").open()))
    assert {row["case"] for row in rows} == {"N1", "P3"} and float(rows[0]["new_mass_g"]) >= 0
    with Image.open(finished.comparison.with_suffix(".png")) as picture:
        assert picture.width > 400
    for row in document["cases"]:
        masks = read_predictions(finished.folder / row["masks"])
        assert masks.stack("new", 4).shape == (4, 40, 48)
        assert int(masks.masks["truth"][row["worst"]["slice"]].sum()) == row["worst"]["truth_px"]


@pytest.mark.slow
def test_another_model_to_compare_with_can_be_chosen(finished, tiny_segmenter, tiny_detector):
    arguments = {"run": str(finished.folder), "used": str(tiny_segmenter), "used_detector": str(tiny_detector)}
    document = background_work.compare(**arguments, progress=no_progress, cancel=CancelToken())
    assert document["verdict"]["word"] == "same" and document == read_comparison(finished.comparison)
    compare_run(finished)


def test_cancelled_comparison_leaves_the_earlier_one(finished):
    before = {p: p.read_bytes() for p in finished.folder.glob("comparison.*")}
    masks = sorted((finished.folder / "predictions").iterdir())
    token = CancelToken()

    def stop(done, total, message):
        if "evaluating" in message and done >= total // 2:
            token.cancel()

    with pytest.raises(Cancelled):
        compare_run(finished, stop, token)
    assert {p: p.read_bytes() for p in finished.folder.glob("comparison.*")} == before
    assert sorted((finished.folder / "predictions").iterdir()) == masks
    assert not list(finished.folder.glob(".comparing-*"))


def test_full_disk_leaves_the_earlier_one(finished, monkeypatch):
    from MyoScarSegLib.errors import OutputError

    before = finished.comparison.read_bytes()

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(comparison_files, "write_predictions", full)
    with pytest.raises(OutputError, match="No space left"):
        compare_run(finished)
    assert finished.comparison.read_bytes() == before and not list(finished.folder.glob(".comparing-*"))
    assert read_predictions(finished.folder / "predictions" / "P3.npz").numbers


def test_run_without_model_or_validation_patients_is_a_sentence(finished, tmp_path):
    library = finished.folder.parent.parent
    empty = Run.create(library, finished.settings, Split(("P1",), ("P3",)), name="empty")
    with pytest.raises(StudyError, match="made no model"):
        compare_run(empty)
    alone = Run.create(library, finished.settings, Split(("P1", "P2"), ()), name="alone")
    shutil.copytree(finished.part("segmenter"), alone.part("segmenter"))
    with pytest.raises(StudyError, match="no validation patients"):
        compare_run(alone)


@pytest.mark.parametrize("text", ["", "{}", '{"version": 9, "figures": [], "cases": [], "verdict": {}, "new": {}, "used": {}}'])
def test_damaged_comparison_is_a_sentence(tmp_path, text):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(StudyError):
        read_comparison(tmp_path / "comparison.json")
