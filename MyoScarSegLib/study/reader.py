"""Reading a study, whatever its format."""

from __future__ import annotations

from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import (
    ARCHIVE_EXTENSIONS,
    DICOM_EXTENSIONS,
    PICTURE_EXTENSIONS,
    VOLUME_EXTENSIONS,
    case_name,
    has_extension,
)
from MyoScarSegLib.study.pictures import picture_files, read_pictures
from MyoScarSegLib.study.series import Series
from MyoScarSegLib.study.stack import FileStack, study_from
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.volumes import read_volume
from MyoScarSegLib.utils.words import listed


def read_study(
    path: Path | str,
    *,
    series: str | None = None,
    axis: str = "auto",
    spacing_mm: tuple[float, float, float] | None = None,
) -> Study:
    """Read an LGE study.

    Args:
        path: a DICOM folder or file, a NIfTI, NRRD or MetaImage file, a folder of PNG or JPEG slices, or one of these.
        series: key of the DICOM series to take, as :func:`list_series` gives it; None picks the short-axis LGE stack.
        axis: the file's axis that runs through the slices: ``"i"``, ``"j"`` or ``"k"``; ``"auto"`` takes the coarsest.
        spacing_mm: ``(i, j, k)`` of the resulting stack, for files without spacing (or instead of theirs).

    Raises:
        StudyError: the input is missing, damaged or no LGE stack; the message says what to do.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "DICOM":
        from MyoScarSegLib.study.dicom import read_dicom

        stack = read_dicom(path, series)
    else:
        if series is not None:
            raise StudyError(f"{path} is no DICOM folder, so it has no series {series!r} to choose.")
        stack = _read_other(path, kind)
    return study_from(case_name(path), stack, axis=axis, spacing_mm=spacing_mm)


def list_series(path: Path | str) -> list[Series]:
    """What ``path`` offers: every series of a DICOM folder, or the one stack of another format.

    Raises:
        StudyError: the input is missing, empty, or of no known format.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "DICOM":
        from MyoScarSegLib.study.dicom import list_dicom_series

        return list_dicom_series(path)
    try:
        stack = _read_other(path, kind)
    except StudyError as error:
        return [Series(key="1", modality=kind, unreadable=str(error))]
    slices, rows, columns = stack.array.shape
    return [Series(key="1", modality=stack.format, slices=slices, images=slices, rows=rows, columns=columns, chosen=True)]


def kind_of(path: Path) -> str:
    """``"DICOM"``, ``"volume"`` or ``"pictures"``; StudyError if the path is missing, empty, or nothing that can be read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(f"There is no file or folder {path}.") from error
    if path.is_dir():
        return _kind_of_folder(path)
    if not path.is_file():
        raise StudyError(f"{path} is neither a file nor a folder.")  # of a pipe one would wait for the first byte
    if has_extension(path, VOLUME_EXTENSIONS):
        return "volume"
    if has_extension(path, PICTURE_EXTENSIONS):
        return "pictures"
    if has_extension(path, (".img", ".img.gz")):
        raise StudyError(f"{path} is the second file of a pair, without the header: give the .hdr file beside it.")
    from MyoScarSegLib.study.dicom_files import is_dicom

    if has_extension(path, DICOM_EXTENSIONS) or is_dicom(path):
        return "DICOM"
    if has_extension(path, ARCHIVE_EXTENSIONS):
        raise StudyError(f"{path} is an archive: unpack it and give the folder.")
    raise StudyError(
        f"{path} is of no format that can be read: give a DICOM folder, NIfTI, NRRD, MHA or a folder of PNG or JPEG slices."
    )


def _kind_of_folder(path: Path) -> str:
    from MyoScarSegLib.study.dicom_files import has_dicom

    if has_dicom(path):
        return "DICOM"
    if picture_files(path):
        return "pictures"
    names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    if not names:
        raise StudyError(f"The folder {path} is empty.")
    volumes = [name for name in names if has_extension(Path(name), VOLUME_EXTENSIONS)]
    if volumes:
        raise StudyError(
            f"The folder {path} holds volume files ({listed(volumes, 3)}): give the file, or several, instead of the folder."
        )
    raise StudyError(
        f"The folder {path} holds no DICOM file and no PNG or JPEG slice (it has {listed(names, 3)}). "
        "Give the folder or the file of one study; myoscarseg batch does all studies below a folder."
    )


def _read_other(path: Path, kind: str) -> FileStack:
    return read_volume(path) if kind == "volume" else read_pictures(path)
