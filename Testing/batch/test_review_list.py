"""Reviewing a cohort: shared by readers with leases, or double and blind; what a reader says is kept beside the record."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.job import Job
from MyoScarSegLib.batch.review_list import ReviewList, reader_agreements
from MyoScarSegLib.batch.reviews import basis_sha256, mask_file, read_reviews
from MyoScarSegLib.batch.runner import segment_all
from MyoScarSegLib.batch.table import cohort_rows
from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.outputs.edited import Edited, Marks
from MyoScarSegLib.study import read_mask, read_study
from Testing.support.quick_pipeline import Quick, small_study

CASES = ["P0", "P1", "P2"]


@pytest.fixture
def inputs(tmp_path):
    return [small_study(tmp_path / f"{case}.nrrd", n) for n, case in enumerate(CASES)]


@pytest.fixture
def cohort(tmp_path, inputs, monkeypatch) -> Cohort:
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda folder, *_: folder.write_bytes(b"png"))
    segment_all(Job(inputs, tmp_path / "out", cohort=True), Quick())
    return Cohort(tmp_path / "out")


def verdicts(readers_list: ReviewList) -> list[str]:
    return [entry.verdict for entry in readers_list.entries()]


def test_a_reader_goes_through_all_and_finds_them_again(cohort):
    ann = ReviewList(cohort, "ann")
    assert [(entry.case, entry.verdict) for entry in ann.entries()] == [(case, "") for case in CASES]
    assert ann.entries()[0].mass_g > 0
    ann.open("P0")
    ann.give("P0", "accept")
    assert ann.next("P0") == "P1" and ann.next("P0", back=True) == "P2"
    ann.give("P2", "reject", comment="motion")
    assert ann.next("P2") == "P1"
    ann.give("P1", "accept")
    assert ann.next("P1") is None
    assert verdicts(ReviewList(cohort, "ann")) == ["accept", "accept", "reject"]
    assert read_reviews(cohort.out / "P2")[0].comment == "motion"


def test_shared_a_study_that_is_open_is_not_given_to_another_until_the_lease_expires(cohort):
    ann, bob = ReviewList(cohort, "ann"), ReviewList(cohort, "bob")
    ann.open("P0", lease_s=60)
    assert bob.next() == "P1" and bob.entries()[0].open_by == "ann"
    with pytest.raises(OutputError, match="ann"):
        bob.open("P0")
    ann.open("P0", lease_s=-1)
    assert bob.next() == "P0"
    bob.open("P0")
    bob.give("P0", "accept")
    with pytest.raises(OutputError, match="reviewed by bob"):
        ann.give("P0", "reject")
    assert [review.reader for review in read_reviews(cohort.out / "P0")] == ["bob"]


def test_a_study_that_is_closed_without_a_word_is_free_at_once(cohort):
    ann, bob = ReviewList(cohort, "ann"), ReviewList(cohort, "bob")
    ann.open("P0")
    bob.close("P0")
    assert bob.next() == "P1", "only who opened it gives it back"
    ann.close("P0")
    assert bob.next() == "P0"


def test_an_edit_is_kept_with_its_mass_and_replaced_by_a_later_word(cohort, inputs):
    ann, study = ReviewList(cohort, "ann"), read_study(inputs[0])
    mask = np.zeros(study.voxels.shape, bool)
    mask[1, 2:5, 2:4] = True
    review = ann.give("P0", "edit", edited=Edited(study, mask))
    assert review.mass_g == pytest.approx(6 * 1.5 * 1.25 * 10 * 1.05e-3)
    assert np.array_equal(ann.left_of("P0", study).infarct, mask)
    assert ann.entry("P0").mass_g == review.mass_g, "the list shows what the reader left"
    ann.give("P0", "accept")
    assert ann.entry("P0").mass_g != review.mass_g
    assert ann.left_of("P0", study) is None and len(read_reviews(cohort.out / "P0")) == 1
    for wrong in ({"verdict": "edit"}, {"verdict": "accept", "edited": Edited(study, mask)}):
        with pytest.raises(OutputError):
            ann.give("P0", **wrong)


def test_no_reflow_counts_in_the_readers_mass_and_mask(cohort, inputs):
    ann, study = ReviewList(cohort, "ann"), read_study(inputs[0])
    scar, no_reflow = np.zeros((2, *study.voxels.shape), bool)
    scar[1, 2:5, 2:4] = no_reflow[1, 4:6, 2:4] = True
    review = ann.give("P0", "edit", edited=Edited(study, scar, no_reflow=no_reflow))
    pixels = np.count_nonzero(scar | no_reflow)
    assert pixels == 8 and review.mass_g == pytest.approx(pixels * 1.5 * 1.25 * 10 * 1.05e-3)
    assert ann.entry("P0").mass_g == review.mass_g and cohort_rows(cohort)[0]["review_mass_g"] == review.mass_g
    left = ann.left_of("P0", study)
    assert np.array_equal(left.infarct, scar | no_reflow)
    assert np.array_equal(left.scar, scar) and np.array_equal(left.no_reflow, no_reflow) and left.remote is None


def test_an_edited_mask_that_is_gone_is_said_and_not_replaced_by_the_programs(cohort, inputs):
    ann, study = ReviewList(cohort, "ann"), read_study(inputs[0])
    ann.give("P0", "edit", edited=Edited(study, np.zeros(study.voxels.shape, bool)))
    mask_file(cohort.out / "P0", "ann").unlink()
    with pytest.raises(StudyError, match="is gone, which ann left"):
        ann.left_of("P0", study)


def test_a_damaged_review_is_said_to_its_reader_and_his_mask_not_replaced_by_the_programs(cohort, inputs):
    ann, study = ReviewList(cohort, "ann"), read_study(inputs[0])
    ann.give("P0", "edit", edited=Edited(study, np.zeros(study.voxels.shape, bool)))
    (cohort.out / "P0/review-ann.json").write_text("{")
    with pytest.raises(StudyError, match=r"ann said of the study is damaged: .*review-ann.json.*review the study anew"):
        ann.left_of("P0", study)
    assert ReviewList(cohort, "bob").left_of("P0", study) is None


def test_a_review_of_before_without_marks_is_read(cohort, inputs):
    ann, study = ReviewList(cohort, "ann"), read_study(inputs[0])
    scar = np.zeros(study.voxels.shape, bool)
    scar[0, 2:5, 2:4] = True
    ann.give("P0", "edit", edited=Edited(study, scar))
    file = cohort.out / "P0/review-ann.json"
    document = json.loads(file.read_text())
    del document["marks"]
    file.write_text(json.dumps(document))
    left = ann.left_of("P0", study)
    assert np.array_equal(left.scar, scar) and left.marks is None and ann.entry("P0").verdict == "edit"


def test_a_disk_that_is_full_leaves_the_word_and_the_masks_of_before(cohort, inputs, monkeypatch):
    ann, study = ReviewList(cohort, "ann"), read_study(inputs[0])
    before, after = np.zeros((2, *study.voxels.shape), bool)
    before[0, 2:5, 2:4] = after[1, 2:5, 2:4] = True
    first = ann.give("P0", "edit", edited=Edited(study, before))

    def full(*_args, **_more):
        raise OutputError("The disk is full.")

    monkeypatch.setattr("MyoScarSegLib.outputs.edited.write_layers", full)
    with pytest.raises(OutputError, match="full"):
        ann.give("P0", "edit", edited=Edited(study, after, remote=before, marks=Marks(levels={0: "base"})))
    assert read_reviews(cohort.out / "P0") == [first] and np.array_equal(ann.left_of("P0", study).infarct, before)
    assert sorted(file.name for file in (cohort.out / "P0").glob("*review*")) == ["review-ann.json", "review-ann.nii.gz"]
    assert not list((cohort.out / "P0").glob(".writing-*"))


def test_double_readers_are_blind_to_each_other_and_their_agreement_is_told(cohort, inputs):
    ann, bob = ReviewList(cohort, "ann", "double"), ReviewList(cohort, "bob", "double")
    for case in CASES:
        ann.open(case)
        ann.give(case, "accept")
    assert verdicts(bob) == ["", "", ""] and bob.next() == "P0"
    study = read_study(inputs[1])
    smaller = read_mask(cohort.out / "P1/scar.nii.gz", study)
    smaller[0] = False
    bob.give("P0", "accept")
    bob.give("P1", "edit", edited=Edited(study, smaller))
    bob.give("P2", "reject")
    found = reader_agreements(cohort)
    assert [(one.readers, one.cases) for one in found] == [(("ann", "bob"), 3)]
    assert found[0].same_verdict == pytest.approx(1 / 3)
    half = ann.entries()[1].mass_g / 2
    assert found[0].mass.bland_altman.bias == pytest.approx(-half / 2), "of the two that neither rejected"


def test_double_a_cohort_that_may_only_be_read_is_looked_through(cohort):
    ann = ReviewList(cohort, "ann", "double")
    (cohort.out / ".leases").write_text("as in a folder that may only be read")
    ann.open("P0")
    ann.close("P0")
    assert ann.next("P0") == "P1"
    with pytest.raises(OutputError, match="Cannot write"):
        ann.give("P0", "accept")


def test_a_study_that_was_run_again_waits_for_review_again(cohort, inputs):
    ann = ReviewList(cohort, "ann")
    ann.give("P0", "accept")
    segment_all(Job(inputs, cohort.out, cohort=True, resume=True), Quick())
    assert verdicts(ann)[0] == "accept", "nothing changed"
    segment_all(Job(inputs, cohort.out, cohort=True, resume=True, threshold=0.7), Quick())
    assert verdicts(ann)[0] == "" and len(read_reviews(cohort.out / "P0")) == 1
    assert cohort_rows(cohort)[0]["reviewed"] is None and cohort_rows(cohort)[0]["review_mass_g"] is None
    segment_all(Job(inputs, cohort.out, cohort=True, resume=True), Quick(models="b"))
    assert verdicts(ann)[0] == ""


def test_a_damaged_review_is_none_and_costs_the_others_nothing(cohort):
    ann, bob = ReviewList(cohort, "ann", "double"), ReviewList(cohort, "bob", "double")
    ann.give("P0", "accept")
    bob.give("P0", "reject")
    (cohort.out / "P0/review-ann.json").write_text("{")
    assert verdicts(ann)[0] == "" and verdicts(bob)[0] == "reject"


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 50, "ann-wall"])
def test_names_of_readers_are_fit_for_files(cohort, name):
    with pytest.raises(OutputError, match="name"):
        ReviewList(cohort, name)


def test_a_verdict_or_mode_that_is_none_is_refused_and_an_edit_stays(cohort, inputs):
    ann = ReviewList(cohort, "ann", "double")
    study = read_study(inputs[0])
    ann.give("P0", "edit", edited=Edited(study, read_mask(cohort.out / "P0/scar.nii.gz", study)))
    with pytest.raises(OutputError, match="verdict must be one of accept, edit, reject, not 'accepted'"):
        ann.give("P0", "accepted")
    assert ann.left_of("P0", study) is not None and verdicts(ann)[0] == "edit"
    with pytest.raises(OutputError, match="mode must be shared or double, not 'Double'"):
        ReviewList(cohort, "ann", "Double")


def test_a_word_on_a_result_that_was_replaced_meanwhile_is_refused(cohort, inputs):
    ann = ReviewList(cohort, "ann")
    looked_at = basis_sha256(ann.open("P0"))
    segment_all(Job(inputs, cohort.out, cohort=True, resume=True), Quick(models="b"))
    with pytest.raises(OutputError, match="run again"):
        ann.give("P0", "accept", basis=looked_at)
    assert read_reviews(cohort.out / "P0") == []
