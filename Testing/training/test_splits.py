"""Splits by patient: repeatable, written down, and checked against the data."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.splits import Split, check_leakage, check_split, split_patients

SPLIT = Split(("a", "b"), ("c",), seed=1, folds=3, held_out=0)


def one(patient: str, seed: int, index: int = 0) -> LabeledSlice:
    image = np.random.default_rng(seed).normal(100, 20, (20, 20))
    return LabeledSlice(patient, index, image, np.zeros((20, 20), dtype=np.uint8))


def test_draw_depends_on_the_seed_and_not_on_the_order_and_spreads_each_stratum():
    strata = {f"p{n:02d}": "scar" if n < 20 else "normal" for n in range(30)}
    split = split_patients(strata, seed=3)
    assert split == split_patients(dict(reversed(strata.items())), seed=3)
    assert split != split_patients(strata, seed=4)
    assert sorted(strata[p] for p in split.validation) == ["normal"] * 2 + ["scar"] * 4
    sides = [split_patients(strata, seed=3, held_out=n).validation for n in range(5)]
    assert sorted(p for side in sides for p in side) == sorted(strata)


def test_manifest_survives_the_disk_with_and_without_a_seed(tmp_path):
    for split in (SPLIT, Split(("a",), ("b",))):
        split.write(tmp_path / "split.json")
        assert Split.read(tmp_path / "split.json") == split


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, r"split\.json") for text in ("[]", "{}", '{"training": "ab", "validation": []}', "nonsense")),
        ('{"training": ["a", "b"], "validation": ["b"]}', "both sides: b"),
    ],
)
def test_damaged_manifest_is_refused(tmp_path, text, said):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(StudyError, match=said):
        Split.read(tmp_path / "split.json")


def test_data_that_fits_gives_no_warning():
    assert check_split(SPLIT, [one("a", 0), one("b", 1), one("c", 2)]) == []


def test_unknown_and_missing_patients_are_named_with_what_to_do():
    unknown, missing = check_split(SPLIT, [one("a", 0), one("c", 2), one("z", 3)])
    assert "left out (z)" in unknown and "Extend the split" in unknown
    assert "not in the data (b)" in missing and "draw a new split" in missing


def test_split_of_other_data_is_refused():
    with pytest.raises(StudyError, match=r"none of the split's 1 validation patients \(c\); its own are \(a, b\)"):
        check_split(SPLIT, [one("a", 0), one("b", 1)])


def test_same_picture_on_both_sides_is_leakage_whatever_its_scale():
    copy = one("c", 7, index=4)
    scaled = LabeledSlice("c", 4, copy.image * 8 - 300, copy.labels)
    with pytest.raises(StudyError, match="slice 2 of a and validated as slice 4 of c"):
        check_leakage(SPLIT, [one("a", 7, index=2), scaled])
    check_leakage(SPLIT, [one("a", 7), one("b", 7), one("c", 8)])
    check_leakage(SPLIT, [one("z", 7), one("c", 7)])


def test_extended_split_moves_nobody():
    extended = SPLIT.extended(["a", "c", "y", "z"])
    assert (extended.training, extended.validation, extended.seed) == (("a", "b", "y", "z"), ("c",), 1)


@pytest.mark.parametrize(("folds", "held_out"), [(1, 0), (3, 3), (3, -1), (9, 0)])
def test_folds_that_make_no_sense_are_refused(folds, held_out):
    with pytest.raises(StudyError):
        split_patients({"a": "", "b": "", "c": ""}, folds=folds, held_out=held_out)
