"""The networks: segment-anything's ViT models and LiteMedSAM, with or without our own, built to fit a checkpoint.

Nothing but tensor names and shapes decides what is built, so a checkpoint of any width, depth or image size of these two
families loads, and a file of anything else is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

if TYPE_CHECKING:
    import torch
    from torch import nn

_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
_OWN_PARTS = ("context.", "asked.")
_VIT_NAMES = {(768, 12): "sam-vit-b", (1024, 24): "sam-vit-l", (1280, 32): "sam-vit-h"}
EMBEDDING_CHANNELS = 256
"""Of SAM's image encoders."""
TISSUES = ("background", "cavity", "myocardium", "scar")
"""What our own context network tells apart, in the order of its channels."""


def architecture_of(state: Mapping[str, torch.Tensor]) -> str:
    """The architecture that a state dict belongs to: ``sam-vit-b``, ``-l``, ``-h``, ``sam-vit-DIMxDEPTH`` or ``litemedsam``.

    Raises:
        ModelError: it is no SAM of either family.
    """
    missing = [part.rstrip(".") for part in _PARTS if not any(key.startswith(part) for key in state)]
    if missing:
        raise ModelError(
            f"It holds no {', '.join(missing)}: not a SAM checkpoint. MyoScarSeg reads segment-anything's ViT-B/L/H, MedSAM, "
            "YoloSAM, SAM-MedUI and LiteMedSAM checkpoints."
        )
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return "litemedsam"
    positions, patches = (state.get(f"image_encoder.{name}") for name in ("pos_embed", "patch_embed.proj.weight"))
    if positions is not None and patches is not None and positions.ndim == patches.ndim == 4:
        width = int(positions.shape[-1])
        depth = _count(state, "image_encoder.blocks.")
        return _VIT_NAMES.get((width, depth), f"sam-vit-{width}x{depth}")
    raise ModelError("Its image encoder is neither segment-anything's ViT nor LiteMedSAM's TinyViT.")


def input_side(state: Mapping[str, torch.Tensor]) -> int | None:
    """Side in pixels of a ViT checkpoint's square input; None for LiteMedSAM, which takes any multiple of 4."""
    if architecture_of(state) == "litemedsam":
        return None
    return int(state["image_encoder.pos_embed"].shape[1]) * int(state["image_encoder.patch_embed.proj.weight"].shape[-1])


def build(state: Mapping[str, torch.Tensor], side: int) -> nn.ModuleDict:
    """The network of a checkpoint with its weights, in evaluation mode.

    Args:
        state: tensors named ``image_encoder.*``, ``prompt_encoder.*`` and ``mask_decoder.*``.
        side: rows and columns of the square input.

    Returns:
        Modules ``image_encoder``, ``prompt_encoder`` and ``mask_decoder``, and for our own models ``context`` and ``asked``.

    Raises:
        ModelError: tensors are missing, superfluous, or of another shape.
    """
    from torch import nn

    architecture = architecture_of(state)
    fixed = input_side(state)
    if fixed is not None and fixed != side:
        raise ModelError(f"This {architecture} checkpoint takes {fixed} x {fixed} images, not {side} x {side}.")
    try:
        encoder, stride = _tiny_vit(side) if architecture == "litemedsam" else _vit(state, side)
        model = nn.ModuleDict(
            {"image_encoder": encoder, "prompt_encoder": _prompt_encoder(side, stride), "mask_decoder": _mask_decoder()}
        )
        model.update(_own_networks(state))
    except (LookupError, AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"The tensors do not describe a whole {architecture} network: {error!r}.") from error
    _load(model, state, architecture)
    return model.eval().requires_grad_(False)


def _load(model: nn.ModuleDict, state: Mapping[str, torch.Tensor], architecture: str) -> None:
    classifier = ("image_encoder.head.", "image_encoder.norm_head.")  # of TinyViT's pre-training; no part of SAM
    given = {key: value for key, value in state.items() if key.startswith(_PARTS + _OWN_PARTS) and not key.startswith(classifier)}
    own = model.state_dict()
    missing, surplus = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    wrong = sorted(key for key in own.keys() & given.keys() if own[key].shape != given[key].shape)
    for keys, what in ((missing, "lacks"), (surplus, "has, beyond the architecture,"), (wrong, "has in another shape")):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise ModelError(f"The checkpoint {what} the tensor {keys[0]}{more}: it is not a {architecture}.")
    model.load_state_dict(given)


