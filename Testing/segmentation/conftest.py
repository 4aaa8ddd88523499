"""Tiny segmenters."""

from __future__ import annotations

import pytest

from MyoScarSegLib.segmentation import Segmenter
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint
from Testing.support.sam_factory import litemedsam_state
from Testing.support.segmenter_factory import tiny_checkpoint


@pytest.fixture(scope="module")
def vit() -> Segmenter:
    return Segmenter(tiny_checkpoint(), device="cpu", precision="float32")


@pytest.fixture(scope="session")
def lite_state():
    return litemedsam_state()


@pytest.fixture(scope="session")
def lite_checkpoint(lite_state) -> Checkpoint:
    """LiteMedSAM's architecture that looks at 40 mm around the heart in 32 x 32 pixels."""
    return tiny_checkpoint(
        state=lite_state, architecture="litemedsam", preprocessing="myoscarseg-1", side=32, window_mm=40.0, sha256="1" * 64
    )
