"""Image embeddings are kept within a budget, in memory and on disk, and never mistaken for one another."""

from __future__ import annotations

import errno
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, EmbeddingKey, content_hash

KEY = EmbeddingKey("content", "model", "preprocessing", "view")
BYTES = 4 * 256  # of one embedding below


def _key(number: int) -> EmbeddingKey:
    return replace(KEY, content=str(number))


def _embedding(number: int = 0) -> torch.Tensor:
    return torch.full((1, 16, 4, 4), float(number))


def _files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_was_put_is_got_and_counted():
    cache = EmbeddingCache()
    assert cache.get(KEY) is None
    cache.put(KEY, _embedding(3))
    assert torch.equal(cache.get(KEY), _embedding(3))
    assert (cache.hits, cache.misses, len(cache), cache.held_bytes) == (1, 1, 1, BYTES)


@pytest.mark.parametrize("field", ["content", "model_sha256", "preprocessing", "view"])
def test_whatever_an_embedding_depends_on_tells_keys_apart(field):
    cache = EmbeddingCache()
    cache.put(KEY, _embedding())
    assert cache.get(replace(KEY, **{field: "other"})) is None


def test_parts_of_a_key_do_not_run_together():
    assert EmbeddingKey("ab", "c", "", "").digest != EmbeddingKey("a", "bc", "", "").digest


def test_the_content_hash_sees_values_shape_and_type_but_not_memory_layout():
    image = np.arange(12, dtype=np.int16).reshape(3, 4)
    changed = image.copy()
    changed[2, 3] += 1
    different = [
        changed,
        image.reshape(4, 3),
        image.astype(np.int32),
        image.astype(np.uint16),
        image.astype(">i2"),
        image[:, ::-1],
    ]
    assert len({content_hash(a) for a in (image, *different)}) == 7
    assert content_hash(np.asfortranarray(image)) == content_hash(image)
    assert content_hash(np.repeat(image, 2, axis=1)[:, ::2]) == content_hash(image)


def test_the_least_recently_used_goes_first():
    cache = EmbeddingCache(budget_bytes=2 * BYTES)
    cache.put(_key(1), _embedding(1))
    cache.put(_key(2), _embedding(2))
    assert cache.get(_key(1)) is not None
    cache.put(_key(3), _embedding(3))
    assert [cache.get(_key(n)) is not None for n in (1, 2, 3)] == [True, False, True]
    assert cache.held_bytes == 2 * BYTES


def test_an_embedding_beyond_the_whole_budget_is_not_held_and_drops_no_other():
    cache = EmbeddingCache(budget_bytes=BYTES)
    cache.put(_key(1), _embedding(1))
    cache.put(_key(2), torch.zeros(1, 32, 4, 4))
    assert cache.get(_key(2)) is None
    assert cache.get(_key(1)) is not None


def test_putting_a_key_again_replaces_it_and_its_bytes():
    cache = EmbeddingCache()
    cache.put(KEY, torch.zeros(1, 64, 4, 4))
    cache.put(KEY, _embedding(5))
    assert torch.equal(cache.get(KEY), _embedding(5))
    assert (len(cache), cache.held_bytes) == (1, BYTES)


def test_a_cleared_cache_holds_nothing_in_memory_and_finds_what_is_on_disk(tmp_path):
    memory, disk = EmbeddingCache(), EmbeddingCache(folder=tmp_path / "new")
    for cache in (memory, disk):
        cache.put(KEY, _embedding(3))
        cache.clear()
        assert (len(cache), cache.held_bytes) == (0, 0)
    assert memory.get(KEY) is None
    assert torch.equal(disk.get(KEY), _embedding(3))


def test_a_new_cache_finds_what_another_left_on_disk(tmp_path):
    EmbeddingCache(folder=tmp_path / "new").put(KEY, _embedding(3))
    assert _files(tmp_path / "new") == [f"{KEY.digest}.safetensors"]
    cache = EmbeddingCache(folder=tmp_path / "new")
    assert torch.equal(cache.get(KEY), _embedding(3))
    assert (cache.hits, cache.misses, len(cache)) == (1, 0, 1)
    (tmp_path / "new" / f"{KEY.digest}.safetensors").unlink()
    assert cache.get(KEY) is not None  # it is in memory now


