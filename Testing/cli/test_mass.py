"""Scar mass through the files: the same whatever the input format, and right for a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.phantom.phantom_settings import PhantomSettings
from MyoScarSegLib.prompts import box_of_mask, write_boxes
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study import read_mask, read_study, write_segmentation, write_volume
from Testing.support.command import table, write_image
from Testing.support.dicom_factory import write_series

TIMES = ("seconds", "case", "message", "notes")


@pytest.mark.slow
def test_the_same_study_gives_the_same_numbers_in_every_format(segment, tmp_path):
    phantom = make_phantom(
        5, settings=PhantomSettings(slices=5, rows=112, columns=96, pixel_spacing_mm=(1.8, 1.6), slice_spacing_mm=16.0)
    )
    array = np.round(phantom.study.voxels - phantom.study.voxels.min()).astype(np.int16)
    # DICOM writes 16 significant digits, NIfTI single precision: geometry that both hold exactly leaves no excuse.
    spacing, direction = (1.625, 1.75, 16.0), Rotation.from_euler("z", 90, degrees=True).as_matrix().round()
    inputs = [
        write_image(tmp_path / f"study.{extension}", array, spacing=spacing, direction=direction)
        for extension in ("nii", "nii.gz", "nrrd", "mha", "mhd")
    ]
    inputs.append(write_series(tmp_path / "study", array, spacing=spacing, direction=direction, description="LGE SAX"))
    boxes = [b for k in range(5) if (b := box_of_mask(phantom.scar[k], k)) is not None]
    assert boxes
    for case in ("study", "study-2", "study-3", "study-4", "study-5", "study-6"):
        write_boxes(tmp_path / "boxes" / case / "boxes.json", case, boxes)
    ran = segment(*inputs, "--boxes", tmp_path / "boxes")
    assert ran.status == 0, ran.err
    rows = [{key: value for key, value in row.items() if key not in TIMES} for row in table(tmp_path / "out/results.csv")]
    assert len(rows) == 6 and float(rows[0]["scar_mass_g"]) > 0
    assert all(row == rows[0] for row in rows)
    slices = [{key: value for key, value in row.items() if key not in TIMES} for row in table(tmp_path / "out/slices.csv")]
    assert all(slices[n] == slices[n % 5] for n in range(30))


@pytest.mark.parametrize("seed", range(2))
def test_a_known_mass_survives_the_mask_file(tmp_path, seed):
    rng = np.random.default_rng(seed)
    settings = PhantomSettings(
        slices=8,
        rows=160,
        columns=144,
        pixel_spacing_mm=(float(rng.uniform(1.1, 1.9)), float(rng.uniform(1.1, 1.9))),
        slice_spacing_mm=float(rng.uniform(9, 14)),
        orientation="random",
        shear=(float(rng.uniform(-0.2, 0.2)), 0.0) if seed % 2 else (0.0, 0.0),
        infarct_counts=(0.0, 1.0),
    )
    phantom = make_phantom(seed, settings=settings)
    source = tmp_path / "study.nrrd"
    write_volume(source, phantom.study.voxels, phantom.study)
    study = read_study(source)
    for extension, write in ((".seg.nrrd", write_segmentation), (".nii.gz", write_volume), (".nrrd", write_volume)):
        path = tmp_path / f"scar{extension}"
        write(path, phantom.scar, study)
        mass_g = scar_burden(read_mask(path, study), study.geometry).mass_g
        assert mass_g is not None and math.isclose(mass_g, phantom.scar_mass_g, rel_tol=0.02)


@pytest.mark.parametrize("seed", range(2))
def test_a_stack_with_gaps_keeps_its_mass_through_dicom(tmp_path, seed):
    """Uneven slice positions: what no volume format can hold and a DICOM series does."""
    settings = PhantomSettings(slices=8, rows=128, columns=128, slice_spacing_mm=11.0, slice_jitter=0.4, infarct_counts=(0, 1))
    phantom = make_phantom(seed, settings=settings)
    geometry = phantom.study.geometry
    offsets = geometry.slice_positions_mm
    array = np.round(phantom.study.voxels - phantom.study.voxels.min()).astype(np.int16)
    write_series(
        tmp_path / "exam", array, spacing=geometry.spacing_mm, origin=geometry.origin_mm, direction=geometry.direction,
        offsets=list(offsets - offsets[0]),
    )  # fmt: skip
    study = read_study(tmp_path / "exam")
    assert study.geometry.slice_positions_mm is not None
    same_order = np.array_equal(study.voxels[0], array[0])
    mask = phantom.scar if same_order else phantom.scar[::-1]
    mass_g = scar_burden(mask, study.geometry).mass_g
    assert mass_g is not None and math.isclose(mass_g, phantom.scar_mass_g, rel_tol=0.02)
