"""Segmenter checkpoints of every layout load to one and the same network; all else is refused, and nothing is run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from MyoScarSegLib import models
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.trust import is_trusted
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.segmentation import Segmenter, SegmenterImage, load_segmenter
from MyoScarSegLib.segmentation.architectures import architecture_of, build, input_side
from MyoScarSegLib.segmentation.sam_checkpoint import read_checkpoint
from Testing.support.odd_checkpoints import ATTACKS, Touch, rewrite
from Testing.support.sam_factory import SIDE, litemedsam_state, nested, save, tiny_sam, tiny_state
from Testing.support.tiny_models import OWN_METADATA

OWN = {**OWN_METADATA, "input_side": str(SIDE)}


@pytest.fixture(scope="module")
def state():
    return tiny_state()


def _own(path: Path, state, **changes: str | None) -> Path:
    metadata = {key: value for key, value in {**OWN, **changes}.items() if value is not None}
    save_file(state, str(path), metadata=metadata)
    return path


def _training(model) -> dict:
    return {
        "epoch": 3,
        "model_state_dict": model,
        "optimizer_state_dict": {
            "state": {0: {"step": torch.tensor(3.0)}},
            "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}],
        },
        "best_loss": np.float64(0.25),
        "val_dice": np.float32(0.5),
        "samples": np.int64(7),
    }


LAYOUTS = {
    "official.pth": lambda state: state,
    "yolosam.pth": lambda state: _training(nested(state)),
    "flat_training.pth": lambda state: _training({f"sam.{k}": v for k, v in state.items()}),
    "data_parallel.pth": lambda state: {f"module.{k}": v for k, v in state.items()},
    "compiled.pth": lambda state: {"state_dict": {f"module._orig_mod.{k}": v for k, v in state.items()}},
    "nested_parallel.pth": lambda state: nested({k.replace(".", ".module.", 1): v for k, v in state.items()}),
    "wrapped.pt": lambda state: {"model": {f"model.{k}": v for k, v in state.items()}, "args": {"lr": 0.1}},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_holds_the_same_tensors(tmp_path, state, name):
    path = save(tmp_path / name, LAYOUTS[name](state))
    checkpoint = read_checkpoint(path)
    assert checkpoint.state.keys() == state.keys()
    assert all(torch.equal(checkpoint.state[key], state[key]) for key in state)
    assert (checkpoint.architecture, checkpoint.side, checkpoint.window_mm) == ("sam-vit-32x2", SIDE, None)
    assert checkpoint.name == name
    assert checkpoint.sha256 == models.checksum_of(path)


def test_a_foreign_layout_and_ours_predict_the_same(tmp_path, state):
    image = SegmenterImage(np.random.default_rng(0).gamma(2, 100, (50, 70)))
    foreign = load_segmenter(save(tmp_path / "yolosam.pth", LAYOUTS["yolosam.pth"](state)), device="cpu", preprocessing_id="sam")
    own = load_segmenter(_own(tmp_path / "own.safetensors", state, preprocessing="sam"), device="cpu")
    answers = [one.predict(image, [Box(0, 20, 10, 45, 35)]) for one in (foreign, own)]
    assert np.ptp(answers[0].logits) > 0
    assert np.array_equal(answers[0].logits, answers[1].logits) and answers[0].score == answers[1].score


def test_the_network_computes_what_segment_anything_computes(state):
    model, sam = build(state, SIDE), tiny_sam()
    image = torch.randn(1, 3, SIDE, SIDE)
    assert torch.allclose(model["image_encoder"](image), sam.image_encoder(image), atol=1e-5)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training


def test_half_precision_tensors_become_float32(tmp_path, state):
    checkpoint = read_checkpoint(save(tmp_path / "half.pth", {k: v.half() for k, v in state.items()}))
    assert {tensor.dtype for tensor in checkpoint.state.values()} == {torch.float32}


def test_files_of_the_old_torch_format_load(tmp_path, state):
    path = save(tmp_path / "legacy.pth", _training(nested(state)), _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(path).state["image_encoder.pos_embed"], state["image_encoder.pos_embed"])


def test_numbers_of_numpy_1_load(tmp_path, state):
    path = save(tmp_path / "numpy2.pth", _training(nested(state)))
    old = rewrite(
        path,
        tmp_path / "numpy1.pth",
        lambda name, data: data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray") if "pkl" in name else data,
    )
    assert b"numpy.core.multiarray" in zipfile.ZipFile(old).read("numpy2/data.pkl")
    assert read_checkpoint(old).preprocessing == "yolosam"


def test_a_name_given_as_path_object_is_a_path(tmp_path):
    with pytest.raises(ModelError, match="There is no checkpoint litemedsam"):
        read_checkpoint(Path("litemedsam"))


# ---- what a checkpoint was trained with


@pytest.mark.parametrize(("name", "expected"), [("official.pth", "sam"), ("yolosam.pth", "yolosam"), ("wrapped.pt", "sam")])
def test_a_preprocessing_that_had_to_be_assumed_is_noted(tmp_path, state, name, expected):
    path = save(tmp_path / name, LAYOUTS[name](state))
    checkpoint = read_checkpoint(path)
    assert checkpoint.preprocessing == expected
    assert f"'{expected}' was taken because of its layout" in checkpoint.notes[0]
    said = read_checkpoint(path, preprocessing_id="medsam")
    assert (said.preprocessing, said.notes) == ("medsam", ())


def test_ours_says_what_it_was_trained_with(tmp_path, state):
    checkpoint = read_checkpoint(_own(tmp_path / "own.safetensors", state, window_mm="120"))
    assert (checkpoint.preprocessing, checkpoint.window_mm, checkpoint.notes) == ("myoscarseg-1", 120.0, ())
    assert checkpoint.metadata["low_percentile"] == "0.5"


def test_ours_cannot_be_run_with_another_preprocessing(tmp_path, state):
    with pytest.raises(ModelError, match="was trained with the preprocessing 'myoscarseg-1', so it cannot be run with 'medsam'"):
        read_checkpoint(_own(tmp_path / "own.safetensors", state), preprocessing_id="medsam")


@pytest.mark.parametrize("unknown", ["myoscarseg-2", "MedSAM"])
def test_a_preprocessing_that_this_version_lacks_is_refused(tmp_path, state, unknown):
    with pytest.raises(ModelError, match=f"trained with the preprocessing '{unknown}', which this version"):
        read_checkpoint(_own(tmp_path / "own.safetensors", state, preprocessing=unknown))
    with pytest.raises(ModelError, match=f"'{unknown}'"):
        read_checkpoint(save(tmp_path / "foreign.pth", state), preprocessing_id=unknown)


@pytest.mark.parametrize(
    ("key", "value"),
    [("normalisation_version", "2"), ("low_percentile", "1.0"), ("high_percentile", "99.5"), ("normalisation_version", None)],
)
def test_ours_of_another_normalization_is_refused(tmp_path, state, key, value):
    with pytest.raises(ModelError, match=rf"another intensity normalization \({key}"):
        read_checkpoint(_own(tmp_path / "own.safetensors", state, **{key: value}))


@pytest.mark.parametrize("value", ["0", "wide", "nan", "-5", "1e9"])
def test_a_window_that_cannot_be_is_refused(tmp_path, state, value):
    with pytest.raises(ModelError, match="says that its window is"):
        read_checkpoint(_own(tmp_path / "own.safetensors", state, window_mm=value))


def test_a_foreign_safetensors_file_needs_no_record_of_ours(tmp_path, state):
    path = tmp_path / "foreign.safetensors"
    save_file(state, str(path), metadata={"format": "pt"})
    assert read_checkpoint(path, preprocessing_id="medsam").preprocessing == "medsam"


@pytest.mark.parametrize("side", [None, "", "big", "16", "4096"])
def test_litemedsam_of_ours_must_say_its_side(tmp_path, side):
    path = _own(tmp_path / "lite.safetensors", litemedsam_state(), input_side=side)
    with pytest.raises(ModelError, match="does not say the side of its input"):
        read_checkpoint(path)


def test_litemedsam_loads_at_the_side_that_it_names(tmp_path):
    checkpoint = read_checkpoint(_own(tmp_path / "lite.safetensors", litemedsam_state(), input_side="48", window_mm="100"))
    assert (checkpoint.architecture, checkpoint.side) == ("litemedsam", 48)
    segmenter = Segmenter(checkpoint, device="cpu")
    assert (segmenter.side, segmenter.window.side_mm) == (48, 100)


def test_litemedsam_with_the_classifier_of_its_pre_training_loads(tmp_path):
    state = {
        **litemedsam_state(),
        "image_encoder.norm_head.weight": torch.ones(320),
        "image_encoder.norm_head.bias": torch.zeros(320),
        "image_encoder.head.weight": torch.zeros(1, 320),
    }
    assert build(state, 32)


# ---- other architectures


def _resnet() -> dict:
    return {
        "conv1.weight": torch.zeros(4, 3, 7, 7),
        "layer1.0.conv1.weight": torch.zeros(4, 4, 3, 3),
        "fc.weight": torch.zeros(2, 4),
    }


def test_another_network_is_refused_with_what_it_lacks(tmp_path):
    with pytest.raises(ModelError, match=r"resnet.pth cannot be used as a segmenter. It holds no image_encoder, prompt_encoder"):
        read_checkpoint(save(tmp_path / "resnet.pth", _resnet()))


def test_a_sam_with_another_encoder_is_refused(tmp_path, state):
    other = {k: v for k, v in state.items() if not k.startswith("image_encoder.")}
    other["image_encoder.stem.weight"] = torch.zeros(3)
    with pytest.raises(ModelError, match="image encoder is neither"):
        read_checkpoint(save(tmp_path / "efficient.pth", other))


def test_an_image_encoder_alone_is_no_sam(tmp_path, state):
    alone = {k: v for k, v in state.items() if k.startswith("image_encoder.")}
    with pytest.raises(ModelError, match="holds no prompt_encoder, mask_decoder"):
        read_checkpoint(save(tmp_path / "encoder.pth", alone))


@pytest.mark.parametrize(
    "document", [[1, 2], "text", 3, {}, {"model_state_dict": {}}, {1: torch.zeros(2)}, {"image_encoder": {"a": 3}}]
)
def test_other_documents_are_refused(tmp_path, document):
    with pytest.raises(ModelError, match=r"not a table of tensors|cannot be used as a segmenter"):
        read_checkpoint(save(tmp_path / "other.pth", document))


def test_an_ultralytics_file_is_pointed_to_the_detector_option(tmp_path):
    from MyoScarSegLib.detection.architecture import build_network

    path = save(tmp_path / "yolo.pt", {"model": build_network("yolo11n", channels=1, classes=1), "train_args": {}})
    with pytest.raises(ModelError, match=r"holds more than tensors \(ultralytics\..*may be a detector.*--detector"):
        read_checkpoint(path)


def _changed(state, change: str) -> dict:
    state = dict(state)
    if change == "missing":
        del state["mask_decoder.iou_token.weight"], state["mask_decoder.mask_tokens.weight"]
    elif change == "superfluous":
        state["image_encoder.adapter.weight"] = torch.zeros(2)
    elif change == "mis-shaped":
        state["prompt_encoder.no_mask_embed.weight"] = torch.zeros(1, 128)
    elif change == "no block":
        state = {k: v for k, v in state.items() if ".blocks." not in k}
    elif change == "block lacks its table":
        del state["image_encoder.blocks.0.attn.rel_pos_h"]
    elif change == "flat position embedding":
        state["image_encoder.pos_embed"] = torch.zeros(32)
    elif change == "oblong position embedding":
        state["image_encoder.pos_embed"] = torch.zeros(1, 4, 5, 32)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"lacks the tensor mask_decoder.iou_token.weight and 1 more: it is not a sam-vit-32x2"),
        ("superfluous", r"has, beyond the architecture, the tensor image_encoder.adapter.weight"),
        ("mis-shaped", r"has in another shape the tensor prompt_encoder.no_mask_embed.weight"),
        ("no block", "do not describe a whole|lacks the tensor"),
        ("block lacks its table", "do not describe a whole"),
        ("flat position embedding", "image encoder is neither"),
        ("oblong position embedding", "has in another shape the tensor image_encoder.pos_embed"),
    ],
)
def test_a_changed_network_is_refused_with_the_tensor(tmp_path, state, change, message):
    path = save(tmp_path / "changed.pth", _changed(state, change))
    with pytest.raises(ModelError, match=message):
        load_segmenter(path, device="cpu")


@pytest.mark.parametrize(("width", "depth", "name"), [(768, 12, "b"), (1024, 24, "l"), (1280, 32, "h"), (384, 12, "384x12")])
def test_the_sizes_of_sam_are_told_by_their_tensors(width, depth, name):
    state = {
        "prompt_encoder.x": torch.zeros(1),
        "mask_decoder.x": torch.zeros(1),
        "image_encoder.pos_embed": torch.zeros(1, 64, 64, width, device="meta"),
        "image_encoder.patch_embed.proj.weight": torch.zeros(width, 3, 16, 16, device="meta"),
        **{f"image_encoder.blocks.{n}.norm1.weight": torch.zeros(1) for n in range(depth)},
    }
    assert architecture_of(state) == f"sam-vit-{name}"
    assert input_side(state) == 1024


def test_a_vit_takes_images_of_its_own_size_only(state):
    with pytest.raises(ModelError, match="takes 64 x 64 images, not 128 x 128"):
        build(state, 128)


# ---- damaged files


def _damaged(path: Path, how: str) -> Path:
    data = path.read_bytes()
    if how == "empty":
        data = b""
    elif how == "random":
        data = np.random.default_rng(3).bytes(5000)
    elif how == "web page":
        data = b"<!DOCTYPE html><html>404</html>"
    elif how == "header only":
        data = data[:4]
    elif how == "half":
        data = data[: len(data) // 2]
    elif how == "last byte":
        data = data[:-1]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("how", ["empty", "random", "web page", "header only", "half", "last byte"])
@pytest.mark.parametrize("name", ["model.pth", "legacy.pth", "model.safetensors"])
def test_a_damaged_file_is_called_damaged(tmp_path, state, name, how):
    if name.endswith(".safetensors"):
        path = _own(tmp_path / name, state)
    else:
        path = save(tmp_path / name, state, _use_new_zipfile_serialization=name != "legacy.pth")
    with pytest.raises(ModelError, match=f"{name} is damaged") as caught:
        read_checkpoint(_damaged(path, how))
    assert "--trust" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_damaged_whatever_they_are(tmp_path, seed):
    random = np.random.default_rng(seed)
    path = tmp_path / "noise.pth"
    path.write_bytes(b"\x80\x02" + random.bytes(int(random.integers(1, 200))) + b".")
    with pytest.raises(ModelError):
        read_checkpoint(path, trust=False)


def test_a_pickle_damaged_within_its_archive_is_called_damaged(tmp_path, state):
    path = save(tmp_path / "whole.pth", state)
    broken = rewrite(
        path,
        tmp_path / "broken.pth",
        lambda name, data: data[:100] + b"\xff\xff\xff" + data[103:] if name.endswith("data.pkl") else data,
    )
    with pytest.raises(ModelError, match=r"broken.pth is damaged"):
        read_checkpoint(broken)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pt"])
def test_weights_that_are_not_finite_are_refused(tmp_path, state, name, value):
    state = {key: tensor.clone() for key, tensor in state.items()}
    state["mask_decoder.iou_token.weight"].view(-1)[3] = value
    path = _own(tmp_path / name, state) if name.endswith("safetensors") else save(tmp_path / name, state)
    with pytest.raises(ModelError, match=f"{name} is damaged: the weights mask_decoder.iou_token.weight are not finite"):
        read_checkpoint(path)


# ---- hostile files


class _Subclass(dict):
    """A class of this test, which pickle would import."""


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("where", ["zip", "legacy", "nested", "key", "plain", "plain 4", "plain 0"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, state, attack, where):
    target, path = tmp_path / "was run", tmp_path / "hostile.pth"
    bomb = Touch(target, attack)
    if where.startswith("plain"):
        path.write_bytes(pickle.dumps({**nested(_first(state)), "epoch": bomb}, protocol=int(where[6:] or 2)))
    elif where == "nested":
        save(path, _training(nested({**state, "image_encoder.pos_embed": bomb})))
    elif where == "key":
        save(path, {**state, "extra": [{"deep": (bomb,)}]})
    else:
        save(path, {**state, "extra": bomb}, _use_new_zipfile_serialization=where == "zip")
    with pytest.raises(ModelError, match=r"hostile\.pth holds more than tensors.*could run any program.*--trust"):
        read_checkpoint(path)
    assert not target.exists()
    assert not is_trusted(models.checksum_of(path))


def _first(state) -> dict:
    """Numbers in place of tensors: a plain pickle cannot hold torch's storages outside its own format."""
    return dict.fromkeys(list(state)[:3], 0)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".ckpt"])
