"""Agreement of readings, against published values and simulated readers."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.agreement import agreement, bland_altman, icc

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def test_icc_is_that_of_shrout_and_fleiss():
    found = icc(SHROUT_FLEISS)
    assert (found.cases, found.readers) == (6, 4)
    assert found.agreement == pytest.approx(0.290, abs=5e-4)
    assert found.consistency == pytest.approx(0.715, abs=5e-4)
    # As psych and pingouin have them.
    assert found.agreement_interval == pytest.approx((0.019, 0.761), abs=1e-3)
    assert found.consistency_interval == pytest.approx((0.342, 0.946), abs=1e-3)
    assert found.words == "poor to good"


def test_icc_knows_perfect_readers_biased_ones_and_no_patients():
    same = np.repeat(np.arange(12.0)[:, None], 2, axis=1)
    perfect = icc(same)
    assert (perfect.agreement, perfect.agreement_interval, perfect.words) == (1.0, (1.0, 1.0), "excellent")
    biased = icc(same + np.array([0, 3]))
    assert biased.consistency == pytest.approx(1) and 0.6 < biased.agreement < 0.8
    assert biased.agreement_interval[0] < biased.agreement < biased.agreement_interval[1] <= 1
    assert icc(same[:2]) is None
    assert icc(np.full((12, 2), 4.0)) is None
    with pytest.raises(StudyError, match="two readers"):
        icc(same[:, :1])


def test_the_interval_of_the_icc_holds_the_true_one_as_often_as_it_says():
    draw = np.random.default_rng(0)
    # Variances of patients, readers and rest: a true ICC of 9 / (9 + 0.5 + 2).
    inside = 0
    for _ in range(300):
        x = draw.normal(0, 3, (30, 1)) + draw.normal(0, 0.5**0.5, (1, 3)) + draw.normal(0, 2**0.5, (30, 3))
        low, high = icc(x).agreement_interval
        inside += low <= 9 / 11.5 <= high
    assert 0.91 <= inside / 300 <= 0.99


def test_bland_altman_of_numbers_worked_out_by_hand():
    a = np.arange(10.0)
    b = a + np.array([1, 3] * 5)
    found = bland_altman(a, b)
    sd = np.sqrt(10 / 9)
    assert found.bias == 2 and found.sd == pytest.approx(sd)
    assert found.limits == pytest.approx((2 - 1.96 * sd, 2 + 1.96 * sd))
    assert found.limits_error == pytest.approx(np.sqrt(0.3) * sd)
    assert found.bias_interval == pytest.approx((2 - 2.2622 * sd / 10**0.5, 2 + 2.2622 * sd / 10**0.5), abs=1e-4)
    assert not found.proportional and found.limits_at(100.0) == found.limits and not found.why


def test_a_bias_that_grows_with_the_size_has_slanted_limits():
    stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(1)
    a = draw.uniform(0, 60, 40)
    b = 1.2 * a + draw.normal(0, 1.5, 40)
    found = bland_altman(a, b)
    theirs = stats.linregress((a + b) / 2, b - a)
    assert found.proportional
    assert (found.slope, found.intercept) == pytest.approx((theirs.slope, theirs.intercept))
    assert found.slope_p == pytest.approx(theirs.pvalue, rel=1e-6)
    low, high = found.limits_at(50.0)
    assert (low + high) / 2 == pytest.approx(found.intercept + 50 * found.slope)
    assert high - low < found.limits[1] - found.limits[0]


def test_scatter_that_grows_with_the_size_is_seen():
    draw = np.random.default_rng(2)
    a = draw.uniform(1, 60, 60)
    found = bland_altman(a, a + draw.normal(0, 1, 60) * a / 10)
    assert found.spread_slope > 0 and found.spread_p < 0.01
    assert bland_altman(a, a + draw.normal(0, 1, 60)).spread_p > 0.05


def test_readings_that_differ_by_a_constant_have_no_slope():
    found = bland_altman(np.arange(12) * 1.1, np.arange(12) * 1.1 + 0.3)
    assert found.slope_p == 1.0 and not found.proportional
    assert found.limits == pytest.approx((0.3, 0.3))


def test_fewer_than_ten_patients_have_a_bias_and_no_limits():
    found = bland_altman(np.arange(9.0), np.arange(9.0) + 1)
    assert found.bias == 1 and found.limits is None and found.limits_at(3.0) is None
    assert found.why == "9 cases; limits of agreement need 10"
    assert bland_altman([1.0], [3.0]).bias_interval is None


def test_variation_and_repeatability_of_paired_readings():
    found = agreement([10.0, 20, 30], [12.0, 20, 27])
    within = np.sqrt((4 + 0 + 9) / 6)
    assert found.within_sd == pytest.approx(within)
    assert found.cv_percent == pytest.approx(100 * within / (119 / 6))
    assert found.repeatability == pytest.approx(2.77 * within)
    assert agreement([0.0, 0], [0.0, 0]).cv_percent is None


@pytest.mark.parametrize(
    ("a", "b", "why"), [([], [], "same cases"), ([1.0], [1.0, 2.0], "same cases"), ([np.nan], [1.0], "finite")]
)
def test_readings_that_are_no_pairs_are_refused(a, b, why):
    with pytest.raises(StudyError, match=why):
        agreement(a, b)
