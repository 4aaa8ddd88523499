"""What the tests of a training library begin with."""

from __future__ import annotations

import pytest

from MyoScarSegLib.training.datasets.training_library import Library


@pytest.fixture
def library(tmp_path) -> Library:
    """A training library without a case."""
    return Library.create(tmp_path / "library")
