"""Pictures of validation slices: the same ones every epoch, with what the network makes of them, and never too many."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageColor

from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.runs import validation_pictures
from MyoScarSegLib.training.runs.validation_pictures import (
    MOST_EPOCHS,
    MOST_SLICES,
    PREDICTION_COLOR,
    TRUTH_COLOR,
    by_epoch,
    draw,
    picture,
)
from MyoScarSegLib.training.shown_slices import choose_slices
from Testing.support.tiny_training import slices_of


@pytest.fixture
def slices() -> list[LabeledSlice]:
    return [s for n, p in enumerate(("P1", "P2", "N1", "N2", "N3")) for s in slices_of(p, n, 4, scar=p[0] == "P")]


def pixels_of(labeled: LabeledSlice, mask: np.ndarray) -> np.ndarray:
    """The picture without its line of text."""
    with Image.open(BytesIO(picture(labeled, mask, 3))) as image:
        return np.asarray(image.convert("RGB"), dtype=int)[:256]


def near(pixels: np.ndarray, color: str) -> int:
    """How many have nearly this color."""
    return int((np.abs(pixels - ImageColor.getrgb(color)).max(axis=-1) < 24).sum())


def test_chosen_slices_are_of_all_patients_and_mostly_with_scar(slices):
    chosen = [slices[n] for n in choose_slices(slices, MOST_SLICES)]
    assert len(chosen) == MOST_SLICES
    assert sum(bool(s.scar.any()) for s in chosen) == 4
    assert {s.patient for s in chosen} >= {"P1", "P2"}


def test_the_same_slices_are_chosen_whatever_their_order(slices):
    names = {(slices[n].patient, slices[n].index) for n in choose_slices(slices, MOST_SLICES)}
    turned = slices[::-1]
    assert {(turned[n].patient, turned[n].index) for n in choose_slices(turned, MOST_SLICES)} == names


def test_few_slices_are_all_chosen(slices):
    assert choose_slices(slices[:2], MOST_SLICES) == [0, 1] and choose_slices([], MOST_SLICES) == []
    assert len(choose_slices([s for s in slices if s.patient == "N1"], MOST_SLICES)) == 1


def test_picture_shows_both_outlines(slices):
    shown = slices[0]
    mask = np.roll(shown.scar, 6, axis=0)
    pixels = pixels_of(shown, mask)
    assert near(pixels, TRUTH_COLOR) > 50 and near(pixels, PREDICTION_COLOR) > 50
    plain = pixels_of(shown, np.zeros_like(mask))
    assert near(plain, PREDICTION_COLOR) == 0
    grey = plain.mean(axis=-1)
    assert 30 < grey.std() < 80 and np.abs(np.diff(grey)).mean() < 6, "the slice itself, enlarged smoothly"


def test_place_does_not_move_with_what_is_predicted(slices):
    shown = slices[0]
    plain = pixels_of(shown, np.zeros_like(shown.scar))
    corner = np.zeros_like(shown.scar)
    corner[:5, :5] = True
    drawn = pixels_of(shown, corner)
    assert (np.abs(plain - drawn).max(axis=-1) > 0).mean() < 0.1


def test_file_names_tell_epoch_case_and_slice(tmp_path, slices):
    written = draw(tmp_path, 7, slices, [s.scar for s in slices])
    assert len(written) == MOST_SLICES and written[0].name.startswith("epoch-007-")
    assert by_epoch(tmp_path.iterdir()) == {7: sorted(written)}
    for path in written:
        with Image.open(path) as image:
            assert image.size == (256, 278)
        assert path.stat().st_size < 60_000


def test_epoch_that_is_done_again_replaces_its_pictures(tmp_path, slices):
    draw(tmp_path, 1, slices, [s.scar for s in slices])
    few = [s for s in slices if s.patient == "P1"]
    again = draw(tmp_path, 1, few, [s.scar for s in few])
    assert len(again) == 3 and by_epoch(tmp_path.iterdir()) == {1: sorted(again)}


def test_only_some_epochs_are_kept_evenly_with_the_first_and_the_last(tmp_path, slices, monkeypatch):
    one = slices[:1]
    same = picture(one[0], one[0].scar, 1)
    monkeypatch.setattr(validation_pictures, "picture", lambda *_: same)
    for epoch in range(1, 31):
        draw(tmp_path, epoch, one, [one[0].scar])
        assert len(by_epoch(tmp_path.iterdir())) <= MOST_EPOCHS
    kept = list(by_epoch(tmp_path.iterdir()))
    assert kept[0] == 1 and kept[-1] == 30 and len(kept) == MOST_EPOCHS
    assert max(np.diff(kept)) <= 8


@pytest.mark.parametrize("shape", [(7, 200), (300, 300), (1, 1)])
def test_odd_slices_are_drawn(tmp_path, shape):
    odd = LabeledSlice("P/ä 1", 0, np.zeros(shape, np.float32), np.full(shape, 3, np.uint8), (9.0, 0.2), wall_known=False)
    (path,) = draw(tmp_path, 1, [odd], [np.ones(shape, dtype=bool)])
    assert path.parent == tmp_path and path.stat().st_size > 0
