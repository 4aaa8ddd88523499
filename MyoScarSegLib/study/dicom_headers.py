"""What a DICOM file says about each of its images: place, kind, timing. Pixels are not read here."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors

#: GE's private "image type" number of a reconstruction: element 2F of group 0043.
_GE_IMAGE_KIND = (0x0043, 0x102F)
_GE_KINDS = {0: "magnitude", 1: "phase", 2: "real", 3: "imaginary"}

#: Headers that name a series' sequence, and those that name what is examined.
_OF_SEQUENCE = ("SequenceName", "PulseSequenceName")
_OF_EXAM = ("StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription", "BodyPartExamined")
#: Headers that hold a number or a word where the scanner followed the heart.
_GATING = ("TriggerTime", "NominalInterval", "HeartRate", "CardiacNumberOfImages", "LowRRValue", "TriggerWindow")
#: Character sets that are found without being declared.
_UNDECLARED = ("gb18030", "cp1251", "cp1250", "cp1253", "cp1254", "shift_jis", "euc_kr", "big5")
#: Attributes that a FrameIncrementPointer names where frames follow each other in time: FrameTime, FrameTimeVector.
_TIME_OF_FRAME = {0x00181063, 0x00181065}

_PERSONAL = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName", "StudyID")


@dataclass(frozen=True)
class DicomImage:
    """One 2D image: a single-frame file, or one frame of a multi-frame file.

    Attributes:
        file: where its pixels are.
        frame: index of the frame in the file; None if the file has one image only.
        series_uid, study_uid, patient: to tell series, examinations and patients apart; never shown.
        series_number, instance_number: the scanner's numbers, if any.
        description: the scanner's names for the series, free of the patient's, to show.
        text: the description as written, to recognize the kind of series; never shown.
        sequence: the sequence's name.
        protocol: the protocol's name, which some vendors give to the whole examination; never shown.
        exam: what the headers say of the examination and the part of the body; never shown.
        modality, image_type, samples, rows, columns, photometric: as in the file.
        kind: ``"PSIR"``, ``"magnitude"``, ``"phase"``, ``"imaginary"`` or ``""`` where the headers do not say.
        kind_reason: which header says so.
        position: ``(x, y, z)`` of the center of the first pixel, LPS mm; None if missing.
        orientation: unit vectors along a row (i) and along a column (j), 6 numbers; None if missing.
        pixel_spacing: ``(between rows, between columns)`` in mm; None if missing or unusable.
        thickness_mm, slice_location, slice_distance_mm, trigger_time_ms, inversion_time_ms: None if missing.
        timing: repetition time (ms) and flip angle (degrees), each None if missing.
        method: letters of the sequence's name and kind, without the numbers that change from slice to slice.
        phases: number of cardiac phases that the scanner says it made per slice; 0 if it says nothing.
        echo_time_ms: None if missing.
        acquired: date and time of the acquisition, sortable; may be empty.
        inversion_recovery: the scanner says that the sequence inverts.
        echo: ``"spin"``, ``"gradient"``, or ``""`` where the headers do not say.
        gated: the scanner followed the heart.
        signed: the stored values can be negative after rescale.
        slope, intercept: rescale of this image; used where SimpleITK's own will not do.
        instance_uid: to recognize copies.
    """

    file: Path
    frame: int | None
    series_uid: str
    study_uid: str
    patient: str
    series_number: int | None
    instance_number: int | None
    description: str
    text: str
    sequence: str
    protocol: str
    exam: str
    modality: str
    image_type: tuple[str, ...]
    samples: int
    rows: int
    columns: int
    photometric: str
    kind: str
    kind_reason: str
    position: np.ndarray | None
    orientation: np.ndarray | None
    pixel_spacing: tuple[float, float] | None
    thickness_mm: float | None
    slice_location: float | None
    slice_distance_mm: float | None
    trigger_time_ms: float | None
    inversion_time_ms: float | None
    timing: tuple[float | None, ...]
    method: str
    phases: int
    echo_time_ms: float | None
    acquired: str
    inversion_recovery: bool
    echo: str
    gated: bool
    signed: bool
    slope: float
    intercept: float
    instance_uid: str

    @property
    def normal(self) -> np.ndarray | None:
        """Unit vector from slice to slice, right-handed with rows and columns; None without orientation."""
        if self.orientation is None:
            return None
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)


class Unreadable(Exception):
    """A file that ought to be a DICOM image cannot be read; the text says why in a few words.

    Attributes:
        series_uid: of the series that it belongs to, as far as its header can be read; else empty.
    """

    def __init__(self, reason: str, series_uid: str = "") -> None:
        super().__init__(reason)
        self.series_uid = series_uid


def read_images(file: Path) -> list[DicomImage]:
    """The images in a DICOM file; none if it is of a kind without images (a report, a directory).

    Raises:
        Unreadable: the file is damaged or cut short before its pixels.
    """
    pydicom = import_pydicom()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with file.open("rb") as opened:
                header = pydicom.dcmread(opened, stop_before_pixels=True, force=True)
                ends = not opened.read(1)
            syntax = _syntax(header)
            if _number(header, "Rows") is None or _number(header, "Columns") is None:
                if _is_of_another_kind(header):
                    return []
                raise Unreadable("its header is cut short or damaged", _text(header, "SeriesInstanceUID"))
            if ends and not (syntax is not None and syntax.is_deflated):
                raise Unreadable("it ends before its pixels", _text(header, "SeriesInstanceUID"))
            frames = int(_number(header, "NumberOfFrames") or 1)
            groups = header.get("PerFrameFunctionalGroupsSequence")
            if frames == 1 and not groups:
                return [_image(file, None, header, [header])]
            shared = header.get("SharedFunctionalGroupsSequence") or []
            images = [
                _image(file, frame, header, [*(groups[frame : frame + 1] if groups else []), *shared[:1], header])
                for frame in range(frames)
            ]
            return images if groups or shared else _placed(images, header)
        except parsing_errors() as error:
            raise Unreadable("its header is damaged") from error


def _syntax(header: Any) -> Any:
    syntax = getattr(header, "file_meta", {}).get("TransferSyntaxUID")
    return None if syntax is None or syntax.is_private or not syntax.is_transfer_syntax else syntax


def _is_of_another_kind(header: Any) -> bool:
    """Whether a file without a matrix says that it is none of the image kinds."""
    uid = header.get("SOPClassUID") or getattr(header, "file_meta", {}).get("MediaStorageSOPClassUID")
    return uid is not None and bool(uid.name != str(uid) and "Image Storage" not in uid.name)


def _placed(images: list[DicomImage], header: Any) -> list[DicomImage]:
    """Frames of a multi-frame file of the old kind, which has one position for all: that of the first.

    The next lie at the distance between slices, if the frames are slices and the header has it (DICOM PS3.3 C.8.4.15 for the
    sign); else only their order is known.
    """
    first = images[0]
    pointer = header.get("FrameIncrementPointer")
    tags = {
        int(tag) for tag in (pointer if isinstance(pointer, (list, tuple)) or hasattr(pointer, "append") else [pointer]) if tag
    }
    if tags & _TIME_OF_FRAME or first.phases > 1:
        return images
    offsets = _numbers(header.get("GridFrameOffsetVector"))
    distance = _number(header, "SpacingBetweenSlices")
    if len(offsets) != len(images):
        offsets = [distance * frame for frame in range(len(images))] if distance else []
    if not offsets or first.position is None or first.normal is None:
        return [replace(image, position=None) for image in images]
    return [
        replace(image, position=first.position + first.normal * offset) for image, offset in zip(images, offsets, strict=True)
    ]


def _image(file: Path, frame: int | None, header: Any, places: list[Any]) -> DicomImage:
    """One image. ``places`` are where its attributes may be: its frame's groups, the shared groups, the file's top level."""
    image_type = _texts(_find(places, "FrameType", "MRImageFrameTypeSequence") or header.get("ImageType"))
    names = {name: _written(header, name) for name in ("SeriesDescription", "ProtocolName", *_OF_SEQUENCE, *_OF_EXAM)}
    description = (names["SeriesDescription"] or names["ProtocolName"]).split("\n")[0]
    component = str(_find(places, "ComplexImageComponent", "MRImageFrameTypeSequence") or "").upper()
    kind, reason = _kind(image_type, component, names["SeriesDescription"], header)
    slope = _find_number(places, "RescaleSlope", "PixelValueTransformationSequence")
    intercept = _find_number(places, "RescaleIntercept", "PixelValueTransformationSequence") or 0.0
    inversion = _find_number(places, "InversionTime", "") or _find_number(places, "InversionTimes", "MRModifierSequence")
    recovery = str(_find(places, "InversionRecovery", "MRModifierSequence") or "").upper() == "YES"
    scanning = set(_texts(header.get("ScanningSequence"))) | set(_texts(_find(places, "EchoPulseSequence", "")))
    spin, gradient = bool(scanning & {"SE", "SPIN"}), bool(scanning & {"GR", "GRADIENT"})
    return DicomImage(
        file=file,
        frame=frame,
        series_uid=_text(header, "SeriesInstanceUID") or str(file.parent),
        study_uid=_text(header, "StudyInstanceUID"),
        patient=_text(header, "PatientID") + "/" + _text(header, "PatientName"),
        series_number=_integer(header, "SeriesNumber"),
        instance_number=frame if frame is not None else _integer(header, "InstanceNumber"),
        description=_without_personal(description, header),
        text=names["SeriesDescription"],
        sequence=" ".join(filter(None, (names[name] for name in _OF_SEQUENCE))),
        # On GE it is the name of the examination.
        protocol="" if _text(header, "Manufacturer").upper().startswith("GE") else names["ProtocolName"],
        exam=" ".join(filter(None, (names[name] for name in ("ProtocolName", *_OF_EXAM)))),
        modality=_text(header, "Modality").upper(),
        image_type=image_type,
        samples=_integer(header, "SamplesPerPixel") or 1,
        rows=int(header.Rows),
        columns=int(header.Columns),
        photometric=_text(header, "PhotometricInterpretation").upper(),
        kind=kind,
        kind_reason=reason,
        position=_vector(_place(places, "ImagePositionPatient", "PlanePositionSequence"), 3),
        orientation=_orientation(_place(places, "ImageOrientationPatient", "PlaneOrientationSequence")),
        pixel_spacing=_pixel_spacing(_find(places, "PixelSpacing", "PixelMeasuresSequence")),
        thickness_mm=_find_number(places, "SliceThickness", "PixelMeasuresSequence"),
        slice_location=_number(header, "SliceLocation") if frame is None else None,
        slice_distance_mm=_find_number(places, "SpacingBetweenSlices", "PixelMeasuresSequence"),
        trigger_time_ms=_find_number(places, "NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence")
        or _number(header, "TriggerTime"),
        inversion_time_ms=inversion,
        timing=(
            _find_number(places, "RepetitionTime", "MRTimingAndRelatedParametersSequence"),
            _find_number(places, "FlipAngle", "MRTimingAndRelatedParametersSequence"),
        ),
        method=re.sub(r"[^a-z]+", " ", f"{_text(header, 'SequenceName')} {_texts(header.get('ScanningSequence'))}".lower()),
        phases=_integer(header, "CardiacNumberOfImages") or 0,
        echo_time_ms=_find_number(places, "EchoTime", "") or _find_number(places, "EffectiveEchoTime", "MREchoSequence"),
        acquired=_acquired(header, places),
        inversion_recovery=recovery or "IR" in scanning or any(token in ("IR", "M_IR", "R_IR") for token in image_type),
        echo="" if spin == gradient else "spin" if spin else "gradient",
        gated=_gated(header, places),
        signed=_integer(header, "PixelRepresentation") == 1 or intercept < 0,
        slope=1.0 if slope is None or slope == 0 else slope,
        intercept=intercept,
        instance_uid=_text(header, "SOPInstanceUID") or str(file),
    )


def _kind(image_type: tuple[str, ...], component: str, description: str, header: Any) -> tuple[str, str]:
    """Which reconstruction an image is, and by which header."""
    # The first two values say original or derived; the kind comes after them.
    tokens = set(image_type[2:])
    shown = "\\".join(image_type)
    words = re.sub(r"[^a-z0-9]+", " ", description.lower())
    if tokens & {"PSIR", "PHASE SENSITIVE", "PHASESENSITIVE"} and not tokens & {"MAG", "MAGNITUDE"}:
        return "PSIR", f"ImageType {shown}"
    if re.search(r"\bmag(nitude)?\b", words):
        return "magnitude", "the description says magnitude"
    if component in ("REAL", "MAGNITUDE", "PHASE", "IMAGINARY"):
        return {"REAL": "PSIR"}.get(component, component.lower()), f"ComplexImageComponent {component}"
    for names, kind in (
        ({"R", "REAL", "R_IR", "CR", "PHASE CORRECTED", "CORRECTED REAL"}, "PSIR"),
        ({"P", "P_IR", "PHASE", "PHASE MAP"}, "phase"),
        ({"I", "IMAGINARY"}, "imaginary"),
        ({"M", "MAG", "MAGNITUDE", "M_IR", "M_FFE"}, "magnitude"),
    ):
        if tokens & names:
            return kind, f"ImageType {shown}"
    if _GE_IMAGE_KIND in header:
        value = header[_GE_IMAGE_KIND].value
        kind = _GE_KINDS.get(int(value), "") if isinstance(value, int) else ""
        if kind:
            return {"real": "PSIR"}.get(kind, kind), "the vendor's image type"
    return ("PSIR", "the description says PSIR") if says_psir(description) else ("", "")


def _gated(header: Any, places: list[Any]) -> bool:
    technique = str(_find(places, "CardiacSynchronizationTechnique", "CardiacSynchronizationSequence") or "").upper()
    return (
        any(_number(header, name) for name in _GATING)
        or _find(places, "NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence") is not None
        or bool(technique and technique != "NONE")
        or "CG" in _texts(header.get("ScanOptions"))
    )


def _written(header: Any, name: str) -> str:
    """A text; where its character set is not declared, or wrongly, as several sets have it, a line each."""
    if name not in header:
        return ""
    raw = header.get_item(name).value
    text = _text(header, name)
    declared = set(_texts(header.get("SpecificCharacterSet"))) - {"ISO_IR 6"}
    one_byte = all(re.fullmatch(r"ISO_IR 1\d\d", charset) and charset != "ISO_IR 192" for charset in declared)
    trusted = bool(declared) and "\ufffd" not in text
    if not isinstance(raw, bytes) or raw.isascii() or (trusted and not one_byte):
        return text
    try:
        return raw.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return text if trusted else "\n".join(raw.decode(charset, "ignore").strip(" \0") for charset in ("latin-1", *_UNDECLARED))


def says_psir(description: str) -> bool:
    """Whether a series' name says that it is phase-sensitive."""
    return bool(re.search(r"psir|phase ?sens", re.sub(r"[^a-z0-9]+", " ", description.lower())))


