"""Headers of NIfTI, NRRD and MetaImage files as other programs write them: read right, or refused in a sentence that helps."""

from __future__ import annotations

import bz2
import gzip
import zlib

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import read_mask, read_study, write_volume
from MyoScarSegLib.study.volumes import read_volume

SHAPE = (6, 40, 48)
SPACING = np.array([1.5, 1.4, 9.0])
DIRECTION = Rotation.from_euler("xyz", [0.3, -0.7, 1.1]).as_matrix()
ORIGIN = np.array([-12.0, 34.0, 56.0])
VOXELS = np.random.default_rng(0).integers(-200, 900, SHAPE).astype("<i2")
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def same(path, *, tolerance_mm=0.05):
    """The study in ``path``, whose voxels, sizes and places must be those of the one that all these files hold."""
    study = read_study(path)
    assert np.array_equal(study.voxels, VOXELS.astype(np.float32)) and not study.problems
    geometry = study.geometry
    assert geometry.slice_distance_mm == pytest.approx(9.0, rel=tolerance_mm / 20)
    assert geometry.pixel_area_mm2 == pytest.approx(2.1, rel=tolerance_mm / 20)
    far = np.array([SHAPE[2] - 1, SHAPE[1] - 1, SHAPE[0] - 1])
    for index in (np.zeros(3), far):
        place = geometry.origin_mm + geometry.direction @ (geometry.spacing_mm * index)
        assert place == pytest.approx(ORIGIN + DIRECTION @ (SPACING * index), abs=tolerance_mm)
    return study


# ------------------------------------------------------------------ NIfTI


def affine(direction=DIRECTION, scale=1.0):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = direction * SPACING * scale, ORIGIN * scale
    return TO_RAS @ matrix


def nifti(path, matrix=None, *, codes=None, kind=nib.Nifti1Image):
    """Written as nibabel does by default (the sform alone), or with these codes of qform and sform."""
    image = kind(VOXELS.T, affine() if matrix is None else matrix)
    if codes is not None:
        image.set_qform(image.affine, codes[0])
        image.set_sform(image.affine, codes[1])
    nib.save(image, path)
    return path


def test_nifti_with_cosines_that_were_rounded_is_read_with_straight_axes(tmp_path):
    """As all files of a patient of a public data set are: qform_code 0, and axes that miss the right angle by 1.2e-4."""
    off = DIRECTION.copy()
    off[:, 1] += 1.2e-4 * off[:, 0]
    study = same(nifti(tmp_path / "a.nii.gz", affine(off)))
    assert np.allclose(study.geometry.direction.T @ study.geometry.direction, np.eye(3), atol=1e-9)
    assert any("right angles" in note for note in study.notes)
    study = same(nifti(tmp_path / "b.nii.gz", affine(np.round(DIRECTION, 2))), tolerance_mm=1.0)
    assert np.allclose(study.geometry.direction.T @ study.geometry.direction, np.eye(3), atol=1e-9)
    assert not same(nifti(tmp_path / "c.nii.gz")).notes


@pytest.mark.parametrize("shear", [0.5, 4.0])
@pytest.mark.parametrize("pixdim", ["lengths", "distances"])
def test_sheared_nifti_keeps_the_place_of_every_slice(tmp_path, shear, pixdim):
    matrix = affine()
    matrix[:3, 2] += shear * (TO_RAS[:3, :3] @ DIRECTION[:, 0])
    path = nifti(tmp_path / "a.nii", matrix)
    if pixdim == "distances":  # the header's pixdim knows nothing of the shear
        image = nib.load(path)
        image.header["pixdim"][3] = 9.0
        path = tmp_path / "b.nii"
        with path.open("wb") as file:
            image.header.write_to(file)
            file.write(bytes(4) + VOXELS.tobytes())
    study = read_study(path)
    geometry = study.geometry
    assert geometry.slice_distance_mm == pytest.approx(9.0, rel=1e-4)
    last = ORIGIN + 5 * (DIRECTION[:, 2] * 9.0 + DIRECTION[:, 0] * shear)
    assert geometry.origin_mm + 5 * geometry.direction[:, 2] * geometry.spacing_mm[2] == pytest.approx(last, abs=0.01)
    assert any("shifted" in note for note in study.notes)


