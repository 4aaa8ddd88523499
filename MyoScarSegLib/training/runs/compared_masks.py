"""Masks of a comparison, kept so that any slice can be shown with the truth, the new model's answer and the other's."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.utils.files import atomic_path

FOLDER = "predictions"
TRUTH = "truth"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")


@dataclass(frozen=True)
class Predictions:
    """The masks of one case.

    Attributes:
        numbers: of the slices, as the case counts them; those that were not compared are missing.
        shape: rows and columns of a slice.
        masks: name (``truth``, ``new``, ``used``, ``new, oracle``, ``used, oracle``) to bool ``[slices, rows, columns]``.
    """

    numbers: tuple[int, ...]
    masks: dict[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        rows, columns = next(iter(self.masks.values())).shape[1:]
        return int(rows), int(columns)

    def stack(self, name: str, slices: int) -> np.ndarray:
        """One of the masks in a whole stack of as many slices: uint8 ``[k, j, i]``, 0 where nothing was compared.

        Raises:
            StudyError: there is no such mask, or the stack has too few slices.
        """
        if name not in self.masks:
            raise StudyError(f"The comparison kept no mask {name!r}; it has {', '.join(self.masks)}.")
        if self.numbers and max(self.numbers) >= slices:
            raise StudyError(f"The case was compared with {max(self.numbers) + 1} slices and has {slices} now: compare again.")
        whole = np.zeros((slices, *self.shape), dtype=np.uint8)
        whole[list(self.numbers)] = self.masks[name]
        return whole


def plain_name(case: str) -> str:
    """A case's name, or what stands for it, as a part of a file's name."""
    return case if _PLAIN.fullmatch(case) else f"case-{zlib.crc32(case.encode()):08x}"


def file_of(case: str) -> str:
    """Name of the file of a case, from its folder's parent on."""
    return f"{FOLDER}/{plain_name(case)}.npz"


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write the masks of one case, packed and compressed, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    arrays: dict[str, Any] = {
        name: np.packbits(np.asarray(mask, dtype=bool), axis=None) for name, mask in predictions.masks.items()
    }
    arrays["_numbers"] = np.array(predictions.numbers, dtype=np.int32)
    arrays["_shape"] = np.array(predictions.shape, dtype=np.int32)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_predictions(path: Path) -> Predictions:
    """Read what :func:`write_predictions` wrote; nothing is unpickled.

    Raises:
        StudyError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as document:
            arrays = {name: document[name] for name in document.files}
        numbers = tuple(int(n) for n in arrays.pop("_numbers"))
        shape = (len(numbers), *(int(n) for n in arrays.pop("_shape")))
        pixels = int(np.prod(shape))
        masks = {name: np.unpackbits(packed, count=pixels).astype(bool).reshape(shape) for name, packed in arrays.items()}
    except Exception as error:  # what a torn archive raises depends on its bytes; nothing is used of it
        raise StudyError(f"The masks {path} cannot be read ({error or type(error).__name__}). Compare again.") from error
    if TRUTH not in masks:
        raise StudyError(f"The masks {path} are not of a comparison.")
    return Predictions(numbers, masks)
