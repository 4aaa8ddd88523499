"""What a report of scar burden says: one patient's numbers in words, the same for the page and for HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.quantification.aha import BY_HAND, SEGMENTS
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, Extent
from MyoScarSegLib.quantification.insertions import propose_insertions, rotation_of
from MyoScarSegLib.quantification.mass_interval import COVERAGE
from MyoScarSegLib.quantification.measurements import Measurements, measure
from MyoScarSegLib.quantification.reference import ReferenceMask, ReferenceRow, reference_masks, reference_table
from MyoScarSegLib.quantification.segment_values import GRADES
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.patient import Patient
from MyoScarSegLib.study.study import Reconstruction
from MyoScarSegLib.utils.words import counted, slices_listed

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
NOT_MEASURED = "–"
_SOURCES = {
    "model": "proposed by the model",
    "labels": "from labels",
    "contours": "from contours",
    "edited": "edited by hand",
}
_INSERTIONS = {
    "reader": "set by the reader",
    "image": "proposed from the right ventricle in the image",
    "axes": "proposed from the patient's axes alone: check them",
    "rotation": "set by an angle",
}


@dataclass(frozen=True)
class Tile:
    """One of the numbers at the head of a report.

    Attributes:
        name: what it is.
        value: with its unit; :data:`NOT_MEASURED` if there is none.
        note: its interval, or what it is made of; why it is missing.
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report is made of.

    Attributes:
        name: the case's name or a pseudonym; never from the patient's data.
        result: study, mask, and how the mask was made.
        measurements: of it.
        anatomy: the ventricle around it.
        reader_minutes: time that the reader spent on the study; None if it was not taken.
        patient: None for a report under the pseudonym.
        mask_source: where a mask comes from that this program did not make; empty if it did.
    """

    name: str
    result: Result
    measurements: Measurements
    anatomy: Anatomy = field(default_factory=Anatomy)
    reader_minutes: float | None = None
    patient: Patient | None = None
    mask_source: str = ""

    @property
    def ventricle(self) -> Ventricle | None:
        """The ventricle of the report; None if it has no wall."""
        ventricle = self.anatomy.ventricle
        return ventricle if ventricle is not None and ventricle.walls else None

    @property
    def scar(self) -> np.ndarray:
        """bool ``[k, j, i]``, with the no-reflow."""
        no_reflow = self.anatomy.no_reflow
        return self.result.mask if no_reflow is None else self.result.mask | no_reflow

    @cached_property
    def references(self) -> dict[str, ReferenceMask]:
        """What other methods find in the wall, by their names; empty without a wall."""
        if self.ventricle is None:
            return {}
        wall, cavity, remote = self.ventricle.myocardium, self.ventricle.cavity, self.anatomy.remote
        scar, no_reflow = self.result.mask, self.anatomy.no_reflow
        study = self.result.study
        psir = study.reconstruction is Reconstruction.PSIR
        return reference_masks(study.voxels, wall, cavity, remote, scar=scar, no_reflow=no_reflow, psir=psir)

    @cached_property
    def methods(self) -> tuple[ReferenceRow, ...]:
        """The other methods' numbers, compared with the scar of this report."""
        if self.ventricle is None or not self.references:
            return ()
        return reference_table(self.references, self.result.study.geometry, self.ventricle.myocardium, self.scar)

    @property
    def title(self) -> str:
        """The patient's name if the report names one, else the pseudonym."""
        return self.patient.name if self.patient is not None and self.patient.name else self.name

    @property
    def subtitle(self) -> str:
        """Of the patient, if the report names one, and of the exam."""
        who = []
        if self.patient is not None:
            told = (("ID", self.patient.number), ("born", self.patient.birth_date), ("exam", self.patient.study_date))
            who = [f"{word} {value}" for word, value in told if value]
        study, geometry = self.result.study, self.result.study.geometry
        rows, columns = study.slice_shape
        facts = [study.reconstruction.value, f"{counted(study.slices, 'slice')} of {rows} × {columns}"]
        if geometry.spacing_mm is not None and geometry.slice_distance_mm is not None:
            facts.append(f"pixels {geometry.spacing_mm[1]:.3g} × {geometry.spacing_mm[0]:.3g} mm")
            distance = f"{geometry.slice_distance_mm:.3g} mm between slices"
            thickness = study.source.get("slice_thickness_mm")
            uneven = " (uneven, nominal)" if geometry.slice_positions_mm is not None else ""
            facts.append(distance + uneven + (f", {thickness} mm thick" if thickness else ""))
        else:
            facts.append("no spacing: neither mL nor g")
        return "  ·  ".join([*who, *facts])

    @property
    def tiles(self) -> list[Tile]:
        """The numbers that readers look for first, two rows of five."""
        m = self.measurements
        return [
            self._scar_tile(),
            self._share_tile(),
            _amount_tile("LV myocardium", m.myocardium, _SOURCES.get(self.ventricle.source, "") if self.ventricle else ""),
            self._no_reflow_tile(),
            self._grey_zone_tile(),
            self._lesions_tile(),
            *self._depth_tiles(),
            self._segments_tile(),
        ]

    def _scar_tile(self) -> Tile:
        scar, within = self.measurements.scar, self.result.mass_interval
        if scar.mass_g is None:
            return Tile("Scar", f"{scar.pixels} pixels", "no spacing, so neither mL nor g")
        interval = "interval not known" if within is None else within.text
        return Tile("Scar", f"{scar.mass_g:.1f} g", f"{scar.volume_ml:.1f} mL; {interval}")

    def _share_tile(self) -> Tile:
        m, name = self.measurements, "Scar, % of LV myocardium"
        if m.percent_of_myocardium is None:
            return Tile(name, NOT_MEASURED, "no LV myocardium")
        interval = "interval not known"
        if m.percent_low is not None and m.percent_high is not None:
            interval = f"{COVERAGE:.0%} interval {m.percent_low:.0f} to {m.percent_high:.0f}%"
        return Tile(name, f"{m.percent_of_myocardium:.1f}%", interval)

    def _no_reflow_tile(self) -> Tile:
        m = self.measurements
        if m.no_reflow.pixels == 0:
            return Tile("No-reflow (MVO)", "none drawn", "counted in scar where there is any")
        share = ""
        if m.myocardium is not None and m.myocardium.pixels and m.no_reflow.volume_ml is not None and m.myocardium.volume_ml:
            share = f"{100 * m.no_reflow.volume_ml / m.myocardium.volume_ml:.1f}% of LV; "
        return _amount_tile("No-reflow (MVO)", m.no_reflow, f"{share}counted in scar")

    def _grey_zone_tile(self) -> Tile:
        zone = self.measurements.grey_zone
        if zone is None:
            return Tile("Core and grey zone", NOT_MEASURED, "see below")
        amounts = f"{zone.core.pixels} + {zone.grey.pixels} px"
        if zone.core.mass_g is not None and zone.grey.mass_g is not None:
            amounts = f"{zone.core.mass_g:.1f} + {zone.grey.mass_g:.1f} g"
        return Tile("Core and grey zone", amounts, "grey need not be dead: partial volume")

    def _lesions_tile(self) -> Tile:
        lesions = self.measurements.lesions
        if not lesions:
            return Tile("Lesions", "none")
        largest = lesions[0]
        size = f"{largest.extent.mass_g:.1f} g" if largest.extent.mass_g is not None else f"{largest.extent.pixels} px"
        across = f", {largest.diameter_mm:.0f} mm across" if largest.diameter_mm is not None else ""
        return Tile("Lesions", str(len(lesions)), f"largest {size}{across}")

    def _depth_tiles(self) -> list[Tile]:
        t = self.measurements.transmurality
        names = ("Transmurality where scar is", "Wall > 50% transmural", "Endocardial extent")
        if t is None:
            return [Tile(name, NOT_MEASURED, "see below") for name in names]
        deep = "no scar" if t.mean_scar_percent is None else f"{t.mean_scar_percent:.0f}%"
        return [
            Tile(names[0], deep, f"maximum {t.maximum_percent:.0f}%; all chords {t.mean_all_percent:.0f}%"),
            Tile(
                names[1],
                f"{t.above_50_percent:.0f}%",
                f"> 25%: {t.above_25_percent:.0f}%; > 75%: {t.above_75_percent:.0f}% of chords",
            ),
            Tile(names[2], f"{t.endocardial_extent_percent:.0f}%", f"wall {t.wall_thickness_mm:.1f} mm thick"),
        ]

    def _segments_tile(self) -> Tile:
        segments, name = self.measurements.segments, "AHA segments with scar"
        if segments is None:
            return Tile(name, NOT_MEASURED, "see below")
        imaged = [segment for segment in segments if segment.imaged]
        scarred = sum(segment.scar is not None and segment.scar.pixels > 0 for segment in imaged)
        deep = sum((segment.grade or 0) >= 3 for segment in imaged)
        return Tile(name, f"{scarred} of {len(imaged)}", f"{deep} above 50% transmural; {17 - len(imaged)} not imaged")

    @property
    def segment_rows(self) -> list[tuple[str, ...]]:
        """A row per segment: number, name, artery, scar, burden, transmurality, class. Empty without segments."""
        rows: list[tuple[str, ...]] = []
        for one in self.measurements.segments or ():
            about = SEGMENTS[one.number - 1]
            head = (str(one.number), about.name, about.artery)
            if not one.imaged or one.burden_percent is None:
                rows.append((*head, NOT_MEASURED, NOT_MEASURED, "", "not imaged"))
                continue
            scar = NOT_MEASURED
            if one.scar is not None:
                scar = f"{one.scar.mass_g:.1f}" if one.scar.mass_g is not None else f"{one.scar.pixels} px"
            deep = NOT_MEASURED if one.transmurality_percent is None else f"{one.transmurality_percent:.0f}"
            grade = NOT_MEASURED if one.grade is None else GRADES[one.grade]
            rows.append((*head, scar, f"{one.burden_percent:.1f}", deep, grade))
        return rows

    SEGMENT_HEADS = ("no.", "segment", "artery", "scar g", "scar %", "transm. %", "class")

    @property
    def method_rows(self) -> list[tuple[str, ...]]:
        """A row per other method: name, threshold, scar, share, Dice; one without an answer has the reason as its third."""
        rows: list[tuple[str, ...]] = []
        for one in self.methods:
            if one.pixels is None:
                rows.append((one.method, NOT_MEASURED, one.why))
                continue
            low, high = one.threshold_low or 0.0, one.threshold_high or 0.0
            threshold = f"{low:.4g}" if f"{low:.4g}" == f"{high:.4g}" else f"{low:.4g}–{high:.4g}"
            scar = f"{one.mass_g:.1f}" if one.mass_g is not None else f"{one.pixels} px"
            percent = NOT_MEASURED if one.percent_of_myocardium is None else f"{one.percent_of_myocardium:.1f}"
            rows.append(
                (
                    one.method,
                    threshold,
                    scar,
                    percent,
                    NOT_MEASURED if one.dice is None or not self.scar.any() else f"{one.dice:.2f}",
                )
            )
        return rows

    METHOD_HEADS = ("method", "threshold", "scar g", "% of LV", "Dice")

    @property
    def warnings(self) -> list[str]:
        """What a reader must see before the numbers."""
        m, result = self.measurements, self.result
        said = []
        within = result.mass_interval
        if within is not None and within.doubtful:
            said.append("The outlines are likely to be wrong: the model is unsure of much of the scar. Look at them first.")
        if not result.complete:
            said.append(f"Incomplete. {result.message}")
        if result.faint_note:
            said.append(result.faint_note)
        said += [note for note in (*m.notes, *result.study.notes) if note not in said]
        return said

    @property
    def missing(self) -> list[str]:
        """Why numbers are not there, each reason once."""
        return list(dict.fromkeys(self.measurements.missing.values()))

    @property
    def method_lines(self) -> list[tuple[str, str]]:
        """How it was measured: a word and a sentence each."""
        provenance = self.result.provenance
        lines = [("Scar", self._how_scar())]
        for role in ("segmenter", "detector"):
            checksum = provenance.get(f"{role}_sha256", "")
            if checksum:
                lines.append((role.capitalize(), f"{provenance.get(role, '')}, SHA-256 {checksum[:16]}…"))
        lines.append(("Edited by hand", self.edits))
        if self.ventricle is None:
            lines.append(("Myocardium", "not segmented"))
        else:
            source = _SOURCES.get(self.ventricle.source, self.ventricle.source)
            checksum = provenance.get("wall_sha256", "")
            if checksum and self.ventricle.source == "model" and checksum != provenance.get("segmenter_sha256"):
                source = f"proposed by {provenance.get('wall', '')}, SHA-256 {checksum[:16]}…"
            lines.append(("Myocardium", f"{source}; with scar and no-reflow in it, without papillary muscles"))
        if self.measurements.insertions is not None:
            source, turned = _INSERTIONS[self.measurements.insertions.source], self.septum_turned_deg
            if turned is not None:
                source += f": the septum {turned:.0f}° from where the patient's axes have it; positive is towards inferior"
            lines.append(("Insertion points", source))
        if self.measurements.scar.mass_g is not None:
            lines.append(
                ("Mass", f"area × distance between slices × {MYOCARDIAL_DENSITY_G_PER_ML:g} g/mL; end slices count whole")
            )
        if self.measurements.transmurality is not None:
            lines.append(("Transmurality", "scar over wall on 120 chords a slice, in slices whose wall is closed"))
        if self.measurements.grey_zone is not None:
            lines.append(("Grey zone", self.measurements.grey_zone.definition))
        minutes = "not taken" if self.reader_minutes is None else f"{self.reader_minutes:.1f} min"
        lines.append(("Reader's time", minutes))
        lines.append(("Program", provenance.get("program") or f"MyoScarSeg {__version__}"))
        return lines

    @property
    def septum_turned_deg(self) -> float | None:
        """The angle by which the insertion points were set; None where they come from elsewhere."""
        insertions = self.measurements.insertions
        if self.ventricle is None or insertions is None or insertions.source != "rotation":
            return None
        return rotation_of(insertions, self.ventricle, self.result.study.geometry)

    def _how_scar(self) -> str:
        if self.mask_source:
            return self.mask_source
        result = self.result
        grown = f", grown by {result.growth_mm:g} mm" if result.growth_mm > 0 else ""
        grown = f", shrunk by {-result.growth_mm:g} mm" if result.growth_mm < 0 else grown
        return f"probability from {result.threshold:g} up{grown}"

    @property
    def edits(self) -> str:
        """What was edited by hand."""
        if self.mask_source:
            return "not known: the mask comes from elsewhere"
        done = []
        if self.result.painted:
            done.append(f"scar in {slices_listed(self.result.painted)}")
        boxes = sum(box.by_reader for box in self.result.boxes)
        if boxes:
            done.append(counted(boxes, "box", "boxes"))
        if self.result.points:
            done.append(counted(len(self.result.points), "point"))
        if self.ventricle is not None and self.ventricle.source == "edited":
            done.append("myocardium")
        if self.anatomy.remote is not None:
            done.append("remote myocardium")
        if self.measurements.insertions is not None and self.measurements.insertions.source in BY_HAND:
            done.append("insertion points")
        return ", ".join(done) or "nothing"


