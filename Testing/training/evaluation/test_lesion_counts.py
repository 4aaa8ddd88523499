"""Lesions of two masks that meet, on masks made by hand."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.training.evaluation.lesion_counts import LesionCounts, lesions_2d, lesions_3d


def test_lesions_in_2d_count_each_slice_and_in_3d_the_whole():
    truth, predicted = np.zeros((3, 30, 30), dtype=bool), np.zeros((3, 30, 30), dtype=bool)
    truth[0:2, 2:6, 2:6] = True  # one infarct through two slices
    truth[2, 20:24, 20:24] = True  # another, missed
    predicted[0, 3:6, 3:6] = True  # found in one slice only
    predicted[1, 15:18, 2:6] = True  # a false one
    assert lesions_2d(predicted, truth, (1.0, 1.0)) == LesionCounts(true=3, found=1, predicted=2, right=1)
    assert lesions_3d(predicted, truth, (1.0, 1.0)) == LesionCounts(true=2, found=1, predicted=2, right=1)


def test_a_lesion_needs_a_tenth_of_its_pixels_to_be_found():
    truth, predicted = np.zeros((1, 30, 30), dtype=bool), np.zeros((1, 30, 30), dtype=bool)
    truth[0, 5:15, 5:15] = True
    predicted[0, 14, 5:14] = predicted[0, 15:17, 5:14] = True
    assert lesions_3d(predicted, truth, (1.0, 1.0)).found == 0  # 9 of 100
    predicted[0, 14, 14] = True
    assert lesions_3d(predicted, truth, (1.0, 1.0)).found == 1


def test_pieces_a_gap_apart_are_one_lesion_and_specks_are_none():
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, 4:6, 4:6] = mask[0, 8:10, 4:6] = True  # two pixels between them
    mask[0, 15, 15] = True
    assert lesions_2d(mask, mask, (1.0, 1.0)).true == lesions_3d(mask, mask, (1.0, 1.0)).true == 1
