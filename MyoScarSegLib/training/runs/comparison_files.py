"""What a comparison leaves in a run's folder: its document, a table, a picture, and the masks, so that any slice can be shown."""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.outputs.figures import DARK_FAINT
from MyoScarSegLib.training.evaluation.evaluation_pictures import COLORS, new_figure, save_figure
from MyoScarSegLib.utils.files import atomic_path, folder_aside, move, os_errors_as, read_json, write_json

FORMAT_VERSION = 1
FOLDER, RESULT, TABLE, PICTURE = "predictions", "comparison.json", "comparison.csv", "comparison.png"
TRUTH, NEW, USED = "truth", "new", "used"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_MAKING = ".comparing-"
_MOST_NAMES = 40


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
        """One of the masks in a whole stack of as many slices: uint8 ``[k, j, i]``, 0 where nothing was compared. StudyError if
        there is no such mask, or the stack has too few slices.
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
    """Write the masks of one case, packed and compressed, atomically."""
    arrays: dict[str, Any] = {
        name: np.packbits(np.asarray(mask, dtype=bool), axis=None) for name, mask in predictions.masks.items()
    }
    arrays["_numbers"] = np.array(predictions.numbers, dtype=np.int32)
    arrays["_shape"] = np.array(predictions.shape, dtype=np.int32)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_predictions(path: Path) -> Predictions:
    """What :func:`write_predictions` wrote, nothing being unpickled; StudyError if it is missing or damaged."""
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


def draw_comparison(path: Path, document: Mapping[str, Any]) -> None:
    """Draw ``comparison.json``: an arrow for each case, from the Dice of the model in use to the new one's."""
    rows = sorted((row for row in document["cases"] if row["has_scar"]), key=lambda row: row["new"]["end_to_end_dice"])
    false = [row for row in document["cases"] if not row["has_scar"]]
    figure, axis = new_figure(6.4, 1.5 + 0.24 * max(4, len(rows)))
    used_color, new_color = DARK_FAINT, COLORS[0]
    for at, row in enumerate(rows):
        before, after = row["used"]["end_to_end_dice"], row["new"]["end_to_end_dice"]
        axis.plot([before, after], [at, at], color=new_color if after >= before else COLORS[1], lw=2.2, alpha=0.45, zorder=2)
        axis.plot(before, at, "o", color=used_color, ms=6, zorder=3)
        axis.plot(after, at, "o", color=new_color, ms=7, zorder=4)
    if len(rows) <= _MOST_NAMES:
        axis.set_yticks(range(len(rows)), [row["case"][:16] for row in rows])
    else:
        axis.set_yticks([])
    axis.set_ylim(-0.7, max(3.3, len(rows) - 0.3))
    axis.set_xlim(0, 1)
    grams = ""
    if false and all(row[who]["mass_g"] is not None for row in false for who in ("new", "used")):
        new, used = (sum(row[who]["mass_g"] for row in false) / len(false) for who in ("new", "used"))
        grams = f"\n{len(false)} without scar: {new:.1f} g drawn each, before {used:.1f} g"
    axis.set_xlabel(f"Dice end to end, validation patients with scar{grams}")
    axis.plot([], [], "o", color=new_color, ms=7, label=str(document["new"]["name"]))
    axis.plot([], [], "o", color=used_color, ms=6, label=f"{document['used']['name']} (in use)")
    axis.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    save_figure(path, figure)


def read_comparison(path: Path) -> dict[str, Any]:
    """A ``comparison.json`` of a run; StudyError if it is missing, damaged or of another version."""
    document = read_json(path, StudyError)
    needed = ("figures", "cases", "verdict", NEW, USED)
    if not isinstance(document, dict) or any(key not in document for key in needed):
        raise StudyError(f"{path} is not a comparison of a run. Compare again.")
    if document.get("version") != FORMAT_VERSION:
        raise StudyError(f"{path} is of version {document.get('version')!r}; this program reads {FORMAT_VERSION}. Compare again.")
    return document


def write_comparison(folder: Path, document: dict[str, Any], masks: dict[str, Predictions]) -> None:
    """Write all files of a comparison; what one before has left stays until this one is complete."""
    for left in folder.glob(f"{_MAKING}*"):
        shutil.rmtree(left, ignore_errors=True)
    with os_errors_as(OutputError, f"Cannot write the comparison in {folder}", "Free some space."):
        with folder_aside(folder, _MAKING) as making:
            for case, of_case in masks.items():
                write_predictions(making / Path(file_of(case)).name, of_case)
            rows = [_flat(row) for row in document["cases"]]
            write_table(folder / TABLE, list(rows[0]), rows)
            draw_comparison(folder / PICTURE, document)
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            move(making, folder / FOLDER)
        write_json(folder / RESULT, document)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in row.items() if not isinstance(value, (dict, list))}
    of_models = {f"{who}_{key}": value for who in (NEW, USED) for key, value in row[who].items()}
    return {**plain, **of_models, "worst_slice": row["worst"]["slice"]}