def test_sheared_nifti_that_contradicts_its_pixdim_is_refused(tmp_path):
    matrix = affine()
    matrix[:3, 2] += 4.0 * (TO_RAS[:3, :3] @ DIRECTION[:, 0])
    path = nifti(tmp_path / "a.nii", matrix)
    data = bytearray(path.read_bytes())
    data[88:92] = np.float32(7.0).tobytes()
    path.write_bytes(data)
    with pytest.raises(StudyError, match="contradicts itself"):
        read_study(path)


@pytest.mark.parametrize("unit, scale", [("meter", 1e-3), ("micron", 1e3), ("mm", 1.0), ("unknown", 1.0)])
def test_nifti_units_of_length(tmp_path, unit, scale):
    image = nib.Nifti1Image(VOXELS.T, affine(scale=scale))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii.gz")
    same(tmp_path / "a.nii.gz")


def test_nifti_2_pairs_and_big_endian_files_are_read(tmp_path):
    same(nifti(tmp_path / "two.nii.gz", kind=nib.Nifti2Image))
    nib.save(nib.Nifti1Pair(VOXELS.T, affine()), tmp_path / "pair.img")
    same(tmp_path / "pair.hdr")
    for name in ("pair.hdr", "pair.img"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    same(tmp_path / "pair.hdr.gz")
    nib.save(nib.Nifti1Image(VOXELS.T, affine(), nib.Nifti1Header(endianness=">")), tmp_path / "big.nii")
    same(tmp_path / "big.nii")
    (tmp_path / "plain.nii.gz").write_bytes((tmp_path / "big.nii").read_bytes())
    same(tmp_path / "plain.nii.gz")


def test_nifti_whose_header_does_not_say_where_the_voxels_begin(tmp_path):
    for place, kind, start in ((108, nib.Nifti1Image, bytes(4)), (168, nib.Nifti2Image, bytes(8))):
        data = bytearray(nifti(tmp_path / "a.nii", kind=kind).read_bytes())
        data[place : place + len(start)] = start
        (tmp_path / "a.nii").write_bytes(data)
        same(tmp_path / "a.nii")


def test_nifti_header_without_its_image_names_the_missing_file(tmp_path):
    nib.save(nib.Nifti1Pair(VOXELS.T, affine()), tmp_path / "pair.img")
    (tmp_path / "pair.img").write_bytes((tmp_path / "pair.img").read_bytes()[:-100])
    with pytest.raises(StudyError, match=r"pair\.img\) is cut short"):
        read_study(tmp_path / "pair.hdr")
    with pytest.raises(StudyError, match=r"give the \.hdr file"):
        read_study(tmp_path / "pair.img")
    (tmp_path / "pair.img").unlink()
    with pytest.raises(StudyError, match=r"keeps its voxels in pair\.img, which is not there"):
        read_study(tmp_path / "pair.hdr")


def test_nifti_form_that_spans_no_space_gives_way(tmp_path):
    """To the other form, and to the sizes alone where there is none."""
    broken = affine()
    broken[:3, 1] = 0
    image = nib.Nifti1Image(VOXELS.T, affine())
    for name, row in zip(("srow_x", "srow_y", "srow_z"), broken, strict=False):
        image.header[name] = row

    def write(name, qform_code):
        image.header["qform_code"], image.header["sform_code"] = qform_code, 1
        header = image.header.copy()
        header["vox_offset"], header["magic"] = 352, b"n+1"
        (tmp_path / name).write_bytes(header.binaryblock + bytes(4) + VOXELS.tobytes())
        return tmp_path / name

    image.header.set_qform(affine(), 1)
    same(write("q.nii", 1))
    study = read_study(write("none.nii", 0))
    assert study.geometry.spacing_mm == pytest.approx(SPACING, rel=1e-6) and not study.problems
    assert any("place in the body is unknown" in note for note in study.notes)


def test_nifti_quaternion_longer_than_one_is_read_and_noted(tmp_path):
    path = nifti(tmp_path / "a.nii", codes=(1, 0))
    data = bytearray(path.read_bytes())
    data[256:268] = np.array([0.9, 0.9, 0.9], dtype="<f4").tobytes()
    path.write_bytes(data)
    study = read_study(path)
    assert study.geometry.slice_distance_mm == pytest.approx(9.0) and any("quaternion" in note for note in study.notes)
    assert np.allclose(study.geometry.direction.ravel(), sitk.ReadImage(str(path)).GetDirection(), atol=1e-6)


@pytest.mark.parametrize("pixdim", [(-1.5, -1.4, 9.0), (0.0, 0.0, 0.0), (np.nan, 1.4, 9.0), (1.0, 1.0, 1.0), (1.5, 1.4, 1.0)])
def test_nifti_pixdim_that_says_nothing_gives_way_to_the_sform(tmp_path, pixdim):
    path = nifti(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[80:92] = np.array(pixdim, dtype="<f4").tobytes()
    path.write_bytes(data)
    same(path)


def test_nifti_whose_forms_and_pixdim_say_nothing_has_no_spacing(tmp_path):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(VOXELS.T, np.eye(4)), path)
    data = bytearray(path.read_bytes())
    data[80:92] = bytes(12)
    path.write_bytes(data)
    study = read_study(path)
    assert study.geometry.spacing_mm is None and "pixdim is 0 x 0 x 0" in study.problems[0]


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (1, 1), (1, 2), (3, 4)])
def test_nifti_lies_where_itk_and_so_slicer_puts_it(tmp_path, codes):
    image = nib.Nifti1Image(VOXELS.T, affine())
    image.set_sform(affine(Rotation.from_euler("x", 0.4).as_matrix()), codes[1])
    image.set_qform(affine(), codes[0])
    nib.save(image, tmp_path / "a.nii")
    shown = sitk.ReadImage(str(tmp_path / "a.nii"))
    geometry = read_study(tmp_path / "a.nii").geometry
    assert geometry.origin_mm == pytest.approx(shown.GetOrigin(), abs=1e-4)
    assert geometry.direction.ravel() == pytest.approx(shown.GetDirection(), abs=1e-5)


