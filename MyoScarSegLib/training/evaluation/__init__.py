"""How good masks and models are: scores, intervals, comparisons and their pictures.

- ``scores``: everything measured on one case; Dice and distances are in ``quantification/overlap.py``.
- ``summary``: over patients; ``statistics``: their intervals, and two models on the same patients.
- ``mask_comparison``: masks in files against masks in files; ``model_evaluation``: models on labeled slices, through the
  product's own pipeline, and the field's thresholds on the same slices.
- ``evaluation_files`` and ``evaluation_pictures``: JSON, CSV, tables and pictures of all of these.
"""
