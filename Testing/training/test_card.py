"""Model cards."""

from __future__ import annotations

import json

import pytest

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.card import markdown, write_card
from MyoScarSegLib.utils.files import sha256_of

RECORD = {
    "name": "mine",
    "task": "segment",
    "architecture": "litemedsam",
    "preprocessing": "myoscarseg-1",
    "licence": "CC0-1.0",
    "citation": "Us (2026)",
    "settings": {"rate": 2e-3, "loss": {"dice": 0.6}, "scale": [0.75, 1.4]},
    "split": {"training": ["A", "B"], "validation": ["C"]},
    "metrics": {"validation": {"dice_mean": 0.71234, "dice_interval_95": [0.65, 0.75], "patients": 1, "per_patient": {"C": 0.7}}},
    "losses": [{"epoch": n, "loss": 1 / n} for n in range(1, 41)],
    "limits": ["It misses small scar."],
    "command": "myoscarseg train segmenter --data DATA -o OUT",
    "data": {"kind": "library", "patients": 3, "slices": 30, "slices_with_scar": 12, "skipped": {"bad": "torn"}, "notes": []},
    "started_from": {"name": "litemedsam", "sha256": "0" * 64},
}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")
    return path


def test_card_is_written_beside_the_model_with_its_checksum(model):
    card = write_card(model, RECORD)
    assert card == json.loads(model.with_suffix(".json").read_text())
    assert (card["sha256"], card["size"], card["file"]) == (sha256_of(model), 7, "mine.safetensors")
    assert card["use"] == "research only; not a medical device"
    assert card["metrics"] == RECORD["metrics"] and card["split"] == RECORD["split"]


def test_card_to_read_says_what_matters(model):
    write_card(model, RECORD)
    text = model.with_suffix(".md").read_text()
    for said in (
        "Research only; not a medical device",
        "| License | CC0-1.0 |",
        "Us (2026)",
        "2 patients trained, 1 validated",
        "30 slices, 12 slices with scar",
        "1 could not be read",
        "myoscarseg train segmenter --data DATA -o OUT",
        "Started from litemedsam.",
        "| loss.dice | 0.6 |",
        "| scale | 0.75, 1.4 |",
        "| dice mean | 0.7123 (0.65 to 0.75) |",
        "- It misses small scar.",
        "--segmenter mine.safetensors",
    ):
        assert said in text, said
    assert "per patient" not in text, "what has no place in a table is left to the JSON card"
    epochs = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 40 |", "| 20 |", "| 2 |"))]
    assert len(epochs) == 2, "the first, the last and some between"


def test_a_card_may_say_what_each_network_brings():
    shares = {"note": "Fold 0.", "columns": ["", "box"], "rows": [["SAM alone", 0.66], ["both", 0.74]]}
    text = markdown({**RECORD, "ablation": shares, "file": "f", "sha256": "0", "size": 1})
    assert "## What each network brings\n\nFold 0.\n\n|  | box |\n|---|---|\n| SAM alone | 0.66 |\n| both | 0.74 |" in text


def test_cells_of_a_table_cannot_break_it(model):
    text = markdown({**RECORD, "citation": "a | b\nc", "file": "f", "sha256": "0", "size": 1})
    assert r"| Cite | a \| b c |" in text


@pytest.mark.parametrize("name", ["licence", "citation", "split", "metrics", "settings", "preprocessing"])
def test_card_without_what_it_must_say_is_refused(model, name):
    with pytest.raises(ModelError, match=f"needs {name}"):
        write_card(model, {key: value for key, value in RECORD.items() if key != name})
    assert not model.with_suffix(".json").exists()


def test_card_of_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        write_card(tmp_path / "none.safetensors", RECORD)
