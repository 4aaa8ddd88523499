"""ultralytics checkpoints: real ones load without running their pickles' code, hostile ones do nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from MyoScarSegLib.detection import load_detector
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics
from Testing.support.odd_checkpoints import ATTACKS, Touch, rewrite

import_ultralytics()

IMAGE = np.random.default_rng(0).normal(size=(96, 120))


def tiny(name: str = "yolov8.yaml", classes: int = 1, **more):
    """A real ultralytics network, made small."""
    from ultralytics.nn import tasks
    from ultralytics.utils import YAML

    folder = Path(import_ultralytics().__path__[0]) / "cfg" / "models"
    definition = YAML.load(next(folder.rglob(name)))
    definition.update(scale="n", nc=classes, yaml_file=name)
    definition["scales"]["n"] = [0.33, 0.25 if "12" in name else 0.0625, 256]  # attention needs 32 channels
    kind = tasks.SegmentationModel if "-seg" in name else tasks.DetectionModel
    torch.manual_seed(0)
    network = kind(definition, ch=more.get("channels", 3), nc=classes, verbose=False)
    network.names = dict(enumerate(more.get("names", ["lesion"])))
    return network


def checkpoint(network, **more):
    """A checkpoint as ultralytics' training writes it."""
    return {
        "epoch": -1,
        "best_fitness": np.float64(0.5),
        "model": None,
        "ema": network.half(),
        "train_args": {"imgsz": 96, "task": "detect", "data": "x.yaml"},
        "train_metrics": {"fitness": np.float64(0.25)},
        "date": "2026-01-01",
        "version": "8.4",
        **more,
    }