def test_a_pickle_under_another_ending_is_not_run_either(tmp_path, state, suffix):
    target, path = tmp_path / "was run", tmp_path / f"hostile{suffix}"
    torch.save({**state, "extra": Touch(target)}, path)
    with pytest.raises(ModelError):
        read_checkpoint(path)
    assert not target.exists()


def test_trust_opens_a_file_that_holds_more_and_remembers_it(tmp_path, state):
    path = save(tmp_path / "author.pth", {"model_state_dict": _Subclass(nested(state)), "config": _Subclass(lr=0.1)})
    with pytest.raises(ModelError, match=r"holds more than tensors \(Testing\.segmentation\.test_checkpoints\._Subclass\)"):
        read_checkpoint(path)
    trusted = read_checkpoint(path, trust=True)
    assert torch.equal(trusted.state["image_encoder.pos_embed"], state["image_encoder.pos_embed"])
    assert read_checkpoint(path).sha256 == trusted.sha256  # no need to say it again


def test_trust_does_not_outlive_a_change_of_the_file(tmp_path, state):
    path = save(tmp_path / "author.pth", {"model_state_dict": _Subclass(nested(state))})
    read_checkpoint(path, trust=True)
    target = tmp_path / "was run"
    save(path, {**state, "extra": Touch(target)})
    with pytest.raises(ModelError, match="--trust"):
        read_checkpoint(path)
    assert not target.exists()


def test_a_trusted_file_that_cannot_be_unpickled_is_refused_with_the_reason(tmp_path, state):
    path = save(tmp_path / "author.pth", {**state, "extra": _Subclass()})
    renamed = rewrite(path, tmp_path / "renamed.pth", lambda _, data: data.replace(b"_Subclass", b"_Gone____"))
    with pytest.raises(ModelError, match=r"renamed.pth cannot be unpickled here \(AttributeError"):
        read_checkpoint(renamed, trust=True)
    assert not is_trusted(models.checksum_of(renamed))


def test_trust_does_not_make_a_damaged_file_whole(tmp_path, state):
    with pytest.raises(ModelError, match="is damaged"):
        read_checkpoint(_damaged(save(tmp_path / "model.pth", state), "half"), trust=True)


def test_a_torch_that_cannot_open_pickles_safely_opens_none(tmp_path, state, monkeypatch):
    path = save(tmp_path / "model.pth", state)
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ModelError, match=r"cannot be opened safely by torch 2\.5\.1\+cpu.*--trust"):
        read_checkpoint(path)
    assert read_checkpoint(path, trust=True).side == SIDE
