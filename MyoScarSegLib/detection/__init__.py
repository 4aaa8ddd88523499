"""YOLO boxes per slice, behind one small interface; ultralytics (AGPL-3.0) is touched nowhere else."""

from MyoScarSegLib.detection.detector import SCAR_ONLY, Detector, load_detector

__all__ = ["SCAR_ONLY", "Detector", "load_detector"]
