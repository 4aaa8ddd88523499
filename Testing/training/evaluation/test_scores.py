"""Scores of cases and figures over patients, with numbers known in advance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.training.evaluation.evaluation_files import read_evaluation, text_of, write_comparison, write_evaluation
from MyoScarSegLib.training.evaluation.scores import THRESHOLDS, CaseScore, Grid, LesionCounts, score_case
from MyoScarSegLib.training.evaluation.summary import Evaluation, summarize

SHAPE = (4, 40, 40)
GEOMETRY = Geometry((2.0, 1.0, 10.0))  # a pixel is 2 mm², a voxel 0.02 mL or 0.021 g
GRAM = 0.021


def square(slice_index: int, low: int, high: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[slice_index, low:high, low:high] = True
    return mask


def scored(predicted: np.ndarray, truth: np.ndarray, case: str = "a", **more) -> CaseScore:
    return score_case(predicted, truth, Grid.of(GEOMETRY, len(truth)), case=case, **more)


def test_a_case_has_the_mass_the_shares_and_the_false_scar_that_it_should():
    truth = square(1, 10, 20)
    predicted = square(1, 10, 18) | square(3, 0, 5)
    wall = square(1, 5, 25)
    score = scored(predicted, truth, wall=wall)
    assert (score.slices, score.scar_slices, score.scar_free_slices, score.false_slices) == (4, 1, 3, 1)
    assert score.truth_mass_g == pytest.approx(100 * GRAM)
    assert score.predicted_mass_g == pytest.approx((64 + 25) * GRAM)
    assert score.mass_error_g == pytest.approx(-11 * GRAM)
    assert score.volume_error_ml == pytest.approx(-11 * 0.02)
    assert score.wall_mass_g == pytest.approx(400 * GRAM)
    assert (score.truth_share, score.predicted_share) == (pytest.approx(0.25), pytest.approx(89 / 400))
    assert score.false_area_mm2 == pytest.approx(50.0)
    assert score.false_mass_g == pytest.approx(25 * GRAM)
    assert score.dice_3d == pytest.approx(2 * 64 / 189)
    assert score.dice_2d == pytest.approx(2 * 64 / 164)  # of the one slice with scar
    assert [s.dice for s in score.by_slice] == [1.0, pytest.approx(2 * 64 / 164), 1.0, 0.0]


def test_masses_are_those_of_the_burden_also_where_slices_are_unevenly_spaced():
    positions = np.array([0.0, 8.0, 20.0, 30.0])
    geometry = Geometry((1.3, 1.5, 10.0), slice_positions_mm=positions, slice_origins_mm=np.zeros((4, 3)))
    truth, predicted = square(1, 3, 9), square(2, 3, 20) | square(0, 1, 4)
    score = score_case(predicted, truth, Grid.of(geometry, 4), case="a")
    assert score.truth_mass_g == pytest.approx(scar_burden(truth, geometry).mass_g)
    assert score.predicted_mass_g == pytest.approx(scar_burden(predicted, geometry).mass_g)
    assert sum(s.predicted_mass_g for s in score.by_slice) == pytest.approx(score.predicted_mass_g)


def test_without_spacing_there_is_dice_and_share_but_neither_millimeters_nor_grams():
    score = score_case(square(1, 10, 18), square(1, 10, 20), Grid.of(Geometry(None), 4), case="a", wall=square(1, 5, 25))
    assert score.dice_3d > 0.7
    assert score.truth_share == pytest.approx(0.25)
    assert score.truth_mass_g is score.mass_error_g is score.hd95_3d_mm is score.false_area_mm2 is None
    figures = summarize([score])
    assert figures["dice_mean"] > 0.7
    assert figures["mass_bias_g"] is figures["hd95_3d_mm_mean"] is figures["scar_free_patients_at_most_1_g"] is None


def test_distances_are_those_of_the_borders_in_each_slice_and_through_the_stack():
    truth = square(1, 5, 10) | square(2, 5, 10)
    predicted = np.zeros(SHAPE, dtype=bool)
    predicted[1, 5:10, 7:12] = True
    score = scored(predicted, truth)
    assert score.dice_3d == pytest.approx(2 * 15 / 75)
    assert score.hd95_2d_mm == pytest.approx(2 * 2.0)
    assert score.hd95_3d_mm == pytest.approx(np.hypot(10, 2 * 2.0))  # the slice that is missed
    empty = scored(np.zeros(SHAPE, dtype=bool), truth)
    assert (empty.dice_3d, empty.hd95_3d_mm) == (0.0, None)


def test_masks_of_another_shape_are_refused_with_the_cases_name():
    with pytest.raises(StudyError, match=r"case-7: the predicted mask has the shape \(3, 40, 40\)"):
        scored(np.zeros((3, 40, 40), dtype=bool), square(1, 1, 2), case="case-7")


def test_the_threshold_curve_counts_at_each_probability():
    truth = square(1, 10, 20)
    probability = np.where(truth, 0.62, 0.0).astype(np.float32)
    probability[1, 10:20, 20:30] = 0.33
    score = scored(probability >= 0.5, truth, probability=probability)
    curve = summarize([score])["dice_by_threshold"]
    by_threshold = dict(zip(curve["threshold"], curve["dice_mean"], strict=True))
    assert by_threshold[0.3] == pytest.approx(2 / 3, abs=1e-4)
    assert by_threshold[0.35] == by_threshold[0.6] == 1.0
    assert by_threshold[0.65] == 0.0
    assert curve["threshold"] == list(THRESHOLDS)
    assert "dice_by_threshold" not in summarize([scored(truth, truth)])


@pytest.fixture(scope="module")
def cases() -> list[CaseScore]:
    """Two patients with scar (one half right, one missed), one of them twice, and three without (one with false scar)."""
    truth, none = square(1, 10, 30), np.zeros(SHAPE, dtype=bool)
    return [
        scored(square(1, 10, 20), truth, "p1-before", patient="p1"),
        scored(truth, truth, "p1-after", patient="p1"),
        scored(none, truth, "p2"),
        scored(none, none, "n1"),
        scored(none, none, "n2"),
        scored(square(2, 0, 10) | square(0, 0, 10), none, "n3"),
    ]


def test_patients_and_not_cases_are_averaged(cases):
    figures = summarize(cases)
    half = 2 * 100 / 500
    assert (figures["patients"], figures["scar_free_patients"]) == (2, 3)
    assert figures["per_patient_dice"] == {"p1": pytest.approx((1 + half) / 2), "p2": 0.0}
    assert figures["dice_mean"] == pytest.approx((1 + half) / 4)
    assert figures["patients_with_nothing_predicted"] == 1
    assert figures["dice_interval_95"] == [0.0, pytest.approx((1 + half) / 2)]


def test_mass_bias_is_over_patients_with_scar(cases):
    figures = summarize(cases)
    assert figures["mass_bias_percent"] == pytest.approx(100 * (-300 - 400) / 1200, rel=1e-4)
    assert figures["mass_bias_g"] == pytest.approx(-350 * GRAM, rel=1e-4)
    errors = np.array([-300.0, 0.0, -400.0]) * GRAM
    low, high = figures["mass_limits_of_agreement_g"]
    assert (low + high) / 2 == pytest.approx(errors.mean(), rel=1e-3)
    assert (high - low) / 2 == pytest.approx(1.96 * errors.std(ddof=1), rel=1e-3)


def test_masses_correlate_by_pearsons_r_and_their_bias_is_of_the_sums():
    sizes = [(10, 12), (20, 21), (15, 13), (8, 8)]
    scores = [scored(square(1, 0, p), square(1, 0, t), f"p{t}") for t, p in sizes]
    truth, predicted = np.array(sizes, dtype=float).T ** 2
    figures = summarize([*scores, scored(square(1, 0, 30), np.zeros(SHAPE, dtype=bool), "normal")])
    assert figures["mass_pearson_r"] == pytest.approx(np.corrcoef(truth, predicted)[0, 1], abs=1e-4)
    assert figures["mass_bias_percent"] == pytest.approx(100 * (predicted - truth).sum() / truth.sum(), rel=1e-4)
    spread = 1.96 * (predicted - truth).std(ddof=1) * GRAM
    middle = (predicted - truth).mean() * GRAM
    assert figures["mass_limits_of_agreement_g"] == pytest.approx([middle - spread, middle + spread], rel=1e-3)
    assert summarize(scores[:2])["mass_pearson_r"] is None
    alike = [scored(square(1, 0, 9), square(1, 0, 9), f"p{n}") for n in range(3)]
    assert summarize(alike)["mass_pearson_r"] is None


@pytest.mark.parametrize("base_first", [True, False])
def test_dice_by_position_is_pooled_over_the_slices_of_each_third(base_first):
    """Nine slices; the first is beyond the ventricle, on the last there is scar alone, the seven between hold a ring."""
    wall, truth, predicted = np.zeros((3, 9, 40, 40), dtype=bool)
    for k in range(1, 8):
        wall[k, 5:35, 5:35] = True
        wall[k, 8 + k : 32 - k, 8 + k : 32 - k] = False
    truth[1, 5:7, 10:20] = predicted[1, 5:7, 10:20] = True  # basal: 20 of 20 pixels right,
    truth[2, 5:7, 10:30] = True  # 40 missed, and 10 more on a slice without scar
    predicted[3, 5:6, 10:20] = True
    truth[8, 5:10, 5:10] = True  # apical, half right
    predicted[8, 5:10, 5:9] = True
    predicted[5, 5:10, 5:10] = True  # mid: false scar alone is no Dice of scar
    order = slice(None) if base_first else slice(None, None, -1)
    score = scored(predicted[order], truth[order], wall=wall[order])
    expected = [None, *["basal"] * 3, *["mid"] * 3, *["apical"] * 2]
    assert [s.position for s in score.by_slice] == expected[order]
    figures = summarize([score, scored(truth[order], truth[order], "scar alone was drawn")])
    assert figures["dice_basal_mean"] == pytest.approx(2 * 20 / (60 + 30), rel=1e-4)
    assert figures["dice_apical_mean"] == pytest.approx(2 * 20 / (25 + 20), rel=1e-4)
    assert figures["dice_mid_mean"] is None
    assert [figures[f"dice_{p}_patients"] for p in ("basal", "mid", "apical")] == [1, 0, 1]
    assert {s.position for s in scored(predicted, truth).by_slice} == {None}


def test_errors_of_a_patients_scans_do_not_cancel_in_mean_absolute_errors():
    truth, wall = square(1, 10, 20), square(1, 5, 35)
    much = scored(square(1, 10, 22), truth, "before", patient="p", wall=wall)
    little = scored(square(1, 10, 18), truth, "after", patient="p", wall=wall)
    other = scored(truth, truth, "q", wall=wall)
    figures = summarize([much, little, other])
    sizes = [abs(c.mass_error_g) for c in (much, little)]
    assert min(sizes) > 0 and figures["mass_mean_absolute_error_g"] == pytest.approx(np.mean(sizes) / 2, abs=1e-3)
    volumes = [abs(c.volume_error_ml) for c in (much, little)]
    assert figures["volume_mean_absolute_error_ml"] == pytest.approx(np.mean(volumes) / 2, abs=1e-3)
    shares = [100 * abs(c.share_error) for c in (much, little)]
    assert figures["share_mean_absolute_error_percent_points"] == pytest.approx(np.mean(shares) / 2, abs=1e-3)


def test_false_scar_is_counted_on_slices_and_on_patients_without(cases):
    figures = summarize(cases)
    assert figures["scar_free_slices"] == 3 * 3 + 3 * 4
    assert figures["scar_free_slices_with_false_scar"] == 2
    assert figures["false_area_mm2_per_scar_free_slice"] == pytest.approx(400 / 21, rel=1e-4)
    assert figures["per_scar_free_patient_g"] == {"n1": 0.0, "n2": 0.0, "n3": pytest.approx(200 * GRAM)}
    assert figures["scar_free_patients_at_most_1_g"] == 2
    assert figures["scar_free_patients_at_most_1_g_share"] == pytest.approx(2 / 3, rel=1e-4)


def test_emidecs_figures_are_over_all_patients_with_one_for_nothing_in_nothing(cases):
    figures = summarize(cases)["emidec"]
    assert figures["dice_3d_mean"] == pytest.approx(((0.4 + 1) / 2 + 0 + 1 + 1 + 0) / 5, rel=1e-4)
    assert figures["volume_difference_mm3_mean"] == pytest.approx((300 / 2 + 400 + 0 + 0 + 200) * 20 / 5, rel=1e-4)
    assert figures["ratio_difference_mean"] is None  # no wall was given


def test_lesions_in_2d_count_each_slice_and_in_3d_the_whole():
    truth, predicted = np.zeros((2, 3, 30, 30), dtype=bool)
    truth[0:2, 2:4, 2:6] = truth[0:2, 5:6, 2:6] = True  # one infarct through two slices, in pieces a pixel apart
    truth[2, 20:24, 20:24] = True  # another, missed
    predicted[0, 3:6, 3:6] = True  # found in one slice only
    predicted[1, 15:18, 2:6] = True  # a false one
    score = scored(predicted, truth)
    assert score.lesions_2d == LesionCounts(true=3, found=1, predicted=2, right=1)
    assert score.lesions_3d == LesionCounts(true=2, found=1, predicted=2, right=1)


def test_a_lesion_needs_a_tenth_of_its_pixels_to_be_found():
    truth, predicted = np.zeros((2, 1, 30, 30), dtype=bool)
    truth[0, 5:15, 5:15] = True
    predicted[0, 14, 5:14] = predicted[0, 15:17, 5:14] = True
    assert scored(predicted, truth).lesions_3d.found == 0  # 9 of 100
    predicted[0, 14, 14] = True
    assert scored(predicted, truth).lesions_3d.found == 1


def test_lesions_are_pooled(cases):
    figures = summarize(cases)
    assert figures["lesion_recall_3d"] == pytest.approx(2 / 3, rel=1e-4)
    assert figures["lesion_precision_3d"] == pytest.approx(2 / 4, rel=1e-4)


def test_an_evaluation_is_written_read_and_drawn(cases, tmp_path):
    from PIL import Image

    evaluation = Evaluation({"end_to_end": tuple(cases)}, failures={"x": "why"}, notes=("a note",))
    (tmp_path / "clicks.png").write_bytes(b"of an earlier evaluation")
    document = write_evaluation(tmp_path, evaluation, name="model one")
    assert read_evaluation(tmp_path) == json.loads((tmp_path / "evaluation.json").read_text()) == document
    assert document["failures"] == {"x": "why"}
    assert (tmp_path / "evaluation.csv").read_text().count("\n") == 1 + len(cases)
    assert (tmp_path / "slices.csv").read_text().count("\n") == 1 + 4 * len(cases)
    for name in ("dice.png", "bland_altman.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300
            assert len(np.unique(np.asarray(picture))) > 20
    assert not (tmp_path / "clicks.png").exists()
    text = text_of(document)
    assert "end to end" in text
    assert "0.350 (0.00 to 0.70)" in text
    assert "2 of 21" in text and "2 of 3" in text
    assert "limits of agreement" in text and "-13.5 to +3.7 g" in text
    assert "0.540" in text, "the challenge's convention"


def test_models_are_compared_on_the_patients_that_both_have(tmp_path):
    truth = [square(1, 10, 30) for _ in range(4)]
    worse = [scored(square(1, 10, 20 + n), t, f"p{n}") for n, t in enumerate(truth)]
    better = [scored(square(1, 10, 24 + n), t, f"p{n}") for n, t in enumerate(truth)][:3]
    documents = [Evaluation({"oracle": tuple(c)}).document(name) for name, c in (("old", worse), ("new", better))]
    comparison, text = write_comparison(tmp_path, documents)
    (one,) = comparison["differences"]
    expected = np.mean([b.dice_3d - a.dice_3d for a, b in zip(worse, better, strict=False)])
    assert (one["model"], one["against"], one["patients"]) == ("new", "old", 3)
    assert one["dice_difference"] == pytest.approx(expected, abs=1e-4)
    assert one["dice_difference_interval_95"][0] > 0
    assert "| new | reference box |" in text
    assert (tmp_path / "comparison.png").stat().st_size > 5000
    assert (tmp_path / "comparison.md").read_text() == text


def test_what_is_no_evaluation_is_refused(tmp_path):
    (tmp_path / "evaluation.json").write_text('{"version": 1}')
    with pytest.raises(MyoScarSegError, match="is no evaluation"):
        read_evaluation(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"version": 99, "settings": {}}')
    with pytest.raises(MyoScarSegError, match="version 99"):
        read_evaluation(tmp_path)


def test_nothing_scored_still_has_figures():
    figures = summarize([])
    assert figures["dice_mean"] is None
    assert figures["patients"] == figures["scar_free_patients"] == 0
    json.dumps(figures, allow_nan=False)
    assert text_of(Evaluation({"masks": ()}).document()) == "No case could be evaluated.\n"
