"""The picture of an augmentation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.errors import ModelError, OutputError, StudyError
from MyoScarSegLib.training.augmentation.preview import preview
from Testing.support.ring_factory import ring

SLICES = [ring(64, scar=n % 2 == 0, center=(32, 32), patient="A", index=n, pixel_spacing_mm=(1.5, 1.2)) for n in range(6)]
SLICES += [ring(64, scar=False, center=(32, 32), patient="B", index=n) for n in range(4)]


def test_a_preview_is_a_readable_png_with_the_scar_outlined(tmp_path):
    preview(SLICES, tmp_path / "preview.png", augmentation="standard", seed=1, rows=2, columns=3)
    with Image.open(tmp_path / "preview.png") as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width > 400 and picture.height > 300
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] > pixels[..., 1] + 80) & (pixels[..., 0] > pixels[..., 2] + 80)
    assert red.sum() > 100
    assert [p.name for p in tmp_path.iterdir()] == ["preview.png"]


def pixels_of(path, **changes) -> np.ndarray:
    preview(changes.pop("slices", SLICES), path, **({"augmentation": "heavy", "seed": 1, "rows": 2, "columns": 3} | changes))
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_same_seed_gives_the_same_picture_and_another_another(tmp_path):
    first = pixels_of(tmp_path / "1.png")
    assert np.array_equal(first, pixels_of(tmp_path / "2.png"))
    assert not np.array_equal(first, pixels_of(tmp_path / "3.png", seed=2))
    assert not np.array_equal(first, pixels_of(tmp_path / "4.png", augmentation="light"))


def test_slices_without_scar_fill_up_and_few_slices_make_a_small_picture(tmp_path):
    tall = pixels_of(tmp_path / "1.png", rows=4)
    short = pixels_of(tmp_path / "2.png", rows=4, slices=SLICES[-1:])
    assert tall.shape[0] > 2 * short.shape[0]


def test_what_cannot_be_shown_is_an_error(tmp_path):
    out = tmp_path / "preview.png"
    with pytest.raises(StudyError, match="no slices"):
        preview([], out, augmentation="light", seed=0)
    with pytest.raises(ModelError, match="'strong'"):
        preview(SLICES, out, augmentation="strong", seed=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        preview(SLICES, tmp_path / "file" / "preview.png", augmentation="none", seed=0, rows=1, columns=1)
    assert not out.exists()
