"""Writes synthetic DICOM series: small, valid enough for readers, and free of anyone's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"


def voxels(slices: int = 8, seed: int = 0, dtype: type = np.uint16) -> np.ndarray:
    """Noise ``[k, j, i]`` for a small series."""
    return np.random.default_rng(seed).integers(0, 1000, (slices, 12, 14)).astype(dtype)


def new_dataset(array: np.ndarray, sop_class: str = MR_IMAGE, **attributes) -> Dataset:
    """A dataset with the pixels of ``array`` (integers, [rows, columns] or [frames, rows, columns])."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "MR"
    dataset.PatientName = "Doe^Jonathan"
    dataset.PatientID = "SECRET4711"
    dataset.PatientBirthDate = "19500607"
    dataset.Rows, dataset.Columns = array.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * array.dtype.itemsize
    dataset.BitsStored = dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(array).tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    dataset["PixelData"].VR = "OW" if array.dtype.itemsize > 1 else "OB"
    for name, value in attributes.items():
        if value is None:
            if name in dataset:
                delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def write_dataset(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    volume: np.ndarray,
    *,
    spacing=(1.4, 1.4, 10.0),
    origin=(0.0, 0.0, 0.0),
    direction=None,
    offsets=None,
    number: int = 1,
    description: str = "LGE_SAX_PSIR",
    image_type=("ORIGINAL", "PRIMARY", "M", "NORM"),
    names=None,
    positions: bool = True,
    seed: int = 0,
    per_slice=None,
    study_uid: str = "1.2.3",
    series_uid: str | None = None,
    **attributes,
) -> Path:
    """One file per slice of ``volume`` [k, j, i]; names and instance numbers are shuffled, so that only positions tell the order.

    ``direction``: 3 x 3, columns i, j, k. ``offsets``: position of each slice along k in mm instead of multiples of the
    spacing. ``per_slice``: a function of the slice index that gives further attributes.
    """
    direction = np.eye(3) if direction is None else np.asarray(direction, dtype=float)
    offsets = [spacing[2] * index for index in range(len(volume))] if offsets is None else offsets
    order = np.random.default_rng(seed).permutation(len(volume))
    series_uid = series_uid or generate_uid()
    for index, pixels in enumerate(volume):
        dataset = new_dataset(
            pixels,
            SeriesInstanceUID=series_uid,
            StudyInstanceUID=study_uid,
            SeriesNumber=number,
            SeriesDescription=description,
            ImageType=list(image_type),
            InstanceNumber=int(order[index]) + 1,
            PixelSpacing=[spacing[1], spacing[0]],
            SliceThickness=8.0,
        )
        if positions:
            dataset.ImagePositionPatient = [float(v) for v in np.add(origin, direction[:, 2] * offsets[index])]
            dataset.ImageOrientationPatient = [float(v) for v in [*direction[:, 0], *direction[:, 1]]]
        for name, value in {**attributes, **(per_slice(index) if per_slice else {})}.items():
            if value is None:
                if name in dataset:
                    delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        name = names[index] if names else f"IM{order[index]:04d}_{number}"
        write_dataset(folder / name, dataset)
    return folder


def item(**attributes) -> Dataset:
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def write_structure_set(path: Path, regions, frame: str) -> Path:
    """An RTSTRUCT of ``regions``: ``(name, [(kind, LPS points), ...])``, in a frame of reference."""
    dataset = new_dataset(np.zeros((2, 2), np.uint8), "1.2.840.10008.5.1.4.1.1.481.3", Modality="RTSTRUCT")
    for name in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.StructureSetROISequence = [
        item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=frame) for n, (name, _) in enumerate(regions)
    ]
    dataset.ROIContourSequence = [
        item(
            ReferencedROINumber=n,
            ContourSequence=[
                item(
                    ContourGeometricType=kind,
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{v:.4f}" for v in points.ravel()],
                )
                for kind, points in drawn
            ],
        )
        for n, (_, drawn) in enumerate(regions)
    ]
    return write_dataset(path, dataset)


def write_enhanced(
    path: Path,
    volume: np.ndarray,
    *,
    spacing=(1.4, 1.4, 10.0),
    direction=None,
    slopes=None,
    intercepts=None,
    order=None,
    component="MAGNITUDE",
    positions=None,
    description: str = "LGE SAX",
    **attributes,
) -> Path:
    """A multi-frame enhanced MR file; ``order`` shuffles the frames, ``slopes``/``intercepts`` give each a rescale of its own.

    ``component``: of all frames, or a list with that of each; ``positions``: the slice position of each frame.
    """
    direction = np.eye(3) if direction is None else direction
    components = [component] * len(volume) if isinstance(component, str) else component
    positions = list(range(len(volume))) if positions is None else positions
    order = list(range(len(volume))) if order is None else list(order)
    dataset = new_dataset(
        volume[order],
        ENHANCED_MR_IMAGE,
        NumberOfFrames=len(volume),
        SeriesInstanceUID=generate_uid(),
        StudyInstanceUID="1.2.3",
        SeriesNumber=7,
        SeriesDescription=description,
        ImageType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
    )
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PlaneOrientationSequence=Sequence(
                    [item(ImageOrientationPatient=[float(v) for v in [*direction[:, 0], *direction[:, 1]]])]
                ),
                PixelMeasuresSequence=Sequence([item(PixelSpacing=[spacing[1], spacing[0]], SliceThickness=8.0)]),
            )
        ]
    )
    frames = []
    for index in order:
        position = [float(v) for v in direction[:, 2] * spacing[2] * positions[index]]
        frame_type = item(FrameType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"], ComplexImageComponent=components[index])
        frame = item(
            PlanePositionSequence=Sequence([item(ImagePositionPatient=position)]),
            MRImageFrameTypeSequence=Sequence([frame_type]),
        )
        if slopes is not None:
            frame.PixelValueTransformationSequence = Sequence(
                [item(RescaleSlope=slopes[index], RescaleIntercept=intercepts[index], RescaleType="US")]
            )
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return write_dataset(path, dataset)
