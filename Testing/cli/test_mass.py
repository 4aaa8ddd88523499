"""Scar mass through the files: the same whatever the input format, and right for a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.phantom.phantom_settings import PhantomSettings
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study import read_mask, read_study, write_segmentation, write_volume
from Testing.support.dicom_factory import write_series


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
