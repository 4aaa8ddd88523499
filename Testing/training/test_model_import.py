"""Models that the user keeps: listed and used by name, carried to another computer, and never lost or run as programs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from MyoScarSegLib.errors import Cancelled, ModelError, OutputError
from MyoScarSegLib.models import own, registry
from MyoScarSegLib.models.safetensors_header import read_header
from MyoScarSegLib.training.background_work import model_export, model_import, model_keep
from MyoScarSegLib.training.model_import import import_model
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.progress import CancelToken, no_progress
from Testing.support.tiny_models import write_segmenter


@pytest.fixture
def trained(tmp_path, tiny_segmenter) -> Path:
    """A model as a training leaves it, with its card."""
    path = tmp_path / "run" / "segmenter.safetensors"
    path.parent.mkdir()
    path.write_bytes(tiny_segmenter.read_bytes())
    write_card(path)
    path.with_suffix(".md").write_text("# segmenter\n")
    return path


def write_card(path: Path, **changes) -> Path:
    card = {
        "name": "segmenter", "task": "segment", "architecture": "sam-vit-32x2", "preprocessing": "myoscarseg-1",
        "licence": "mine", "citation": "not stated", "sha256": sha256_of(path), "file": path.name,
        "started_from": {"name": "myoscarseg-sam-8", "sha256": "0" * 64},
        "split": {"training": ["P1", "P2"], "validation": ["P3"]},
        "metrics": {"validation": {"end_to_end dice_mean": 0.7, "oracle dice_mean": 0.8}},
        **changes,
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(card))
    return path.with_suffix(".json")


def keep(trained: Path, name: str = "ward-3"):
    return own.keep(trained, trained.with_suffix(".json"), name)


def left_over() -> list[str]:
    """What is in the folder of models beside models and the lock."""
    return [p.name for p in own.models_folder().glob(".*") if p.name != ".lock"]


def test_kept_model_is_listed_checked_and_loaded_by_its_name(trained):
    from MyoScarSegLib.segmentation import load_segmenter

    entry = keep(trained)
    assert entry in registry().entries("segment") and registry().entry("ward-3") == entry
    assert entry.metrics == {"data": "1 validation patients", "end_to_end_dice": 0.7, "oracle_dice": 0.8}
    assert "2 patients" in entry.title and "myoscarseg-sam-8" in entry.title
    assert registry().status("ward-3").ok and registry().verify("ward-3").ok
    assert registry().checksum("ward-3") == sha256_of(trained) == sha256_of(registry().path("ward-3"))
    assert load_segmenter("ward-3", device="cpu").checkpoint.sha256 == entry.sha256
    trained.unlink()
    assert registry().status("ward-3").ok, "the run may be discarded"


def test_kept_detector_is_loaded_by_its_name(tmp_path, tiny_detector):
    from MyoScarSegLib.detection import load_detector

    entry = import_model(tiny_detector, "finder")
    assert entry.task == "detect" and entry.architecture == "yolo"
    assert load_detector("finder", device="cpu").name == "finder"


def test_exported_model_is_the_same_on_another_computer(trained, tmp_path, monkeypatch):
    first = keep(trained)
    file = own.export("ward-3", tmp_path / "stick")
    assert sorted(p.suffix for p in file.parent.iterdir()) == [".json", ".md", ".safetensors"]
    monkeypatch.setenv("MYOSCARSEG_MODELS", str(tmp_path / "other-computer"))
    assert own.own_models().entries == {}
    entry = import_model(file)
    assert (entry.name, entry.sha256, entry.metrics) == ("ward-3", first.sha256, first.metrics)
    assert import_model(file.with_suffix(".json")).name == "ward-3-2"


def test_export_replaces_no_other_model(trained, tmp_path):
    keep(trained)
    (tmp_path / "ward-3.safetensors").write_bytes(b"another")
    with pytest.raises(ModelError, match="another model"):
        own.export("ward-3", tmp_path)
    assert (tmp_path / "ward-3.safetensors").read_bytes() == b"another"


def test_model_without_card_is_imported_and_says_that_nothing_is_known(tiny_segmenter):
    entry = import_model(tiny_segmenter)
    assert (entry.name, entry.preprocessing, entry.licence) == ("tiny-sam", "myoscarseg-1", "not stated")
    card = json.loads((own.models_folder() / "tiny-sam" / "tiny-sam.json").read_text())
    assert "without a card" in card["limits"][0]


@pytest.mark.parametrize(
    "name", ["", "Ward", "a b", "../up", "a/b", ".hidden", "a.safetensors", "x" * 65, "nul", "com1.x", "end."]
)
def test_name_that_is_no_name_is_refused(trained, name):
    with pytest.raises(ModelError, match="cannot be a model's name"):
        keep(trained, name)
    assert not own.own_models().entries and not left_over()


def test_names_of_other_models_are_taken(trained):
    keep(trained)
    with pytest.raises(ModelError, match="already"):
        keep(trained)
    with pytest.raises(ModelError, match="comes with MyoScarSeg"):
        keep(trained, "myoscarseg-sam-8")
    assert own.free_name("ward-3") == "ward-3-2" and own.free_name("Ward 7!") == "ward-7" and own.free_name("…") == "model"


def test_card_of_another_file_is_refused(trained, tmp_path):
    other = write_card(write_segmenter(tmp_path / "other.safetensors", seed=7))
    with pytest.raises(ModelError, match="checksums differ"):
        own.keep(trained, other, "ward-3")
    write_card(trained, architecture="sam-vit-b")
    with pytest.raises(ModelError, match="architecture 'sam-vit-b'"):
        import_model(trained)
    assert not own.own_models().entries and not left_over()


def test_damaged_model_says_so_and_hides_no_other(trained, tmp_path):
    keep(trained, "good"), keep(trained, "torn"), keep(trained, "lost")
    folder = own.models_folder()
    with (folder / "torn" / "torn.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    (folder / "lost" / "lost.json").write_text("{")
    assert [e.name for e in registry().entries() if e.name in ("good", "torn", "lost")] == ["good", "torn"]
    assert "lost" in registry().problems()["lost"]
    assert registry().status("good").ok and registry().status("torn").state == "damaged"
    with pytest.raises(ModelError, match="damaged or was changed"):
        registry().path("torn")
    with pytest.raises(ModelError, match="damaged"):
        own.export("torn", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
    own.remove("lost"), own.remove("torn")
    assert list(own.own_models().entries) == ["good"] and not registry().problems()


def test_card_that_points_elsewhere_is_not_followed(trained, tmp_path):
    keep(trained)
    path = own.models_folder() / "ward-3" / "ward-3.json"
    card = json.loads(path.read_text())
    for name in ("other", "../../x"):
        path.write_text(json.dumps({**card, "name": name}))
        assert "ward-3" in own.own_models().problems
        with pytest.raises(ModelError):
            registry().path("ward-3")
    path.write_text(json.dumps({**card, "file": "../../x.safetensors"}))
    assert registry().path("ward-3") == path.with_suffix(".safetensors")


def test_removed_model_is_gone_and_unknown_one_is_a_sentence(trained):
    keep(trained)
    own.remove("ward-3")
    assert not (own.models_folder() / "ward-3").exists() and not left_over()
    with pytest.raises(ModelError, match="no model called 'ward-3'"):
        registry().entry("ward-3")
    for call in (lambda: own.remove("ward-3"), lambda: own.remove(".."), lambda: own.export("ward-3", Path("x"))):
        with pytest.raises(ModelError, match="no model called"):
            call()


def test_program_in_a_file_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "ran").touch, ())

    (tmp_path / "bomb.pth").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match=r"not a \.safetensors file"):
        import_model(tmp_path / "bomb.pth")
    (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="damaged"):
        import_model(tmp_path / "bomb.safetensors")
    assert not (tmp_path / "ran").exists()


def test_own_models_vouch_for_no_file_that_would_be_unpickled(trained, tmp_path):
    keep(trained)
    assert registry().identify(trained).name == "ward-3"
    copy = tmp_path / "same.pth"
    copy.write_bytes(trained.read_bytes())
    assert registry().identify(copy) is None


def test_file_that_is_no_model_of_ours_is_refused(tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"image_encoder.x": torch.zeros(3)}, str(tmp_path / "a.safetensors"))
    names = ("preprocessing", "normalisation_version", "low_percentile", "high_percentile")
    save_file({"image_encoder.x": torch.zeros(3)}, str(tmp_path / "f.safetensors"), dict.fromkeys(names, "1"))
    save_file({"y": torch.zeros(3)}, str(tmp_path / "b.safetensors"))
    write_segmenter(tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "c.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "d.safetensors").write_bytes(b"")
    for name in "abcdf":
        with pytest.raises(ModelError):
            import_model(tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelError, match="There is no model file"):
        import_model(tmp_path / "e.safetensors")
    assert not own.own_models().entries and not left_over()


def test_full_disk_keeps_nothing_of_a_model_and_loses_no_other(trained, monkeypatch):
    keep(trained, "first")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        keep(trained, "second")
    assert list(own.own_models().entries) == ["first"] and not left_over()


def test_cancelled_keeping_leaves_nothing(trained):
    with pytest.raises(Cancelled):
        own.keep(trained, trained.with_suffix(".json"), "ward-3", cancel=CancelToken(0))
    assert not own.own_models().entries and not left_over()


def test_process_killed_while_keeping_leaves_no_half_model(trained, tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from MyoScarSegLib.models import own;"
        "model = Path(sys.argv[1]);"
        "own.keep(model, model.with_suffix('.json'), 'half', progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(trained)], check=False, timeout=60)
    assert done.returncode == -9
    assert not own.own_models().entries and not own.own_models().problems and left_over()
    keep(trained, "whole")
    assert list(own.own_models().entries) == ["whole"] and not left_over()


def test_header_tells_tensors_without_reading_them(tiny_segmenter, tiny_detector):
    assert any(key.startswith("image_encoder.") for key in read_header(tiny_segmenter).tensors)
    assert read_header(tiny_segmenter).metadata["preprocessing"] == "myoscarseg-1"
    assert "myoscarseg" in read_header(tiny_detector).metadata


def test_folder_is_no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MYOSCARSEG_MODELS", str(tmp_path / "chosen"))
    assert own.models_folder() == tmp_path / "chosen"
    monkeypatch.delenv("MYOSCARSEG_MODELS")
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(tmp_path / "cache"))
    assert tmp_path not in own.models_folder().parents


QUIETLY = {"progress": no_progress, "cancel": CancelToken()}


def test_background_tasks_do_it_for_the_application(trained, tmp_path):
    arguments = {"model": str(trained), "card": str(trained.with_suffix(".json")), "name": "ward-3"}
    kept = model_keep(**arguments, **QUIETLY)
    assert kept == {"name": "ward-3", "sha256": sha256_of(trained)}
    file = model_export(name="ward-3", folder=str(tmp_path / "out"), **QUIETLY)["file"]
    assert model_import(file=file, name="", **QUIETLY)["name"] == "ward-3-2"


def test_command_keeps_lists_exports_imports_and_removes(command, trained, tmp_path):
    assert command("models", "keep", trained, "ward-3").status == 0
    assert "ward-3" in command("models", "list").out
    assert "ward-3.safetensors" in command("models", "export", "ward-3", tmp_path / "out").out
    assert command("models", "import", tmp_path / "out" / "ward-3.safetensors").status == 0
    assert command("models", "import", "another", tmp_path / "out" / "ward-3.safetensors").status == 0
    assert command("models", "verify", "ward-3-2", "another").status == 0
    removed = command("models", "remove", "ward-3", "ward-3-2", "nobody")
    assert removed.status == 1 and "nobody" in removed.err
    (own.models_folder() / "another" / "another.json").unlink()
    listed = command("models", "list")
    assert listed.status == 0 and "myoscarseg-sam-8" in listed.out and "another cannot be used" in listed.err
    assert "another" in json.loads(command("models", "list", "--json").out)["problems"]
    assert command("models", "verify").status == 1


def test_card_of_a_segmenter_is_not_taken_for_a_detector(tmp_path, tiny_detector):
    path = tmp_path / "d.safetensors"
    path.write_bytes(tiny_detector.read_bytes())
    write_card(path)
    with pytest.raises(ModelError, match="task 'segment' instead of 'detect'"):
        import_model(path)
