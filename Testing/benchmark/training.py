"""``python -m Testing.benchmark.training``: what cached embeddings save when a segmenter is fine-tuned in ``decoder`` mode.

An epoch with all embeddings in the cache against one in which every window is encoded again, on phantom slices, in one
process and run: for our own segmenter, for LiteMedSAM on windows of 112 x 112 pixels, and for SAM's ViT-B on the
whole 1024 x 1024 pixels that it takes. Weights do not change the time of a network, so the latter two have random ones.

How much the cache saves depends on what else an epoch does. The usual settings draw three prompts a slice and correct half of
them up to three times, some six answers of SAM's decoder a slice; the table also has an epoch of one box a slice.

``--only decoder`` compares our decoder for many prompts to segment-anything's own: seconds a prompt, with gradients.

Times are of the processor, so other programs do not count, and the least of some repetitions, in which the kinds of epoch take
turns; with several threads theirs are added up.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.phantom import phantom_slices
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.finetune.fine_tuning import Patients, Training
from MyoScarSegLib.training.loop.gradients import Stepper
from MyoScarSegLib.training.loop.phase_training import Phase, Session, average_into, parameter_groups
from MyoScarSegLib.training.loop.training_processes import Processes, open_accelerator
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.utils.files import write_json
from Testing.support.sam_factory import as_published, litemedsam_state
from Testing.support.tiny_models import OWN_METADATA

SETTINGS = SegmenterSettings(mode="decoder", context_epochs=0, phantoms=0, copies=1)


@dataclass(frozen=True)
class Case:
    """What is measured: ``write`` makes the start model where it is not in the registry."""

    name: str
    title: str
    settings: SegmenterSettings
    slices: int


CASES = (
    Case("own", DEFAULT_SEGMENTER, SETTINGS, 24),
    Case("litemedsam", "LiteMedSAM, 112 x 112", SETTINGS, 24),
    Case("vit_b", "SAM ViT-B, 1024 x 1024", replace(SETTINGS, batch=2), 4),
)


def main() -> int:
    """Measure, print a table, and write ``training.json``. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmark.training", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--only", choices=["decoder", *(case.name for case in CASES)], help="measure this one alone")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="of each epoch the fastest of N (%(default)s)")
    parser.add_argument("--threads", type=int, help="of torch; by default what it takes itself")
    args = parser.parse_args()

    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    figures: dict[str, Any] = {"cores": os.cpu_count(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    print(f"{figures['cores']} cores, torch {figures['torch']} with {figures['threads']} threads")  # noqa: T201
    if args.only in (None, "decoder"):
        found = figures["decoder"] = _measure_decoder(max(args.repeat, 1))
        print(f"decoder: {found['ours_s']:.3f} s a prompt, segment-anything's {found['published_s']:.3f} s")  # noqa: T201
    print(  # noqa: T201
        "| segmenter | slices | encoding | epoch, cached | encoded again | ratio | one box a slice, cached | ratio |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for case in CASES:
        if args.only in (None, case.name):
            found = figures[case.name] = _measure(case, max(args.repeat, 1))
            print(_row(case, found), flush=True)  # noqa: T201
    write_json(args.out / "training.json", figures)
    return 0


def _row(case: Case, found: dict[str, float]) -> str:
    return (
        f"| {case.title} | {case.slices} | {found['encoding_s']:.1f} s | {found['cached_s']:.1f} s "
        f"| {found['encoded_again_s']:.1f} s | {found['ratio']:.1f} | {found['box_cached_s']:.1f} s | {found['box_ratio']:.1f} |"
    )


def _measure(case: Case, repeat: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"MYOSCARSEG_CACHE": folder}):
        made = (LabeledSlice(f"phantom-{n}", n, *found) for n, found in enumerate(phantom_slices(7, 4 * case.slices)))
        patients = Patients([s for s in made if s.scar.any()][: case.slices])
        processes = Processes(open_accelerator("cpu", "no"))
        training = Training(_start(case, Path(folder)), patients, case.settings, Session(processes, Path(folder)))
        usual = training.prompts()
        training.settings = replace(case.settings, prompts=1, corrections=0)
        box = training.prompts()
        taken: dict[str, list[float]] = {"cached": [], "again": [], "box cached": [], "box again": []}
        for _ in range(repeat):
            for name, of in (("", usual), ("box ", box)):
                taken[f"{name}cached"].append(_epoch(training.network, of, processes, case.slices))
                with mock.patch.object(EmbeddingCache, "get", return_value=None):
                    taken[f"{name}again"].append(_epoch(training.network, of, processes, case.slices))
    cached, again, box_cached, box_again = (min(times) for times in taken.values())
    return {
        "cached_s": cached,
        "encoded_again_s": again,
        "encoding_s": again - cached,
        "ratio": again / cached,
        "box_cached_s": box_cached,
        "box_encoded_again_s": box_again,
        "box_ratio": box_again / box_cached,
    }


def _measure_decoder(repeat: int) -> dict[str, float]:
    """Seconds of processor time a prompt, forwards and backwards: eight windows of 112 x 112 pixels with three boxes each."""
    import torch

    from MyoScarSegLib.segmentation.architectures import build
    from MyoScarSegLib.segmentation.mask_decoder import decode

    side, windows, each = 112, 8, 3
    network = build(litemedsam_state(side=side), side)
    for part in ("prompt_encoder", "mask_decoder"):
        network[part].requires_grad_(True)
    features = torch.randn((windows, 256, side // 4, side // 4))
    of_window = [n // each for n in range(windows * each)]
    box, none = (20.0, 30.0, 60.0, 70.0), np.zeros((0, 3))

    def ours() -> None:
        decode(network, features, of_window, [box] * len(of_window), [none] * len(of_window))[0].mean().backward()

    def published() -> None:
        for window in of_window:
            as_published(network, features[window : window + 1], box, none, None, side)[0].mean().backward()

    def seconds(work: Callable[[], None]) -> float:
        began = time.process_time()
        work()
        return (time.process_time() - began) / len(of_window)

    return {f"{work.__name__}_s": min(seconds(work) for _ in range(repeat)) for work in (ours, published)}


def _epoch(network: Any, phase: Phase, processes: Processes, slices: int) -> float:
    """Seconds of processor time of an epoch, without the checkpoint at its end."""
    import copy

    import torch

    optimizer = torch.optim.AdamW(parameter_groups(network, phase.rates))
    averaged = copy.deepcopy(network)
    stepper = Stepper(network, phase.loss, processes)
    began = time.process_time()
    for first in range(0, slices, phase.batch):
        places = range(first, min(first + phase.batch, slices))
        stepper.gradients(places, lambda place: phase.item(0, place, place), lambda place: (0, place))
        optimizer.step()
        optimizer.zero_grad()
        average_into(averaged, network, 0.99)
    return time.process_time() - began


def _start(case: Case, folder: Path) -> str | Path:
    from safetensors.torch import save_file

    if case.name == "own":
        return DEFAULT_SEGMENTER
    path = folder / f"{case.name}.safetensors"
    if case.name == "litemedsam":
        save_file(litemedsam_state(), str(path), {**OWN_METADATA, "input_side": "112", "window_mm": "156.8"})
        return path
    from segment_anything import sam_model_registry

    state = {key: value for key, value in sam_model_registry["vit_b"]().state_dict().items() if not key.startswith("pixel_")}
    save_file(state, str(path), {**OWN_METADATA, "preprocessing": "myoscarseg-1-sam", "input_side": "1024"})
    return path


if __name__ == "__main__":
    sys.exit(main())
