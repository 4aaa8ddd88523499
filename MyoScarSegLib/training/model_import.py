"""Taking over a model from a file, such as another computer exported: only one that really loads, and never by unpickling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.entry import Entry
from MyoScarSegLib.models.own import take_over
from MyoScarSegLib.models.safetensors_header import read_header
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress


def import_model(file: Path, name: str = "", *, progress: Progress = no_progress, cancel: CancelToken | None = None) -> Entry:
    """Keep a copy of a model and of the card beside it among the user's own; see :func:`MyoScarSegLib.models.own.take_over`.

    It must load as a segmenter or detector of MyoScarSeg, which needs torch: the application has it done in another process.

    Args:
        file: the ``.safetensors`` file, or the card beside it.
        name: that it gets; empty for the card's or the file's, with a number if that is taken.
        progress: counts bytes.
        cancel: honored while copying.

    Raises:
        ModelError: it is no model of MyoScarSeg, is damaged, or is not what its card says, or the name is taken.
        OutputError: the folder of models cannot be written.
        Cancelled: the token was set.
    """
    file = Path(file)
    if file.suffix in (".json", ".md"):
        file = file.with_suffix(".safetensors")
    if not file.is_file():
        raise ModelError(f"There is no model file {file}.")
    if file.suffix != ".safetensors":
        raise ModelError(
            f"{file.name} is not a .safetensors file. Only such can be imported: other formats could run any program on opening."
        )
    progress(0, 0, f"checking {file.name}")
    facts = check_model(file)
    if cancel is not None:
        cancel.raise_if_cancelled()
    return take_over(file, facts, name, progress=progress, cancel=cancel)


def check_model(file: Path) -> dict[str, str]:
    """Load a file as a model, and say what it is: ``task``, ``architecture`` and ``preprocessing``.

    Raises:
        ModelError: it is none, or is damaged.
    """
    if any(key.startswith("image_encoder.") for key in read_header(file).tensors):
        from MyoScarSegLib.segmentation.segmenter import load_segmenter

        checkpoint = load_segmenter(file, device="cpu").checkpoint
        if checkpoint.metadata.get("preprocessing") != checkpoint.preprocessing:
            raise ModelError(f"{file.name} does not say which preprocessing it was trained with: it is no model of MyoScarSeg.")
        return {"task": "segment", "architecture": checkpoint.architecture, "preprocessing": checkpoint.preprocessing}
    from MyoScarSegLib.detection.detector_checkpoint import PREPROCESSING, load_checkpoint

    return {"task": "detect", "architecture": load_checkpoint(file)[1].architecture, "preprocessing": PREPROCESSING}


def import_task(arguments: dict[str, Any], progress: Progress = no_progress, cancel: CancelToken | None = None) -> dict[str, Any]:
    """:func:`import_model` for the application, in a process of its own.

    Args:
        arguments: ``file``, and ``name`` if wished.
        progress, cancel: as everywhere.

    Returns:
        The ``name`` that it got, and its ``sha256``.
    """
    entry = import_model(Path(arguments["file"]), str(arguments.get("name") or ""), progress=progress, cancel=cancel)
    return {"name": entry.name, "sha256": entry.sha256}
