"""How good masks and models are: scores, intervals, comparisons and their pictures.

- ``metrics``: Dice, surface distances and lesions of two masks.
- ``scores``: everything measured on one case; ``summary``: over patients, with intervals from ``bootstrap``.
- ``comparison``: masks in files against masks in files; ``settings``: models on labeled slices, through the product's own
  pipeline; ``reference``: the field's thresholds on the same slices.
- ``report`` and ``pictures``: JSON, CSV, tables and pictures of all of these.
"""
