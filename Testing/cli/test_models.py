"""``myoscarseg models``: what it prints and its exit status."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess

import pytest

from MyoScarSegLib import models as models_package
from MyoScarSegLib.models import DEFAULT_SEGMENTER, Registry
from MyoScarSegLib.models import download as download_module
from Testing.support.models_server import Behavior, serving, sha256, write_index

CONTENT = b"weights " * 50_000


@pytest.fixture
def server():
    with serving(Behavior(CONTENT)) as behavior:
        yield behavior


@pytest.fixture
def registry(tmp_path, monkeypatch, server):
    """Two models of one content: the first has a published checksum, the second does not."""
    source = {"kind": "url", "url": server.url, "revision": "main"}
    index = write_index(tmp_path / "index.json", source, source, metrics={"data": "phantoms", "oracle_dice": 0.9})
    document = json.loads(index.read_text())
    document["models"][0].update(sha256=sha256(CONTENT), size=len(CONTENT))
    index.write_text(json.dumps(document))
    registry = Registry.load(index)
    monkeypatch.setattr(models_package, "registry", lambda: registry)
    monkeypatch.setattr(download_module, "_sleep", lambda seconds, cancel: None)
    return registry


@pytest.fixture
def myoscarseg(command):
    def myoscarseg(*words):
        ran = command("models", *words)
        return ran.status, ran.out, ran.err

    return myoscarseg


def test_list_shows_what_is_installed_missing_and_damaged(registry, myoscarseg):
    registry.fetch("model-0")
    registry.fetch("model-1").write_bytes(b"other")
    status, out, _ = myoscarseg("list")
    rows = [re.split(r" {2,}", line) for line in out.splitlines()]
    assert status == 0
    assert rows[0] == ["NAME", "TASK", "SIZE", "STATE", "LICENSE", "FIGURES"]
    assert rows[1] == ["model-0", "segment", "0 MB", "installed", "MIT", "Dice 0.90 with experts' boxes"]
    assert rows[2] == ["model-1", "segment", "?", "damaged", "MIT", "Dice 0.90 with experts' boxes"]


def test_list_says_the_figures_of_the_models_that_come_with_the_program_in_words(myoscarseg):
    _, out, _ = myoscarseg("list")
    figures = {line.split()[0]: re.split(r" {2,}", line)[-1] for line in out.splitlines()}
    assert re.fullmatch(r"Dice 0\.\d\d with experts' boxes, Dice 0\.\d\d on its own", figures[DEFAULT_SEGMENTER])
    assert max(map(len, out.splitlines())) < 180


def test_list_survives_a_damaged_record(registry, myoscarseg):
    (registry.fetch("model-1").parent / "first-use.json").write_text("no JSON")
    status, out, _ = myoscarseg("list")
    assert status == 0 and "damaged" in out and "missing" in out


def test_list_as_json_has_everything(registry, server, myoscarseg):
    path = registry.fetch("model-0")
    status, out, _ = myoscarseg("list", "--json")
    first, second = json.loads(out)["models"]
    assert status == 0
    assert first["source"] == {"kind": "url", "url": server.url, "revision": "main"}
    assert (first["state"], first["path"], first["installed_sha256"]) == ("installed", str(path), sha256(CONTENT))
    assert (second["state"], second["path"], second["installed_sha256"]) == ("missing", None, None)


def test_only_fetch_opens_sockets_or_starts_programs(registry, tmp_path, myoscarseg, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("not allowed here")

    file = tmp_path / "weights.pth"
    file.write_bytes(CONTENT)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    for words in (["list"], ["import", "model-0", file], ["list", "--json"], ["verify"], ["verify", "model-0"]):
        assert myoscarseg(*words)[0] == 0


def test_fetch_installs_and_prints_plain_lines_off_a_terminal(registry, myoscarseg):
    status, out, err = myoscarseg("fetch", "model-0", "model-1", "model-0")
    assert status == 0
    assert out.splitlines() == [f"{name}: {registry.path(name)}" for name in ("model-0", "model-1")]
    assert "Downloading weights.pth: 0.4 of 0.4 MB" in err and "\r" not in err


def test_fetch_draws_a_bar_on_a_terminal(registry, myoscarseg, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert myoscarseg("fetch", "model-0")[0] == 0
    assert "\r" in terminal.getvalue() and "Downloading weights.pth" in terminal.getvalue()


def test_failed_fetch_goes_on_with_the_next_and_exits_1(registry, server, myoscarseg):
    server.statuses = [404]
    status, out, err = myoscarseg("fetch", "model-0", "model-1")
    assert status == 1
    assert "model-0 could not be fetched" in err and "404" in err and "Traceback" not in err
    assert registry.status("model-1").ok and "model-1" in out


@pytest.mark.parametrize("words", [("fetch", "model-9"), ("verify", "model-9"), ("import", "model-9", "file")])
def test_unknown_name_exits_2_before_anything_is_done(registry, server, myoscarseg, words):
    status, _, err = myoscarseg(*words)
    assert status == 2 and "no model called 'model-9'" in err and "model-0" in err
    assert server.asked == []


@pytest.mark.parametrize("words", [(), ("fetch",), ("import", "model-0"), ("burn",)])
def test_bad_arguments_exit_2(registry, myoscarseg, words):
    assert myoscarseg(*words)[0] == 2


def test_import_installs_a_right_file_and_refuses_a_wrong_one(registry, tmp_path, myoscarseg):
    right, wrong = tmp_path / "right.pth", tmp_path / "wrong.pth"
    right.write_bytes(CONTENT)
    wrong.write_bytes(CONTENT[:-1])
    status, _, err = myoscarseg("import", "model-0", wrong)
    assert status == 1 and "not model-0" in err
    assert myoscarseg("import", "model-0", right)[0] == 0
    assert registry.path("model-0").read_bytes() == CONTENT


def test_changed_model_needs_accept_change(registry, tmp_path, myoscarseg):
    registry.fetch("model-1")
    changed = tmp_path / "changed.pth"
    changed.write_bytes(b"new")
    status, _, err = myoscarseg("import", "model-1", changed)
    assert status == 1 and "changed since its first use" in err
    assert myoscarseg("import", "model-1", changed, "--accept-change")[0] == 0


def test_verify_exits_1_for_a_damaged_model_only(registry, myoscarseg):
    assert myoscarseg("verify") == (0, "", "")
    path = registry.fetch("model-0")
    status, out, _ = myoscarseg("verify")
    assert status == 0 and out == f"model-0: correct, SHA-256 {sha256(CONTENT)}\n"
    path.write_bytes(CONTENT[:-1] + b"!")
    status, _, err = myoscarseg("verify")
    assert status == 1 and "damaged or was changed" in err


def test_verify_of_a_named_missing_model_exits_1(registry, myoscarseg):
    status, _, err = myoscarseg("verify", "model-0")
    assert status == 1 and "models fetch model-0" in err


def test_cache_tells_its_size_and_is_cleared_with_that_of_trainings(own_cache, myoscarseg):
    for name, size in (("embeddings", 20_000_000), ("training-embeddings", 40_000_000)):
        (own_cache / name).mkdir()
        (own_cache / name / "one.safetensors").write_bytes(bytes(size))
    (own_cache / "trusted.json").write_text("{}")
    status, out, _err = myoscarseg("cache")
    assert status == 0 and "0.06 GB" in out and str(own_cache) in out
    status, out, _err = myoscarseg("cache", "--clear")
    assert status == 0 and "0.06 GB deleted" in out
    assert not list(own_cache.rglob("*.safetensors")) and (own_cache / "trusted.json").exists()
    assert "0.00 GB of" in myoscarseg("cache")[1]
