"""The tutorial notebook runs from top to bottom, and its outputs are not kept in the repository."""

from __future__ import annotations

import json

import pytest

from Testing.conftest import REPOSITORY

NOTEBOOK = REPOSITORY / "docs" / "tutorial.ipynb"
CELL_S = 540


def test_the_notebook_is_kept_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("TUTORIAL_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("EMIDEC", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=CELL_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "mine" / "mine-1.safetensors").is_file()
    assert (tmp_path / "comparison" / "comparison.json").is_file()
