"""Real networks of the real architectures, made tiny, with random weights: for tests that need models but not their skill."""

from __future__ import annotations

from pathlib import Path

from Testing.support.sam_factory import random_sam

SEGMENTER_SIDE = 64
DETECTOR_CLASSES = ("scar", "lv")
OWN_METADATA = {
    "preprocessing": "myoscarseg-1",
    "normalisation_version": "1",
    "low_percentile": "0.5",
    "high_percentile": "99.8",
}


def write_segmenter(path: Path, *, seed: int = 0, **metadata: str) -> Path:
    """A SAM with a ViT of two blocks at 64 x 64 pixels: ``.safetensors`` as MyoScarSeg's own, or a torch file.

    Its answer depends on image, box and points, and is a blob within the slice for most boxes.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = random_sam(SEGMENTER_SIDE, mlp_ratio=2, window_size=2)
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, str(path), metadata={**OWN_METADATA, **metadata})
    else:
        torch.save(state, path)
    return path


def write_detector(path: Path, *, seed: int = 1, boxes: bool = True, classes: tuple[str, ...] = DETECTOR_CLASSES) -> Path:
    """A YOLO at 64 pixels in MyoScarSeg's own format; a few boxes on each slice, or with ``boxes=False`` none."""
    import torch

    from MyoScarSegLib.detection.architecture import build_network
    from MyoScarSegLib.detection.detector_checkpoint import DetectorRecord, save_checkpoint

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network("yolo11n", channels=1, classes=len(classes))
        head = network.model[-1]
        for scale, (sides, scores) in enumerate(zip(head.cv2, head.cv3, strict=True)):
            # Boxes of about two cells of the finest scale, and scores that vary over the slice.
            sides[-1].bias.data.view(4, -1)[:, 1] = 12.0
            scores[-1].bias.data.fill_(0.0 if scale == 0 else -20.0)
            torch.nn.init.normal_(scores[-1].weight, std=0.2)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 0.9
        with torch.no_grad():
            for _ in range(3):
                network.train()(torch.rand(4, 1, SEGMENTER_SIDE, SEGMENTER_SIDE))
    save_checkpoint(path, network, DetectorRecord("yolo11n", classes, SEGMENTER_SIDE, 0.9 if boxes else 1.0, 0.0))
    return path
