"""The training tab without the panel: library, split, runs, curves and comparison, on the scene and without Qt."""
