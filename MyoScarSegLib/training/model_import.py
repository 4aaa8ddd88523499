"""Taking over a model from a file, such as another computer exported: only one that really loads, and never by unpickling."""

from __future__ import annotations

from pathlib import Path

from MyoScarSegLib.detection.detector_checkpoint import PREPROCESSING, load_checkpoint
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.entry import Entry
from MyoScarSegLib.models.own import take_over
from MyoScarSegLib.models.safetensors_header import read_header
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress


def import_model(file: Path, name: str = "", *, progress: Progress = no_progress, cancel: CancelToken | None = None) -> Entry:
    """Keep a copy of a model and of the card beside it among the user's own; see :func:`MyoScarSegLib.models.own.take_over`.

    It must load as a segmenter or detector of MyoScarSeg, which needs torch. ``file`` may also be the card; without ``name`` it
    gets the card's or the file's, with a number if that is taken.

    Raises:
        ModelError: it is no model of MyoScarSeg, is damaged, or is not what its card says, or the name is taken.
        OutputError: the folder of models cannot be written.
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
    check_cancel(cancel)
    return take_over(file, facts, name, progress=progress, cancel=cancel)


def check_model(file: Path) -> dict[str, str]:
    """Load a file as a model, and say what it is: ``task``, ``architecture`` and ``preprocessing``."""
    if any(key.startswith("image_encoder.") for key in read_header(file).tensors):
        from MyoScarSegLib.segmentation.segmenter import load_segmenter

        checkpoint = load_segmenter(file, device="cpu").checkpoint
        if checkpoint.metadata.get("preprocessing") != checkpoint.preprocessing:
            raise ModelError(f"{file.name} does not say which preprocessing it was trained with: it is no model of MyoScarSeg.")
        return {"task": "segment", "architecture": checkpoint.architecture, "preprocessing": checkpoint.preprocessing}

    return {"task": "detect", "architecture": load_checkpoint(file)[1].architecture, "preprocessing": PREPROCESSING}
