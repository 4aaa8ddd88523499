"""Scar burden as a DICOM structured report (TID 1500, "Imaging Measurement Report") that refers to a DICOM segmentation.

What DICOM and its coding schemes have no code for stands under codes of our own, :data:`OWN_CODES`. Measurements that a study
does not have are left out; a segment of the heart that no slice shows is called *not imaged*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.dicom_segmentation import (
    MANUFACTURER,
    MODEL_NAME,
    SERIES_OF_SR,
    Sources,
    coded,
    identity,
    import_highdicom,
    mark_pseudonymous,
    model_of,
    parameters_of,
    save,
)
from MyoScarSegLib.quantification.burden import Extent
from MyoScarSegLib.quantification.measurements import Measurements, SegmentMeasurement
from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import AHA_SITES, BLOOD_POOL, LEFT_VENTRICLE, MVO, OWN_SCHEME, SCAR, WALL, Tissue

OWN_CODES: Mapping[str, str] = {
    "SCARPCT": "Scar percentage of left ventricular myocardium",
    "SCARPCTLOW": "Lower limit of scar percentage",
    "SCARPCTHIGH": "Upper limit of scar percentage",
    "SCAROUTSIDE": "Mass of scar outside the myocardium",
    "TRANSMEANALL": "Mean transmurality, all chords",
    "TRANSMEANSCAR": "Mean transmurality, chords with scar",
    "TRANSMAX": "Maximum transmurality",
    "TRANS25": "Share of chords with transmurality above 25%",
    "TRANS50": "Share of chords with transmurality above 50%",
    "TRANS75": "Share of chords with transmurality above 75%",
    "ENDOEXTENT": "Endocardial extent of scar",
    "SEGBURDEN": "Scar percentage of the segment's myocardium",
    "COREMASS": "Mass of scar core",
    "GREYMASS": "Mass of grey zone",
    "BURDEN": "Scar burden of the left ventricle",
    "IMAGED": "Coverage of the segment",
    "NOTIMAGED": "Not imaged",
    "SHOWN": "Imaged",
}
"""Value to meaning of the codes in the scheme ``99MYOSCARSEG`` that reports use beside those of :mod:`.tissue`."""

_PROCEDURE = "SCT^241620005^Magnetic resonance imaging of heart"
_VOLUME, _MASS, _LESIONS = "SCT^118565006^Volume", "SCT^118538004^Mass", "SCT^246206008^Number of lesions"
_SUM_OF_VOXELS = "DCM^126030^Sum of segmented voxel method for volume"
_ML, _G, _PERCENT, _COUNT = "UCUM^mL^milliliter", "UCUM^g^gram", "UCUM^%^percent", "UCUM^1^no units"


def write_structured_report(
    path: Path,
    study: Study,
    measurements: Measurements,
    segmentation: Path,
    *,
    provenance: Mapping[str, str],
    pseudonym: str = "",
) -> None:
    """Write the measurements of a study as a structured report.

    It holds a group for each segment of ``segmentation`` (volume, mass; of scar also number of lesions and percentage of the
    wall, with its interval), one for the whole left ventricle (transmurality, endocardial extent, core and grey zone) and one for
    each of the 17 segments, with its finding site. Model, checksum and parameters are told as its algorithm.

    Args:
        study: with ``files``, as for the segmentation.
        segmentation: that :func:`~MyoScarSegLib.outputs.dicom_segmentation.write_dicom_seg` wrote for the same study
            with the same ``pseudonym``; the report refers to its segments.

    Raises:
        StudyError: the study did not come from DICOM, or its files are gone.
        OutputError: highdicom is not installed, the segmentation is another study's or names another patient, or the file cannot
            be written.
    """
    highdicom = import_highdicom()
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    sources = Sources.of(study, pseudonym)
    masks = _segmentation(highdicom, segmentation, sources)

    def made() -> Any:
        report = highdicom.sr.Comprehensive3DSR(
            evidence=[*sources.all, masks],
            content=_content(highdicom, measurements, masks, provenance)[0],
            is_complete=True,
            coding_schemes=[CodingSchemeIdentificationItem(OWN_SCHEME, name="MyoScarSeg", responsible_organization=MANUFACTURER)],
            content_qualification="RESEARCH",
            series_description="MyoScarSeg scar burden",
            **identity(highdicom, SERIES_OF_SR),
        )
        return mark_pseudonymous(report, pseudonym)

    save(path, made)


def own_code(value: str) -> Any:
    """A code of :data:`OWN_CODES`."""
    return coded(f"{OWN_SCHEME}^{value}^{OWN_CODES[value]}")


def _segmentation(highdicom: ModuleType, path: Path, sources: Sources) -> Any:
    """The segmentation that the report refers to.

    Raises:
        OutputError: it cannot be read, or is not one of the sources' patient and study.
    """
    try:
        masks = highdicom.seg.segread(path)
    except parsing_errors() as error:
        raise OutputError(f"{path} is no DICOM segmentation ({error}). Write it first, and the report after it.") from error
    first = sources.main[0]
    if masks.StudyInstanceUID != first.StudyInstanceUID:
        raise OutputError(f"{path} is the segmentation of another study than the report's.")
    if (masks.PatientID, masks.PatientName) != (first.PatientID, first.PatientName):
        raise OutputError(f"{path} names another patient than the report would: write both with the same pseudonym, or without.")
    shared = masks.SharedFunctionalGroupsSequence[0]
    if "SegmentIdentificationSequence" in shared:  # of a single segment; what makes references to it looks at the frames' own
        for frame in masks.PerFrameFunctionalGroupsSequence:
            frame.SegmentIdentificationSequence = shared.SegmentIdentificationSequence
    return masks


def _content(highdicom: ModuleType, measurements: Measurements, masks: Any, provenance: Mapping[str, str]) -> Any:
    sr = highdicom.sr
    import_pydicom()
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=[MANUFACTURER, __version__]),
            name=MODEL_NAME,
            manufacturer_name=MANUFACTURER,
            model_name=f"{MODEL_NAME} {__version__}",
        ),
    )
    groups = [*_of_tissues(highdicom, measurements, masks, provenance), _of_ventricle(highdicom, measurements, provenance)]
    groups += [_of_segment(highdicom, segment) for segment in measurements.segments or ()]
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded(_PROCEDURE),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def _of_tissues(highdicom: ModuleType, measurements: Measurements, masks: Any, provenance: Mapping[str, str]) -> Iterator[Any]:
    """A group for each segment of the segmentation that was measured."""
    sr = highdicom.sr
    amounts: dict[str, tuple[Tissue, Extent | None]] = {
        SCAR.name: (SCAR, measurements.scar),
        MVO.name: (MVO, measurements.no_reflow),
        WALL.name: (WALL, measurements.myocardium),
        BLOOD_POOL.name: (BLOOD_POOL, measurements.cavity),
    }
    for item in masks.SegmentSequence:
        tissue, extent = amounts.get(str(item.SegmentLabel), (None, None))
        if tissue is None or extent is None:
            continue
        values: list[_Value] = [(_VOLUME, extent.volume_ml, _ML)]
        if tissue is not BLOOD_POOL:
            values.append((_MASS, extent.mass_g, _G))
        if tissue is SCAR:
            outside = measurements.scar_outside_wall
            values += [
                (_LESIONS, len(measurements.lesions), _COUNT),
                ("SCARPCT", measurements.percent_of_myocardium, _PERCENT),
                ("SCARPCTLOW", measurements.percent_low, _PERCENT),
                ("SCARPCTHIGH", measurements.percent_high, _PERCENT),
                ("SCAROUTSIDE", None if outside is None else outside.mass_g, _G),
            ]
        yield sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(item.TrackingUID, tissue.name),
            referenced_segment=sr.ReferencedSegment.from_segmentation(masks, segment_number=int(item.SegmentNumber)),
            finding_category=coded(tissue.dicom_category or tissue.category),
            finding_type=coded(tissue.dicom_code or tissue.code),
            finding_sites=[sr.FindingSite(coded(LEFT_VENTRICLE))],
            algorithm_id=_algorithm(sr, provenance, tissue) if item.SegmentAlgorithmType != "MANUAL" else None,
            measurements=_measured(sr, values),
        )


def _of_ventricle(highdicom: ModuleType, measurements: Measurements, provenance: Mapping[str, str]) -> Any:
    sr, depth, grey = highdicom.sr, measurements.transmurality, measurements.grey_zone
    values: list[_Value] = []
    if depth is not None:
        values += [
            ("TRANSMEANALL", depth.mean_all_percent, _PERCENT),
            ("TRANSMEANSCAR", depth.mean_scar_percent, _PERCENT),
            ("TRANSMAX", depth.maximum_percent, _PERCENT),
            ("TRANS25", depth.above_25_percent, _PERCENT),
            ("TRANS50", depth.above_50_percent, _PERCENT),
            ("TRANS75", depth.above_75_percent, _PERCENT),
            ("ENDOEXTENT", depth.endocardial_extent_percent, _PERCENT),
        ]
    if grey is not None:
        values += [("COREMASS", grey.core.mass_g, _G), ("GREYMASS", grey.grey.mass_g, _G)]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(highdicom.UID(), "Left ventricle"),
        finding_type=own_code("BURDEN"),
        finding_sites=[sr.FindingSite(coded(LEFT_VENTRICLE))],
        algorithm_id=_algorithm(sr, provenance),
        measurements=_measured(sr, values),
    )


def _of_segment(highdicom: ModuleType, segment: SegmentMeasurement) -> Any:
    sr = highdicom.sr
    values: list[_Value] = [
        ("SEGBURDEN", segment.burden_percent, _PERCENT),
        (_MASS, None if segment.scar is None else segment.scar.mass_g, _G),
        ("TRANSMEANALL", segment.transmurality_percent, _PERCENT),
        ("TRANSMEANSCAR", segment.transmurality_scar_percent, _PERCENT),
        ("TRANSMAX", segment.maximum_percent, _PERCENT),
    ]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(highdicom.UID(), f"Segment {segment.number}"),
        finding_type=coded(SCAR.dicom_code or SCAR.code),
        finding_sites=[sr.FindingSite(coded(AHA_SITES[segment.number - 1]))],
        measurements=_measured(sr, values),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(own_code("IMAGED"), own_code("SHOWN" if segment.imaged else "NOTIMAGED"))
        ],
    )


_Value = tuple[str, float | None, str]
"""A code of :data:`OWN_CODES` or of a public scheme, the value, and its unit."""


def _measured(sr: ModuleType, values: list[_Value]) -> list[Any]:
    """The items of those values that are not None."""
    return [
        sr.Measurement(
            name=coded(name) if "^" in name else own_code(name),
            value=float(value),
            unit=coded(unit),
            method=coded(_SUM_OF_VOXELS) if name == _VOLUME else None,
        )
        for name, value, unit in values
        if value is not None
    ]


def _algorithm(sr: ModuleType, provenance: Mapping[str, str], tissue: Tissue | None = None) -> Any:
    name, checksum = model_of(provenance, tissue)
    parameters = [f"{key}={value}" for key, value in parameters_of(provenance).items()]
    return sr.AlgorithmIdentification(name, checksum[:12] or __version__, parameters or None)