def _own_networks(state: Mapping[str, torch.Tensor]) -> dict[str, nn.Module]:
    """``context`` and its twin ``asked`` in the size of a checkpoint's tensors, if it has them."""
    from MyoScarSegLib.segmentation.context import ContextNetwork
    from MyoScarSegLib.segmentation.polar import PolarNetwork

    if any(key.startswith("asked.down.") for key in state):
        raise ModelError("It is of a former version, which answered readers by another network. Train it anew from our model.")
    found: dict[str, nn.Module] = {}
    for name, network, prefix in (("context", ContextNetwork, "context."), ("asked", PolarNetwork, "asked.unrolled.")):
        widths: list[int] = []
        while (first := state.get(f"{prefix}down.{len(widths)}.0.weight")) is not None:
            widths.append(int(first.shape[0]))
        if widths:
            found[name] = network(tuple(widths))
    return found


def _count(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def _vit(state: Mapping[str, torch.Tensor], side: int) -> tuple[nn.Module, int]:
    from segment_anything.modeling import ImageEncoderViT
    from torch import nn

    width = int(state["image_encoder.pos_embed"].shape[-1])
    patch = int(state["image_encoder.patch_embed.proj.weight"].shape[-1])
    depth = _count(state, "image_encoder.blocks.")
    reach = [int(state[f"image_encoder.blocks.{n}.attn.rel_pos_h"].shape[0]) for n in range(depth)]
    grid = side // patch
    everywhere = [n for n in range(depth) if reach[n] == 2 * grid - 1]
    windows = {(length + 1) // 2 for n, length in enumerate(reach) if n not in everywhere}
    if len(windows) > 1:
        raise ModelError(f"The ViT's blocks use windows of several sizes, {sorted(windows)}; segment-anything has none such.")
    encoder = ImageEncoderViT(
        img_size=side,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=width // int(state["image_encoder.blocks.0.attn.rel_pos_h"].shape[1]),
        mlp_ratio=state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
        out_chans=EMBEDDING_CHANNELS,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=windows.pop() if windows else 0,
        global_attn_indexes=tuple(everywhere),
    )
    return encoder, patch


def _tiny_vit(side: int) -> tuple[nn.Module, int]:
    """LiteMedSAM's encoder: ultralytics' TinyViT with a stem that keeps the resolution (two 1 x 1 convolutions of stride 1)."""
    from torch import nn

    import_ultralytics()
    from ultralytics.models.sam.modules.tiny_encoder import TinyViT

    stride = 4
    if side % stride:
        raise ModelError(f"LiteMedSAM's input side must be a multiple of {stride}, not {side}.")
    encoder: Any = TinyViT(
        img_size=side * stride,
        num_classes=1,
        embed_dims=(64, 128, 160, 320),
        depths=(2, 2, 6, 2),
        num_heads=(2, 4, 5, 10),
        window_sizes=(7, 7, 14, 7),
    )
    encoder.patch_embed.seq[0].c = nn.Conv2d(3, 32, 1, bias=False)
    encoder.patch_embed.seq[2].c = nn.Conv2d(32, 64, 1, bias=False)
    encoder.head = encoder.norm_head = nn.Identity()
    return encoder, stride


def _prompt_encoder(side: int, stride: int) -> nn.Module:
    from segment_anything.modeling import PromptEncoder

    grid = (side // stride, side // stride)
    return PromptEncoder(EMBEDDING_CHANNELS, image_embedding_size=grid, input_image_size=(side, side), mask_in_chans=16)


def _mask_decoder() -> nn.Module:
    from segment_anything.modeling import MaskDecoder, TwoWayTransformer

    transformer = TwoWayTransformer(depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=2048, num_heads=8)
    return MaskDecoder(transformer_dim=EMBEDDING_CHANNELS, transformer=transformer, iou_head_hidden_dim=256)
