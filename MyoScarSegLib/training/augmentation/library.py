"""The door to MONAI, which only training needs."""

from __future__ import annotations

from types import ModuleType

from MyoScarSegLib.errors import ModelError


def transforms() -> ModuleType:
    """``monai.transforms``.

    Raises:
        ModelError: MONAI is not installed.
    """
    try:
        import monai.transforms
    except ImportError as reason:
        raise ModelError(
            f"Augmentation needs MONAI, which cannot be loaded ({reason}). Install what training needs: "
            "pip install 'myoscarseg[train]'"
        ) from reason
    return monai.transforms