def make_report(result: Result, anatomy: Anatomy | None = None, *, name: str = "", **more: Any) -> Report:
    """Measure a result and gather what its report says.

    Args:
        anatomy: the ventricle around it; None for scar's own amounts alone. Insertion points that are not set are proposed, if
            there is a wall all round the cavity somewhere.
        name: on the report; the case's if empty.
        more: further fields of :class:`Report`.

    Raises:
        StudyError: a mask does not fit the study.
    """
    study, known = result.study, anatomy or Anatomy()
    ventricle, insertions = known.ventricle, known.insertions
    if ventricle is not None and insertions is None and ventricle.closed and study.geometry.spacing_mm is not None:
        insertions = propose_insertions(study.voxels, ventricle, study.geometry)
    measurements = measure(
        result.mask, study.geometry, ventricle=ventricle, no_reflow=known.no_reflow, insertions=insertions, levels=known.levels,
        voxels=study.voxels, interval=result.mass_interval,
    )  # fmt: skip
    return Report(name or study.case, result, measurements, known, **more)


def _amount_tile(name: str, amount: Extent | None, note: str = "") -> Tile:
    if amount is None or amount.pixels == 0:
        return Tile(name, NOT_MEASURED, "not segmented")
    if amount.mass_g is None:
        return Tile(name, f"{amount.pixels} pixels", note)
    volume = f"{amount.volume_ml:.1f} mL"
    return Tile(name, f"{amount.mass_g:.1f} g", f"{volume}; {note}" if note else volume)
