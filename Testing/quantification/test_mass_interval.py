"""The interval of a scar mass on numbers done by hand, and what a result says of it."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.quantification.burden import mass_of_pixels_g, scar_burden
from MyoScarSegLib.quantification.mass_interval import MassError, MassInterval, mass_interval, uncertain_pixels
from MyoScarSegLib.result import MASS_ERROR, Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study

EVEN = Geometry((1.5, 2.0, 8.0))
POSITIONS = np.array([0.0, 10.0, 30.0, 36.0])
UNEVEN = Geometry((1.0, 1.0, 10.0), slice_positions_mm=POSITIONS, slice_origins_mm=np.outer(POSITIONS, [0.0, 0.0, 1.0]))


def uncertain_mass_g(probability: np.ndarray, geometry: Geometry) -> float | None:
    return mass_of_pixels_g([uncertain_pixels(one) for one in probability], geometry)


@pytest.mark.parametrize("geometry", [EVEN, UNEVEN])
def test_where_all_is_even_odds_the_uncertain_mass_is_that_of_the_volume(geometry):
    half = np.full((4, 20, 20), 0.5, dtype=np.float32)
    assert uncertain_mass_g(half, geometry) == pytest.approx(scar_burden(half > 0, geometry).mass_g)


def test_what_is_certain_has_no_uncertain_mass_and_what_is_nearly_so_has_little():
    probability = np.zeros((3, 10, 10), dtype=np.float32)
    probability[1] = 1
    assert uncertain_mass_g(probability, EVEN) == 0
    probability[1, 0] = 0.9  # ten pixels of 3 mm2 and 8 mm, each worth 4 * 0.9 * 0.1
    assert uncertain_mass_g(probability, EVEN) == pytest.approx(10 * 0.36 * 3 * 8 / 1000 * 1.05)
    assert uncertain_mass_g(probability, Geometry(None)) is None


def test_interval_is_an_offset_and_a_share_of_what_is_uncertain():
    assert mass_interval(20.0, 10.0, MassError(2.0, 0.3)) == MassInterval(15.0, 25.0, False)
    assert mass_interval(1.0, 10.0, MassError(2.0, 0.3)).low_g == 0, "no mass is below nothing"
    assert mass_interval(20.0, 10.0, MassError()) is None
    assert mass_interval(None, None, MassError(2.0, 0.3)) is None


def test_mass_is_doubtful_from_a_share_that_is_uncertain():
    error = MassError(2.0, 0.3, doubtful=0.5)
    assert mass_interval(20.0, 10.1, error).doubtful
    assert not mass_interval(20.0, 9.9, error).doubtful
    assert not mass_interval(0.1, 0.4, error).doubtful, "below a gram the share says nothing"
    assert mass_interval(0.0, 0.6, error).doubtful


def test_ends_are_as_exact_as_an_interval_is():
    assert MassInterval(33.4, 44.6, False).ends == ("33", "45")
    assert MassInterval(0.0, 2.345, False).ends == ("0.0", "2.3")


def test_error_goes_through_text_and_back():
    for error in (MassError(2.5, 0.31, 0.75), MassError(0.125, 0.0, 0.0), MassError(0.0, 1.5, 3.0)):
        assert MassError.of_text(error.text()) == error
    assert MassError.of_text("") == MassError()
    assert not MassError().known


@pytest.mark.parametrize("text", ["unknown", "1 2", "1 2 3 4", "1 2 nan", "1 inf 2", "-1 2 3", "1 2 3; 1 2 4"])
def test_damaged_text_is_refused(text):
    with pytest.raises(MyoScarSegError, match="does not say"):
        MassError.of_text(text)


def test_of_several_errors_each_number_is_the_most_careful_and_one_unknown_makes_all_unknown():
    one, other = MassError(1.0, 0.5, 0.8), MassError(3.0, 0.2, 0.4)
    assert MassError.widest([one, other]) == MassError(3.0, 0.5, 0.4)
    assert MassError.widest([one, MassError(3.0)]).doubtful == 0.8
    assert MassError.widest([one, MassError()]) == MassError.widest([]) == MassError()


def result_of(provenance: dict[str, str], **fields: object) -> Result:
    probability = np.zeros((3, 10, 10), dtype=np.float32)
    probability[1, :5] = 0.5
    probability[2, :5] = 0.75
    study = Study("case", np.zeros(probability.shape, dtype=np.float32), EVEN, Reconstruction.MAGNITUDE)
    return Result(study, probability, 0.5, provenance=provenance, **fields)


def test_slices_that_the_user_painted_are_certain():
    drawn = result_of({}).mask
    both = result_of({MASS_ERROR: "0.2 0.5 1"}, drawn=drawn, painted=(1, 2)).mass_interval
    assert both.high_g - both.low_g == pytest.approx(0.4)
    one = result_of({MASS_ERROR: "0.2 0.5 1"}, drawn=drawn, painted=(1,))
    assert one.mass_interval.high_g - one.mass_interval.low_g > 0.5
    assert one.with_threshold(0.4).mass_interval == result_of({MASS_ERROR: "0.2 0.5 1"}).mass_interval
