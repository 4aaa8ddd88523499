"""Which images make a stack: split by what they are although they share UIDs, joined although they have series of their own."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import Reconstruction, list_series, read_study
from Testing.study.test_dicom import LONG_AXIS, SHORT_AXIS
from Testing.support.dicom_factory import voxels, write_enhanced, write_series

LGE = {"EchoTime": 1.2, "RepetitionTime": 700, "FlipAngle": 25, "InversionTime": 280}
TSE = {"EchoTime": 60, "RepetitionTime": 1600, "FlipAngle": 180}


def write(folder, array, first=0, **attributes):
    """Slices ``first``, ``first + 1``, ... of a stack with 10 mm between slices."""
    offsets = attributes.pop("offsets", [10 * (first + k) for k in range(len(array))])
    name = attributes.pop("prefix", f"{attributes.get('number', 1)}_{first}")
    return write_series(
        folder,
        array,
        offsets=offsets,
        names=[f"{name}_{k}" for k in range(len(array))],
        **{"direction": SHORT_AXIS, "description": "DE_PSIR_SAX", **attributes},
    )


def share(folder, **uids):
    for file in folder.rglob("*"):
        if file.is_file():
            dataset = pydicom.dcmread(file)
            for name, value in uids.items():
                setattr(dataset, name, value)
            dataset.save_as(file)
    return folder


@pytest.mark.parametrize("tells", ["description", "number", "timing", "sequence", "time", "folder"])
def test_lge_and_tse_that_share_a_series_uid_are_two_stacks(tmp_path, tells):
    lge, tse = voxels(seed=1), voxels(seed=2)
    for name, array, own in (("a", lge, LGE), ("b", tse, TSE)):
        mine = {
            "description": {"description": "LGE SAX" if own is LGE else "T2 TSE SAX"},
            "number": {"number": 3 if own is LGE else 4},
            "timing": own,
            "sequence": {"SequenceName": "*tfl2d1_25" if own is LGE else "*tse2d1_15"},
            "time": {"AcquisitionTime": "100000" if own is LGE else "104000"},
            "folder": {"folder": tmp_path / name},
        }[tells]
        write(**{"folder": tmp_path, "array": array, "series_uid": "1.2.9", "description": "LGE SAX", "prefix": name, **mine})
    stacks = [read_study(tmp_path, series=entry.key).voxels for entry in list_series(tmp_path)]
    assert len(stacks) == 2
    assert any(np.array_equal(stack, lge) for stack in stacks) and any(np.array_equal(stack, tse) for stack in stacks)


def test_lge_is_measured_in_an_exam_with_one_uid_for_everything(tmp_path):
    lge = voxels(seed=1)
    write(tmp_path, voxels(3, 5), number=1, description="localizer", direction=LONG_AXIS, InversionTime=None)
    write(tmp_path, lge, number=2, description="LGE SAX", AcquisitionTime="100000", **LGE)
    write(tmp_path, voxels(8, 2), number=3, description="TSE SAX", AcquisitionTime="101000", **TSE)
    share(tmp_path, SeriesInstanceUID="1.2.9", StudyInstanceUID="1.2.8", SOPInstanceUID="1.2.7", FrameOfReferenceUID="1.2.6")
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, lge) and study.source["series"] == "2"


def test_slices_with_one_instance_uid_are_no_copies(tmp_path):
    array = voxels()
    study = read_study(share(write(tmp_path, array), SOPInstanceUID="1.2.7"))
    assert np.array_equal(study.voxels, array) and not study.problems


def test_copies_have_the_same_place_and_pixels_whatever_their_uid(tmp_path):
    array = voxels()
    write(tmp_path / "a", array, series_uid="1.2.9")
    write(tmp_path / "b", array, series_uid="1.2.9", seed=4)  # new instance UIDs and numbers
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, array) and not study.notes


def test_blank_slices_at_different_places_are_no_copies(tmp_path):
    array = voxels()
    array[[0, 7]] = 0
    assert read_study(write(tmp_path, array)).slices == 8


def test_damaged_copy_of_a_whole_slice_does_no_harm(tmp_path):
    array = voxels()
    folder = write(tmp_path, array)
    data = (folder / "1_0_3").read_bytes()
    (folder / "copy").write_bytes(data[:-100])
    study = read_study(folder)
    assert np.array_equal(study.voxels, array) and not study.bad_slices


@pytest.mark.parametrize("same_name", [True, False])
def test_patients_that_share_all_uids_are_not_mixed(tmp_path, same_name):
    one, other = voxels(seed=1), voxels(seed=2)
    write(tmp_path / "a", one, PatientID="A")
    write(tmp_path / "b", other, PatientID="A" if same_name else "B", origin=(40, 0, 0))
    share(tmp_path, SeriesInstanceUID="1.2.9", StudyInstanceUID="1.2.8", FrameOfReferenceUID="1.2.6")
    stacks = [read_study(tmp_path, series=entry.key).voxels for entry in list_series(tmp_path)]
    assert len(stacks) == 2 and all(np.array_equal(stack, one) or np.array_equal(stack, other) for stack in stacks)


def test_inversion_time_adapted_from_slice_to_slice_makes_no_new_stack(tmp_path):
    array = voxels()
    study = read_study(write(tmp_path, array, per_slice=lambda k: {"InversionTime": 180 + 30 * k}))
    assert np.array_equal(study.voxels, array)


@pytest.mark.parametrize("varied", ["EchoTime", "InversionTime"])
def test_echoes_and_inversion_times_of_a_map_stay_one_series(tmp_path, varied):
    array = np.concatenate([voxels(3)] * 5) + np.arange(15, dtype=np.uint16)[:, None, None]
    places = [10 * (n % 3) for n in range(15)]
    write(tmp_path, array, offsets=places, per_slice=lambda n: {varied: [2, 5, 12, 40, 100][n // 3]})
    (entry,) = list_series(tmp_path)
    assert (entry.slices, entry.images) == (3, 15) and entry.rejected


NAMES = {
    "same name": lambda k: "DE_PSIR_SAX",
    "number behind": lambda k: f"DE_PSIR_SAX_{k + 1}",
    "number in front": lambda k: f"{k + 1:02d} PSIR SAX",
    "number within": lambda k: f"PSIR sl{k} SAX 2D",
    "inversion time": lambda k: f"PSIR_SAX_TI{280 + 5 * k}",
    "inversion time in words": lambda k: f"PSIR SAX TI = {280 + 5 * k} ms",
    "letters": lambda k: f"PSIR_SAX_{'abcdefgh'[k]}",
    "number with a letter": lambda k: f"PSIR_SAX_1{'abcdefgh'[k]}",
    "position": lambda k: f"LGE SAX {-12.5 + 10 * k}",
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("size", [1, 3, 4])
def test_slabs_and_slices_in_series_of_their_own_are_joined(tmp_path, names, size):
    array = voxels()
    for n, k in enumerate(range(0, 8, size)):
        write(tmp_path, array[k : k + size], k, number=20 + n, description=NAMES[names](n), InversionTime=280 + 5 * n)
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, array) and study.geometry.slice_positions_mm is None
    assert any("put together" in note for note in study.notes)


def test_odd_and_even_slices_in_two_series_are_joined(tmp_path):
    array = voxels()
    for start in (0, 1):
        write(tmp_path, array[start::2], number=20 + start, offsets=[10 * k for k in range(start, 8, 2)])
    assert np.array_equal(read_study(tmp_path).voxels, array)


@pytest.mark.parametrize("name", ["DE_PSIR_SAX", "DE_PSIR_SAX_repeat", "DE_PSIR_SAX_9"])
@pytest.mark.parametrize("off_mm", [0, 1.5])
def test_slice_acquired_again_as_a_series_of_its_own_replaces_the_first(tmp_path, name, off_mm):
    array, again = voxels(), voxels(1, 7)
    write(tmp_path, array, number=20, AcquisitionTime="100000")
    write(tmp_path, again, number=25, AcquisitionTime="100500", description=name, offsets=[30 + off_mm])
    study = read_study(tmp_path)
    array[3] = again[0]
    assert np.array_equal(study.voxels, array)
    assert any("Slice 3 was acquired more than once; the last" in note for note in study.notes)


def test_slice_acquired_again_is_the_later_one_by_its_number_where_no_time_is_given(tmp_path):
    array, again = voxels(), voxels(1, 7)
    write(tmp_path, again, 3, number=25)
    for k in range(8):
        write(tmp_path, array[k : k + 1], k, number=10 + k)
    assert np.array_equal(read_study(tmp_path).voxels[3], again[0])


@pytest.mark.parametrize(
    ("time", "times"),
    [
        ("AcquisitionTime", ("100000", "103000")),
        ("AcquisitionDateTime", ("20240101100000.5", "20240101103000.5")),
        ("SeriesTime", ("100000.125", "103000.5")),
    ],
)
def test_slice_acquired_much_later_shows_another_enhancement_and_is_left_out(tmp_path, time, times):
    array = voxels()
    write(tmp_path, array, number=20, **{time: times[0]})
    write(tmp_path, voxels(1, 7), 3, number=25, **{time: times[1]})
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, array) and any("more than 15 minutes" in note for note in study.notes)


def test_missing_slice_acquired_later_is_put_in_its_place(tmp_path):
    array = voxels()
    write(tmp_path, np.delete(array, 3, axis=0), number=20, offsets=[10 * k for k in range(8) if k != 3])
    write(tmp_path, array[3:4], 3, number=21)
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, array) and study.geometry.slice_positions_mm is None


APART = {
    "magnitude": {"image_type": ("ORIGINAL", "PRIMARY", "M", "MAG"), "description": "DE_PSIR_SAX"},
    "another orientation": {"direction": LONG_AXIS},
    "another matrix": {"size": 10},
    "another spacing": {"spacing": (1.2, 1.2, 10.0)},
    "a late stack": {"AcquisitionTime": "103000"},
    "a late stack between the slices": {"AcquisitionTime": "103000", "offsets": [5 + 10 * k for k in range(8)]},
    "a stack a little off": {"AcquisitionTime": "103000", "offsets": [2 + 10 * k for k in range(8)]},
    "another name": {"description": "DE_PSIR_SAX_early"},
    "another time in its name": {"description": "DE_PSIR_SAX 5min"},
    "another sequence": {"SequenceName": "*tse2d1", "offsets": [80 + 10 * k for k in range(8)]},
}


@pytest.mark.parametrize(
    ("what", "per_slice"), [*((what, False) for what in APART), *((what, True) for what in list(APART)[::3])]
)
def test_what_is_no_piece_of_the_stack_is_not_joined(tmp_path, what, per_slice):
    array, other = voxels(dtype=np.int16), voxels(seed=5, dtype=np.int16)
    psir = {"image_type": ("ORIGINAL", "PRIMARY", "R", "PSIR"), "SequenceName": "*tfl2d1", "AcquisitionTime": "100000"}
    changed = {**psir, **APART[what]}
    other = other[:, : changed.pop("size", 12)]
    offsets = changed.pop("offsets", [10 * k for k in range(8)])
    for pixels, attributes, places, number in ((array, psir, [10 * k for k in range(8)], 20), (other, changed, offsets, 40)):
        for k in range(8) if per_slice else [slice(None)]:
            at = slice(k, k + 1) if per_slice else k
            write(tmp_path, pixels[at], number=number + (k if per_slice else 0), offsets=places[at], **attributes)
    for entry in list_series(tmp_path):
        if not entry.unreadable:
            found = read_study(tmp_path, series=entry.key).voxels
            assert np.array_equal(found, array) or np.array_equal(found, other)
        assert entry.slices in (1, 8)


def test_magnitude_and_psir_of_every_slice_in_series_of_their_own_make_two_stacks(tmp_path):
    psir, magnitude = voxels(seed=1, dtype=np.int16) - np.int16(500), voxels(seed=2, dtype=np.int16)
    for k in range(8):
        for array, kind, number in ((magnitude, "MAG", 20), (psir, "PSIR", 21)):
            write(tmp_path, array[k : k + 1], k, number=number + 2 * k, image_type=("ORIGINAL", "PRIMARY", "M", kind))
    study = read_study(tmp_path)
    assert np.array_equal(study.voxels, psir) and study.reconstruction is Reconstruction.PSIR
    assert sorted(entry.slices for entry in list_series(tmp_path)) == [8, 8]


def test_early_and_late_slices_in_series_of_their_own_make_two_stacks(tmp_path):
    early, late = voxels(seed=1), voxels(seed=2)
    for array, number, hour in ((early, 20, "1000"), (late, 40, "1030")):
        for k in range(8):
            write(tmp_path, array[k : k + 1], k, number=number + k, AcquisitionTime=f"{hour}{k:02d}")
    found = [read_study(tmp_path, series=entry.key).voxels for entry in list_series(tmp_path)]
    assert len(found) == 2 and all(np.array_equal(stack, early) or np.array_equal(stack, late) for stack in found)


def test_two_visits_of_a_patient_are_not_joined(tmp_path):
    for n, visit in enumerate(("1.2.3", "1.2.4")):
        write(tmp_path / str(n), voxels(4, n), 4 * n, number=20, study_uid=visit)
    assert [entry.slices for entry in list_series(tmp_path)] == [4, 4]


def test_enhanced_files_of_one_slab_each_are_joined(tmp_path):
    array = voxels()
    for n in range(2):
        write_enhanced(tmp_path / f"{n}.dcm", array[4 * n : 4 * n + 4], positions=range(4 * n, 4 * n + 4), direction=SHORT_AXIS)
    assert np.array_equal(read_study(tmp_path).voxels, array)


def test_orthogonal_localizers_are_never_joined(tmp_path):
    for n, direction in enumerate((SHORT_AXIS, LONG_AXIS, LONG_AXIS[:, [1, 2, 0]])):
        write(tmp_path, voxels(1, n), number=n, direction=direction, description="localizer")
    with pytest.raises(StudyError):
        read_study(tmp_path)


CHANGED = [{"Columns": 12}, {"PixelSpacing": [1.0, 1.0]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}]
CHANGED += [{"ImageOrientationPatient": None}]


@pytest.mark.parametrize("changed", CHANGED)
def test_slice_of_the_series_that_does_not_fit_leaves_the_study_incomplete(tmp_path, changed):
    array = voxels()
    folder = write(tmp_path, array)
    dataset = pydicom.dcmread(folder / "1_0_7")
    for name, value in changed.items():
        setattr(dataset, name, value)
    dataset.save_as(folder / "1_0_7")
    study = read_study(folder)
    assert np.array_equal(study.voxels, array[:7])
    assert "1_0_7" in study.problems[0] and "incomplete" in study.problems[0]
