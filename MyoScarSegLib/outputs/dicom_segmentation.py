"""DICOM segmentations (SEG) of a study that was read from DICOM, by highdicom.

They carry the patient and the examination of the images, so that an archive files them there; a pseudonym replaces what names the
patient. The source's UIDs stay in either case: by them a viewer finds the images that a mask lies on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.study.dicom_headers import DicomImage
from MyoScarSegLib.study.dicom_sources import source_images
from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import BLOOD_POOL, LEFT_VENTRICLE, WALL, Tissue
from MyoScarSegLib.utils.files import atomic_path

MANUFACTURER, MODEL_NAME, SERIAL_NUMBER = "MyoScarSeg", "MyoScarSeg", "none"
SERIES_OF_SEG, SERIES_OF_SR = 701, 702
"""Series numbers, beyond those that scanners give."""

#: Attributes that must be there, if empty.
_EMPTY_IF_MISSING = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName",
)  # fmt: skip
_SEXES = ("M", "F", "O", "")
#: What a pseudonym leaves of the headers.
_KEPT = frozenset(
    """
    SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality Rows Columns
    PatientSex NumberOfFrames
    """.split()  # noqa: SIM905 (a list of strings is not read more easily)
)
_NOTE = "MyoScarSeg: patient and dates removed, UIDs kept"


def write_dicom_seg(
    path: Path,
    study: Study,
    segments: Mapping[Tissue, np.ndarray],
    *,
    provenance: Mapping[str, str],
    drawn: Collection[Tissue] = (),
    pseudonym: str = "",
) -> None:
    """Write masks as a binary DICOM segmentation on the images of the study. Every slice is in it, also without scar.

    Args:
        study: with ``files``; see :func:`~MyoScarSegLib.study.dicom_sources.with_files` for one that was loaded from a copy.
        segments: tissue (:mod:`~MyoScarSegLib.study.tissue`) to mask, ``[k, j, i]`` shaped like ``study.voxels``, not zero being
            the tissue. They may overlap, and be empty. Their order is that of the segments' numbers, from 1.
        provenance: the result's: model, its checksum, threshold, program.
        drawn: tissues that a person drew, without a model.
        pseudonym: replaces the patient's name and ID, and everything else in the headers that tells of the patient but the sex,
            with the dates and the descriptions of the examination; the file says so. Empty for the source's patient.

    Raises:
        StudyError: the study did not come from DICOM, or its files are gone.
        OutputError: highdicom is not installed, the headers lack what a segmentation needs, or the file cannot be written.
    """
    highdicom = import_highdicom()
    masks = [np.asarray(mask) != 0 for mask in segments.values()]
    if not masks or any(mask.shape != study.voxels.shape for mask in masks):
        raise ValueError("a segmentation needs masks that are shaped like the study")
    sources = Sources.of(study, pseudonym)
    positions = [
        highdicom.PlanePositionSequence("PATIENT", _numbers(image.position))
        for image in sources.slices
        if image.position is not None
    ]

    def made() -> Any:
        dataset = highdicom.seg.Segmentation(
            source_images=sources.main,
            further_source_images=sources.further or None,
            pixel_array=np.stack(masks, axis=-1).astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=[
                _description(highdicom, number, tissue, provenance, tissue in drawn)
                for number, tissue in enumerate(segments, start=1)
            ],
            plane_positions=positions,
            omit_empty_frames=False,
            content_label="SCAR",
            content_description="Scar and left ventricle on LGE",
            series_description="MyoScarSeg segmentation",
            **identity(highdicom, SERIES_OF_SEG),
        )
        sources.restore_frames(dataset)
        return mark_pseudonymous(dataset, pseudonym)

    save(path, made)


@dataclass(frozen=True)
class Sources:
    """The images of a study as highdicom takes them: headers without pixels, which live as long as an export.

    Attributes:
        slices: what the reader knows of the image of each slice, in slice order.
        main: the images of the series with most slices, or the one multi-frame image with the frames that are slices.
        further: those of other series, of which a stack may be joined.
        frames: of a multi-frame image, the number (from 1) in its file of each frame in ``main``.
    """

    slices: tuple[DicomImage, ...]
    main: list[Any]
    further: list[Any]
    frames: tuple[int, ...] = ()

    @classmethod
    def of(cls, study: Study, pseudonym: str = "") -> Sources:
        """The sources of a study.

        Raises:
            StudyError: it did not come from DICOM, or its files are gone.
            OutputError: their headers do not say where they lie.
        """
        slices = source_images(study)
        first = slices[0]
        if any(image.position is None or image.orientation is None or image.pixel_spacing is None for image in slices):
            raise OutputError(
                f"The DICOM headers of {study.case} lack place or spacing, without which there is no DICOM segmentation."
            )
        thickness_mm = first.thickness_mm or study.geometry.slice_distance_mm or 1.0
        headers = {path: _header(path, pseudonym) for path in dict.fromkeys(image.file for image in slices)}
        if any(not header.get("FrameOfReferenceUID") for header in headers.values()):
            raise OutputError(
                f"The DICOM headers of {study.case} lack the frame of reference, without which there is no DICOM segmentation. "
                "Export .seg.nrrd or NIfTI instead."
            )
        if first.frame is not None:
            if len(headers) > 1:
                raise OutputError(
                    f"The slices of {study.case} come from several multi-frame files; DICOM segmentations refer to one."
                )
            return cls(
                slices,
                [_multi_frame(headers[first.file], slices, thickness_mm)],
                [],
                tuple((image.frame or 0) + 1 for image in slices),
            )
        for image in slices:
            header = headers[image.file]
            header.ImagePositionPatient = _numbers(image.position)
            # Of all slices that of the first: they differ, if at all, in the last decimals.
            header.ImageOrientationPatient = _numbers(first.orientation)
            header.PixelSpacing = list(first.pixel_spacing or ())
            header.SliceThickness = thickness_mm
        series = [image.series_uid for image in slices]
        most = max(dict.fromkeys(series), key=series.count)
        main = [headers[image.file] for image in slices if image.series_uid == most]
        return cls(slices, main, [headers[image.file] for image in slices if image.series_uid != most])

    @property
    def all(self) -> list[Any]:
        """All images."""
        return [*self.main, *self.further]

    def restore_frames(self, segmentation: Any) -> None:
        """Let a segmentation refer to the frames by the numbers that they have in the file."""
        if not self.frames:
            return
        items = {
            id(source): source  # one item may stand in the frames of several segments
            for group in segmentation.PerFrameFunctionalGroupsSequence
            for derivation in group.get("DerivationImageSequence", ())
            for source in derivation.SourceImageSequence
        }
        for source in items.values():
            source.ReferencedFrameNumber = self.frames[int(source.ReferencedFrameNumber) - 1]


def _numbers(place: np.ndarray | None) -> list[float]:
    assert place is not None  # noqa: S101 (the slices were found in the files by their places)
    return [float(value) for value in place]


def _header(path: Path, pseudonym: str) -> Any:
    """The header of an image, without pixels and private elements, with the attributes that must be there."""
    pydicom = import_pydicom()
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        header.remove_private_tags()
        if pseudonym:
            for element in list(header):
                if element.keyword not in _KEPT:
                    del header[element.tag]
        for name in _EMPTY_IF_MISSING:
            if name not in header:
                setattr(header, name, "")
    except parsing_errors() as error:
        raise OutputError(f"The header of {path.name} cannot be read ({error}).") from error
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    if pseudonym:
        header.PatientName = header.PatientID = pseudonym
        header.SpecificCharacterSet = "ISO_IR 192"
    return header


def _multi_frame(header: Any, slices: Sequence[DicomImage], thickness_mm: float) -> Any:
    """The header of a multi-frame image as if it had the frames that are slices, in their order; also of the old kinds."""
    first = slices[0]
    shared = _item(
        PlaneOrientationSequence=[_item(ImageOrientationPatient=_numbers(first.orientation))],
        PixelMeasuresSequence=[_item(PixelSpacing=list(first.pixel_spacing or ()), SliceThickness=thickness_mm)],
    )
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=_numbers(image.position))]) for image in slices
    ]
    header.NumberOfFrames = len(slices)
    return header


def _item(**attributes: Any) -> Any:
    import_pydicom()
    from pydicom.dataset import Dataset

    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return item


def import_highdicom() -> ModuleType:
    """The ``highdicom`` package; OutputError if it is not installed."""
    import_pydicom()  # which highdicom imports, and not quietly
    try:
        import highdicom
        import highdicom.seg
        import highdicom.sr
    except ImportError as error:
        raise OutputError(
            "DICOM files are written by the package highdicom, which is not installed. In 3D Slicer install what MyoScarSeg "
            "needs in its panel; elsewhere: pip install highdicom."
        ) from error
    return highdicom


def coded(text: str) -> Any:
    """A code of :mod:`~MyoScarSegLib.study.tissue`, scheme^value^meaning, as pydicom and highdicom have it."""
    import_pydicom()
    from pydicom.sr.coding import Code

    scheme, value, meaning = text.split("^")
    return Code(value, scheme, meaning)


def identity(highdicom: ModuleType, series_number: int) -> dict[str, Any]:
    """Names and new UIDs of an object that we write."""
    return {
        "series_instance_uid": highdicom.UID(),
        "series_number": series_number,
        "sop_instance_uid": highdicom.UID(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": __version__,
        "device_serial_number": SERIAL_NUMBER,
    }


def model_of(provenance: Mapping[str, str], tissue: Tissue | None = None) -> tuple[str, str]:
    """Name and checksum of the model that made a result, or a tissue of it; the program's name where there was none."""
    part = "wall" if tissue in (WALL, BLOOD_POOL) and provenance.get("wall_sha256") else "segmenter"
    checksum = provenance.get(f"{part}_sha256") or ""
    return (provenance.get(part) if checksum else "") or MODEL_NAME, checksum


