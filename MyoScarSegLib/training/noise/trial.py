"""One training on spoilt masks, and its figures on validation patients whose masks are not."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.files import cache_folder
from MyoScarSegLib.lesions import boxes_of
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.evaluation.metrics import dice
from MyoScarSegLib.training.evaluation.settings import HURRIED
from MyoScarSegLib.training.finetune.bank import EmbeddingBank
from MyoScarSegLib.training.finetune.network import start_model
from MyoScarSegLib.training.finetune.objective import sam_answer
from MyoScarSegLib.training.finetune.samples import LESIONS, TrainingSlice, training_slices
from MyoScarSegLib.training.finetune.settings import SamSettings
from MyoScarSegLib.training.losses import LossWeights
from MyoScarSegLib.training.noise.corruptions import Corruption, agreement, corrupted
from MyoScarSegLib.training.prompting import jittered

if TYPE_CHECKING:
    import torch
    from torch import nn

WITH, WITHOUT = "with", "without"
LOSSES = {WITH: LossWeights(), WITHOUT: LossWeights(dice=0.75, cross_entropy=0.25, divergence=0.0)}
"""The paper's loss, and the same without the divergence to soft labels: Dice and cross-entropy in the same ratio, in sum 1."""

SETTINGS = SamSettings(
    mode="decoder",
    detail=False,
    side=112,
    window_mm=156.8,
    preset="light",
    copies=1,
    # All slices in every epoch, however many of them lost their scar: every trial makes the same steps on the same windows.
    scar_free_share=1e6,
    phantoms=0,
    phantom_share=0.0,
    epochs=3,
    batch=6,
    prompts=1,
    corrected=0.0,
    corrections=0,
    decoder_rate=3e-4,
    averaging=0.95,
    measured_boxes=False,
    evaluate_every=0,
)
"""A small training of SAM's decoder alone, on embeddings that are made once: seconds, so that many can be compared."""

THRESHOLDS = tuple(round(0.1 * n, 1) for n in range(1, 10))
_USUAL = THRESHOLDS.index(0.5)
_BINS = 10
_BOXES_SEED = 2025


@dataclass(frozen=True)
class Trial:
    """What tells one training of the study from the others.

    Attributes:
        corruption: of the training masks; None leaves them as they are.
        loss: one of :data:`LOSSES`.
        seed: of noise, augmentation, order and prompts; trials of one seed differ in nothing else than in masks and loss.
    """

    corruption: Corruption | None
    loss: str
    seed: int

    @property
    def condition(self) -> str:
        """What was done to the masks: ``clean``, or the corruption's key."""
        return "clean" if self.corruption is None else self.corruption.key

    @property
    def key(self) -> str:
        """For files: ``boundary-2.with.0``."""
        return f"{self.condition}.{self.loss}.{self.seed}"

    def __str__(self) -> str:
        masks = "true masks" if self.corruption is None else f"{self.corruption.kind} {self.corruption.shown_strength}"
        return f"{masks}, {self.loss} KL, seed {self.seed}"

    def masks(self, slices: Sequence[LabelledSlice]) -> list[LabelledSlice]:
        """What is trained on."""
        return list(slices) if self.corruption is None else corrupted(slices, self.corruption, self.seed)


@dataclass(frozen=True)
class _Box:
    """A hurried reader's box, on one of the windows."""

    window: int
    corners: tuple[float, float, float, float]