@pytest.fixture
def saved(tmp_path):
    torch.save(checkpoint(tiny()), tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_checkpoint_of_a_training_loads_restricted(saved):
    detector = load_detector(saved, device="cpu")
    assert (detector.preprocessing, detector.record.image_size, detector.record.classes, detector.labels) == (
        "ultralytics",
        96,
        ("lesion",),
        ("scar",),
    )
    boxes = detector.detect_many([IMAGE], slice_indices=[4], confidence=0.0)[0]
    assert boxes
    assert all(b.label == "scar" and b.slice == 4 and b.source == "best" for b in boxes)


@pytest.mark.parametrize("name", ["yolov8.yaml", "yolo11.yaml", "yolo12.yaml", "yolo26.yaml"])
def test_families_load_and_agree_with_the_network_itself(tmp_path, name):
    network = tiny(name)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    network.eval()
    torch.save(checkpoint(network), tmp_path / "best.pt")
    with torch.inference_mode():
        grey = torch.rand(1, 1, 96, 96)
        expected = network.float()(grey.expand(-1, 3, -1, -1))
    expected = expected[0] if isinstance(expected, tuple) else expected
    detector = load_detector(tmp_path / "best.pt", device="cpu")
    with torch.inference_mode():
        output = detector._network(grey.expand(-1, 3, -1, -1))
    output = output[0] if isinstance(output, tuple) else output
    assert torch.allclose(output, expected, rtol=1e-2, atol=1e-2)
    boxes = detector.detect_many([IMAGE], confidence=0.0)[0]
    assert all(0 <= b.x0 < b.x1 <= 120 and 0 <= b.y0 < b.y1 <= 96 for b in boxes)


def test_checkpoint_saved_by_ultralytics_itself_loads_restricted(tmp_path):
    from ultralytics import YOLO

    YOLO("yolo11n.yaml").save(tmp_path / "own.pt")
    detector = load_detector(tmp_path / "own.pt", device="cpu")
    assert len(detector.record.classes) == 80
    with pytest.raises(ModelError, match="cannot look for scar"):
        detector.detect_many([IMAGE])


@pytest.mark.parametrize("how", ATTACKS)
@pytest.mark.parametrize("where", ["instead", "beside", "inside"])
def test_malicious_pickle_does_not_execute(tmp_path, how, where):
    marker = tmp_path / "executed"
    bomb = Touch(marker, how)
    document = {"instead": bomb, "beside": checkpoint(tiny(), note=bomb), "inside": checkpoint(tiny())}[where]
    if where == "inside":
        document["ema"].model[0].extra = bomb
    torch.save(document, tmp_path / "best.pt")
    with pytest.raises(ModelError, match="--trust"):
        load_detector(tmp_path / "best.pt")
    assert not marker.exists()


def test_constructor_of_an_allowed_class_does_not_run(tmp_path):
    """ultralytics' constructors evaluate text of the definition that they are given."""
    from ultralytics.nn.tasks import DetectionModel

    marker = tmp_path / "executed"
    definition = {"nc": 1, "scales": {}, "backbone": [[-1, 1, f"__import__('os').system('touch {marker}')", []]], "head": []}

    class Build:
        def __reduce__(self):
            return DetectionModel, (definition, 3, 1, False)

    torch.save({"model": Build()}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match="call of DetectionModel"):
        load_detector(tmp_path / "best.pt")
    assert not marker.exists()


def test_refusal_names_what_was_refused(tmp_path):
    torch.save(checkpoint(tiny(), note=Touch(tmp_path / "x", "eval")), tmp_path / "best.pt")
    with pytest.raises(ModelError, match=r"builtins\.eval|__builtin__\.eval"):
        load_detector(tmp_path / "best.pt")


class Harmless:
    """An unknown class, as a private fork of ultralytics might have."""


def test_trust_opens_what_the_restricted_way_refuses(tmp_path):
    torch.save(checkpoint(tiny(), note=Harmless()), tmp_path / "best.pt")
    with pytest.raises(ModelError, match="Harmless"):
        load_detector(tmp_path / "best.pt")
    assert load_detector(tmp_path / "best.pt", trust=True).labels == ("scar",)


def test_trusted_checksum_opens_it_too(tmp_path):
    from MyoScarSegLib.models import checksum_of, trust

    torch.save(checkpoint(tiny(), note=Harmless()), tmp_path / "best.pt")
    trust(checksum_of(tmp_path / "best.pt"), "test")
    assert load_detector(tmp_path / "best.pt").labels == ("scar",)


def test_segmentation_checkpoint_is_refused_for_what_it_is(tmp_path):
    torch.save(checkpoint(tiny("yolov8-seg.yaml")), tmp_path / "best.pt")
    with pytest.raises(ModelError, match="SegmentationModel"):
        load_detector(tmp_path / "best.pt")


def test_truncated_checkpoint_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:20_000])
    with pytest.raises(ModelError, match="truncated or damaged"):
        load_detector(saved)


def test_damaged_checkpoint_is_refused(saved, tmp_path):
    lacking = rewrite(saved, tmp_path / "lacking.pt", lambda name, data: b"" if name.endswith("/data/3") else data)
    with pytest.raises(ModelError, match=r"lacking\.pt"):
        load_detector(lacking)


def test_weights_without_network_are_refused(tmp_path):
    torch.save({"model": tiny().state_dict()}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match="no network"):
        load_detector(tmp_path / "best.pt")


def test_missing_file_and_unknown_format_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no detector checkpoint"):
        load_detector(tmp_path / "none.pt")
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match="safetensors"):
        load_detector(tmp_path / "model.onnx")


def test_allow_list_of_torch_is_left_as_it_was(saved):
    before = set(torch.serialization.get_safe_globals())
    load_detector(saved)
    assert set(torch.serialization.get_safe_globals()) == before


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = tiny()
    next(network.parameters()).data.view(-1)[0] = float("nan")
    torch.save(checkpoint(network), tmp_path / "nan.pt")
    with pytest.raises(ModelError, match=r"nan\.pt is damaged: the weights .* are not finite"):
        load_detector(tmp_path / "nan.pt", trust=True)


def test_an_output_that_is_not_finite_is_an_error_and_not_a_slice_without_boxes(saved):
    detector = load_detector(saved, trust=True)
    for parameter in detector._network.parameters():
        parameter.data.fill_(1e30)  # finite, but their products are not
    with pytest.raises(ModelError, match="not finite"):
        detector.detect_many([IMAGE])