def parameters_of(provenance: Mapping[str, str]) -> dict[str, str]:
    """How the model was used, for the objects' lists of parameters: checksums, threshold, preprocessing, detector."""
    names = ("segmenter_sha256", "threshold", "growth_mm", "preprocessing", "detector", "detector_sha256", "wall_sha256")
    return {name: provenance[name] for name in names if provenance.get(name)}


def _description(highdicom: ModuleType, number: int, tissue: Tissue, provenance: Mapping[str, str], drawn: bool) -> Any:
    name, checksum = model_of(provenance, tissue)
    algorithm = None
    if not drawn:
        from pydicom.sr.codedict import codes

        algorithm = highdicom.AlgorithmIdentificationSequence(
            name,
            codes.DCM.ArtificialIntelligence,
            checksum[:12] or __version__,
            source=MANUFACTURER,
            parameters=parameters_of(provenance),
        )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=tissue.name,
        segmented_property_category=coded(tissue.dicom_category or tissue.category),
        segmented_property_type=coded(tissue.dicom_code or tissue.code),
        algorithm_type="MANUAL" if drawn else "SEMIAUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[coded(LEFT_VENTRICLE)],
        tracking_id=tissue.name,
        tracking_uid=highdicom.UID(),
        display_color=highdicom.color.CIELabColor.from_rgb(*(round(255 * channel) for channel in tissue.color)),
    )


def mark_pseudonymous(dataset: Any, pseudonym: str) -> Any:
    """The dataset, which says that it does not name the patient, if it does not."""
    if pseudonym:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = _NOTE
    return dataset


def save(path: Path, made: Callable[[], Any]) -> None:
    """Write the dataset that ``made`` gives, atomically.

    Raises:
        OutputError: the headers of the source do not allow it, or the file cannot be written.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are no "family^given", as pseudonyms are
            dataset = made()
    except ValueError as error:  # what highdicom raises for headers that break the standard
        raise OutputError(f"The DICOM headers of the images do not allow {path.name}: {error}") from error
    with atomic_path(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
