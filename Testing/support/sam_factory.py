"""Tiny SAMs of segment-anything's own classes with random weights, and the ways in which people save them."""

from __future__ import annotations

from copy import deepcopy
from functools import cache, partial
from inspect import unwrap
from pathlib import Path
from typing import Any

SIDE = 64
PATCH = 16


def tiny_sam(seed: int = 0, side: int = SIDE) -> Any:
    """A ``segment_anything.modeling.Sam``: two blocks, one of them global, no tensor left at its zero initialization."""
    return deepcopy(_tiny_sam(seed, side))


@cache
def _tiny_sam(seed: int, side: int) -> Any:
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sam = random_sam(side)
        for parameter in sam.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.1)
    return sam.eval().requires_grad_(False)


def random_sam(side: int, *, mlp_ratio: float = 4, window_size: int = 3) -> Any:
    """A ``segment_anything.modeling.Sam`` of two blocks as it is before any training."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    from torch import nn

    grid = side // PATCH
    encoder = ImageEncoderViT(
        img_size=side,
        patch_size=PATCH,
        embed_dim=32,
        depth=2,
        num_heads=2,
        mlp_ratio=mlp_ratio,
        out_chans=256,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=window_size,
        global_attn_indexes=(1,),
    )
    return Sam(
        encoder,
        PromptEncoder(256, (grid, grid), (side, side), 16),
        MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048), iou_head_hidden_dim=256),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


def tiny_state(seed: int = 0) -> dict[str, Any]:
    """Its tensors by segment-anything's names (pixel mean and deviation are no part of its files)."""
    return dict(tiny_sam(seed).state_dict())


def nested(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By part, as YoloSAM and SAM-MedUI save them."""
    parts: dict[str, dict[str, Any]] = {}
    for key, tensor in state.items():
        part, _, rest = key.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    return parts


def save(path: Path, document: Any, **options: Any) -> Path:
    import torch

    torch.save(document, path, **options)
    return path


def litemedsam_state(seed: int = 0, side: int = 32) -> dict[str, Any]:
    """Random tensors of LiteMedSAM's own names and shapes, taken from an empty network of this program."""
    return {name: tensor.clone() for name, tensor in _litemedsam_state(seed, side).items()}


@cache
def _litemedsam_state(seed: int, side: int) -> dict[str, Any]:
    import torch
    from torch import nn

    from MyoScarSegLib.segmentation import architectures

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder, stride = unwrap(architectures._tiny_vit)(side)  # with weights of this seed
        model = nn.ModuleDict(
            {
                "image_encoder": encoder,
                "prompt_encoder": architectures._prompt_encoder(side, stride),
                "mask_decoder": architectures._mask_decoder(),
            }
        )
    return dict(model.state_dict())


def as_published(network: Any, features: Any, box: Any, points: Any, hint: Any, side: int) -> tuple[Any, Any]:
    """One prompt through segment-anything's own modules: logits ``[side, side]`` and the score."""
    import torch
    from torch.nn import functional

    encoder = network["prompt_encoder"]
    boxes = None if box is None else torch.tensor([box], dtype=torch.float32) - 0.5
    clicked = None
    if len(points):
        clicked = (torch.tensor(points[None, :, :2] - 0.5, dtype=torch.float32), torch.tensor(points[None, :, 2]).long())
    masks = None
    if hint is not None:
        given = torch.tensor(hint, dtype=torch.float32)[None, None]
        masks = functional.interpolate(given, encoder.mask_input_size, mode="bilinear", antialias=True)
    sparse, dense = encoder(points=clicked, boxes=boxes, masks=masks)
    logits, score = network["mask_decoder"](
        image_embeddings=features, image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense, multimask_output=False,
    )  # fmt: skip
    return functional.interpolate(logits, (side, side), mode="bilinear", align_corners=False)[0, 0], score[0, 0]