class Judge:
    """Figures of networks on the true masks of validation patients, the same boxes for each.

    Each patient's slices with scar are looked at through plain windows around the heart. Each lesion has one box, off by 10% of
    its side at each edge as a hurried reader's; a slice's answer is the union of its boxes' answers. Slices without scar have
    no box and count nothing. The encoder is frozen, so its embeddings are made once for all networks.

    Attributes:
        device: what is computed on.
        sha256: of the start model.
        data_sha256: of the slices that are looked at, with their masks.
    """

    def __init__(
        self,
        slices: Sequence[LabelledSlice],
        start: str | Path,
        settings: SamSettings = SETTINGS,
        *,
        device: str = "cpu",
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        """Prepare windows, embeddings and boxes.

        Args:
            slices: of the validation patients.
            start: model that all networks start from, by name or path.
            settings: of the trainings.
            device: what to compute on.
            progress: called while embeddings are made.
            cancel: honoured there.

        Raises:
            StudyError: no slice has scar.
            ModelError: the start model cannot be loaded.
            Cancelled: the token was set.
        """
        from MyoScarSegLib.segmentation.device import resolve_device
        from MyoScarSegLib.training.augmentation import Augmenter

        self.device = resolve_device(device)
        samples = [s for s in training_slices(slices) if s.has_scar]
        if not samples:
            raise StudyError("No validation patient has scar, so there is nothing to compare on. Choose another split.")
        network, begun = start_model(start, settings)
        network.to(self.device)
        bank = EmbeddingBank(
            samples,
            network["image_encoder"],
            Augmenter("none", begun.side),
            copies=1,
            seed=0,
            window_mm=begun.window_mm,
            preprocessing_id=begun.preprocessing,
            folder=cache_folder() / "training-embeddings",
        )
        items = []
        for number in range(len(samples)):
            if cancel is not None:
                cancel.raise_if_cancelled()
            progress(number, len(samples), "Preparing the validation windows")
            items.append(bank.item(number, 0))
        self.sha256 = begun.checkpoint.sha256
        self.data_sha256 = _digest(samples)
        self._side, self._start = begun.side, network
        self._features = [item.features for item in items]
        self._truth = [item.targets[LESIONS].numpy() > 0 for item in items]
        self._patients = [s.patient for s in samples]
        self._boxes: list[_Box] = []
        for number, (sample, item) in enumerate(zip(samples, items, strict=True)):
            generator = np.random.default_rng([_BOXES_SEED, *_of(sample)])
            for box in boxes_of(item.targets[LESIONS].numpy()):
                self._boxes.append(_Box(number, jittered(generator, tuple(box), (self._side, self._side), HURRIED)))

    @property
    def patients(self) -> list[str]:
        """Whose masks are compared with."""
        return sorted(set(self._patients))

    def of_start(self) -> dict[str, Any]:
        """Figures of the start model, as :meth:`figures` gives them."""
        return self.figures(self._start)

    def of_file(self, model: Path) -> dict[str, Any]:
        """Figures of a model that was trained from the start model, as :meth:`figures` gives them.

        Raises:
            ModelError: it cannot be loaded.
        """
        from MyoScarSegLib.segmentation.architectures import build
        from MyoScarSegLib.segmentation.checkpoint import read_checkpoint

        return self.figures(build(read_checkpoint(model).state, self._side).to(self.device))

    def figures(self, network: nn.ModuleDict) -> dict[str, Any]:
        """What a network makes of the boxes.

        Returns:
            ``dice``: by patient, a list with the Dice over the patient's slices at each of :data:`THRESHOLDS`;
            ``area_px``: by patient, predicted (at 0.5) and true scar; ``reliability``: of the pixels in the boxes, in ten
            equal bins of probability, ``[pixels, sum of the probabilities, pixels with scar]``.
        """
        probabilities = self._probabilities(network)
        reliability = np.zeros((_BINS, 3))
        for number, (probability, truth) in enumerate(zip(probabilities, self._truth, strict=True)):
            boxed = np.zeros(truth.shape, dtype=bool)
            for box in self._boxes:
                if box.window == number:
                    x0, y0, x1, y1 = (round(edge) for edge in box.corners)
                    boxed[y0:y1, x0:x1] = True
            p, y = probability[boxed], truth[boxed]
            place = np.minimum((p * _BINS).astype(int), _BINS - 1)
            for column, values in enumerate((np.ones_like(p), p, y)):
                reliability[:, column] += np.bincount(place, weights=values, minlength=_BINS)
        dice_of, area = {}, {}
        for patient in self.patients:
            own = [n for n, whose in enumerate(self._patients) if whose == patient]
            p, y = np.stack([probabilities[n] for n in own]), np.stack([self._truth[n] for n in own])
            dice_of[patient] = [round(dice(p >= threshold, y), 5) for threshold in THRESHOLDS]
            area[patient] = [int((p >= THRESHOLDS[_USUAL]).sum()), int(y.sum())]
        return {"dice": dice_of, "area_px": area, "reliability": np.round(reliability, 3).tolist()}

    def _probabilities(self, network: nn.ModuleDict) -> list[np.ndarray]:
        """Float64 ``[side, side]`` of each window: the largest over its boxes."""
        import torch

        network.eval()
        found = [np.zeros((self._side, self._side)) for _ in self._truth]
        nothing = np.zeros((0, 3))
        with torch.inference_mode():
            for box in self._boxes:
                features = self._features[box.window]
                assert features is not None  # noqa: S101 - the bank's items have them
                logits, _ = sam_answer(network, features[None].float().to(self.device), box.corners, nothing)
                np.maximum(found[box.window], _sigmoid(logits[0]), out=found[box.window])
        return found


def run_trial(
    trial: Trial,
    training: Sequence[LabelledSlice],
    judge: Judge,
    start: str | Path,
    folder: Path,
    settings: SamSettings = SETTINGS,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Train, and judge what came of it.

    Args:
        trial: which.
        training: slices of the training patients, with their true masks.
        judge: of the same start model.
        start: name or path.
        folder: for the training's files; a training that was stopped there goes on.
        settings: of the training, but for loss and seed.
        device: what to compute on.
        progress, cancel: as everywhere.

    Returns:
        The judge's figures; ``masks``, how far the training masks were from the true ones; ``loss``, the last epoch's; and
        ``seconds``.

    Raises:
        ModelError: the training broke down, or the folder holds that of another trial.
        OutputError: the folder cannot be written.
        Cancelled: the token was set.
    """
    from MyoScarSegLib.training.finetune.train import Patients, fine_tune

    spoilt = trial.masks(training)
    chosen = replace(settings, loss=LOSSES[trial.loss], seed=trial.seed)
    outcome = fine_tune(
        start, Patients(spoilt), chosen, folder, resume=True, device=device, name="trial", progress=progress, cancel=cancel
    )
    figures = judge.of_file(outcome.model)
    measured = agreement(training, spoilt).to_json()
    return figures | {"masks": measured, "loss": outcome.epochs[-1].get("loss"), "seconds": round(outcome.seconds, 1)}


def _digest(samples: Sequence[TrainingSlice]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.patient} {sample.index} {sample.image.shape} {sample.pixel_mm}".encode())
        digest.update(sample.image.tobytes())
        digest.update(sample.targets.tobytes())
    return digest.hexdigest()


def _of(sample: TrainingSlice) -> tuple[int, int]:
    return zlib.crc32(sample.patient.encode()), sample.index


def _sigmoid(logits: torch.Tensor) -> np.ndarray:
    return np.asarray(logits.double().sigmoid().cpu().numpy())
