"""ultralytics' ``DetectionTrainer`` with our batches, our second task and our files; its loop, schedule and average are kept.

Replaced, because they do not fit: its data sets (files of boxes; ours are warped masks), its validation (mean average
precision of single slices; ours measures lesions and patients, once, at the end), its checkpoints (pickles of whole
objects, with the optimizer in half precision, from which a run does not go on exactly), its recovery from a broken loss (it
starts the epoch over from a pickle; here that is an error), and its callbacks to services.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.finetune.phase_state import read_state, write_state
from MyoScarSegLib.training.yolo.detector_samples import NOT_SCAR, DetectorBatches, DetectorSample
from MyoScarSegLib.training.yolo.detector_settings import CLASSES, TISSUES, DetectorSettings
from MyoScarSegLib.utils.progress import CancelToken, Progress, duration
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

if TYPE_CHECKING:
    import torch
    from torch import nn

PAINTER = "tissue_painter"
"""Attribute of the training network that holds the painting head."""
_PAINTED = 4
"""Times that the painted tissue map is finer than the features."""
_WEIGHTS = (0.3, 1.0, 1.0, 2.0)
_HEALTHY_WEIGHT = 1.0
_STATE = "detector"
_WEIGHT_DECAY = 0.02
_CLASS_GAIN = 1.0
"""Weight of the classes in the loss; ultralytics' own default is 0.5."""
_TISSUE_GAIN = 2.0
"""Weight of the tissue map that the network must draw, beside the boxes, while it trains."""
_AVERAGING = 0.998
"""Decay of the averaged weights, about the last 500 steps."""
_AVERAGING_RAMP = 500
"""Steps over which the average grows long."""
_SECOND_MOMENT = 0.99
"""Of AdamW; ultralytics' 0.999 forgets too slowly for a few thousand steps."""