@pytest.mark.parametrize("budget", [2, 2.5])
def test_the_disk_has_a_budget_too_and_the_longest_unused_goes_first(tmp_path, budget):
    EmbeddingCache(folder=tmp_path).put(_key(0), _embedding())
    on_disk = sum(file.stat().st_size for file in tmp_path.iterdir())
    (tmp_path / f"{_key(0).digest}.safetensors").unlink()
    cache = EmbeddingCache(folder=tmp_path, budget_bytes=0, disk_budget_bytes=int(budget * on_disk))
    for number in (1, 2, 3, 4):
        cache.put(_key(number), _embedding(number))
        os.utime(tmp_path / f"{_key(number).digest}.safetensors", (number, number))
        if number == 3:
            assert cache.get(_key(2)) is not None  # used just now
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= int(budget * on_disk)
    assert _files(tmp_path) == sorted(f"{_key(n).digest}.safetensors" for n in (2, 4))


@pytest.mark.parametrize("damage", [b"", b"no safetensors", b"\xff" * 64, "truncated", "other tensor"])
def test_a_damaged_file_is_a_miss_and_is_made_again(tmp_path, damage, caplog):
    EmbeddingCache(folder=tmp_path).put(KEY, _embedding())
    path = tmp_path / f"{KEY.digest}.safetensors"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "other tensor":
        from safetensors.torch import save_file

        save_file({"weights": torch.zeros(1)}, str(path))
    else:
        path.write_bytes(damage)
    cache = EmbeddingCache(folder=tmp_path)
    with caplog.at_level(logging.WARNING):
        assert cache.get(KEY) is None
    assert "was damaged and is made again" in caplog.text
    cache.put(KEY, _embedding(4))
    assert torch.equal(EmbeddingCache(folder=tmp_path).get(KEY), _embedding(4))


def test_a_folder_that_cannot_be_made_costs_only_the_disk_store(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = EmbeddingCache(folder=tmp_path / "file" / "cache")
    assert cache.get(KEY) is None
    with caplog.at_level(logging.WARNING):
        cache.put(KEY, _embedding(1))
    assert "Embeddings are not kept on disk" in caplog.text
    assert torch.equal(cache.get(KEY), _embedding(1))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_costs_only_the_disk_store(tmp_path, monkeypatch, caplog, number):
    def refuse(*arguments, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("MyoScarSegLib.utils.files.os.open", refuse)
    cache = EmbeddingCache(folder=tmp_path)
    with caplog.at_level(logging.WARNING):
        cache.put(KEY, _embedding(1))
    assert os.strerror(number) in caplog.text
    assert cache.get(KEY) is not None
    assert _files(tmp_path) == []


def test_safetensors_own_report_of_a_full_disk_is_understood(tmp_path, monkeypatch, caplog):
    from safetensors import SafetensorError

    def refuse(*arguments):
        raise SafetensorError('I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }')

    monkeypatch.setattr("safetensors.torch.save_file", refuse)
    cache = EmbeddingCache(folder=tmp_path)
    with caplog.at_level(logging.WARNING):
        cache.put(KEY, _embedding(1))
    assert "No space left on device" in caplog.text
    assert _files(tmp_path) == []


def test_a_read_only_store_is_still_read(tmp_path, monkeypatch):
    EmbeddingCache(folder=tmp_path).put(KEY, _embedding(3))

    def refuse(*arguments, **named):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    cache = EmbeddingCache(folder=tmp_path)
    assert torch.equal(cache.get(KEY), _embedding(3))


def test_a_damaged_file_in_a_read_only_store_is_a_miss(tmp_path, monkeypatch):
    (tmp_path / f"{KEY.digest}.safetensors").write_bytes(b"damaged")

    def refuse(*arguments, **named):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert EmbeddingCache(folder=tmp_path).get(KEY) is None


def test_threads_neither_lose_embeddings_nor_break_the_budget(tmp_path):
    cache = EmbeddingCache(budget_bytes=5 * BYTES, folder=tmp_path, disk_budget_bytes=1 << 20)
    wrong = []

    def work(start: int) -> None:
        for step in range(40):
            number = (start + step) % 9
            found = cache.get(_key(number))
            if found is None:
                cache.put(_key(number), _embedding(number))
            elif not torch.equal(found, _embedding(number)):
                wrong.append(number)
            if cache.held_bytes > 5 * BYTES:
                wrong.append("budget")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cache.hits + cache.misses == 6 * 40
    assert cache.held_bytes == BYTES * len(cache)
    assert len(_files(tmp_path)) == 9
