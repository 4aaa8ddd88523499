"""Reading folders of PNG and JPEG slices."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import list_series, read_study


def voxels(slices=12, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 250, (slices, 16, 18)).astype(dtype)


def write(folder, array, pattern="slice_{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(array):
        Image.fromarray(pixels).save(folder / pattern.format(index + 1))
    return folder


def test_pictures_are_sorted_by_the_numbers_in_their_names(tmp_path):
    study = read_study(write(tmp_path / "p7", voxels()))
    assert np.array_equal(study.voxels, voxels())
    assert study.case == "p7" and study.source["format"] == "pictures"


def test_spacing_is_none_with_a_note_unless_given(tmp_path):
    folder = write(tmp_path / "a", voxels())
    study = read_study(folder)
    assert study.geometry.spacing_mm is None and not study.problems
    assert any("--spacing" in note and "pixels" in note for note in study.notes)
    given = read_study(folder, spacing_mm=(1.4, 1.4, 10))
    assert given.geometry.spacing_mm == (1.4, 1.4, 10) and not given.notes


def test_16_bit_grey_keeps_its_values(tmp_path):
    array = voxels(dtype=np.uint16) * 200
    assert np.array_equal(read_study(write(tmp_path / "a", array)).voxels, array)


def test_grey_stored_as_color_is_accepted_and_true_color_refused(tmp_path):
    array = voxels(3)
    grey = np.repeat(array[..., None], 3, axis=-1)
    assert np.array_equal(read_study(write(tmp_path / "rgb", grey)).voxels, array)
    with_opacity = np.concatenate([grey, np.full_like(grey[..., :1], 255)], axis=-1)
    assert np.array_equal(read_study(write(tmp_path / "rgba", with_opacity)).voxels, array)
    grey[1, 3, 4, 0] ^= 8
    with pytest.raises(StudyError, match=r"slice_2\.png.*color"):
        read_study(write(tmp_path / "color", grey))


def test_palette_pictures_are_read_through_their_palette(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for index, pixels in enumerate(voxels(3)):
        Image.fromarray(pixels).convert("P").save(folder / f"{index}.png")
    assert np.array_equal(read_study(folder).voxels, voxels(3))


def test_pictures_of_different_size_are_refused(tmp_path):
    write(tmp_path / "a", voxels(3))
    write(tmp_path / "a", voxels(1)[:, :10], "slice_9{}.png")
    with pytest.raises(StudyError, match="differ in size"):
        read_study(tmp_path / "a")


def test_jpeg_slices_are_read(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 18).astype(np.uint8), (3, 16, 1))
    study = read_study(write(tmp_path / "a", smooth, "im{}.JPG"))
    assert np.abs(study.voxels - smooth).max() < 10


def test_a_single_picture_is_a_study_of_one_slice(tmp_path):
    folder = write(tmp_path / "a", voxels(1))
    assert read_study(folder).slices == 1
    study = read_study(folder / "slice_1.png")
    assert study.slices == 1 and study.case == "slice_1"


def test_damaged_picture_is_a_bad_slice_and_only_damaged_ones_an_error(tmp_path):
    folder = write(tmp_path / "a", voxels(4))
    data = (folder / "slice_2.png").read_bytes()
    (folder / "slice_2.png").write_bytes(data[: len(data) // 2])
    (folder / "slice_3.png").write_bytes(b"no picture")
    study = read_study(folder)
    assert set(study.bad_slices) == {1, 2} and "slice_2.png" in study.bad_slices[1]
    assert np.array_equal(study.voxels[3], voxels(4)[3])
    for file in folder.iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(StudyError, match="none of its 4 pictures"):
        read_study(folder)


def test_other_files_beside_the_pictures_are_left_out(tmp_path):
    folder = write(tmp_path / "a", voxels(4))
    (folder / "notes.txt").write_text("hello")
    (folder / ".thumb.png").write_bytes(b"x")
    assert read_study(folder).slices == 4
    assert list_series(folder)[0].slices == 4


def test_slices_lie_along_k_even_with_an_isotropic_spacing(tmp_path):
    study = read_study(write(tmp_path / "a", voxels(4)), spacing_mm=(3, 1, 1))
    assert study.file_axes == (0, 1, 2) and study.voxels.shape == (4, 16, 18)
