"""SAM models: checkpoints, preprocessing, embeddings, and masks from prompts."""

from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache
from MyoScarSegLib.segmentation.segmenter import Prediction, Segmenter, load_segmenter
from MyoScarSegLib.segmentation.segmenter_image import SegmenterImage

__all__ = ["EmbeddingCache", "Prediction", "Segmenter", "SegmenterImage", "load_segmenter"]
