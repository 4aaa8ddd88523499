"""Tests in a real 3D Slicer application, driven by mouse and keyboard: ``make test-application``."""