def add_painter(network: Any) -> None:
    """Give a detection network a head that draws the tissues from its finest features, at half the input's resolution.

    A few hundred slices have too few boxes to learn from what scar looks like; they have many thousand labeled pixels.
    """
    from torch import nn

    channels = network.model[-1].cv2[0][0].conv.in_channels
    painter = nn.Sequential(
        nn.Conv2d(channels, 64, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(64, len(TISSUES) * _PAINTED**2, 1),
        nn.PixelShuffle(_PAINTED),
    )
    setattr(network, PAINTER, painter)


class PaintingCriterion:
    """ultralytics' detection loss, per slice, plus the loss of the painted tissues."""

    def __init__(self, detection: Any, painter: nn.Module, gain: float) -> None:
        """Add ``gain`` times the loss of ``painter`` to the loss ``detection``."""
        self.detection = detection
        self._painter = painter
        self._gain = gain

    def __call__(self, predictions: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss of a batch with its ``tissue``, and its parts."""
        losses, parts = self.detection(predictions, batch)
        features = predictions.get("one2many", predictions)["feats"][0]
        tissue = tissue_loss(self._painter(features), batch["tissue"])
        return losses.sum() / len(batch["img"]) + self._gain * tissue, {**parts, "tissue_loss": tissue.detach()}

    def update(self) -> None:
        """Called after each epoch; end-to-end networks shift weight between their two heads then."""
        if hasattr(self.detection, "update"):
            self.detection.update()


def tissue_loss(painted: torch.Tensor, tissue: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy of painted tissues, which are logits ``[batch, 4, rows, columns]``; ``tissue``, int64 ``[batch, n
    rows, n columns]``, has the numbers of the tissues, or :data:`NOT_SCAR` for any but scar.
    """
    import torch

    step = tissue.shape[-1] // painted.shape[-1]
    wanted = tissue[:, ::step, ::step]
    logs = painted.log_softmax(dim=1)
    healthy = logs[:, :-1].logsumexp(dim=1, keepdim=True)
    of_wanted = torch.cat([logs, healthy], dim=1).gather(1, wanted[:, None])[:, 0]
    weights = torch.tensor((*_WEIGHTS, _HEALTHY_WEIGHT), device=painted.device)[wanted]
    return -(weights * of_wanted).sum() / weights.sum()


assert len(_WEIGHTS) == NOT_SCAR  # noqa: S101 - one weight for each tissue


@dataclass(frozen=True)
class TrainingState:
    """A training after some whole epochs: what it needs to go on as if it had not stopped.

    Attributes:
        epochs: that are done.
        batch: slices per step in use, which may be fewer than were asked for.
        updates: of the averaged weights.
        network, average: their tensors.
        optimizer: moments of each parameter.
        identity: what must be the same to go on: settings, data, start.
        history: losses of each epoch.
    """

    epochs: int
    batch: int
    updates: int
    network: Mapping[str, torch.Tensor]
    average: Mapping[str, torch.Tensor]
    optimizer: Mapping[int, Mapping[str, torch.Tensor]]
    identity: Mapping[str, Any]
    history: list[dict[str, float]]

    def write(self, path: Path) -> None:
        """Write atomically: a crash while writing leaves the one before."""
        write_state(path, _STATE, {f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def read(cls, path: Path) -> TrainingState:
        """What :meth:`write` wrote; ModelError if it is damaged, or of something else."""
        return cls(**read_state(path, _STATE))


@dataclass(frozen=True)
class TrainingPlan:
    """One training for :func:`train_network`.

    Attributes:
        network: a detection network with a tissue painter; it is trained in place.
        samples: the real slices.
        phantoms: phantom slices to mix in.
        settings: how.
        identity: of the training, for its states.
        state: to go on from.
        each_epoch: called with the state and the averaged network (with painter) after every epoch.
        each_step: called after every step with its number (from 1), the number of all, the epoch (from 1), the losses, the
            learning rate as a share of its peak, and the seconds left.
    """

    network: Any
    samples: Sequence[DetectorSample]
    phantoms: Sequence[DetectorSample]
    settings: DetectorSettings
    identity: Mapping[str, Any]
    state: TrainingState | None
    each_epoch: Callable[[TrainingState, nn.Module], None]
    each_step: Callable[[int, int, int, dict[str, float], float, float], None]
    progress: Progress
    cancel: CancelToken | None


def train_network(plan: TrainingPlan, *, device: torch.device, batch: int) -> nn.Module:
    """Train a detection network with ``batch`` slices per step; the averaged one, with painter, in evaluation mode."""
    if not plan.samples:
        raise ModelError("There are no slices to train the detector on.")
    if os.environ.get("RANK", "-1") != "-1":
        raise ModelError("The detector is trained in one process: start it without `accelerate launch` or `torchrun`.")
    settings = plan.settings
    with tempfile.TemporaryDirectory(prefix="myoscarseg-") as folder:
        overrides = {
            "task": "detect",
            "mode": "train",
            "model": f"{settings.architecture}.yaml",
            "pretrained": False,
            "data": "myoscarseg",
            "device": str(device),
            "workers": 0,
            "seed": settings.seed,
            "deterministic": device.type == "cuda",
            "epochs": settings.epochs,
            "batch": batch,
            "imgsz": settings.window,
            "optimizer": "AdamW",
            "lr0": settings.rate,
            "lrf": 0.01,
            "cos_lr": True,
            "momentum": 0.9,
            "weight_decay": _WEIGHT_DECAY,
            "warmup_epochs": settings.warmup,
            "warmup_bias_lr": 0.0,
            "cls": _CLASS_GAIN,
            "mosaic": 0.0,
            "close_mosaic": 0,
            "amp": False,
            "patience": 0,
            "val": False,
            "plots": False,
            "save": True,
            "exist_ok": True,
            "save_dir": folder,
        }
        trainer = _trainer_class()(plan, overrides)
        trainer.train()
    return trainer.averaged


@functools.cache
def _trainer_class() -> Any:
    """The trainer's class; made when first needed, for its base is slow to import."""
    import_ultralytics()
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils.torch_utils import ModelEMA

    base: Any = DetectionTrainer

    class ScarTrainer(base):
        """See the module."""

        def __init__(self, plan: TrainingPlan, overrides: dict[str, Any]) -> None:
            self._plan = plan
            self._own: dict[str, list[Callable[[], None]]] = {
                "on_train_epoch_start": [self._begin_epoch],
                "on_train_batch_start": [self._ask_whether_to_stop],
                "on_train_batch_end": [self._tell],
            }
            self._history = [] if plan.state is None else list(plan.state.history)
            threads = torch.get_num_threads()
            super().__init__(overrides=overrides)
            # ultralytics leaves one processor core to others, which on small computers halves the speed.
            torch.set_num_threads(threads)

        @property
        def averaged(self) -> Any:
            return self.ema.ema

        def run_callbacks(self, event: str) -> None:
            """Run our callbacks only: ultralytics adds some that report to services."""
            for callback in self._own.get(event, ()):
                callback()

        # ---- what is trained, on what

        def get_dataset(self) -> dict[str, Any]:
            return {"train": "", "val": "", "nc": len(CLASSES), "names": dict(enumerate(CLASSES)), "channels": 1}

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            # Convolutions on channels last are quicker on processors, too; ultralytics would do so on CUDA only.
            return self._plan.network.to(memory_format=torch.channels_last)

        def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> DetectorBatches:
            return DetectorBatches(self._plan.samples, self._plan.phantoms, self._plan.settings, batch_size)

        def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
            moved = {name: value.to(self.device) for name, value in batch.items()}
            moved["img"] = moved["img"].contiguous(memory_format=torch.channels_last)
            return moved

        def build_optimizer(self, *args: Any, **kwargs: Any) -> Any:
            optimizer = super().build_optimizer(*args, **kwargs)
            for group in optimizer.param_groups:
                group["betas"] = (group["betas"][0], _SECOND_MOMENT)
            return optimizer

        def _build_train_pipeline(self) -> None:
            # No accumulation of gradients over steps, which would not begin anew where a resumed training does.
            self.args.nbs = self.batch_size
            super()._build_train_pipeline()

        def resume_training(self, ckpt: Any) -> None:
            """Set up loss and average, and go on from the plan's state, if it has one."""
            model, plan = self.model, self._plan
            model.criterion = None
            detection = model.init_criterion()
            model.criterion = PaintingCriterion(detection, getattr(model, PAINTER), _TISSUE_GAIN)
            self.ema = ModelEMA(model, decay=_AVERAGING, tau=_AVERAGING_RAMP)
            self.ema.ema.criterion = None
            state = plan.state
            if state is None:
                return
            model.load_state_dict(state.network)
            self.ema.ema.load_state_dict(state.average)
            self.ema.updates = state.updates
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state.optimizer, "param_groups": groups})
            if hasattr(detection, "updates"):
                detection.updates = state.epochs - 1
                detection.update()
            self.start_epoch = state.epochs

        # ---- while it trains

        def _begin_epoch(self) -> None:
            self.train_loader.epoch = self.epoch
            self._epoch_began = time.monotonic()
            if not hasattr(self, "_began"):
                self._began, self._steps_before = self._epoch_began, len(self.train_loader) * self.epoch
            self._step = len(self.train_loader) * self.epoch

        def _ask_whether_to_stop(self) -> None:
            if self._plan.cancel is not None:
                self._plan.cancel.raise_if_cancelled()

        def optimizer_step(self) -> None:
            if not bool(torch.isfinite(self.loss)):
                raise ModelError(
                    f"Training broke down in epoch {self.epoch + 1}: the loss is not finite. Lower the learning rate (`rate`)."
                )
            super().optimizer_step()

        def _clear_memory(self, threshold: float | None = None) -> None:
            """Give memory back where it is scarce; collecting garbage on a processor takes long and gains nothing."""
            if self.device.type != "cpu":
                super()._clear_memory(threshold)

        def _tell(self) -> None:
            self._step += 1
            plan, steps = self._plan, len(self.train_loader) * self.epochs
            loss = float(self.loss.detach())
            spent = time.monotonic() - self._began
            left = spent / max(1, self._step - self._steps_before) * (steps - self._step)
            parts = {"loss": loss, **{name: float(value) for name, value in self.loss_items.items()}}
            rate = self.optimizer.param_groups[0]["lr"] / plan.settings.rate
            plan.each_step(self._step, steps, self.epoch + 1, parts, rate, left)
            message = f"epoch {self.epoch + 1} of {self.epochs}, loss {loss:.3f}, {duration(left)} left"
            plan.progress(self._step, steps, message)

        # ---- after an epoch, and at the end

        def validate(self) -> tuple[dict[str, float], None]:
            return {}, None

        def get_validator(self) -> Any:
            return SimpleNamespace(metrics=SimpleNamespace(keys=[]), dataloader=None)

        def save_metrics(self, metrics: dict[str, float]) -> None:
            means = {name: round(float(value), 5) for name, value in self.tloss.items()}
            seconds = round(time.monotonic() - self._epoch_began, 2)
            self._history.append({"epoch": self.epoch + 1, **means, "seconds": seconds})

        def save_model(self) -> bool:
            self._plan.each_epoch(self._state(), self.ema.ema)
            return True

        def final_eval(self) -> None:
            """Evaluation reads the saved file; see `finish` in detector_training."""

        def _state(self) -> TrainingState:
            return TrainingState(
                epochs=self.epoch + 1,
                batch=self.batch_size,
                updates=self.ema.updates,
                network=dict(self.model.state_dict()),
                average=dict(self.ema.ema.state_dict()),
                optimizer=self.optimizer.state_dict()["state"],
                identity=self._plan.identity,
                history=list(self._history),
            )

    return ScarTrainer
