"""Intervals by drawing patients anew, and paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.training.evaluation import statistics
from MyoScarSegLib.training.evaluation.statistics import interval, paired, ratio


def test_intervals_cover_the_truth_about_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 400)
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        low, high = interval(generator.normal(0.7, 0.1, 40))
        hits += low <= 0.7 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_intervals_repeat_and_need_two_patients():
    values = np.random.default_rng(1).random(12)
    assert interval(values) == interval(list(values))
    assert interval(values[:1]) is None
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_a_ratio_weighs_patients_by_their_size():
    table = np.array([[1, 2], [30, 40]])
    assert ratio(table) == pytest.approx(31 / 42)
    low, high = interval(table, ratio)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.75))
    # Draws of nothing but patients without a whole say nothing about the ratio.
    assert interval([[0, 0], [1, 2], [1, 2]], ratio) == (0.5, 0.5)


def test_a_paired_difference_is_surer_than_two_intervals():
    generator = np.random.default_rng(2)
    first = generator.uniform(0.3, 0.9, 20)
    found = paired(first + generator.normal(0.02, 0.005, 20), first)
    mean, (low, high) = found.difference, found.interval_95
    assert mean == pytest.approx(0.02, abs=0.005)
    assert 0 < low < mean < high
    assert high - low < 0.1 * (interval(first)[1] - interval(first)[0])
