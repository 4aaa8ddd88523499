"""What the tests of the panel share beside ``module``."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def opened(application):
    """The module with the models that come with the program, for what asks no network."""
    from Testing.support.panel_kit import open_module

    with open_module(application) as module:
        yield module
