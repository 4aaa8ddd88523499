"""Which mask belongs to which reference: finding the mask files of a folder, and matching two folders by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import VOLUME_EXTENSIONS, has_extension, natural_order
from MyoScarSegLib.training.datasets.pairs import LABEL_FOLDERS, stem
from MyoScarSegLib.utils.files import read_json

_OF_MASKS = r"labels?|masks?|seg|segmentations?|contours?|annotations?|gt|ground_?truth|truth|scar|pred|predictions?"
_MASK_NAME = re.compile(rf"(?:^|[_\-. ])(?:{_OF_MASKS})$", re.IGNORECASE)
_ENDING = re.compile(rf"[_\-. ](?:{_OF_MASKS}|lge|image|0000)$", re.IGNORECASE)
_SEGMENTATION = (".seg.nrrd", ".seg.nhdr")
_PROBABILITY, _RESULT = "probability.nii.gz", "result.json"


@dataclass(frozen=True)
class MaskFile:
    """A mask of one case.

    Attributes:
        case: its name.
        path: the mask or label volume.
        probability: the probabilities that it was made from; None if they are not beside it.
        spacing_known: False if it was made from an image without spacing, so that the file's 1 mm is only a filler.
    """

    case: str
    path: Path
    probability: Path | None = None
    spacing_known: bool = True


@dataclass(frozen=True)
class MaskFiles:
    """The masks of a file or folder.

    Attributes:
        cases: by name, in natural order.
        skipped: name of a case to the reason why it has no mask.
        single: a file was given, not a folder.
    """

    cases: dict[str, MaskFile] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    single: bool = False


@dataclass(frozen=True)
class Matches:
    """Two folders' cases by name: the pairs, and the cases that only one of them has."""

    pairs: list[tuple[MaskFile, MaskFile]]
    without_truth: list[str]
    without_prediction: list[str]


def find_masks(path: Path) -> MaskFiles:
    """The mask that ``path`` is, or the masks in the folder.

    A folder may hold mask files (with images among them only those that are named like masks), a subfolder ``labels`` or the
    like of them, or a folder per case: what ``myoscarseg segment`` writes, EMIDEC's ``Case_P001/Contours/Case_P001.nii.gz``,
    or anything with one mask in it. A training library's cases are found, too.

    Raises:
        StudyError: there is no such file or folder, or no mask in it.
    """
    if path.is_file():
        return MaskFiles({_name(path): _mask_file(_name(path), path)}, single=True)
    if not path.is_dir():
        raise StudyError(f"There is no file or folder {path}.")
    if (path / "library.json").is_file():
        path = path / "cases"
    found = MaskFiles()
    inner = _labels_folder(path)
    flat = _masks(inner) if inner is not None else _told_apart(_volumes(path))
    for file in flat:
        _add(found, _name(file), [file])
    for folder in [] if flat else sorted((p for p in path.iterdir() if p.is_dir()), key=lambda p: natural_order(p.name)):
        inner = _labels_folder(folder)
        files = _masks(inner) if inner is not None else _told_apart(_volumes(folder))
        if files:
            _add(found, folder.name, files)
        elif (folder / _RESULT).is_file() or _volumes(folder):
            found.skipped[folder.name] = f"{folder} holds no mask."
    if not found.cases and not found.skipped:
        raise StudyError(f"{path} holds no masks: expected are .seg.nrrd, NIfTI, NRRD or MHA files, or a folder per case.")
    return found


def match(predicted: MaskFiles, truth: MaskFiles) -> Matches:
    """Pairs of one name; failing that, of names that differ in letters' case or endings alone (``a_lge`` and ``a_labels``).

    Two files that were given as such are a pair whatever their names.
    """
    if predicted.single and truth.single:
        return Matches([(next(iter(predicted.cases.values())), next(iter(truth.cases.values())))], [], [])
    by_key: dict[str, list[str]] = {}
    for name in truth.cases:
        by_key.setdefault(_key(name), []).append(name)
    pairs, without_truth, used = [], [], set()
    # Equal names first, so that no near one takes their place.
    for name in sorted(predicted.cases, key=lambda n: n not in truth.cases):
        candidates = [name] if name in truth.cases else by_key.get(_key(name), [])
        if len(candidates) == 1 and candidates[0] not in used:
            used.add(candidates[0])
            pairs.append((predicted.cases[name], truth.cases[candidates[0]]))
        else:
            without_truth.append(name)
    pairs.sort(key=lambda pair: natural_order(pair[1].case))
    return Matches(pairs, without_truth, [name for name in truth.cases if name not in used])


def _add(found: MaskFiles, case: str, files: list[Path]) -> None:
    # A result is written as a segmentation and as a volume: the same mask twice.
    best = [f for f in files if has_extension(f, _SEGMENTATION)] or files
    earlier = found.cases.get(case)
    if len(best) > 1 or (earlier is not None and stem(earlier.path) != stem(best[0])):
        names = ", ".join(f.name for f in ([earlier.path] if earlier else []) + best)
        found.cases.pop(case, None)
        found.skipped[case] = f"{case} has several masks ({names}); leave one."
    elif case not in found.skipped and (earlier is None or has_extension(best[0], _SEGMENTATION)):
        found.cases[case] = _mask_file(case, best[0])


def _mask_file(case: str, path: Path) -> MaskFile:
    probability, result = path.parent / _PROBABILITY, path.parent / _RESULT
    known = True
    if result.is_file():
        document = read_json(result, StudyError)
        known = not isinstance(document, dict) or document.get("spacing_mm", ()) is not None
    # Beside several cases' masks in one folder a probability map would be of nobody knows which.
    own = probability.is_file() and result.is_file() and probability != path
    return MaskFile(case, path, probability if own else None, known)


def _name(path: Path) -> str:
    """A mask file's case: of a result's own files that of their folder."""
    if (path.parent / _RESULT).is_file():
        return path.parent.name
    name = stem(path)
    return _ENDING.sub("", name) or name


def _key(name: str) -> str:
    before = ""
    while name != before:
        before, name = name, _ENDING.sub("", name)
    return name.casefold()


def _labels_folder(folder: Path) -> Path | None:
    inner = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    return next((inner[name] for name in LABEL_FOLDERS if name in inner and _volumes(inner[name])), None)


def _masks(folder: Path) -> list[Path]:
    return _told_apart(_volumes(folder))


def _told_apart(files: list[Path]) -> list[Path]:
    """Those named like masks; if none is, all."""
    named = [f for f in files if has_extension(f, _SEGMENTATION) or _MASK_NAME.search(stem(f))]
    return named or [f for f in files if f.name != _PROBABILITY]


def _volumes(folder: Path) -> list[Path]:
    files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".") and has_extension(p, VOLUME_EXTENSIONS)]
    return sorted(files, key=lambda p: natural_order(p.name))
