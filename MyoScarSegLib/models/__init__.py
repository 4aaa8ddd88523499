"""The registry of checkpoints: name, license, checksum, source, metrics; fetching, importing and verifying them."""

from MyoScarSegLib.models.entry import CHECKPOINT_ENDINGS, Entry, OwnSource, ResourceSource, Source, UrlSource, WheelSource
from MyoScarSegLib.models.hashing import checksum_of
from MyoScarSegLib.models.registry import Registry, VerifyResult, checksum_of_model, path_of, registry
from MyoScarSegLib.models.trust import is_trusted, trust

DEFAULT_DETECTOR = "myoscarseg-yolo-3"
DEFAULT_SEGMENTER = "myoscarseg-sam-8"

__all__ = [
    "CHECKPOINT_ENDINGS",
    "DEFAULT_DETECTOR",
    "DEFAULT_SEGMENTER",
    "Entry",
    "OwnSource",
    "Registry",
    "ResourceSource",
    "Source",
    "UrlSource",
    "VerifyResult",
    "WheelSource",
    "checksum_of",
    "checksum_of_model",
    "is_trusted",
    "path_of",
    "registry",
    "trust",
]
