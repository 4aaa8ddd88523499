"""Which case folder belongs to which input, also across runs and for several runs at once.

A results folder has a folder per case. ``case.json`` in it says which input it belongs to, by the content of the image, and
which prompts the program wrote: prompts that are otherwise were edited and are kept, and boxes that lie otherwise than the
detector proposed them are the reader's.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError, OutputError
from MyoScarSegLib.prompts import Box, Point, read_boxes, read_points, set_by_reader
from MyoScarSegLib.study.names import folder_key, free_name, natural_order
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import atomic_path, is_unfinished, remove_unfinished, sha256_of
from MyoScarSegLib.utils.json_fields import load_if_whole, save
from MyoScarSegLib.utils.locks import locked

RECORD = "case.json"
PROMPTS = ("boxes.json", "points.json")
_VERSION = 1
_LOCK, _LOCKS, _LOCKED_APART = ".lock", ".locks", 64
_NEVER_A_CASE = ("results.csv", "slices.csv", "inputs.csv", *(f"cohort.{kind}" for kind in ("csv", "html", "parquet", "sqlite")))


def content_of(study: Study) -> str:
    """SHA-256 of a study's values in its file's order: the same whatever the file's name, place, format or stated spacing."""
    values = np.ascontiguousarray(study.file_array(study.voxels), dtype="<f4")
    digest = hashlib.sha256(str(values.shape).encode())
    digest.update(values.data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Record:
    """What ``case.json`` says.

    Attributes:
        content_sha256: of the input, as :func:`content_of` gives it; empty for one that could not be read.
        place_sha256: of the input's path, by which an input that cannot be read is known; empty if it has none.
        prompts_sha256: of each file of prompts as the program wrote it.
        proposed_boxes: slice and corners of the detector's boxes in ``boxes.json`` as the program wrote it; None without one.
        coming_sha256: of each file of prompts that was about to be written; after a kill it is the program's, too.
    """

    content_sha256: str
    place_sha256: str = ""
    prompts_sha256: dict[str, str] = field(default_factory=dict)
    proposed_boxes: frozenset[tuple[int, float, float, float, float]] | None = None
    coming_sha256: dict[str, str] = field(default_factory=dict)

    def wrote(self, name: str, sha256: str) -> bool:
        """Whether a file of prompts is as the program wrote it."""
        return sha256 in (self.prompts_sha256.get(name), self.coming_sha256.get(name))


class CaseFolders:
    """The case folders in one results folder, as one run gives them to its inputs.

    No two inputs of a run share a folder, even if they are copies of one image: then each keeps the one that it had.
    """

    def __init__(
        self,
        root: Path,
        inputs: Sequence[Path] = (),
        *,
        made: bool = False,
        holds_another: Callable[[Path, str], bool] = lambda _path, _name: False,
    ) -> None:
        """
        Args:
            made: the results folder was locked before: if it is gone, or was emptied, its drive or server is gone, and nothing is
                written in its place.
            holds_another: called with an input and the name of a case that it once gave: whether it holds another image now, so
                that the case may belong to whichever input holds that image.
        """
        self.root = Path(root)
        self._made = made
        self._places = {place_of(path): path for path in inputs}
        self._holds_another = holds_another
        self._taken: set[str] = set()
        self._known: dict[str, Record] = {}

    def find(self, wanted_name: str, path: Path | None, content: str | None) -> str | None:
        """The folder that belongs to an input, or None.

        Args:
            wanted_name: the name that it would have if it were the only one.
            path: of the input; None if it has none.
            content: as :func:`content_of` gives it; None for an input that cannot be read, which is known by its path alone.
        """
        place, found = place_of(path), []

        def belongs(record: Record, name: str) -> bool:
            here = record.place_sha256 == place != ""
            if content is None or not record.content_sha256:
                return here
            others = None if here else self._places.get(record.place_sha256)
            return record.content_sha256 == content and (others is None or self._holds_another(others, name))

        for name, known in self._records().items():
            if folder_key(name) in self._taken or not belongs(known, name):
                continue
            record = read_record(self.root / name)  # another run may have written there since it was read
            if record is not None and belongs(record, name):
                other = content is not None and record.content_sha256 != content
                found.append((other, record.place_sha256 != place, name != wanted_name, natural_order(name), name))
        return min(found)[-1] if found else None

    def name_for(self, wanted_name: str, path: Path | None, content: str | None) -> str:
        """The folder that belongs to an input, or a free one of that name."""
        found = self.find(wanted_name, path, content)
        if found is not None:
            return found
        used = {folder_key(name) for name in self._names() if not _is_unclaimed(self.root / name)}
        used |= self._taken | set(_NEVER_A_CASE)
        return free_name(wanted_name, used)

    def take(self, name: str) -> None:
        """No later input of this run gets this name."""
        self._taken.add(folder_key(name))

    def check(self) -> None:
        """Whether the results folder is where it was; OutputError if it is gone."""
        # A drive that is gone leaves the empty folder that it was mounted on; of a lost server Path.exists() may raise.
        if self._made and not os.path.exists(self.root / _LOCK):  # noqa: PTH110
            raise OutputError(
                f"The results folder {self.root} is gone. Connect its drive or server again, and go on with --resume: what was "
                "finished is kept there."
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone in the results folder; other runs wait. OutputError if the folder cannot be written, or is gone."""
        self.check()
        with locked(self.root / _LOCK):
            yield

    @contextmanager
    def writing(self, wanted_name: str, path: Path | None, content: str | None) -> Iterator[Path]:
        """The input's case folder, claimed for it, while its files are written. Others who want to write there wait meanwhile.

        Prompts that are written in the block are recorded as the program's own.

        Args:
            wanted_name, path, content: as of :meth:`find`.

        Raises:
            OutputError: the folder cannot be made.
        """
        with self.locked():
            folder = self.root / self.name_for(wanted_name, path, content)
            before = read_record(folder) or Record("")
            record = replace(before, content_sha256=content or before.content_sha256, place_sha256=place_of(path))
            save(folder / RECORD, record, version=_VERSION)
        # Pictures and volumes take long to write: only whoever writes the same case waits for that.
        with locked(self.root / _LOCKS / f"{zlib.crc32(folder_key(folder.name).encode()) % _LOCKED_APART:02x}"):
            record = read_record(folder) or record
            # What a kill left is to be recorded with what is written now.
            known = {name: sha256 for name, sha256 in _hashes(folder).items() if sha256 != record.coming_sha256.get(name)}
            remove_unfinished(folder)
            try:
                yield folder
            finally:
                now = _hashes(folder)
                changed = {name: sha256 for name, sha256 in now.items() if known.get(name) != sha256}
                if "boxes.json" in changed:
                    record = replace(record, proposed_boxes=_proposed(folder / "boxes.json"))
                if changed:
                    record = replace(record, prompts_sha256={**record.prompts_sha256, **changed}, coming_sha256={})
                    save(folder / RECORD, record, version=_VERSION)

    def _records(self) -> dict[str, Record]:
        """The records of all case folders. The content that a folder belongs to stays, so they are read once."""
        found = {}
        for name in self._names():
            record = self._known.get(name) or read_record(self.root / name)
            if record is not None:
                found[name] = record
        self._known = found  # as a whole: a study may be read ahead in another thread
        return found

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in self.root.iterdir() if not entry.name.startswith(".")]
        except OSError:  # not there yet, or not to be read: whoever writes will say so
            return []


@contextmanager
def prompts_path(file: Path) -> Iterator[Path]:
    """A temporary path that replaces a file of prompts in a case folder when the block ends well.

    ``case.json`` tells of the new prompts before they lie there, so that they are not taken for edited after a kill.

    Raises:
        OutputError: the folder cannot be written.
    """
    with atomic_path(file) as temporary:
        yield temporary
        record = read_record(file.parent)
        if record is not None:
            coming = {**record.coming_sha256, file.name: sha256_of(temporary)}
            proposed = record.proposed_boxes
            if file.name == "boxes.json" and proposed is not None:
                proposed |= _proposed(temporary)  # until it is known which of both files lies there
            record = replace(record, coming_sha256=coming, proposed_boxes=proposed)
            save(file.parent / RECORD, record, version=_VERSION)


def keep_edits(folder: Path, boxes: Sequence[Box] | None, points: Sequence[Point]) -> None:
    """Refuse to write over prompts that were edited.

    Args:
        boxes: that are to be written; None if they are not known yet.
        points: that are to be written; none leave the file as it is.

    Raises:
        OutputError: a file of prompts is not as the program wrote it, and other prompts are to be written.
    """
    record = read_record(folder)
    for name, wanted, read in (("boxes.json", boxes, read_case_boxes), ("points.json", points, read_points)):
        file = folder / name
        if not file.is_file() or (name == "points.json" and not wanted) or same_prompts(file, wanted, read):
            continue
        if record is None or not record.wrote(name, sha256_of(file)):
            option = f"--{file.stem}"
            raise OutputError(
                f"{file} was edited since it was written, so the case is left as it is: {option} {folder.parent} uses the edited "
                f"{file.stem}, --overwrite replaces them, or choose another folder."
            )


def read_case_boxes(file: Path) -> list[Box]:
    """Read a file of boxes; in a case folder, a detector's box that lies otherwise than it was proposed is the reader's.

    Raises:
        PromptError: see :func:`~MyoScarSegLib.prompts.read_boxes`.
    """
    boxes, record = read_boxes(file), read_record(file.parent)
    if record is None or record.proposed_boxes is None or file.name != "boxes.json":
        return boxes
    return [box if box.by_reader or box.place in record.proposed_boxes else set_by_reader(box) for box in boxes]


def same_prompts(file: Path, wanted: Sequence[Any] | None, read: Any) -> bool:
    """Whether ``file`` holds just these boxes or points, however it is laid out."""
    try:
        return wanted is not None and read(file) == list(wanted)
    except MyoScarSegError:
        return False


def read_record(folder: Path) -> Record | None:
    """The record of a case folder; None if it has none, or one that cannot be read."""
    return load_if_whole(Record, folder / RECORD, version=_VERSION)


def is_case_folder(path: Path) -> bool:
    """Whether a folder holds a case's results."""
    return (path / RECORD).is_file()


def _proposed(file: Path) -> frozenset[tuple[int, float, float, float, float]]:
    return frozenset(box.place for box in read_boxes(file) if not box.by_reader)


def _hashes(folder: Path) -> dict[str, str]:
    return {name: sha256_of(folder / name) for name in PROMPTS if (folder / name).is_file()}


def _is_unclaimed(path: Path) -> bool:
    """Whether a folder holds nothing, or nothing but prompts that the user laid there for the case, or what a kill left."""
    try:
        return path.is_dir() and {entry.name for entry in path.iterdir() if not is_unfinished(entry)} <= set(PROMPTS)
    except OSError:
        return False


def place_of(path: Path | None) -> str:
    """SHA-256 of an input's path; empty for None."""
    return "" if path is None else hashlib.sha256(str(Path(path).resolve()).encode(errors="surrogateescape")).hexdigest()