def test_nifti_scaling_of_values(tmp_path):
    for slope, intercept, factor, plus in ((2.0, -5.0, 2, -5), (0.0, 5.0, 1, 0), (np.nan, np.nan, 1, 0), (-1.0, 0.0, -1, 0)):
        path = nifti(tmp_path / "a.nii")
        data = bytearray(path.read_bytes())
        data[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
        path.write_bytes(data)
        assert np.array_equal(read_study(path).voxels, VOXELS.astype(np.float32) * factor + plus)


def test_analyze_header_is_refused_by_its_name(tmp_path):
    nib.save(nib.AnalyzeImage(VOXELS.T, affine()), tmp_path / "a.img")
    with pytest.raises(StudyError, match=r"Analyze 7\.5"):
        read_study(tmp_path / "a.hdr")


# ------------------------------------------------------------------ NRRD


def vectors(matrix, gap=","):
    return " ".join("(" + gap.join(f"{value:.10g}" for value in column) + ")" for column in matrix.T)


def header(*, space="left-posterior-superior", steps=None, origin=ORIGIN, lines=(), encoding="raw", axes=3, first="", **fields):
    steps = DIRECTION * SPACING if steps is None else steps
    text = {
        "type": "int16", "dimension": axes, "space": space, "sizes": ("1 " if first else "") + "48 40 6",
        "space directions": first + vectors(steps), "kinds": ("list " if first else "") + "domain domain domain",
        "endian": "little", "encoding": encoding, "space origin": vectors(np.reshape(origin, (3, 1))), **fields,
    }  # fmt: skip
    return "\n".join(["NRRD0005", "# a comment", *(f"{k}: {v}" for k, v in text.items() if v is not None), *lines]) + "\n"


def nrrd(path, body=None, **how):
    path.write_bytes(header(**how).encode() + b"\n" + (VOXELS.tobytes() if body is None else body))
    return path


NRRD_VARIANTS = {
    "microns": {"steps": DIRECTION * SPACING * 1e3, "origin": ORIGIN * 1e3, "space units": '"microns" "microns" "microns"'},
    "µm": {"steps": DIRECTION * SPACING * 1e3, "origin": ORIGIN * 1e3, "space units": '"µm" "µm" "µm"'},
    "cm": {"steps": DIRECTION * SPACING / 10, "origin": ORIGIN / 10, "space units": '"cm" "cm" "cm"'},
    "meters": {"steps": DIRECTION * SPACING / 1e3, "origin": ORIGIN / 1e3, "space units": '"m" "m" "m"'},
    "no unit": {"space units": '"" "" ""'},
    "list axis first": {"first": "none ", "axes": 4},
    "RAS": {"space": "RAS", "steps": TO_RAS[:3, :3] @ (DIRECTION * SPACING), "origin": ORIGIN * (-1, -1, 1)},
    "Left-Anterior-Superior": {
        "space": "Left-Anterior-Superior", "steps": np.diag([1, -1, 1]) @ (DIRECTION * SPACING), "origin": ORIGIN * (1, -1, 1),
    },
    "unknown fields": {"lines": ("AnatomicalOrientation: RAI", "Some key:=some: value", "a line without a colon")},
    "spaces in vectors": {"space directions": vectors(DIRECTION * SPACING, " , ").replace("(", "( ")},
    "gzip": {"encoding": "gzip", "body": gzip.compress(VOXELS.tobytes())},
    "GZ": {"encoding": "GZ", "body": gzip.compress(VOXELS.tobytes())},
    "bzip2": {"encoding": "bzip2", "body": bz2.compress(VOXELS.tobytes())},
    "text": {"encoding": "ascii", "endian": None, "body": " ".join(map(str, VOXELS.ravel())).encode()},
    "bytes behind the voxels": {"body": VOXELS.tobytes() + b"more"},
    "bytes before the voxels": {"body": b"\7" * 33 + VOXELS.tobytes(), "byte skip": 33},
    "lines before the voxels": {"body": b"one\ntwo\n" + VOXELS.tobytes(), "line skip": 2},
    "64 bits": {"type": "long long", "body": VOXELS.astype("<i8").tobytes()},
    "big endian": {"endian": "big", "body": VOXELS.astype(">i2").tobytes()},
}  # fmt: skip


@pytest.mark.parametrize("name", NRRD_VARIANTS)
def test_nrrd_variant_is_read(tmp_path, name):
    same(nrrd(tmp_path / "a.nrrd", **NRRD_VARIANTS[name]))


def test_nrrd_of_windows_line_ends_is_read(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(header().replace("\n", "\r\n").encode() + b"\r\n" + VOXELS.tobytes())
    same(tmp_path / "a.nrrd")


def test_nrrd_of_an_unknown_unit_has_no_mass_and_says_why(tmp_path):
    study = read_study(nrrd(tmp_path / "a.nrrd", **{"space units": '"furlong" "furlong" "furlong"'}))
    assert study.geometry.spacing_mm is None and "'furlong'" in study.problems[0]


def test_nrrd_of_an_unknown_space_is_refused(tmp_path):
    with pytest.raises(StudyError, match="space 'RPS' is none that the format has"):
        read_study(nrrd(tmp_path / "a.nrrd", space="RPS"))


def test_nrrd_units_of_plain_spacings(tmp_path):
    plain = {"space": None, "space directions": None, "space origin": None}
    path = nrrd(tmp_path / "a.nrrd", **plain, spacings="0.15 0.14 0.9", units='"cm" "cm" "cm"')
    assert read_study(path).geometry.spacing_mm == pytest.approx(tuple(SPACING))


@pytest.mark.parametrize("said", ["s_%02d.raw 1 6 1 2", "s_%02d.raw 1 6 1", "LIST 2", "LIST"])
def test_nrrd_with_a_file_per_slice_is_read(tmp_path, said):
    names = [f"s_{number:02d}.raw" for number in range(1, 7)]
    for name, image in zip(names, VOXELS, strict=True):
        (tmp_path / name).write_bytes(image.tobytes())
    end = "\n".join(["", *names]) if said.startswith("LIST") else ""
    (tmp_path / "a.nhdr").write_text(header() + f"data file: {said}{end}\n")
    same(tmp_path / "a.nhdr")
    (tmp_path / names[3]).unlink()
    with pytest.raises(StudyError, match=r"s_04\.raw, which is not there"):
        read_study(tmp_path / "a.nhdr")
    (tmp_path / names[3]).write_bytes(b"short")
    with pytest.raises(StudyError, match=r"s_04\.raw\) is cut short"):
        read_study(tmp_path / "a.nhdr")


def test_nrrd_whose_data_file_is_missing_short_or_padded(tmp_path):
    (tmp_path / "a.nhdr").write_text(header(lines=("byte skip: -1", "data file: sub/a.raw")))
    with pytest.raises(StudyError, match=r"a\.nhdr keeps its voxels in sub/a\.raw, which is not there"):
        read_study(tmp_path / "a.nhdr")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.raw").write_bytes(b"\7" * 333 + VOXELS.tobytes())
    same(tmp_path / "a.nhdr")
    (tmp_path / "sub" / "a.raw").write_bytes(VOXELS.tobytes()[:-50])
    with pytest.raises(StudyError, match="cut short: 22990 bytes of voxels instead of 23040"):
        read_study(tmp_path / "a.nhdr")


@pytest.mark.parametrize("lacking", ["type", "sizes", "dimension", "encoding", "endian"])
def test_nrrd_header_that_lacks_a_field_is_refused_by_the_name_of_the_field(tmp_path, lacking):
    with pytest.raises(StudyError, match=rf"a\.nrrd.*{lacking}"):
        read_study(nrrd(tmp_path / "a.nrrd", **{lacking: None}))


def test_nrrd_of_several_volumes_is_refused(tmp_path):
    two = {"first": "none ", "axes": 4, "sizes": "2 48 40 6", "body": VOXELS.tobytes() * 2}
    with pytest.raises(StudyError, match="several volumes"):
        read_study(nrrd(tmp_path / "a.nrrd", **two))
    with pytest.raises(StudyError, match="2 values per voxel"):
        read_study(nrrd(tmp_path / "b.nrrd", **two, kinds="vector domain domain domain"))


# ------------------------------------------------------------------ MetaImage


def meta(path, *, data=None, separator=" = ", extra=(), drop=(), **fields):
    text = {
        "ObjectType": "Image", "NDims": 3, "BinaryData": "True", "BinaryDataByteOrderMSB": "False", "CompressedData": "False",
        "TransformMatrix": " ".join(f"{value:.10g}" for value in DIRECTION.T.ravel()),
        "Offset": " ".join(map(str, ORIGIN)), "ElementSpacing": " ".join(map(str, SPACING)),
        "DimSize": "48 40 6", "ElementType": "MET_SHORT", **fields, "ElementDataFile": fields.get("ElementDataFile", "LOCAL"),
    }  # fmt: skip
    text["ElementDataFile"] = text.pop("ElementDataFile")
    lines = [*extra, *(f"{key}{separator}{value}" for key, value in text.items() if key not in drop)]
    path.write_bytes("\n".join(lines).encode() + b"\n" + (VOXELS.tobytes() if data is None else data))
    return path


META_VARIANTS = {
    "plain": {},
    "comment and blank lines": {"extra": ("", "# made by hand", "Comment = a = b: c", "   ")},
    "colons": {"separator": ": "},
    "no blanks": {"separator": "="},
    "Rotation and Position": {
        "drop": ("TransformMatrix", "Offset"), "Position": " ".join(map(str, ORIGIN)),
        "Rotation": " ".join(f"{value:.10g}" for value in DIRECTION.T.ravel()),
    },
    "Orientation and Origin": {
        "drop": ("TransformMatrix", "Offset"), "Origin": " ".join(map(str, ORIGIN)),
        "Orientation": " ".join(f"{value:.10g}" for value in DIRECTION.T.ravel()),
    },
    "ElementSize alone": {"drop": ("ElementSpacing",), "ElementSize": " ".join(map(str, SPACING))},
    "ElementSize is thickness": {"ElementSize": "1.5 1.4 8"},
    "microns": {
        "DistanceUnits": "um", "Offset": " ".join(map(str, ORIGIN * 1e3)), "ElementSpacing": " ".join(map(str, SPACING * 1e3)),
    },
    "compressed": {"CompressedData": "True", "data": zlib.compress(VOXELS.tobytes())},
    "big endian": {"BinaryDataByteOrderMSB": "True", "data": VOXELS.astype(">i2").tobytes()},
    "big endian by the other name": {"ElementByteOrderMSB": "True", "data": VOXELS.astype(">i2").tobytes()},
    "blank lines behind the header": {"data": b"\n\r\n" + VOXELS.tobytes()},
    "compressed behind blank lines": {"CompressedData": "True", "data": b"\n\n" + zlib.compress(VOXELS.tobytes())},
    "text": {"BinaryData": "False", "data": " ".join(map(str, VOXELS.ravel())).encode()},
    "64 bits": {"ElementType": "MET_LONG_LONG", "data": VOXELS.astype("<i8").tobytes()},
    "a fourth axis of one entry": {
        "NDims": 4, "DimSize": "48 40 6 1", "ElementSpacing": "1.5 1.4 9 1", "Offset": "-12 34 56 0",
        "TransformMatrix": " ".join(f"{v:.10g}" for row in DIRECTION.T for v in (*row, 0)) + " 0 0 0 1",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", META_VARIANTS)
def test_metaimage_variant_is_read(tmp_path, name):
    same(meta(tmp_path / "a.mha", **META_VARIANTS[name]))


def test_metaimage_means_what_itk_reads(tmp_path):
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(DIRECTION.ravel())
    for name, packed in (("a.mha", False), ("b.mhd", False), ("c.mha", True), ("d.mhd", True)):
        sitk.WriteImage(image, str(tmp_path / name), packed)
        same(tmp_path / name)


@pytest.mark.parametrize("said", ["s%d.raw 1 6 1", "LIST"])
def test_metaimage_with_a_file_per_slice_is_read(tmp_path, said):
    names = [f"s{number}.raw" for number in range(1, 7)]
    for name, part in zip(names, VOXELS, strict=True):
        (tmp_path / name).write_bytes(part.tobytes())
    same(meta(tmp_path / "a.mhd", ElementDataFile=said, data="\n".join(names).encode() if said == "LIST" else b""))


def test_metaimage_whose_data_file_is_missing_short_or_has_a_header(tmp_path):
    path = meta(tmp_path / "a.mhd", ElementDataFile="a.raw", HeaderSize=-1, data=b"")
    with pytest.raises(StudyError, match=r"a\.mhd keeps its voxels in a\.raw, which is not there"):
        read_study(path)
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes()[:-40])
    with pytest.raises(StudyError, match=r"a\.raw\) is cut short: 23000 bytes"):
        read_study(path)
    (tmp_path / "a.raw").write_bytes(b"head" + VOXELS.tobytes())
    same(path)
    same(meta(tmp_path / "b.mhd", ElementDataFile="a.raw", HeaderSize=4, data=b""))


@pytest.mark.parametrize("lacking", ["DimSize", "ElementType", "ElementDataFile"])
def test_metaimage_header_that_lacks_a_field_is_refused_by_its_name(tmp_path, lacking):
    with pytest.raises(StudyError, match=rf"a\.mha.*{lacking}"):
        read_study(meta(tmp_path / "a.mha", drop=(lacking,)))


@pytest.mark.parametrize("size", ["nan", "1e400", "6.5"])
def test_metaimage_of_a_size_that_is_no_number_is_refused(tmp_path, size):
    with pytest.raises(StudyError, match="no valid DimSize"):
        read_study(meta(tmp_path / "a.mha", DimSize=f"48 40 {size}"))


def test_metaimage_with_a_matrix_of_zeros_keeps_its_sizes(tmp_path):
    study = read_study(meta(tmp_path / "a.mha", TransformMatrix="0 0 0 0 0 0 0 0 0"))
    assert study.geometry.spacing_mm == tuple(SPACING) and any("place in the body" in note for note in study.notes)


def test_a_mask_of_the_same_odd_header_fits_its_image(tmp_path):
    """A mask from the program that wrote the image: in microns, with rounded axes, or both of a pair."""
    marked = VOXELS > 700
    image = read_study(nrrd(tmp_path / "a.nrrd", **NRRD_VARIANTS["microns"]))
    kind = {"type": "uint8", "endian": None}
    mask = nrrd(tmp_path / "m.nrrd", **{**NRRD_VARIANTS["microns"], **kind, "body": marked.astype("u1").tobytes()})
    assert np.array_equal(read_mask(mask, image), marked)
    rounded = affine(np.round(DIRECTION, 3))
    image = read_study(nifti(tmp_path / "a.nii", rounded))
    nib.save(nib.Nifti1Image(marked.T.astype(np.uint8), rounded), tmp_path / "m.nii")
    assert np.array_equal(read_mask(tmp_path / "m.nii", image), marked)
    write_volume(tmp_path / "ours.nii.gz", marked, image)
    assert np.array_equal(read_mask(tmp_path / "ours.nii.gz", image), marked)
    nib.save(nib.Nifti1Pair(marked.T.astype(np.uint8), rounded), tmp_path / "p.img")
    assert np.array_equal(read_mask(tmp_path / "p.hdr", image), marked)


@pytest.mark.parametrize("make", [nifti, nrrd, meta], ids=["a.nii", "a.nrrd", "a.mha"])
def test_a_header_with_damaged_bytes_is_read_or_refused_and_never_crashes(tmp_path, make, request):
    data = make(tmp_path / request.node.callspec.id).read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for place in generator.integers(0, 350, 3):
            damaged[place] = generator.choice([0, 48, 57, 127, 255, int(generator.integers(256))])
        path = tmp_path / f"damaged{request.node.callspec.id}"
        path.write_bytes(damaged)
        try:
            read_volume(path)
        except StudyError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("place, code", [(70, 1), (70, 77), (42, 32767)], ids=["bits", "no type", "huge"])
def test_nifti_of_no_type_or_of_absurd_size_is_refused(tmp_path, place, code):
    data = bytearray(nifti(tmp_path / "a.nii").read_bytes())
    data[place : place + 2] = np.int16(code).tobytes()
    data[44:48] = np.array([32767, 32767] if place == 42 else SHAPE[1::-1], dtype="<i2").tobytes()
    (tmp_path / "a.nii").write_bytes(data)
    with pytest.raises(StudyError, match=r"single bits|type 77 is unknown|cut short"):
        read_study(tmp_path / "a.nii")
