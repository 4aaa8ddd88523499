"""The numbers of a study, measured once after each change of what they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from MyoScarSegLib.quantification.aha import InsertionPoints, known_levels
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.burden import ScarBurden, mass_of_pixels_g, scar_burden
from MyoScarSegLib.quantification.mass_interval import MassInterval, mass_interval
from MyoScarSegLib.result import mask_of
from MyoScarSegLib.scene.study_state import StudyState
from MyoScarSegLib.scene.ventricle_state import Landmarks
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study.study import Reconstruction, Study

if TYPE_CHECKING:
    from MyoScarSegLib.outputs.figure_data import WallHistogram
    from MyoScarSegLib.quantification.measurements import Measurements
    from MyoScarSegLib.quantification.reference import ReferenceMask, ReferenceRow

T = TypeVar("T")
RAS_LPS = np.array([-1.0, -1.0, 1.0])
"""Factors between the scene's world and that of files."""


class StudyNumbers:
    """Measures a state of a study; that of the last one is kept.

    Attributes:
        method_options: of :meth:`methods` while a reader looks at the reference methods; None while nobody does.
    """

    def __init__(self, study: Study, geometry: VolumeGeometry) -> None:
        self._study = study
        self._geometry = geometry
        self.method_options: Mapping[str, Any] | None = None
        self._latest: dict[str, tuple[Any, Any]] = {}  # by what was measured: of what, and its numbers

    def burden(self, state: StudyState) -> ScarBurden:
        """Area, volume and mass of the scar."""
        shape, geometry = self._geometry.shape, self._study.geometry
        return self._once("burden", _drawn(state), lambda: scar_burden(state.masks(shape), geometry))

    def mass_interval(self, state: StudyState) -> MassInterval | None:
        """The interval of the mass; None where spacing is unknown, or how far the model's masses are off.

        Each slice's share is kept with its probabilities, so that this costs next to nothing.
        """
        uncertain_g = mass_of_pixels_g(state.uncertain_px(self._study.slices), self._study.geometry)
        return mass_interval(self.burden(state).mass_g, uncertain_g, state.mass_error)

    def anatomy(self, state: StudyState) -> Anatomy:
        """The ventricle as it is. Levels are those of the rules, with the reader's; None if he has set none."""

        def known() -> Anatomy:
            shape, of = self._geometry.shape, state.ventricle
            wall, insertions = of.ventricle(shape), insertion_points(self._geometry, of.landmarks)
            levels = known_levels(wall, self._study, of.levels)
            return Anatomy(wall, of.no_reflow(shape), insertions, levels, of.remote(shape))

        return self._once("anatomy", state.ventricle, known)

    def measurements(self, state: StudyState) -> Measurements:
        """All numbers of scar burden, those that need a wall as far as there is one."""
        from MyoScarSegLib.quantification.measurements import measure

        interval = self.mass_interval(state)

        def measured() -> Measurements:
            known = self.anatomy(state)
            return measure(
                state.masks(self._geometry.shape), self._study.geometry, ventricle=known.ventricle, no_reflow=known.no_reflow,
                insertions=known.insertions, levels=known.levels, voxels=self._study.voxels, interval=interval,
            )  # fmt: skip

        return self._once("measurements", (_drawn(state), state.ventricle, interval), measured)

    def methods(self, state: StudyState, *, specks_px: int, fill_no_reflow: bool) -> dict[str, ReferenceMask]:
        """What the reference methods find in the wall; nothing without one. See
        :func:`~MyoScarSegLib.quantification.reference.reference_masks`."""
        if not state.ventricle.has_wall:
            return {}
        scar, options = state.masks(self._geometry.shape), {"specks_px": specks_px, "fill_no_reflow": fill_no_reflow}
        key = state.ventricle.slices, bool(scar.any()), options
        return self._once("methods", key, lambda: self._found(state, scar, **options))

    def _found(self, state: StudyState, scar: np.ndarray, **options: Any) -> dict[str, ReferenceMask]:
        from MyoScarSegLib.quantification.reference import reference_masks

        known = self.anatomy(state)
        if (wall := known.ventricle) is None:
            return {}
        options |= {"scar": scar, "no_reflow": known.no_reflow, "psir": self._study.reconstruction is Reconstruction.PSIR}
        return reference_masks(self._study.voxels, wall.myocardium, wall.cavity, known.remote, **options)

    def method_rows(self, state: StudyState, found: dict[str, ReferenceMask]) -> tuple[ReferenceRow, ...]:
        """The numbers of :meth:`methods`, compared with the scar as it is; with the model's where a method's was taken over."""
        from MyoScarSegLib.quantification.reference import reference_table

        shape = self._geometry.shape
        wall = state.ventricle.ventricle(shape)
        if wall is None or not found:
            return ()
        mask = state.masks(shape)
        if state.methods_meet_model:
            spacing = self._study.geometry.pixel_spacing_mm
            mask = np.zeros(shape, dtype=bool)
            for k, model in state.models.items():
                mask[k] = mask_of(model.probability, state.threshold, state.growth_mm, spacing)
        key = found, mask.tobytes()
        return self._once("method_rows", key, lambda: reference_table(found, self._study.geometry, wall.myocardium, mask))

    def followed_methods(self, state: StudyState) -> tuple[ReferenceRow, ...] | None:
        """The numbers of the reference methods while a reader looks at them, None while nobody does."""
        if self.method_options is None:
            return None
        return self.method_rows(state, self.methods(state, **self.method_options))

    def histogram(self, state: StudyState) -> WallHistogram | None:
        """Intensities of the wall, with the thresholds of some methods; None without a wall."""
        from MyoScarSegLib.outputs.figure_data import drawn_thresholds, study_histogram

        known, scar = self.anatomy(state), state.masks(self._geometry.shape)
        wall, no_reflow = known.ventricle, known.no_reflow
        if wall is None or not wall.myocardium.any():
            return None
        key = state.ventricle.slices, bool((scar & wall.myocardium).any())
        thresholds = self._once("thresholds", key, lambda: drawn_thresholds(self._found(state, scar)))
        return study_histogram(self._study.voxels, wall, scar if no_reflow is None else scar | no_reflow, thresholds)

    def rotation(self, state: StudyState) -> float | None:
        """By how many degrees the insertion points turn the septum from where the patient's axes have it; None without points,
        spacing, or a slice whose wall is whole."""
        from MyoScarSegLib.quantification.insertions import rotation_of

        known = self.anatomy(state)
        points, wall = known.insertions, known.ventricle
        if points is None or wall is None or not wall.closed or self._study.geometry.spacing_mm is None:
            return None
        return self._once("rotation", state.ventricle, lambda: rotation_of(points, wall, self._study.geometry))

    def _once(self, what: str, key: Any, measured: Callable[[], T]) -> T:
        if what not in self._latest or self._latest[what][0] != key:
            self._latest[what] = key, measured()
        numbers: T = self._latest[what][1]
        return numbers


def insertion_points(geometry: VolumeGeometry, landmarks: Landmarks | None) -> InsertionPoints | None:
    """Landmarks as points of the world."""
    if landmarks is None:
        return None
    ras = geometry.to_world(np.array([landmarks.anterior, landmarks.inferior]))
    anterior, inferior = ((float(x), float(y), float(z)) for x, y, z in ras * RAS_LPS)
    return InsertionPoints(anterior, inferior, landmarks.source)


def landmarks_of(geometry: VolumeGeometry, points: InsertionPoints) -> Landmarks:
    """Points of the world as landmarks of a study."""
    places = geometry.from_world(np.array([points.anterior_mm, points.inferior_mm]) * RAS_LPS)
    anterior, inferior = ((float(x), float(y), float(k)) for x, y, k in places)
    return Landmarks(anterior, inferior, points.source)


def _drawn(state: StudyState) -> dict[int, bytes]:
    return {k: one.drawn for k, one in state.slices.items()}
