"""A numerical phantom: a seeded LGE short-axis study whose infarct, and its mass, are known exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.phantom.acquisition import BLOOD_VALUE, acquire, paint_heart
from MyoScarSegLib.phantom.grid import make_grid
from MyoScarSegLib.phantom.heart import make_heart
from MyoScarSegLib.phantom.occupancy import sample_heart
from MyoScarSegLib.phantom.phantom_settings import Infarct, PhantomSettings
from MyoScarSegLib.phantom.torso import Tissue, paint_torso
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.study.study import Reconstruction, Study
from MyoScarSegLib.study.tissue import INFARCT


@dataclass(frozen=True)
class Phantom:
    """A made study and what is true about it.

    Attributes:
        seed: that made it.
        settings: that made it.
        study: as if read from a file.
        labels: uint8 ``[k, j, i]``: 0 background, 1 left-ventricular cavity, 2 normal myocardium, 3 infarct, 4 no-reflow.
        infarcts: that were made; none in a normal heart.
        scar_volume_ml: exact volume of the scar, from continuous geometry and not from pixels.
        scar_mass_g: the same as mass.
    """

    seed: int
    settings: PhantomSettings
    study: Study
    labels: np.ndarray
    infarcts: tuple[Infarct, ...]
    scar_volume_ml: float
    scar_mass_g: float

    @property
    def scar(self) -> np.ndarray:
        """bool ``[k, j, i]``, infarct and no-reflow: in each slice the pixels that it fills most, as many as it fills in all."""
        return self.labels >= INFARCT


def make_phantom(seed: int, *, settings: PhantomSettings | None = None) -> Phantom:
    """Make a phantom; the same seed and settings give the same phantom.

    The scar is a solid that is constant through each slice's share of the stack (half way to each neighbor), bounded in
    the slice by tabulated curves. Its volume is integrated from these; the label map samples it, so the volume of the
    labels differs from the truth only by rounding to whole pixels: under 1% in 150 random stacks of clinical pixel sizes.

    Heart, infarcts, surroundings and acquisition draw from generators of their own: changing the noise, say, keeps the anatomy.

    Args:
        seed: any whole number from 0.
        settings: what it should be; clinical defaults.

    Raises:
        MyoScarSegError: the settings contradict each other, or the heart does not fit into the image.
    """
    settings = settings or PhantomSettings()
    streams = [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(6)]
    grid_rng, shape_rng, infarct_rng, torso_rng, heart_rng, acquisition_rng = streams
    grid = make_grid(settings, grid_rng)
    heart = make_heart(grid, shape_rng, infarct_rng)
    occupancy = sample_heart(grid, heart)
    tissue = _draw_tissue(torso_rng)
    canvas = paint_torso(grid, heart, tissue, torso_rng)
    paint_heart(canvas, occupancy, tissue, float(np.mean(settings.pixel_spacing_mm)), heart_rng)
    voxels = acquire(canvas, grid, acquisition_rng)

    areas = heart.scar_areas_mm2()
    volume_ml = float(np.dot(areas, grid.extents_mm)) / MM3_PER_ML
    study = Study(
        case=f"phantom-{seed}",
        voxels=voxels,
        geometry=grid.geometry(),
        reconstruction=settings.reconstruction,
        reconstruction_reason="The phantom was made so.",
        source={"format": "phantom", "seed": str(seed)},
    )
    return Phantom(
        seed=seed,
        settings=settings,
        study=study,
        labels=occupancy.labels((settings.slices, settings.rows, settings.columns)),
        infarcts=heart.infarcts,
        scar_volume_ml=volume_ml,
        scar_mass_g=volume_ml * MYOCARDIAL_DENSITY_G_PER_ML,
    )


def phantom_slices(seed: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slices of many different phantoms, for mixing into training: display orientation, noise, contrast and size vary.

    Args:
        seed: of the sequence.
        count: number of slices.

    Yields:
        float32 ``[rows, columns]`` image and uint8 ``[rows, columns]`` labels.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    made = 0
    while made < count:
        rows, columns = (256, 208) if rng.random() < 0.5 else (232, 256)
        pixel_mm = float(rng.uniform(1.25, 1.6))
        # A part of the public training data was stretched, and its borders padded with the lowest value.
        stretch = float(rng.uniform(1.15, 1.7)) if rng.random() < 0.25 else 1.0
        settings = PhantomSettings(
            slices=5,
            rows=rows,
            columns=round(columns * stretch),
            pixel_spacing_mm=(pixel_mm, pixel_mm / stretch),
            slice_spacing_mm=18.0,
            in_plane_rotation_deg=float(rng.choice([0.0, 90.0, 180.0, 270.0]) + rng.normal(0.0, 8.0)),
            mirrored=bool(rng.random() < 0.5),
            infarct_counts=(0.1, 0.6, 0.25, 0.05),
            reconstruction=Reconstruction.PSIR if rng.random() < 0.75 else Reconstruction.MAGNITUDE,
            noise=float(rng.uniform(0.03, 0.14)),
            bias=float(rng.uniform(0.05, 0.4)),
            blur_px=float(rng.uniform(0.4, 1.0)),
        )
        phantom = make_phantom(int(rng.integers(2**31)), settings=settings)
        padding = rng.integers(0, 24, size=4) if rng.random() < 0.4 else np.zeros(4, dtype=np.int64)
        for image, labels in zip(phantom.study.voxels, phantom.labels, strict=True):
            if made == count:
                return
            made += 1
            yield _padded(image.astype(np.float32), padding), labels


def _padded(image: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Borders (above, below, left, right, in pixels) overwritten with a value well below all others."""
    top, bottom, left, right = (int(width) for width in widths)
    inner = np.zeros(image.shape, dtype=bool)
    inner[top : image.shape[0] - bottom, left : image.shape[1] - right] = True
    return image if inner.all() else np.where(inner, image, np.float32(-5.0 * BLOOD_VALUE))


def _draw_tissue(rng: np.random.Generator) -> Tissue:
    """Signals vary between patients, with dose, delay and inversion time."""
    usual = Tissue()
    return replace(
        usual,
        lung=float(rng.uniform(-0.05, 0.18)),
        fat=usual.fat * float(rng.uniform(0.8, 1.3)),
        liver=float(rng.uniform(0.55, 0.95)),
        kidney=float(rng.uniform(1.4, 2.4)),
        myocardium=float(rng.uniform(0.05, 0.6)),
        scar=float(rng.uniform(0.95, 1.35)),
        no_reflow=float(rng.uniform(0.3, 0.55)),
    )
