"""The model index: what ships is well-formed, what is malformed is refused."""

from __future__ import annotations

import json

import pytest

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, Registry, ResourceSource, UrlSource, registry
from MyoScarSegLib.utils.resources import resources_folder
from Testing.support.models_server import write_index

URL = {"kind": "url", "url": "https://example.org/weights.pth", "revision": "1"}


def test_default_models_come_with_the_program():
    for name, task in ((DEFAULT_DETECTOR, "detect"), (DEFAULT_SEGMENTER, "segment")):
        entry = registry().entry(name)
        assert entry.task == task and entry.pinned and entry.preprocessing == "myoscarseg-1"
        assert isinstance(entry.source, ResourceSource)


def test_shipped_models_say_what_the_loaders_need():
    architectures = {"sam-vit-b", "sam-vit-l", "sam-vit-h", "litemedsam", "yolo"}
    preprocessings = {"sam", "medsam", "litemedsam", "yolosam", "myoscarseg-1", "ultralytics"}
    for entry in registry().entries():
        assert entry.architecture in architectures, entry.name
        assert entry.preprocessing in preprocessings, entry.name
        assert (entry.architecture == "yolo") == (entry.task == "detect"), entry.name
        assert not isinstance(entry.source, UrlSource) or entry.source.url.startswith("https://"), entry.name
        assert entry.size is not None or not entry.pinned, entry.name


def test_bundled_models_are_there_and_correct():
    for entry in registry().entries():
        if isinstance(entry.source, ResourceSource):
            assert entry.pinned
            assert registry().verify(entry.name).ok


def test_resources_are_found_in_the_source_tree_or_where_the_user_says(tmp_path, monkeypatch):
    assert (resources_folder() / "Models" / "README.md").is_file()
    monkeypatch.setenv("MYOSCARSEG_RESOURCES", str(tmp_path))
    assert resources_folder() == tmp_path
    monkeypatch.setenv("MYOSCARSEG_RESOURCES", str(tmp_path / "nothing"))
    with pytest.raises(Exception, match="MYOSCARSEG_RESOURCES names"):
        resources_folder()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "guess"}, "task must be one of detect, segment"),
        ({"name": "../up"}, "name must be a name of lower-case letters"),
        ({"sha256": "ABC"}, "sha256 must be 64 lower-case hexadecimal digits"),
        ({"size": -1}, "size must be a whole number from 1 up"),
        ({"licence": ""}, "licence must be a text that is not empty"),
        ({"color": "red"}, "'color', which is not known"),
        ({"source": {"kind": "url", "url": "https://example.org/x.pth"}}, "source lacks 'revision'"),
        ({"source": {"kind": "torrent"}}, "kind must be one of url, pypi, resource"),
        ({"source": {**URL, "url": "https://example.org/.."}}, "plain file name"),
        ({"source": {"kind": "resource", "file": "../secret"}}, "plain file name"),
    ],
)
def test_malformed_entry_is_refused_and_named(tmp_path, changes, message):
    path = write_index(tmp_path / "index.json", URL, **changes)
    with pytest.raises(ModelError, match=message) as caught:
        Registry.load(path)
    assert "index.json: models[0]" in str(caught.value)


@pytest.mark.parametrize("text", ["[]", '{"version": 2, "models": []}', '{"version": 1}', "{"])
def test_document_that_is_no_index_is_refused(tmp_path, text):
    path = tmp_path / "index.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"index\.json"):
        Registry.load(path)


def test_name_used_twice_is_refused(tmp_path):
    path = write_index(tmp_path / "index.json", URL, URL)
    path.write_text(json.dumps(json.loads(path.read_text())).replace("model-1", "model-0"))
    with pytest.raises(ModelError, match="used twice"):
        Registry.load(path)
