"""Two Gaussian curves, against known ones and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.mixture import Mixture, fit_mixture


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    draw = np.random.default_rng(5)
    return np.concatenate([draw.normal(100, 12, 3000), draw.normal(170, 25, 1000)])


def test_known_curves_are_found_again(values):
    found = fit_mixture(values, 140)
    assert found.weights == pytest.approx((0.75, 0.25), abs=0.02)
    assert found.means == pytest.approx((100, 170), abs=3)
    assert found.deviations == pytest.approx((12, 25), rel=0.08)
    assert not found.refusal


def test_the_fit_is_scikit_learns(values):
    mixture = pytest.importorskip("sklearn.mixture")
    found = fit_mixture(values, 140)
    low, high = values[values < 140], values[values >= 140]
    theirs = mixture.GaussianMixture(
        2, tol=1e-6, reg_covar=0, max_iter=1000,
        weights_init=[low.size / values.size, high.size / values.size],
        means_init=[[low.mean()], [high.mean()]],
        precisions_init=[[[1 / low.var()]], [[1 / high.var()]]],
    ).fit(values[:, None])  # fmt: skip
    assert found.weights == pytest.approx(theirs.weights_, abs=1e-3)
    assert found.means == pytest.approx(theirs.means_.ravel(), rel=1e-3)
    assert found.deviations == pytest.approx(np.sqrt(theirs.covariances_.ravel()), rel=1e-3)


@pytest.mark.parametrize("deviations", [(12.0, 25.0), (12.0, 12.0)])
def test_weighted_densities_are_equal_where_the_curves_cross(deviations):
    weights, means = (0.75, 0.25), (100.0, 170.0)
    crossing = Mixture(weights, means, deviations, True).crossing
    one, other = (w / s * np.exp(-((crossing - m) ** 2) / (2 * s**2)) for w, m, s in zip(weights, means, deviations, strict=True))
    assert 100 < crossing < 170
    assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize(
    ("mixture", "why"),
    [
        (Mixture((0.995, 0.005), (100, 200), (10, 10), True), "holds 0.5% of the wall"),
        (Mixture((0.6, 0.4), (100, 115), (10, 30), True), "1.5 SD of the lower one apart"),
        (Mixture((0.6, 0.4), (100, 200), (10, 10), False), "did not come to rest"),
        (Mixture((0.02, 0.98), (100, 122), (10, 100), True), "do not cross"),
    ],
)
def test_curves_that_part_nothing_are_refused(mixture, why):
    assert why in mixture.refusal


def test_one_kind_of_values_cannot_be_fitted():
    with pytest.raises(StudyError, match="two kinds"):
        fit_mixture(np.full(50, 3.0), 3.0)
    with pytest.raises(StudyError, match="20 values"):
        fit_mixture(np.arange(8), 4)
