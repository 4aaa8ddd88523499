"""Segmentations and their volumes in saved scenes of 3D Slicer (``.mrb``, ``.mrml``), read without Slicer."""

from __future__ import annotations

import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import DETACHED_HEADERS, has_extension
from MyoScarSegLib.utils.files import os_errors_as
from MyoScarSegLib.utils.progress import CancelToken, check_cancel

ENDINGS = (".mrb", ".mrml")
Node = ElementTree.Element
_LARGEST_BYTES = 8 << 30
_LARGEST_MRML_BYTES = 256 << 20
_MOST_FILES = 20_000
_CHUNK_BYTES = 1 << 20
_VOLUME_ROLE, _TRANSFORM_ROLE = "referenceImageGeometryRef", "transform"


class SceneCase(NamedTuple):
    """The files of a segmentation in a scene and of its volume; None where ``problem`` says in a sentence why there are none."""

    volume: Path | None = None
    segmentation: Path | None = None
    problem: str = ""


@contextmanager
def opened_scene(path: Path, cancel: CancelToken | None = None) -> Iterator[list[SceneCase]]:
    """The segmentations of a ``.mrb``, whose files are there until the block ends, or of a ``.mrml`` beside its files."""
    if not path.is_file():
        raise StudyError(f"There is no scene {path}.")
    if path.suffix.lower() == ".mrml":
        yield _cases(path, path.resolve(), None)
        return
    with TemporaryDirectory(prefix="myoscarseg-scene-") as folder:
        unpacked = _unpack(path, Path(folder).resolve(), cancel)
        scenes = sorted(named for named in unpacked if named.suffix == ".mrml")
        if not scenes:
            raise StudyError(f"{path} is no scene of 3D Slicer: there is no .mrml file in it.")
        yield [case for named in scenes for case in _cases(unpacked[named], named, unpacked)]


def _unpack(path: Path, folder: Path, cancel: CancelToken | None) -> dict[Path, Path]:
    """Unpack an archive, under numbers for names: Slicer names files after its nodes, and these often after the patient. For each
    file where it would lie under its own name, and where it lies.
    """
    files: dict[Path, Path] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MOST_FILES or sum(member.file_size for member in members) > _LARGEST_BYTES:
                raise StudyError(f"{path} is too large for a scene of some studies; open it in Slicer and add them there.")
            for member in members:
                name = PurePosixPath(member.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts or ":" in member.filename or stat.S_ISLNK(member.external_attr >> 16):
                    raise StudyError(f"{path} has an entry that leads out of it ({member.filename!r}); nothing of it was read.")
                if member.is_dir():
                    continue
                named = folder.joinpath(*name.parts)
                ending = re.search(r"(\.seg|\.nii)?\.[^.]*$", name.name.lower())
                target = files[named] = folder / f"{len(files)}{ending[0] if ending else ''}"
                with archive.open(member) as source, target.open("wb") as file:
                    while chunk := source.read(_CHUNK_BYTES):  # never more than the entry's file_size
                        check_cancel(cancel)
                        file.write(chunk)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise StudyError(f"{path} is damaged or no scene of 3D Slicer: {error}.") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be unpacked: {error.strerror or error}.") from error
    return files


def _cases(scene: Path, named: Path, files: Mapping[Path, Path] | None) -> list[SceneCase]:
    """The segmentations of the ``.mrml`` ``scene``, in its order. The names in it are relative to its own name ``named``;
    ``files`` says where each of them really lies, None if just there.
    """
    nodes = _nodes(scene, named.name)
    by_id = {node.get("id", ""): node for node in nodes}
    found: list[SceneCase] = []
    for node in nodes:
        if node.tag != "Segmentation":
            continue
        try:
            volume = by_id.get(_reference(node, _VOLUME_ROLE))
            if volume is None:
                raise StudyError("It has no volume that it was drawn on in the scene.")
            _check_transforms(node, volume, by_id)
            found.append(SceneCase(_file(volume, by_id, named, files), _file(node, by_id, named, files)))
        except StudyError as error:
            found.append(SceneCase(problem=str(error)))
    return found


def _nodes(scene: Path, name: str) -> list[Node]:
    with os_errors_as(StudyError, f"{name} cannot be read"):
        if scene.stat().st_size > _LARGEST_MRML_BYTES:
            raise StudyError(f"{name} is too large for a scene.")
        text = scene.read_bytes()
    if b"\0" in text:  # UTF-16, in which what comes next would not be found
        raise StudyError(f"{name} is damaged: a scene is UTF-8 text.")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # no scene has them, and they could unfold without end
        raise StudyError(f"{name} declares entities, which no scene does; it was not read.")
    try:
        return list(ElementTree.fromstring(text))  # noqa: S314 (no entities, see above)
    except ElementTree.ParseError as error:
        raise StudyError(f"{name} is damaged: {error}.") from error


def _reference(node: Node, role: str) -> str:
    """Id of the first node that ``node`` refers to in ``role``; empty if there is none."""
    for part in node.get("references", "").split(";"):
        name, _, ids = part.partition(":")
        if name.strip() == role and ids.split():
            return ids.split()[0]
    return ""


def _check_transforms(segmentation: Node, volume: Node, by_id: dict[str, Node]) -> None:
    """Refuse what would put mask and volume, or the slices of the volume, elsewhere than their files say."""
    ids = _reference(segmentation, _TRANSFORM_ROLE), _reference(volume, _TRANSFORM_ROLE)
    if ids[0] != ids[1]:
        raise StudyError(
            "Volume and segmentation are under different transforms. Open the scene in Slicer, harden them, and add it there."
        )
    seen = set()
    above = ids[0]
    while above and above not in seen:
        seen.add(above)
        node = by_id.get(above)
        if node is None:
            raise StudyError("It is under a transform that is not in the scene.")
        linear = node.tag == "LinearTransform" or (node.tag == "Transform" and "matrixTransform" in " ".join(node.attrib))
        if not linear:
            raise StudyError(
                "It is under a non-linear transform, such as that of unevenly spaced slices. Open the scene in Slicer and add it "
                "there."
            )
        above = _reference(node, _TRANSFORM_ROLE)


def _file(node: Node, by_id: dict[str, Node], scene: Path, files: Mapping[Path, Path] | None) -> Path:
    storage = by_id.get(_reference(node, "storage"))
    name = unquote(storage.get("fileName", "")) if storage is not None else ""
    what = "segmentation" if node.tag == "Segmentation" else "volume"
    if not name:
        raise StudyError(f"Its {what} was not saved with the scene.")
    path = (scene.parent / name).resolve()
    if not path.is_relative_to(scene.parent.resolve()):
        raise StudyError(f"Its {what} lies outside the scene's folder. Save the scene with all its files, as .mrb.")
    file = path if files is None else files.get(path)
    if file is None or not file.is_file():
        raise StudyError(f"Its {what} is missing: {path.name}.")
    if file != path and has_extension(path, DETACHED_HEADERS):
        raise StudyError(f"Its {what} is in two files ({path.suffix}). Save the scene with it as .nrrd, which is one.")
    return file


def is_scene(path: Path) -> bool:
    """Whether a file is named like a scene."""
    return path.suffix.lower() in ENDINGS


def scenes_in(folder: Path) -> list[Path]:
    """Scenes in a folder: ``.mrb`` files, and the ``.mrml`` of a scene folder."""
    return sorted(path for path in folder.iterdir() if path.is_file() and is_scene(path))
