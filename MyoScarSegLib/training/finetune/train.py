"""Fine-tuning a segmenter on labelled slices: the phases put together."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.files import cache_folder
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.finetune.bank import EmbeddingBank
from MyoScarSegLib.training.finetune.loop import Phase, Schedule, train_phase
from MyoScarSegLib.training.finetune.network import StartModel, as_checkpoint, save_model, start_model
from MyoScarSegLib.training.finetune.objective import StepLoss, dense_loss, prompts_loss
from MyoScarSegLib.training.finetune.samples import (
    TISSUE,
    Item,
    TrainingSlice,
    epoch_order,
    phantom_slices_for_training,
    training_slices,
    windowed,
)
from MyoScarSegLib.training.finetune.settings import SamSettings
from MyoScarSegLib.training.finetune.steplog import StepLog
from MyoScarSegLib.training.finetune.validation import dense_figures

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn

    from MyoScarSegLib.segmentation import Segmenter
    from MyoScarSegLib.training.detector_error import BoxErrors

_log = logging.getLogger(__name__)
DENSE, PROMPTS = "dense", "prompts"
_VALIDATION_EVERY_DENSE = 5
_DENSE_SETTINGS = (
    "side", "window_mm", "detail_width", "refiner_width", "dense_epochs", "dense_preset", "dense_batch", "dense_rate",
    "scar_free_share", "phantoms", "phantom_share", "decay", "warmup", "clip", "averaging", "seed",
)  # fmt: skip


@dataclass
class Patients:
    """The labelled slices of a training.

    Attributes:
        training, validation: slices of whole patients, no patient in both.
        heart_of: finds the heart in a patient's slices, for those whose wall is not labelled.
        errors: how the detector's boxes err, if prompts shall err like them.
    """

    training: Sequence[LabelledSlice]
    validation: Sequence[LabelledSlice] = ()
    heart_of: Callable[[Sequence[LabelledSlice]], tuple[float, float] | None] | None = None
    errors: BoxErrors | None = None


@dataclass
class Outcome:
    """What a training gave.

    Attributes:
        model: path of the best model.
        start: what it started from.
        epochs: figures of each epoch of the prompts phase, and of the dense one before it.
        best_epoch: of the prompts phase, whose network the model is; 0 if nothing was looked at and it is the last.
        seconds: that this call took.
        main_process: whether this process writes the files.
    """

    model: Path
    start: StartModel
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    main_process: bool = True


def fine_tune(
    start: str | Path,
    patients: Patients,
    settings: SamSettings,
    out: Path,
    *,
    end_to_end: Callable[[Segmenter], dict[str, float]] | None = None,
    resume: bool = False,
    device: str = "auto",
    licence: str = "",
    name: str = "segmenter",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Outcome:
    """Fine-tune a segmenter and write ``NAME.safetensors``, ``log.jsonl`` and the checkpoints into a folder.

    Args:
        start: name or path of the model to start from.
        patients: what to learn from, and what to look at on the way.
        settings: how.
        out: the folder.
        end_to_end: figures of a segmenter on the validation patients, ``score`` to be high; None looks at nothing.
        resume: go on with a training that was stopped in this folder.
        device: ``auto``, ``cpu``, ``cuda``...; under ``accelerate launch``, accelerate's choice.
        licence: written into the file.
        name: of the model.
        progress: called after every step, with its message saying which phase it is.
        cancel: asked at every step.

    Raises:
        ModelError: the start model cannot be trained, or the training broke down.
        OutputError: the folder cannot be written.
        Cancelled: the token was set; ``NAME.safetensors`` is the best so far, and ``resume`` goes on.
    """
    started = time.monotonic()
    accelerator = _accelerator(settings, device)
    network, begun = start_model(start, settings)
    network.to(accelerator.device)
    samples = training_slices(patients.training, patients.heart_of)
    if not any(s.has_scar for s in samples):
        raise ModelError("None of the training slices has scar. Add cases with scar to the training patients.")
    looked_at = training_slices(patients.validation, patients.heart_of)
    phantoms = phantom_slices_for_training(settings.seed + 1, settings.phantoms) if settings.phantoms else []
    model_path = out / f"{name}.safetensors"
    main = accelerator.is_main_process
    log = (
        StepLog(out / "log.jsonl", keep=resume, tensorboard=out / "tensorboard" if settings.tensorboard else None)
        if main
        else None
    )
    schedule = Schedule(settings.decay, settings.warmup, settings.clip, settings.averaging, settings.seed)
    outcome = Outcome(model_path, begun)
    course = _Course(network, begun, samples, phantoms, looked_at, patients.errors, settings, out, accelerator)

    def save(averaged: nn.ModuleDict) -> None:
        save_model(model_path, averaged, begun, licence)

    if begun.new_detail and settings.dense_epochs:
        phase = course.dense()
        averaged = train_phase(
            network, phase, schedule, accelerator, out,
            resume=resume, recipe=_recipe(settings, begun, samples, DENSE), log=log, progress=progress, cancel=cancel,
        )  # fmt: skip
        network.load_state_dict(averaged.state_dict())
    if settings.epochs:
        phase = course.prompts(end_to_end, log, progress, cancel)
        averaged = train_phase(
            network, phase, schedule, accelerator, out,
            resume=resume, recipe=_recipe(settings, begun, samples, PROMPTS), log=log, save_best=save,
            progress=progress, cancel=cancel,
        )  # fmt: skip
        if end_to_end is None and main:
            save(averaged)
    elif main:
        save(network)
    accelerator.wait_for_everyone()
    if log is not None:
        log.close()
        outcome.epochs = log.epochs()
        looked = [e for e in outcome.epochs if e["phase"] == PROMPTS and e.get("validation_score") is not None]
        if looked:
            outcome.best_epoch = max(looked, key=lambda e: e["validation_score"])["epoch"]
    outcome.main_process = main
    outcome.seconds = time.monotonic() - started
    return outcome


class _Course:
    """The phases of one training, with what they draw from."""

    def __init__(
        self,
        network: nn.ModuleDict,
        start: StartModel,
        samples: Sequence[TrainingSlice],
        phantoms: Sequence[TrainingSlice],
        validation: Sequence[TrainingSlice],
        errors: BoxErrors | None,
        settings: SamSettings,
        out: Path,
        accelerator: Accelerator,
    ) -> None:
        from MyoScarSegLib.training.augmentation import Augmenter

        self._network, self._start, self._settings, self._accelerator = network, start, settings, accelerator
        self._samples, self._phantoms, self._validation, self._errors = samples, phantoms, validation, errors
        self._all = [*samples, *phantoms]
        self._plain = Augmenter("none", start.side)

    def _order(self, epoch: int) -> list[int]:
        settings = self._settings
        return epoch_order(
            self._samples,
            len(self._phantoms),
            scar_free_share=settings.scar_free_share,
            phantom_share=settings.phantom_share,
            seed=(settings.seed, epoch, 3),
        )

    def dense(self) -> Phase:
        """The detail branch alone, on windows augmented anew every time."""
        from MyoScarSegLib.training.augmentation import Augmenter

        settings = self._settings
        augmenter = Augmenter(settings.dense_preset, self._start.side)

        def item(epoch: int, place: int, number: int) -> Item:
            return windowed(self._all[number], augmenter, self._start.window_mm, (settings.seed, epoch, place, 1))

        def loss(network: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
            return dense_loss(network, items, settings)

        def validate(epoch: int, averaged: nn.ModuleDict) -> dict[str, float] | None:
            if not self._validation or (epoch % _VALIDATION_EVERY_DENSE and epoch != settings.dense_epochs):
                return None
            return dense_figures(averaged, self._validation, self._plain, self._start.window_mm)

        return Phase(
            DENSE, settings.dense_epochs, settings.dense_batch, settings.accumulate, {"detail": settings.dense_rate},
            self._order, item, loss, validate,
        )  # fmt: skip

    def prompts(
        self,
        end_to_end: Callable[[Segmenter], dict[str, float]] | None,
        log: StepLog | None,
        progress: Progress,
        cancel: CancelToken | None,
    ) -> Phase:
        """Everything that the mode lets learn, on prompts."""
        from MyoScarSegLib.training.augmentation import Augmenter

        settings, start, network = self._settings, self._start, self._network
        augmenter = Augmenter(settings.preset, start.side)
        bank: EmbeddingBank | None = None
        if settings.mode == "decoder":
            bank = EmbeddingBank(
                self._all,
                network["image_encoder"],
                augmenter,
                copies=settings.copies,
                seed=settings.seed,
                window_mm=start.window_mm,
                model_sha256=start.checkpoint.sha256,
                preprocessing_id=start.preprocessing,
                folder=cache_folder() / "training-embeddings",
            )
            before = time.monotonic()
            with self._accelerator.main_process_first():
                bank.fill(progress, cancel)
            if log is not None:
                log.event(event="embeddings", made=bank.cache.misses, seconds=round(time.monotonic() - before, 1))
        elif settings.mode == "adapter":
            from MyoScarSegLib.training.finetune.lora import add_adapters

            add_adapters(network["image_encoder"], settings.adapter_rank)
            network.to(self._accelerator.device)

        def item(epoch: int, place: int, number: int) -> Item:
            if bank is not None:
                return bank.item(number, (epoch + number) % settings.copies)
            return windowed(self._all[number], augmenter, start.window_mm, (settings.seed, epoch, place, 2))

        def loss(trained: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
            if settings.mode != "decoder":
                _learning_mode(trained["image_encoder"])
            return prompts_loss(trained, items, settings, seeds, self._errors, start.preprocessing)

        def validate(epoch: int, averaged: nn.ModuleDict) -> dict[str, float] | None:
            every = settings.evaluate_every
            if end_to_end is None or not every or (epoch % every and epoch != settings.epochs):
                return None
            return end_to_end(_segmenter(averaged, start, str(self._accelerator.device)))

        return Phase(
            PROMPTS, settings.epochs, settings.batch, settings.accumulate, self._rates(),
            self._order, item, loss, validate, settings.patience,
        )  # fmt: skip

    def _rates(self) -> dict[str, float]:
        settings = self._settings
        own = "refiner" in self._network
        rates: dict[str, float] = {}
        if own:
            rates |= {"detail": settings.detail_rate, "refiner": settings.refiner_rate}
        if not own or settings.sam_decoder or settings.mode != "decoder":
            rates |= {"prompt_encoder": settings.decoder_rate, "mask_decoder": settings.decoder_rate}
        if settings.mode == "full":
            rates["image_encoder"] = settings.encoder_rate
        elif settings.mode == "adapter":
            rates["adapter"] = settings.encoder_rate * 10
        return rates


def _segmenter(averaged: nn.ModuleDict, start: StartModel, device: str) -> Segmenter:
    from MyoScarSegLib.segmentation.segmenter import Segmenter

    return Segmenter(as_checkpoint(averaged, start, "in training"), device=device, precision="float32")


def _learning_mode(encoder: nn.Module) -> None:
    """Training mode, but for batch normalisation: batches of a few windows would spoil its statistics."""
    import torch

    encoder.train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def _accelerator(settings: SamSettings, device: str) -> Accelerator:
    try:
        import torch
        from accelerate import Accelerator
    except ImportError as error:
        raise ModelError("Training needs the package accelerate: pip install 'myoscarseg[train]'.") from error
    from MyoScarSegLib.segmentation.device import resolve_device

    chosen = resolve_device(device)
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if chosen.type == "cuda" and torch.cuda.is_bf16_supported() else "no"
    return Accelerator(mixed_precision=precision, cpu=chosen.type == "cpu")


def _recipe(settings: SamSettings, start: StartModel, samples: Sequence[TrainingSlice], phase: str) -> str:
    """Checksum of what decides a phase's course; in how many parts a step is worked through does not."""
    counted = replace(settings, tensorboard=False, accumulate=1).to_json()
    if phase == DENSE:
        counted = {name: counted[name] for name in _DENSE_SETTINGS}
    digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode())
    digest.update(start.checkpoint.sha256.encode())
    for sample in samples:
        digest.update(f"{sample.patient} {sample.index} {sample.image.shape}".encode())
        digest.update(sample.image.tobytes())
        digest.update(sample.targets[TISSUE].tobytes())
    return digest.hexdigest()
