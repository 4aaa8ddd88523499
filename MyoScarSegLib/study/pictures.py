"""Reading LGE slices exported as pictures: a folder of PNG or JPEG files, or one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import PICTURE_EXTENSIONS, has_extension, natural_order
from MyoScarSegLib.study.stack import FileStack
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.utils.words import first_line

NO_SPACING = "Pictures carry no pixel spacing: areas are in pixels; mL and g need --spacing."


def picture_files(folder: Path) -> list[Path]:
    """The pictures in ``folder`` in natural order of their names (2 before 10); hidden files are left out."""
    files = [p for p in folder.iterdir() if p.is_file() and has_extension(p, PICTURE_EXTENSIONS) and not p.name.startswith(".")]
    return sorted(files, key=lambda file: natural_order(file.name))


def read_pictures(path: Path) -> FileStack:
    """The stack in a folder of pictures, one slice each in natural order of their names, or in a single picture.

    A picture that cannot be decoded becomes a bad slice.

    Raises:
        StudyError: there is no picture, one is in color, their sizes differ, or none can be decoded.
    """
    files = picture_files(path) if path.is_dir() else [path]
    if not files:
        raise StudyError(f"{path} has no PNG or JPEG picture.")
    slices: list[np.ndarray | None] = []
    bad: dict[int, str] = {}
    for index, file in enumerate(files):
        try:
            slices.append(read_grey(file))
        except OSError as error:
            slices.append(None)
            bad[index] = f"{file.name} cannot be decoded ({first_line(error)})"
    first = next((image for image in slices if image is not None), None)
    if first is None:
        raise StudyError(
            f"{path}: none of its {len(files)} pictures can be decoded; the files are damaged or are no PNG or JPEG."
        )
    for file, image in zip(files, slices, strict=True):
        if image is not None and image.shape != first.shape:
            raise StudyError(
                f"{path}: the pictures differ in size: {file.name} has {image.shape[0]} rows and {image.shape[1]} columns, "
                f"others {first.shape[0]} and {first.shape[1]}. Put each stack into a folder of its own."
            )
    array = np.stack([np.zeros_like(first) if image is None else image for image in slices])
    return FileStack(
        array=array,
        geometry=Geometry(None),
        format="pictures",
        slice_axis_is_k=True,
        one_slice_is_enough=True,
        spacing_note=NO_SPACING,
        source={"files": str(len(files))},
        bad_slices=bad,
    )


def read_grey(file: Path, *, mask: bool = False) -> np.ndarray:
    """One picture as ``[rows, columns]``, uint8 or uint16.

    Args:
        file: of the picture.
        mask: it holds labels: of a picture with a palette the indices count, and not the colors that stand for them.

    Raises:
        StudyError: it is in color, or holds several frames.
        OSError: it cannot be decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            if getattr(picture, "n_frames", 1) > 1:
                raise StudyError(f"{file} holds several frames; export each slice as a picture of its own.")
            image = picture.convert("RGBA") if picture.mode == "P" and not mask else picture
            pixels = np.asarray(image)
    except UnidentifiedImageError as error:
        raise OSError("not a picture") from error
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from error
    if pixels.ndim == 3:
        # The last channel of 2 or 4 is opacity, which says nothing about tissue.
        colors = pixels[..., : {2: 1, 4: 3}.get(pixels.shape[2], pixels.shape[2])]
        if (colors != colors[..., :1]).any():
            raise StudyError(
                f"{file} is a color picture (red, green and blue differ), so it is no plain LGE slice: perhaps an overlay was "
                "burnt in. Export it in grey."
            )
        pixels = colors[..., 0]
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    return pixels