def _without_personal(text: str, header: Any) -> str:
    """``text`` without words of the patient's name, numbers or dates, should somebody have typed them into it."""
    for name in _PERSONAL:
        for word in re.split(r"[\s^=,;]+", _text(header, name)):
            if len(word) >= 3:
                text = re.sub(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", "", text, flags=re.IGNORECASE)
    return " ".join(re.sub(r"[^\w .,+\-/()*=:]", " ", text).split())


def _acquired(header: Any, places: list[Any]) -> str:
    return (
        str(_find(places, "FrameAcquisitionDateTime", "FrameContentSequence") or "")
        or _text(header, "AcquisitionDateTime")
        or (_text(header, "AcquisitionDate") or _text(header, "SeriesDate"))
        + (_text(header, "AcquisitionTime") or _text(header, "ContentTime") or _text(header, "SeriesTime"))
    )


def _find(places: list[Any], name: str, sequence: str) -> Any:
    """The first value of ``name``, at the top of a place or inside its ``sequence``."""
    for place in places:
        value = place.get(name)
        if value is None and sequence and place.get(sequence):
            value = place.get(sequence)[0].get(name)
        if value is not None and value != "":
            return value
    return None


def _place(places: list[Any], name: str, sequence: str) -> Any:
    """Position or orientation; old multi-frame files of some kinds have it by detector."""
    value = _find(places, name, sequence)
    return _find(places, name, "DetectorInformationSequence") if value is None else value


def _find_number(places: list[Any], name: str, sequence: str) -> float | None:
    return as_number(_find(places, name, sequence))


def _number(header: Any, name: str) -> float | None:
    try:
        return as_number(header.get(name))
    except (ValueError, TypeError):
        return None


def _integer(header: Any, name: str) -> int | None:
    number = _number(header, name)
    return None if number is None else int(number)


def as_number(value: Any) -> float | None:
    """The first number in a header's value, also where it came as text, with a decimal comma; None if there is none."""
    return next(iter(_numbers(value)), None)


def _numbers(value: Any) -> list[float]:
    """All numbers of a value, also of text where another type belongs (UT for DS); empty if any part is none."""
    if value is None or value == "":
        return []
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        value = value.strip(" \0").split("\\")
    elif not hasattr(value, "__len__"):
        value = [value]
    try:
        numbers = [float(str(item).strip(" \0").replace(",", ".")) for item in value]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []


def _text(header: Any, name: str) -> str:
    value = header.get(name)
    return "" if value is None else str(value).strip()


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    values = [value] if isinstance(value, str) else list(value)
    return tuple(str(item).strip().upper() for item in values)


def _vector(value: Any, length: int) -> np.ndarray | None:
    numbers = _numbers(value)
    return np.array(numbers, dtype=np.float64) if len(numbers) == length else None


def _orientation(value: Any) -> np.ndarray | None:
    vector = _vector(value, 6)
    if vector is None:
        return None
    row, column = vector[:3], vector[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.9 or np.linalg.norm(np.cross(row, column)) < 0.9:
        return None
    # The header's decimals leave the vectors a little too long or short.
    return np.concatenate([row / lengths[0], column / lengths[1]])


def _pixel_spacing(value: Any) -> tuple[float, float] | None:
    vector = _vector(value, 2)
    return None if vector is None or (vector <= 0).any() else (float(vector[0]), float(vector[1]))
